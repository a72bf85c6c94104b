//! `symgate plugin rollback` and `symgate plugin reload`: which version of a plugin decides in a running gateway. The
//! gateway does it and says what came of it.

use std::process::ExitCode;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::cli::{listener::Listener, output};

/// Which plugin, of which gateway.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Named {
    /// The plugin: the `name` of its [[plugin]]
    name: String,
    #[command(flatten)]
    gateway: Listener,
}

pub(super) fn rollback(named: &Named) -> anyhow::Result<ExitCode> {
    ask(named, "rollback")
}

pub(super) fn reload(named: &Named) -> anyhow::Result<ExitCode> {
    ask(named, "reload")
}

fn ask(Named { name, gateway }: &Named, what: &str) -> anyhow::Result<ExitCode> {
    let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
    let answer = gateway.post(&format!("/plugins/{name}/{what}"), Vec::new())?;
    output::line(String::from_utf8_lossy(&answer).trim_end());
    Ok(ExitCode::SUCCESS)
}
