//! A call's head as routing sees it, and what makes it a gRPC call at all. Knows no sockets.

use super::status::Reject;
use crate::{
    http2::{Fields, Request},
    routing::{self, Found},
};

/// The head of a call.
#[derive(Default)]
pub(super) struct Head {
    /// Everything, as it came.
    pub(super) fields: Fields,
    request: Request,
}

impl Head {
    /// Of a request that HTTP/2 allows.
    pub(super) fn new(fields: Fields, request: Request) -> Self {
        Self { fields, request }
    }

    /// Refuses what is not a gRPC call.
    pub(super) fn check(&self) -> Result<(), Reject> {
        if !is_grpc(&self.fields) {
            let text = "symgate forwards gRPC calls only: the content-type must be application/grpc";
            return Err(Reject::not_grpc(415, text));
        }
        if self.fields.get(self.request.method).is_none_or(|method| method.value != b"POST") {
            return Err(Reject::not_grpc(405, "a gRPC call is a POST"));
        }
        Ok(())
    }

    fn text(&self, at: Option<usize>) -> &str {
        let field = at.and_then(|at| self.fields.get(at));
        field.and_then(|field| str::from_utf8(field.value).ok()).unwrap_or_default()
    }
}

impl routing::Head for Head {
    fn path(&self) -> &str {
        self.text(self.request.path)
    }

    fn authority(&self) -> &str {
        self.text(self.request.authority)
    }

    fn metadata(&self, key: &str) -> Found<'_> {
        let mut values = self.fields.iter().filter(|field| field.name == key.as_bytes());
        match (values.next(), values.next()) {
            (None, _) => Found::Absent,
            (Some(field), None) => Found::One(field.value),
            (Some(_), Some(_)) => Found::Repeated,
        }
    }
}

/// Whether the content-type is `application/grpc`, alone or with `+` or `;` and more.
pub(super) fn is_grpc(fields: &Fields) -> bool {
    let rest = fields.find(b"content-type").and_then(|field| field.value.strip_prefix(b"application/grpc"));
    matches!(rest, Some([] | [b'+' | b';', ..]))
}
