//! Of a `[[plugin]]`: which versions of its file may decide, what makes the gateway take another one, and how many are kept.
//! And what all sandboxes have in common.

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

/// `[sandbox]`: what is the same for all of them, because the engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sandbox {
    /// Bytes of stack that one call into one may use.
    #[serde(deserialize_with = "units::stack")]
    pub stack: usize,
}
