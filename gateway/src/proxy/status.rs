//! The one place where an error of the gateway becomes what the caller reads: a gRPC status, a text, and
//! `symgate-reason`, which tells it from the instance's own. Knows no sockets.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use symgate_sdk::StatusCode as PluginCode;

/// The gRPC status of a call.
pub(super) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// Its text.
pub(super) const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// Which error of the gateway it is.
pub(super) const REASON: HeaderName = HeaderName::from_static("symgate-reason");

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
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reject {
    /// HTTP's view; 200 whenever the caller speaks gRPC.
    http: StatusCode,
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
        Self { http: StatusCode::OK, status, reason, text: text.into() }
    }

    /// To a caller that does not speak gRPC.
    pub(super) fn not_grpc(http: StatusCode, text: impl Into<String>) -> Self {
        Self { http, ..Self::new(Code::Internal, "not-grpc", text) }
    }

    /// As a plugin decided.
    pub(super) fn from_plugin(rejection: symgate_sdk::Rejection) -> Self {
        Self::with_status(plugin_status(rejection.code), "rejected", rejection.message)
    }

    /// The instance answered with an HTTP status and no gRPC status
    /// (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>).
    pub(super) fn from_http(status: StatusCode) -> Self {
        let code = match status.as_u16() {
            400 => Code::Internal,
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 => Code::Unimplemented,
            429 | 502 | 503 | 504 => Code::Unavailable,
            _ => Code::Unknown,
        };
        Self::new(
            code,
            "upstream-http",
            format!("the instance answered HTTP {} without a grpc-status", status.as_u16()),
        )
    }

    /// The instance reset the stream with this code
    /// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors>).
    pub(super) fn from_reset(code: u32) -> Self {
        let status = match code {
            0x7 => Code::Unavailable,
            0x8 => Code::Cancelled,
            0xb => Code::ResourceExhausted,
            0xc => Code::PermissionDenied,
            0x0..=0xa => Code::Internal,
            _ => Code::Unknown,
        };
        Self::new(status, "upstream-reset", format!("the instance reset the stream with HTTP/2 error code {code:#x}"))
    }

    /// The deadline of the call has passed.
    pub(super) fn deadline() -> Self {
        Self::new(Code::DeadlineExceeded, "deadline", "the call's deadline has passed")
    }

    /// The gateway ends before the call did.
    pub(super) fn draining() -> Self {
        Self::new(Code::Unavailable, "draining", "the gateway is going away; call again")
    }

    /// The instance was lost before its reply was complete.
    pub(super) fn instance_lost(address: impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        Self::new(Code::Unavailable, "instance-lost", format!("lost instance {address} during the call: {why}"))
    }

    /// The whole reply.
    pub(super) fn reply(&self) -> Response<()> {
        let mut reply = Response::new(());
        *reply.status_mut() = self.http;
        *reply.headers_mut() = self.trailers();
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        reply
    }

    /// The end of a reply whose headers are already sent.
    pub(super) fn trailers(&self) -> HeaderMap {
        let mut trailers = HeaderMap::with_capacity(4);
        trailers.insert(GRPC_STATUS, HeaderValue::from(u16::from(self.status)));
        let text = percent_encode(self.text.as_bytes(), MESSAGE).to_string();
        if let Ok(text) = HeaderValue::try_from(text) {
            trailers.insert(GRPC_MESSAGE, text);
        }
        trailers.insert(REASON, HeaderValue::from_static(self.reason));
        trailers
    }

    /// What is counted.
    pub(super) fn ended(&self) -> Ended {
        Ended { status: self.status, reason: self.reason }
    }
}

impl Ended {
    /// The caller went away.
    pub(super) const CANCELLED: Self = Self { status: Code::Cancelled as u8, reason: "" };

    /// As the instance's trailers, or the headers of a reply without messages, say.
    pub(super) fn from_trailers(trailers: &HeaderMap) -> Self {
        let status = trailers.get(GRPC_STATUS).and_then(|status| status.to_str().ok()?.parse().ok());
        Self { status: status.unwrap_or(Code::Unknown as u8), reason: "" }
    }
}

fn plugin_status(code: PluginCode) -> u8 {
    match code {
        PluginCode::Cancelled => 1,
        PluginCode::Unknown => 2,
        PluginCode::InvalidArgument => 3,
        PluginCode::DeadlineExceeded => 4,
        PluginCode::NotFound => 5,
        PluginCode::AlreadyExists => 6,
        PluginCode::PermissionDenied => 7,
        PluginCode::ResourceExhausted => 8,
        PluginCode::FailedPrecondition => 9,
        PluginCode::OutOfRange => 11,
        PluginCode::Unimplemented => 12,
        PluginCode::Internal => 13,
        PluginCode::Unavailable => 14,
        PluginCode::DataLoss => 15,
        PluginCode::Unauthenticated => 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_any_bytes_fits_the_header() {
        let reject = Reject::new(Code::Unavailable, "no-instance", "50% of \u{e9}\n");
        let reply = reject.reply();
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.headers()[GRPC_STATUS], "14");
        assert_eq!(reply.headers()[GRPC_MESSAGE], "50%25 of %C3%A9%0A");
        assert_eq!(reply.headers()[REASON], "no-instance");
    }

    #[track_caller]
    fn check_reset(codes: std::ops::RangeInclusive<u32>, expected: Code) {
        for code in codes {
            assert_eq!(Reject::from_reset(code).status, expected as u8, "{code:#x}");
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
            let status = StatusCode::from_u16(http).expect("a status");
            assert_eq!(Reject::from_http(status).status, grpc, "{http}");
        }
    }
}
