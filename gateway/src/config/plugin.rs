//! Of a `[[plugin]]`: which versions of its file may decide, what makes the gateway take another one, and how many are kept;
//! when its sandboxes are replaced. And what all sandboxes have in common.

use serde::Deserialize;

use super::units;

/// Which versions of a plugin may decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The SHA-256 of the only file that may, in lower-case hex digits; `None`: any may.
    pub sha256: Option<String>,
    /// What makes the gateway take a changed file.
    pub reload: Reload,
    /// Earlier versions that are kept to go back to.
    pub keep: usize,
}

/// What makes the gateway take a changed file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reload {
    /// That it changed.
    #[default]
    Watch,
    /// Only an operator's word.
    Admin,
}

/// When a sandbox that does its work is replaced by a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recycle {
    /// After so many calls into it.
    #[serde(deserialize_with = "units::limit")]
    pub calls: Option<u32>,
    /// When its linear memory has grown to so many bytes.
    #[serde(deserialize_with = "units::some_size")]
    pub memory: Option<usize>,
}

impl Recycle {
    /// Whether a sandbox that was asked so often and has so many bytes of memory is to be replaced.
    pub fn is_due(&self, calls: u32, memory: usize) -> bool {
        self.calls.is_some_and(|most| calls >= most) || self.memory.is_some_and(|most| memory >= most)
    }

    /// Whether any ever is.
    pub fn is_wanted(&self) -> bool {
        self.calls.is_some() || self.memory.is_some()
    }
}

/// `[sandbox]`: what is the same for all of them, because the engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sandbox {
    /// Bytes of stack that one call into one may use.
    #[serde(deserialize_with = "units::stack")]
    pub stack: usize,
}
