//! `[upstream]`: how instances are connected.

use std::time::Duration;

use serde::Deserialize;

use super::units;

/// Connections to instances.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Upstream {
    /// How long opening a connection may take.
    #[serde(deserialize_with = "units::timeout")]
    pub connect_timeout: Duration,
    /// Connections that one worker keeps ready; instances beyond it are connected on first use.
    pub warm_connections: usize,
    /// Calls that may wait for one instance in each worker.
    #[serde(deserialize_with = "units::count")]
    pub max_queued: usize,
    /// How long a call may wait for room on the connections of an instance.
    #[serde(deserialize_with = "units::timeout")]
    pub queue_timeout: Duration,
    /// After how long without a call a connection is closed that is not kept ready.
    #[serde(deserialize_with = "units::timeout")]
    pub idle_timeout: Duration,
    /// How long a connection with calls may be silent before the instance is asked for a sign of life.
    #[serde(deserialize_with = "units::timeout")]
    pub keepalive_interval: Duration,
    /// How long the sign may take; then the connection is lost.
    #[serde(deserialize_with = "units::timeout")]
    pub keepalive_timeout: Duration,
    /// Failures in a row after which calls keep away from an instance.
    #[serde(deserialize_with = "units::count")]
    pub eject_after: u32,
    /// For how long, the first time.
    #[serde(deserialize_with = "units::timeout")]
    pub eject_time: Duration,
}
