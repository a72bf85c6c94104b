//! What makes a Wasm file of a policy: the contract's exports, answered by the registered type. Exists only on wasm32,
//! so that several policies can be linked natively into one program. Decides nothing.

pub use wit_bindgen::rt;

pub mod extractor;
pub mod selector;

use std::panic;

use self::extractor::bindings::symgate::plugin::{log as host, types};
use crate::{
    call::{Rejection, StatusCode},
    log,
};

/// Sends a line to the gateway.
pub(crate) fn write(level: log::Level, text: &str) {
    let level = match level {
        log::Level::Error => host::Level::Error,
        log::Level::Warn => host::Level::Warn,
        log::Level::Info => host::Level::Info,
        log::Level::Debug => host::Level::Debug,
    };
    host::write(level, text);
}

/// Makes a panic tell the gateway its message; the trap that follows carries none.
fn report_panics() {
    panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("(no message)");
        match panic.location() {
            Some(at) => log::error(&format!("panicked at {at}: {message}")),
            None => log::error(&format!("panicked: {message}")),
        }
    }));
}

/// Ends the sandbox with a message: the gateway broke the contract.
fn asked_before_init() -> ! {
    report_panics();
    panic!("asked before a successful init")
}

/// The values of a call's metadata, borrowed; in memory of their own only when there are many.
struct Values<'a> {
    few: [Option<&'a [u8]>; FEW],
    many: Vec<Option<&'a [u8]>>,
    count: usize,
}

/// As many keys as a plugin is likely to ask for.
const FEW: usize = 4;

impl<'a> Values<'a> {
    fn of(metadata: Option<&'a Vec<Option<Vec<u8>>>>) -> Self {
        let values = metadata.map_or(&[][..], Vec::as_slice);
        let (mut few, mut many) = ([None; FEW], Vec::new());
        if values.len() <= FEW {
            few.iter_mut().zip(values).for_each(|(few, value)| *few = value.as_deref());
        } else {
            many = values.iter().map(Option::as_deref).collect();
        }
        Self { few, many, count: values.len() }
    }

    fn as_slice(&self) -> &[Option<&'a [u8]>] {
        self.few.get(..self.count).unwrap_or(&self.many)
    }
}

impl From<Rejection> for types::Rejection {
    fn from(Rejection { code, message }: Rejection) -> Self {
        Self { code: code.into(), message }
    }
}

impl From<StatusCode> for types::StatusCode {
    fn from(code: StatusCode) -> Self {
        match code {
            StatusCode::Cancelled => Self::Cancelled,
            StatusCode::Unknown => Self::Unknown,
            StatusCode::InvalidArgument => Self::InvalidArgument,
            StatusCode::DeadlineExceeded => Self::DeadlineExceeded,
            StatusCode::NotFound => Self::NotFound,
            StatusCode::AlreadyExists => Self::AlreadyExists,
            StatusCode::PermissionDenied => Self::PermissionDenied,
            StatusCode::ResourceExhausted => Self::ResourceExhausted,
            StatusCode::FailedPrecondition => Self::FailedPrecondition,
            StatusCode::OutOfRange => Self::OutOfRange,
            StatusCode::Unimplemented => Self::Unimplemented,
            StatusCode::Internal => Self::Internal,
            StatusCode::Unavailable => Self::Unavailable,
            StatusCode::DataLoss => Self::DataLoss,
            StatusCode::Unauthenticated => Self::Unauthenticated,
        }
    }
}
