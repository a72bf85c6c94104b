//! The hash of a plugin's file, and whether it is the one that the configuration wants.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Rejected;
use crate::config;

/// The SHA-256 of a file in lower-case hex digits.
///
/// # Errors
/// When the configuration wants another.
pub(super) fn check(plugin: &config::Plugin, bytes: &[u8]) -> Result<Arc<str>, Rejected> {
    let found: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    match plugin.versions.sha256.as_ref().filter(|wanted| **wanted != found) {
        None => Ok(found.into()),
        Some(wanted) => Err(Rejected(format!(
            "the file's SHA-256 is {found}, the configuration wants {wanted}: put that file there, or change `sha256` and \
             restart"
        ))),
    }
}
