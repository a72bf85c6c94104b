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
//! with [`config::parse`]; [`carried`], [`protobuf`], [`hash`] and [`choice`] do what many policies need; [`testkit`] asks a policy
//! as the gateway does. The contract itself is `wit/plugin.wit`.
//!
//! # Mistakes
//! A method with another signature, and a kind that is registered twice, do not compile. A file in which nothing is
//! registered, one that wants WASI, and one whose `new` fails or panics are refused when the gateway loads them, with the
//! reason; `new`'s error text or the panic's message is part of it.
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
pub mod carried;
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
///
/// ```
/// # use symgate_sdk::{Call, Extractor, extract::{Inputs, Outcome}};
/// # struct Everywhere;
/// # impl Extractor for Everywhere {
/// #     fn new(_config: &str) -> Result<(Self, Inputs), String> {
/// #         Ok((Self, Inputs::default()))
/// #     }
/// #     fn extract(&self, _call: &Call<'_>) -> Outcome {
/// #         Outcome::Any
/// #     }
/// # }
/// symgate_sdk::register_extractor!(Everywhere);
/// ```
///
/// A file has one extractor, so that a second one does not compile:
///
/// ```compile_fail,E0428
/// # use symgate_sdk::{Call, Extractor, extract::{Inputs, Outcome}};
/// # struct Everywhere;
/// # impl Extractor for Everywhere {
/// #     fn new(_config: &str) -> Result<(Self, Inputs), String> {
/// #         Ok((Self, Inputs::default()))
/// #     }
/// #     fn extract(&self, _call: &Call<'_>) -> Outcome {
/// #         Outcome::Any
/// #     }
/// # }
/// symgate_sdk::register_extractor!(Everywhere);
/// symgate_sdk::register_extractor!(Everywhere);
/// ```
///
/// Nor does a type that is none:
///
/// ```compile_fail,E0277
/// struct Nothing;
///
/// symgate_sdk::register_extractor!(Nothing);
/// ```
#[macro_export]
macro_rules! register_extractor {
    ($policy:ty) => {
        // A name, so that there is no second one.
        const _EXTRACTOR_OF_THIS_FILE: () = ();
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
/// checked there. A file may have an extractor and a selector, of two types or one.
///
/// ```
/// # use symgate_sdk::{Call, Selector, select::{Candidates, Inputs, Outcome}};
/// # struct First;
/// # impl Selector for First {
/// #     fn new(_config: &str) -> Result<(Self, Inputs), String> {
/// #         Ok((Self, Inputs::default()))
/// #     }
/// #     fn select(&self, _: &Call<'_>, _: &str, _: &Candidates<'_>, _: u64) -> Outcome {
/// #         Outcome::candidate(0)
/// #     }
/// # }
/// symgate_sdk::register_selector!(First);
/// ```
///
/// A second selector does not compile:
///
/// ```compile_fail,E0428
/// # use symgate_sdk::{Call, Selector, select::{Candidates, Inputs, Outcome}};
/// # struct First;
/// # impl Selector for First {
/// #     fn new(_config: &str) -> Result<(Self, Inputs), String> {
/// #         Ok((Self, Inputs::default()))
/// #     }
/// #     fn select(&self, _: &Call<'_>, _: &str, _: &Candidates<'_>, _: u64) -> Outcome {
/// #         Outcome::candidate(0)
/// #     }
/// # }
/// symgate_sdk::register_selector!(First);
/// symgate_sdk::register_selector!(First);
/// ```
///
/// Nor does a type that is none:
///
/// ```compile_fail,E0277
/// struct Nothing;
///
/// symgate_sdk::register_selector!(Nothing);
/// ```
#[macro_export]
macro_rules! register_selector {
    ($policy:ty) => {
        // A name, so that there is no second one.
        const _SELECTOR_OF_THIS_FILE: () = ();
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
