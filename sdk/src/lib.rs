//! Write a symgate plugin: implement [`Extractor`] or [`Selector`] on a plain Rust type and register it.
//!
//! Everything here is plain values, so that a plugin is tested natively with `cargo test` and is the same code when it
//! is built for `wasm32-unknown-unknown`. Nothing here does I/O.
//!
//! # The smallest plugin
//! A crate with `crate-type = ["cdylib"]`, `symgate-sdk` as its only dependency and this as its `src/lib.rs`:
//!
//! ```
//! use symgate_sdk::{Call, Extractor, extract::{Inputs, Outcome}};
//!
//! struct Tenant;
//!
//! impl Extractor for Tenant {
//!     fn new(_config: &str) -> Result<(Self, Inputs), String> {
//!         Ok((Self, Inputs { metadata: vec!["tenant".into()], pure: true, ..Inputs::default() }))
//!     }
//!
//!     fn extract(&self, call: &Call<'_>) -> Outcome {
//!         call.text(0).map_or(Outcome::Any, |tenant| Outcome::Symbol(tenant.to_uppercase()))
//!     }
//! }
//!
//! symgate_sdk::register_extractor!(Tenant);
//!
//! // In a test:
//! use symgate_sdk::testkit::Request;
//! let request = Request::to("/pb.KlineService/GetKline").metadata("tenant", "acme");
//! assert_eq!(request.extract::<Tenant>("{}"), Outcome::Symbol("ACME".into()));
//! ```
//!
//! `cargo build --release --target wasm32-unknown-unknown` makes the file that a `[[plugin]]` names. Options are read
//! with [`config::parse`]; [`protobuf`], [`hash`] and [`choice`] do what many policies need; [`testkit`] asks a policy
//! as the gateway does. The contract itself is `wit/plugin.wit`.
//!
//! # What to rely on
//! - Answer from the inputs alone. The gateway keeps several sandboxes of a file and may drop one at any time, so state
//!   kept between calls is lost without notice.
//! - A panic ends the sandbox, not the gateway: its message goes to the log, and the call is answered by the route's
//!   `on_failure`.
//! - There is no clock, no file and no network: `std`'s functions for them fail or panic in a sandbox.

#![deny(unsafe_code)]

// The generated exports name this crate by its own name, here and in the plugin's crate alike.
extern crate self as symgate_sdk;

pub mod call;
pub mod choice;
pub mod config;
pub mod extract;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
pub mod hash;
pub mod log;
pub mod protobuf;
pub mod select;
pub mod testkit;

pub use call::{Call, Rejection, StatusCode};
pub use extract::Extractor;
pub use select::Selector;
pub use serde;

/// Makes the crate's Wasm file an extractor: `register_extractor!(MyType);`, once per file.
///
/// Exports nothing on other targets than wasm32, where several policies may be linked into one program; the type is only
/// checked there.
#[macro_export]
macro_rules! register_extractor {
    ($policy:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Exported = $crate::guest::extractor::Export<$policy>;
            $crate::guest::extractor::bindings::export_extractor!(Exported);
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn(&str) -> ::core::result::Result<($policy, $crate::extract::Inputs), ::std::string::String> =
            <$policy as $crate::Extractor>::new;
    };
}

/// Makes the crate's Wasm file a selector: `register_selector!(MyType);`, once per file.
///
/// Exports nothing on other targets than wasm32, where several policies may be linked into one program; the type is only
/// checked there.
#[macro_export]
macro_rules! register_selector {
    ($policy:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Exported = $crate::guest::selector::Export<$policy>;
            $crate::guest::selector::bindings::export_selector!(Exported);
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn(&str) -> ::core::result::Result<($policy, $crate::select::Inputs), ::std::string::String> =
            <$policy as $crate::Selector>::new;
    };
}
