//! What came of a case, and how people read it.

use std::fmt;

use symgate_sdk::{StatusCode, extract, select};

use crate::plugin::Failure;

/// What a plugin made of a call.
#[derive(Debug)]
pub(super) enum Decision {
    /// It said which symbol, or why none.
    Extract(extract::Outcome),
    /// It said which instance.
    Select(select::Outcome),
    /// It gave no answer.
    Fails(Failure),
    /// The host does not take it with these options.
    Refused(String),
}

/// The statuses that a plugin may end a call with, by the names that gRPC gives them.
pub(super) const STATUSES: [(StatusCode, &str); 15] = [
    (StatusCode::Cancelled, "CANCELLED"),
    (StatusCode::Unknown, "UNKNOWN"),
    (StatusCode::InvalidArgument, "INVALID_ARGUMENT"),
    (StatusCode::DeadlineExceeded, "DEADLINE_EXCEEDED"),
    (StatusCode::NotFound, "NOT_FOUND"),
    (StatusCode::AlreadyExists, "ALREADY_EXISTS"),
    (StatusCode::PermissionDenied, "PERMISSION_DENIED"),
    (StatusCode::ResourceExhausted, "RESOURCE_EXHAUSTED"),
    (StatusCode::FailedPrecondition, "FAILED_PRECONDITION"),
    (StatusCode::OutOfRange, "OUT_OF_RANGE"),
    (StatusCode::Unimplemented, "UNIMPLEMENTED"),
    (StatusCode::Internal, "INTERNAL"),
    (StatusCode::Unavailable, "UNAVAILABLE"),
    (StatusCode::DataLoss, "DATA_LOSS"),
    (StatusCode::Unauthenticated, "UNAUTHENTICATED"),
];

/// What gRPC calls a status.
pub(super) fn status(code: StatusCode) -> &'static str {
    STATUSES.into_iter().find(|(status, _)| *status == code).map_or("UNKNOWN", |(_, name)| name)
}

impl From<Result<extract::Outcome, Failure>> for Decision {
    fn from(said: Result<extract::Outcome, Failure>) -> Self {
        said.map_or_else(Self::Fails, Self::Extract)
    }
}

impl From<Result<select::Outcome, Failure>> for Decision {
    fn from(said: Result<select::Outcome, Failure>) -> Self {
        said.map_or_else(Self::Fails, Self::Select)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Extract(extract::Outcome::Symbol(symbol)) => write!(f, "symbol {symbol:?}"),
            Self::Extract(extract::Outcome::Any) => f.write_str("any"),
            Self::Extract(extract::Outcome::NeedMessage) => f.write_str("need-message"),
            Self::Extract(extract::Outcome::NoSymbol(reason)) => write!(f, "no symbol: {reason}"),
            Self::Select(select::Outcome::Candidate(index)) => write!(f, "candidate {index}"),
            Self::Extract(extract::Outcome::Reject(rejection)) | Self::Select(select::Outcome::Reject(rejection)) => {
                write!(f, "reject {}: {}", status(rejection.code), rejection.message)
            }
            Self::Fails(failure) => write!(f, "fails ({}): it {failure}", failure.reason()),
            Self::Refused(reason) => write!(f, "refused: {reason}"),
        }
    }
}
