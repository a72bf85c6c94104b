//! `symgate plugin test`: its command line.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{options::Options, verdict};
use crate::{
    app::workshop::{Cases, Ended},
    cli::output,
    config::LogFormat,
    telemetry,
};

/// What is to be asked.
#[derive(Debug, Args)]
pub(in crate::cli) struct Test {
    /// The Wasm file
    file: PathBuf,
    /// The calls, and what is expected of each
    #[arg(long, value_name = "FILE")]
    cases: PathBuf,
    #[command(flatten)]
    options: Options,
}

pub(super) fn test(Test { file, cases, options }: Test) -> anyhow::Result<ExitCode> {
    // What the plugin logs is only shown to who asks for it in the environment.
    telemetry::start("off", LogFormat::Text)?;
    let ended = Cases::read(&cases)?.ask(&options.of(&file)?)?;
    ended.iter().flat_map(Ended::lines).for_each(|line| output::line(&line));
    let (all, wrong) = (ended.len(), ended.iter().filter(|case| !case.is_well()).count());
    let cases = if all == 1 { "case" } else { "cases" };
    output::line(&match wrong {
        0 => format!("{all} {cases}, all as expected"),
        wrong => format!("{all} {cases}, {wrong} not as expected"),
    });
    Ok(verdict(wrong == 0))
}
