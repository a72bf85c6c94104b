//! Extractors: which symbol does this call belong to?

use crate::call::{Call, Rejection};

/// When an extractor wants the first request message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Need {
    /// Never: [`Outcome::NeedMessage`] is not answered.
    #[default]
    Never,
    /// Only when it answers [`Outcome::NeedMessage`].
    OnDemand,
    /// Before it is asked.
    Always,
}

/// The inputs that an extractor asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Whether the path is wanted.
    pub path: bool,
    /// Metadata keys, in lower case.
    pub metadata: Vec<String>,
    /// When the first request message is wanted.
    pub message: Need,
    /// True when the same inputs always give the same outcome.
    pub pure: bool,
}

/// What an extractor answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The call belongs to this symbol.
    Symbol(String),
    /// Every instance of the service may answer.
    Any,
    /// Ask again with the first message.
    NeedMessage,
    /// The call carries no symbol, and why.
    NoSymbol(String),
    /// The call ends here.
    Reject(Rejection),
}

/// Decides which symbol a call belongs to.
///
/// ```
/// use symgate_sdk::{Call, Extractor, extract::{Inputs, Need, Outcome}, testkit::Request};
///
/// /// The first message is the symbol, as text.
/// struct WholeMessage;
///
/// impl Extractor for WholeMessage {
///     fn new(_config: &str) -> Result<(Self, Inputs), String> {
///         Ok((Self, Inputs { message: Need::Always, pure: true, ..Inputs::default() }))
///     }
///
///     fn extract(&self, call: &Call<'_>) -> Outcome {
///         match call.message.map(str::from_utf8) {
///             Some(Ok(symbol)) => Outcome::Symbol(symbol.into()),
///             _ => Outcome::NoSymbol("the message is no text".into()),
///         }
///     }
/// }
///
/// let request = Request::to("/a.A/B").message(b"BTC_USDT");
/// assert_eq!(request.extract::<WholeMessage>("{}"), Outcome::Symbol("BTC_USDT".into()));
/// ```
///
/// A method with another signature does not compile:
///
/// ```compile_fail,E0053
/// # use symgate_sdk::{Call, Extractor, extract::{Inputs, Outcome}};
/// # struct Wrong;
/// impl Extractor for Wrong {
///     fn new(_config: &str) -> Result<(Self, Inputs), String> {
///         Ok((Self, Inputs::default()))
///     }
///
///     fn extract(&self, call: &Call<'_>) -> String {
///         String::from("BTC_USDT")
///     }
/// }
/// ```
///
/// Neither does one that is left out:
///
/// ```compile_fail,E0046
/// # use symgate_sdk::{Extractor, extract::Inputs};
/// # struct Wrong;
/// impl Extractor for Wrong {
///     fn new(_config: &str) -> Result<(Self, Inputs), String> {
///         Ok((Self, Inputs::default()))
///     }
/// }
/// ```
pub trait Extractor: Sized {
    /// Makes one from the plugin's configuration (JSON text) and says which inputs it wants.
    ///
    /// # Errors
    /// The text that tells the operator what is wrong with the configuration; the plugin is refused with it.
    fn new(config: &str) -> Result<(Self, Inputs), String>;

    /// Answers for one call.
    fn extract(&self, call: &Call<'_>) -> Outcome;
}
