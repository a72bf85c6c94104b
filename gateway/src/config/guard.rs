//! `guard = { ... }` of a `[[service]]`: when deletes are not believed at once.

use std::time::Duration;

use serde::Deserialize;

use super::units;

/// When so many of a service's instances leave the registry together that they are spared for a while.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guard {
    /// Of all instances of the service, more than this share, from 0 to 1; at 1 nothing is ever spared.
    #[serde(deserialize_with = "units::share")]
    pub share: f64,
    /// And so many at least.
    #[serde(deserialize_with = "units::count")]
    pub minimum: usize,
    /// Within this time.
    #[serde(deserialize_with = "units::timeout")]
    pub within: Duration,
    /// An instance is spared so long at most; zero: never.
    #[serde(deserialize_with = "units::duration")]
    pub at_most: Duration,
}

impl Default for Guard {
    fn default() -> Self {
        Self { share: 0.5, minimum: 5, within: Duration::from_secs(10), at_most: Duration::from_secs(300) }
    }
}
