//! The one place where an error of the gateway becomes what the caller reads: a gRPC status, a text, and
//! `symgate-reason`, which tells it from the instance's own. Knows no sockets.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use crate::{
    http2::{Code as Http2Code, Fields},
    plugin::decision::status_number,
};

/// The gRPC status of a call.
pub(super) const GRPC_STATUS: &[u8] = b"grpc-status";
/// Its text.
const GRPC_MESSAGE: &[u8] = b"grpc-message";
/// Which error of the gateway it is.
const REASON: &[u8] = b"symgate-reason";

/// What `grpc-message` must not carry as it is; bytes from 0x80 are always encoded.
const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// The gRPC status codes that the gateway answers with: never `OK`, never `ABORTED`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// Why the gateway ends a call, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reject {
    /// HTTP's view; 200 whenever the caller speaks gRPC.
    http: u16,
    /// The gRPC status code.
    pub(super) status: u8,
    /// The slug.
    pub(super) reason: &'static str,
    /// What the caller reads.
    text: String,
}

/// How a call ended for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// The gRPC status code.
    pub(super) status: u8,
    /// The slug of an error that the gateway made, else empty.
    pub(super) reason: &'static str,
}

impl Reject {
    /// With a code of the gateway's choice.
    pub(super) fn new(code: Code, reason: &'static str, text: impl Into<String>) -> Self {
        Self::with_status(code as u8, reason, text)
    }

    /// With a code from the configuration.
    pub(super) fn with_status(status: u8, reason: &'static str, text: impl Into<String>) -> Self {
        Self { http: 200, status, reason, text: text.into() }
    }

    /// To a caller that does not speak gRPC.
    pub(super) fn not_grpc(http: u16, text: impl Into<String>) -> Self {
        Self { http, ..Self::new(Code::Internal, "not-grpc", text) }
    }

    /// As a plugin decided.
    pub(super) fn from_plugin(rejection: symgate_sdk::Rejection) -> Self {
        Self::with_status(status_number(rejection.code), "rejected", rejection.message)
    }

    /// The instance answered with an HTTP status and no gRPC status
    /// (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>).
    pub(super) fn from_http(status: u16) -> Self {
        let code = match status {
            400 => Code::Internal,
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 => Code::Unimplemented,
            429 | 502 | 503 | 504 => Code::Unavailable,
            _ => Code::Unknown,
        };
        Self::new(code, "upstream-http", format!("the instance answered HTTP {status} without a grpc-status"))
    }

    /// The instance reset the stream with this code
    /// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors>).
    pub(super) fn from_reset(code: Http2Code) -> Self {
        let status = match code.0 {
            0x7 => Code::Unavailable,
            0x8 => Code::Cancelled,
            0xb => Code::ResourceExhausted,
            0xc => Code::PermissionDenied,
            0x0..=0xa => Code::Internal,
            _ => Code::Unknown,
        };
        Self::new(status, "upstream-reset", format!("the instance reset the stream: {code}"))
    }

    /// The caller does not say how long it waits in the way that gRPC knows.
    pub(super) fn bad_timeout() -> Self {
        Self::new(Code::InvalidArgument, "bad-timeout", "grpc-timeout is malformed")
    }

    /// The deadline of the call has passed.
    pub(super) fn deadline() -> Self {
        Self::new(Code::DeadlineExceeded, "deadline", "the call's deadline has passed")
    }

    /// The gateway ends before the call did.
    pub(super) fn draining() -> Self {
        Self::new(Code::Unavailable, "draining", "the gateway is going away; call again")
    }

    /// The route has as many calls under way as it may.
    pub(super) fn route_full(route: &str, limit: u32) -> Self {
        let text = format!("route {route:?} has {limit} calls under way, which is its max_in_flight");
        Self::new(Code::ResourceExhausted, "route-limit", text)
    }

    /// The instances of the symbol have as many calls under way as they may.
    pub(super) fn symbol_full(of: &str, limit: u32, instances: usize, route: &str) -> Self {
        let text = format!(
            "{of} has {limit} calls under way at its {instances} instances, which is max_in_flight_per_symbol of route \
             {route:?}"
        );
        Self::new(Code::ResourceExhausted, "symbol-limit", text)
    }

    /// As many calls of the route wait for an instance as may.
    pub(super) fn too_many_wait(route: &str, limit: u32) -> Self {
        let text = format!("{limit} calls wait for an instance already, which is max_waiting of route {route:?}");
        Self::new(Code::ResourceExhausted, "too-many-waiting", text)
    }

    /// The connections to the instance are full; `line`: what became of the wait for room.
    pub(super) fn no_room(address: impl std::fmt::Display, line: &str, of: &str, instances: usize) -> Self {
        let text = format!("no room for the call at {address}, one of {instances} instances of {of}: {line}");
        Self::new(Code::ResourceExhausted, "no-room", text)
    }

