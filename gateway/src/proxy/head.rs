//! A call's head as routing sees it, and what makes it a gRPC call at all. Knows no sockets.

use http::{HeaderMap, Method, StatusCode, header::CONTENT_TYPE, request::Parts};

use super::status::Reject;
use crate::routing::{Found, Head};

impl Head for Parts {
    fn path(&self) -> &str {
        self.uri.path_and_query().map_or("", |path| path.as_str())
    }

    fn authority(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }

    fn metadata(&self, key: &str) -> Found<'_> {
        let mut values = self.headers.get_all(key).iter();
        match (values.next(), values.next()) {
            (None, _) => Found::Absent,
            (Some(value), None) => Found::One(value.as_bytes()),
            (Some(_), Some(_)) => Found::Repeated,
        }
    }
}

/// Refuses what is not a gRPC call.
pub(super) fn check(head: &Parts) -> Result<(), Reject> {
    if !is_grpc(&head.headers) {
        let text = "symgate forwards gRPC calls only: the content-type must be application/grpc";
        return Err(Reject::not_grpc(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    if head.method != Method::POST {
        return Err(Reject::not_grpc(StatusCode::METHOD_NOT_ALLOWED, "a gRPC call is a POST"));
    }
    Ok(())
}

/// Whether the content-type is `application/grpc`, alone or with `+` or `;` and more.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let rest = headers.get(CONTENT_TYPE).and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"));
    matches!(rest, Some([] | [b'+' | b';', ..]))
}
