//! `cargo xtask demo`: builds the gateway, the plugins and the demo program, then becomes the demo program.

use std::{os::unix::process::CommandExt, process::Command};

use anyhow::{Context, Result};

use crate::{
    cargo::{build_all, built},
    needs,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Ends after the table.
    #[arg(long)]
    once: bool,
    /// Keeps the registrations in a real etcd instead of a file.
    #[arg(long)]
    etcd: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    needs::wasm_target()?;
    if options.etcd {
        needs::etcd()?;
    }
    build_all()?;
    let mut demo = Command::new(built("demo")?);
    demo.env("SYMGATE_BIN", built("symgate")?);
    demo.args(options.once.then_some("--once")).args(options.etcd.then_some("--etcd"));
    become_it(demo)
}

/// So that Ctrl-C is the demo's alone and the shell waits for its end.
fn become_it(mut program: Command) -> Result<()> {
    Err(program.exec()).context("the demo cannot be run")
}
