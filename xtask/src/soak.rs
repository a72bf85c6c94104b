//! `cargo xtask soak`: builds the gateway, the plugins and the soak program, then becomes the soak program.

use std::process::Command;

use anyhow::Result;

use crate::{
    cargo::{become_it, build_all, built},
    needs,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long calls are made, the time before the first fault included.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Draws the same faults as the run that printed it.
    #[arg(long)]
    seed: Option<u64>,
    /// Instead of all that, takes so many versions of a plugin, one after the other, while calls flow.
    #[arg(long)]
    reloads: Option<usize>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    needs::wasm_target()?;
    needs::etcd()?;
    build_all()?;
    let mut soak = Command::new(built("soak")?);
    soak.env("SYMGATE_BIN", built("symgate")?);
    soak.args(["--seconds", &options.seconds.to_string()]);
    soak.args(options.seed.iter().flat_map(|seed| ["--seed".to_owned(), seed.to_string()]));
    soak.args(options.reloads.iter().flat_map(|count| ["--reloads".to_owned(), count.to_string()]));
    become_it(soak)
}
