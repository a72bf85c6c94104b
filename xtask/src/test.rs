//! `cargo xtask test`: everything that CI tests.

use std::ffi::OsString;

use anyhow::Result;

use crate::{
    cargo::{build_all, built, cargo, run as run_command},
    needs, say,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// What `cargo test --workspace` gets besides, e.g. `-- reload` for the tests with that word in their name.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    more: Vec<OsString>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    needs::wasm_target()?;
    needs::etcd()?;
    // The tests run the gateway's binary, which `cargo test` by itself would not build.
    build_all()?;
    let test = ["test", "--workspace", "--no-fail-fast"].into_iter().map(OsString::from);
    run_command(cargo(test.chain(options.more.iter().cloned())).env("SYMGATE_BIN", built("symgate")?))?;
    say("all tests passed");
    Ok(())
}