    /// The symbol has another owner now.
    pub(super) fn moved(of: &str, from: impl std::fmt::Display) -> Self {
        Self::new(Code::Unavailable, "owner-moved", format!("{of} moved away from {from}; call again"))
    }

    /// The client's connection is older than may be.
    pub(super) fn connection_age() -> Self {
        Self::new(
            Code::Unavailable,
            "connection-age",
            "max_connection_age of [listen] and its grace are over; call again",
        )
    }

    /// The instance broke a rule of HTTP/2 in its reply.
    pub(super) fn broken(address: impl std::fmt::Display, why: &str) -> Self {
        Self::new(Code::Internal, "upstream-broken", format!("instance {address} broke the rules of HTTP/2: {why}"))
    }

    /// The caller does not read what it asked for, and more waits for it than may.
    pub(super) fn slow_reader() -> Self {
        let text = "more waits for this connection to be read than max_unread of [listen]";
        Self::new(Code::ResourceExhausted, "slow-reader", text)
    }

    /// The call's metadata is larger than may be.
    pub(super) fn metadata_too_large() -> Self {
        let text = "the call's metadata is over max_header_bytes of [listen]";
        Self { http: 431, ..Self::new(Code::ResourceExhausted, "metadata-too-large", text) }
    }

    /// The instance ended the call without a status.
    pub(super) fn no_trailers() -> Self {
        Self::new(Code::Internal, "no-trailers", "the instance ended the call without a grpc-status")
    }

    /// The instance was lost before its reply was complete.
    pub(super) fn instance_lost(address: impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        Self::new(Code::Unavailable, "instance-lost", format!("lost instance {address} during the call: {why}"))
    }

    /// The whole reply.
    pub(super) fn reply(&self) -> Fields {
        let mut reply = Fields::new();
        reply.push(b":status", self.http.to_string().as_bytes());
        reply.push(b"content-type", b"application/grpc");
        self.add_end(&mut reply);
        reply
    }

    /// The end of a reply whose head is already sent.
    pub(super) fn trailers(&self) -> Fields {
        let mut trailers = Fields::new();
        self.add_end(&mut trailers);
        trailers
    }

    fn add_end(&self, fields: &mut Fields) {
        let text = Cow::from(percent_encode(self.text.as_bytes(), MESSAGE));
        fields.push(GRPC_STATUS, self.status.to_string().as_bytes());
        fields.push(GRPC_MESSAGE, text.as_bytes());
        fields.push(REASON, self.reason.as_bytes());
    }

    /// What is counted.
    pub(super) fn ended(&self) -> Ended {
        Ended { status: self.status, reason: self.reason }
    }
}

impl std::fmt::Display for Reject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Ended {
    /// The caller went away.
    pub(super) const CANCELLED: Self = Self { status: Code::Cancelled as u8, reason: "" };

    /// As the instance's trailers, or the headers of a reply without messages, say.
    pub(super) fn from_trailers(trailers: &Fields) -> Self {
        let status = trailers.find(GRPC_STATUS).and_then(|field| str::from_utf8(field.value).ok()?.parse().ok());
        Self { status: status.unwrap_or(Code::Unknown as u8), reason: "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_any_bytes_fits_the_header() {
        let reject = Reject::new(Code::Unavailable, "no-instance", "50% of \u{e9}\n");
        let reply = reject.reply();
        let value = |name| reply.find(name).map(|field| field.value);
        assert_eq!(value(b":status"), Some(&b"200"[..]));
        assert_eq!(value(GRPC_STATUS), Some(&b"14"[..]));
        assert_eq!(value(GRPC_MESSAGE), Some(&b"50%25 of %C3%A9%0A"[..]));
        assert_eq!(value(REASON), Some(&b"no-instance"[..]));
    }

    #[track_caller]
    fn check_reset(codes: std::ops::RangeInclusive<u32>, expected: Code) {
        for code in codes {
            assert_eq!(Reject::from_reset(Http2Code(code)).status, expected as u8, "{code:#x}");
        }
    }

    #[test]
    fn resets_map_as_grpc_says() {
        check_reset(0x0..=0x6, Code::Internal);
        check_reset(0x7..=0x7, Code::Unavailable);
        check_reset(0x8..=0x8, Code::Cancelled);
        check_reset(0x9..=0xa, Code::Internal);
        check_reset(0xb..=0xb, Code::ResourceExhausted);
        check_reset(0xc..=0xc, Code::PermissionDenied);
    }

    #[test]
    fn http_statuses_map_as_grpc_says() {
        let cases = [(400, 13), (401, 16), (403, 7), (404, 12), (429, 14), (502, 14), (503, 14), (504, 14), (500, 2)];
        for (http, grpc) in cases {
            assert_eq!(Reject::from_http(http).status, grpc, "{http}");
        }
    }
}
