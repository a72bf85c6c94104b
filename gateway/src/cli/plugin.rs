//! `symgate plugin`: what there is to do with plugins; each is a file of its own.

use std::process::ExitCode;

use clap::Subcommand;

mod versions;

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Plugin {
    /// Makes a running gateway go back to the version of a plugin that decided before.
    Rollback(versions::Named),
    /// Makes a running gateway read the file of a plugin and take it, also one that it went back from.
    Reload(versions::Named),
}

/// Does it.
///
/// # Errors
/// Says what failed and what to do.
pub(super) fn run(command: Plugin) -> anyhow::Result<ExitCode> {
    match command {
        Plugin::Rollback(named) => versions::rollback(&named),
        Plugin::Reload(named) => versions::reload(&named),
    }
}
