//! `symgate plugin ring`: the recorded decisions of a running gateway, as they are.

use std::process::ExitCode;

use clap::Args;

use crate::cli::{listener::Listener, output};

/// Whose decisions are written down.
#[derive(Debug, Args)]
pub(in crate::cli) struct Saved {
    #[command(flatten)]
    gateway: Listener,
    /// Only those of this plugin
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
}

pub(super) fn ring(saved: &Saved) -> anyhow::Result<ExitCode> {
    let lines = saved.gateway.get(&path(saved.plugin.as_deref()))?;
    String::from_utf8_lossy(&lines).lines().for_each(output::line);
    Ok(ExitCode::SUCCESS)
}

/// Where the decisions of a plugin are, or all of them.
pub(super) fn path(plugin: Option<&str>) -> String {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    let of = |name| format!("/decisions?plugin={}", utf8_percent_encode(name, NON_ALPHANUMERIC));
    plugin.map_or_else(|| "/decisions".to_owned(), of)
}
