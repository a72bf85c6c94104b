//! `[decisions]`: what each worker remembers of the decisions that it made last.

use serde::Deserialize;

use super::units;

/// What each worker remembers of the decisions that it made last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Decisions {
    /// How many; none: nothing is recorded.
    #[serde(deserialize_with = "units::ring")]
    pub ring: usize,
    /// Whether first messages that extractors were given are kept, too.
    pub messages: bool,
}

impl Default for Decisions {
    fn default() -> Self {
        Self { ring: 1_000, messages: false }
    }
}
