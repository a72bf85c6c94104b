//! `symgate plugin check`: its command line.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{options::Options, verdict};
use crate::cli::output;

/// What is to be looked at.
#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    /// The Wasm file
    file: PathBuf,
    #[command(flatten)]
    options: Options,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn check(Check { file, options, json }: Check) -> anyhow::Result<ExitCode> {
    let checked = options.of(&file)?.check()?;
    if json {
        output::line(&checked.json());
    } else {
        checked.lines().iter().for_each(|line| output::line(line));
    }
    Ok(verdict(checked.is_well()))
}
