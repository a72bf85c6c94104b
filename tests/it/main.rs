//! The tests that need more than one crate. Most run the real gateway binary with real Wasm, real gRPC and a real etcd.
//! One file per subject.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cognitive_complexity,
    reason = "a test fails by panicking and says why; every assertion counts as a branch"
)]

mod back_pressure;
mod bad_calls;
mod bad_config;
mod bulkheads;
mod calls;
mod code_cache;
mod conformance;
mod contract;
mod decisions;
mod doctor;
mod drain;
mod endings;
mod expected;
mod explain;
mod formats;
mod kept_table;
mod languages;
mod lifecycle;
mod limits;
mod mass_delete;
mod misbehaving;
mod networks;
mod outage;
mod ownership;
mod passing;
mod plugin_author;
mod plugin_commands;
mod proof;
mod register;
mod registry;
mod reload;
mod resources;
mod retries;
mod routing;
mod selectors;
mod tidy;
mod tls;
mod upstream;
mod upstream_errors;
mod versions;
mod waiting;
