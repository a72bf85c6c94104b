//! `symgate plugin bench`: its command line.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{options::Options, verdict};
use crate::{app::workshop::Cases, cli::output};

/// What is to be measured.
#[derive(Debug, Args)]
pub(in crate::cli) struct Bench {
    /// The Wasm file
    file: PathBuf,
    #[command(flatten)]
    options: Options,
    /// The calls to measure, as for `symgate plugin test`; the default is one that carries all that the plugin asks for
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
}

pub(super) fn bench(Bench { file, options, cases }: Bench) -> anyhow::Result<ExitCode> {
    let cases = cases.as_deref().map(Cases::read).transpose()?;
    let subject = options.of(&file)?;
    let checked = subject.check()?;
    let is_well = checked.is_well();
    let lines = if is_well { subject.bench(cases.as_ref())? } else { checked.lines() };
    lines.iter().for_each(|line| output::line(line));
    Ok(verdict(is_well))
}
