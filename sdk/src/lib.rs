//! Write a symgate plugin: implement [`Extractor`] or [`Selector`] on a plain Rust type and register it.
//!
//! Everything here is plain values, so that a plugin is tested natively with `cargo test` and is the same code when it
//! is built for `wasm32-unknown-unknown`. Nothing here does I/O.

pub mod call;
pub mod extract;
pub mod select;

pub use call::{Call, Rejection, StatusCode};
pub use extract::Extractor;
pub use select::Selector;
