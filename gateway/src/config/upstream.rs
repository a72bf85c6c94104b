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
}
