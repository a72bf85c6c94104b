//! The host's side of the contract: generated from the WIT file, plus the conversions between its types and the SDK's.
//! Decides nothing.

use symgate_sdk::{Call, Rejection, StatusCode, extract, select};

use self::bound::{
    exports::symgate::plugin::{extract as wit_extract, select as wit_select},
    symgate::plugin::types,
};
use super::Question;

pub(super) use self::bound::{
    exports::symgate::plugin::{
        extract::{Guest as ExtractGuest, GuestIndices as ExtractIndices},
        select::{Guest as SelectGuest, GuestIndices as SelectIndices},
    },
    symgate::plugin::log,
};

mod bound {
    // A file exports one of the two or both. Each is looked up by itself: nobody asks for this world as a whole.
    wasmtime::component::bindgen!({
        path: "../sdk/wit",
        inline: "
            package symgate:gateway;
            world everything {
                import symgate:plugin/log@0.1.0;
                export symgate:plugin/extract@0.1.0;
                export symgate:plugin/select@0.1.0;
            }
        ",
        ownership: Borrowing { duplicate_if_necessary: false },
    });
}

/// The call as an extractor that asked for `wanted` is given it.
pub(super) fn call<'a>(call: &Call<'a>, wanted: &extract::Inputs) -> wit_extract::Call<'a> {
    wit_extract::Call {
        path: wanted.path.then_some(call.path),
        metadata: (!wanted.metadata.is_empty()).then_some(call.metadata),
        message: call.message,
    }
}

/// The question as a selector that asked for `wanted` is given it.
pub(super) fn question<'a>(question: &Question<'a>, wanted: &select::Inputs) -> wit_select::Question<'a> {
    let Question { call, symbol, candidates, random } = *question;
    wit_select::Question {
        path: wanted.path.then_some(call.path),
        metadata: (!wanted.metadata.is_empty()).then_some(call.metadata),
        symbol: wanted.symbol.then_some(symbol),
        candidates: candidates.numbers(),
        labels: (!wanted.labels.is_empty()).then_some(candidates.labels()),
        random,
    }
}

impl From<wit_extract::Inputs> for extract::Inputs {
    fn from(inputs: wit_extract::Inputs) -> Self {
        let message = match inputs.message {
            wit_extract::Need::Never => extract::Need::Never,
            wit_extract::Need::OnDemand => extract::Need::OnDemand,
            wit_extract::Need::Always => extract::Need::Always,
        };
        Self { path: inputs.path, metadata: inputs.metadata, message, pure: inputs.pure }
    }
}

impl From<wit_select::Inputs> for select::Inputs {
    fn from(inputs: wit_select::Inputs) -> Self {
        let wit_select::Inputs { path, symbol, metadata, labels, ids, orders, skip_single } = inputs;
        Self { path, symbol, metadata, labels, ids, orders, skip_single }
    }
}

impl From<wit_extract::Outcome> for extract::Outcome {
    fn from(outcome: wit_extract::Outcome) -> Self {
        match outcome {
            wit_extract::Outcome::Symbol(symbol) => Self::Symbol(symbol),
            wit_extract::Outcome::Any => Self::Any,
            wit_extract::Outcome::NeedMessage => Self::NeedMessage,
            wit_extract::Outcome::NoSymbol(why) => Self::NoSymbol(why),
            wit_extract::Outcome::Reject(rejection) => Self::Reject(rejection.into()),
        }
    }
}

impl From<wit_select::Outcome> for select::Outcome {
    fn from(outcome: wit_select::Outcome) -> Self {
        match outcome {
            wit_select::Outcome::Candidate(index) => Self::Candidate(index),
            wit_select::Outcome::Reject(rejection) => Self::Reject(rejection.into()),
        }
    }
}

impl From<types::Rejection> for Rejection {
    fn from(rejection: types::Rejection) -> Self {
        Self { code: rejection.code.into(), message: rejection.message }
    }
}

impl From<types::StatusCode> for StatusCode {
    fn from(code: types::StatusCode) -> Self {
        match code {
            types::StatusCode::Cancelled => Self::Cancelled,
            types::StatusCode::Unknown => Self::Unknown,
            types::StatusCode::InvalidArgument => Self::InvalidArgument,
            types::StatusCode::DeadlineExceeded => Self::DeadlineExceeded,
            types::StatusCode::NotFound => Self::NotFound,
            types::StatusCode::AlreadyExists => Self::AlreadyExists,
            types::StatusCode::PermissionDenied => Self::PermissionDenied,
            types::StatusCode::ResourceExhausted => Self::ResourceExhausted,
            types::StatusCode::FailedPrecondition => Self::FailedPrecondition,
            types::StatusCode::OutOfRange => Self::OutOfRange,
            types::StatusCode::Unimplemented => Self::Unimplemented,
            types::StatusCode::Internal => Self::Internal,
            types::StatusCode::Unavailable => Self::Unavailable,
            types::StatusCode::DataLoss => Self::DataLoss,
            types::StatusCode::Unauthenticated => Self::Unauthenticated,
        }
    }
}
