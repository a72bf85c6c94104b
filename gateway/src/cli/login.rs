//! The login at etcd, as command lines say it.

use std::{fs, path::Path};

use anyhow::Context;

use super::usage;

/// Where the password may be, so that no list of processes shows it.
const PASSWORD: &str = "SYMGATE_ETCD_PASSWORD";

/// User and password; nothing without a user.
///
/// # Errors
/// When there is no password, or it cannot be read.
pub(super) fn login(user: Option<&str>, password_file: Option<&Path>) -> anyhow::Result<Option<(String, String)>> {
    let Some(user) = user else { return Ok(None) };
    let password = match password_file {
        Some(file) => fs::read_to_string(file)
            .with_context(|| format!("the password file {} cannot be read", file.display()))?
            .trim_end_matches(['\r', '\n'])
            .to_owned(),
        None => std::env::var(PASSWORD)
            .map_err(|_unset| usage(&format!("--user needs --password-file, or {PASSWORD} in the environment")))?,
    };
    Ok(Some((user.to_owned(), password)))
}
