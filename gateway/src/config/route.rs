//! `[[route]]`: where calls go and who decides.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;

use crate::routing::{Condition, PathMatch};

/// Where calls go and who decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Its place in [`Config::routes`](super::Config::routes).
    pub index: usize,
    /// The text of `match`: the route's name in logs and metrics.
    pub name: String,
    /// The paths it is about.
    pub path: PathMatch,
    /// What else a call must carry.
    pub condition: Condition,
    /// The clients that may call, by the names in their certificates; empty: all.
    pub clients: Vec<String>,
    /// The place of the service.
    pub service: usize,
    /// The place of the extractor; `None`: the service is not split by symbol.
    pub extract: Option<usize>,
    /// The place of the selector.
    pub select: usize,
    /// What happens to a call that carries no symbol.
    pub no_symbol: NoSymbol,
    /// The gRPC status code for a symbol that was never registered.
    pub unknown_symbol: u8,
    /// What happens when a plugin fails.
    pub on_failure: OnFailure,
    /// Bytes of first message that a plugin may ask for.
    pub max_first_message: usize,
    /// Whether replies carry `symgate-instance`.
    pub reply_instance: bool,
    /// How long a call waits for a usable instance of a symbol that is known; zero: not at all.
    pub wait_for_symbol: Duration,
    /// Calls of the route that may wait so at a time.
    pub max_waiting: u32,
    /// Calls of the route under way at a time, those that wait included.
    pub max_in_flight: Option<u32>,
    /// Calls under way at a time at all instances of a symbol together.
    pub max_in_flight_per_symbol: Option<u32>,
    /// Paths of methods that may be sent again when an instance answers `UNAVAILABLE` or is lost.
    pub idempotent: Vec<String>,
    /// Such repetitions per call of the route.
    pub retry_budget: f64,
    /// Under which name instances are asked for their health; `None`: they are not.
    pub health: Option<Health>,
}

/// A name of `grpc.health.v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Its place among the names of the configuration, less than [`Health::NAMES`].
    pub place: usize,
    /// The name; empty for the server as a whole.
    pub name: Arc<str>,
}

impl Health {
    /// Distinct names that a configuration may have.
    pub const NAMES: usize = 32;

    /// Its bit in a set of places.
    pub const fn bit(&self) -> u32 {
        1 << (self.place % Self::NAMES)
    }
}

/// What happens to a call that carries no symbol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoSymbol {
    /// `INVALID_ARGUMENT`.
    #[default]
    Reject,
    /// Any instance of the service answers.
    Any,
    /// It belongs to this symbol.
    Symbol(String),
}

/// What happens when a plugin fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// `INTERNAL`.
    #[default]
    Reject,
    /// The plugin's built-in decides.
    Builtin,
}
