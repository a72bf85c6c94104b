//! What both kinds of plugin are given and may refuse with.

/// One gRPC request that is being routed.
///
/// ```
/// use symgate_sdk::Call;
///
/// // What an extractor is given that asked for the keys `symbol` and `venue` and not for the path.
/// let metadata = [Some(b"BTC_USDT".as_slice()), None];
/// let call = Call { metadata: &metadata, ..Call::default() };
/// assert_eq!(call.text(0), Some("BTC_USDT"));
/// assert_eq!(call.value(1), None);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Call<'a> {
    /// The `:path` pseudo-header, e.g. `/pb.KlineService/GetKline`; empty unless asked for.
    pub path: &'a str,
    /// One entry per metadata key asked for, in the same order; `None` where the call does not carry the key.
    pub metadata: &'a [Option<&'a [u8]>],
    /// The first request message, once an extractor asked for it.
    pub message: Option<&'a [u8]>,
}

impl<'a> Call<'a> {
    /// The value of the `index`-th metadata key asked for; `None` where the call does not carry it.
    #[must_use]
    pub fn value(&self, index: usize) -> Option<&'a [u8]> {
        self.metadata.get(index).copied().flatten()
    }

    /// The same as text; `None` also where it is not UTF-8.
    #[must_use]
    pub fn text(&self, index: usize) -> Option<&'a str> {
        str::from_utf8(self.value(index)?).ok()
    }
}

/// The gRPC status codes that a plugin may end a call with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the gRPC status codes")]
pub enum StatusCode {
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

/// Ends the call with a status of the plugin's choice.
///
/// ```
/// use symgate_sdk::{Rejection, StatusCode, extract::Outcome};
///
/// let outcome = Outcome::Reject(Rejection::new(StatusCode::PermissionDenied, "this venue is closed"));
/// # assert!(matches!(outcome, Outcome::Reject(_)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The gRPC status of the call.
    pub code: StatusCode,
    /// What the caller reads.
    pub message: String,
}

impl Rejection {
    /// A rejection with this status; the message is what the caller reads.
    pub fn new(code: StatusCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
