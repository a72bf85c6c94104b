//! `cargo xtask demo`: builds the gateway, the plugins and the demo program, then becomes the demo program.

use std::process::Command;

use anyhow::Result;

use crate::{
    cargo::{become_it, build_all, built},
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
