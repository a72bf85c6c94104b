//! `symgate plugin build`: its command line.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{options::Options, verdict};
use crate::{app::workshop, cli::output};

/// What is to be built.
#[derive(Debug, Args)]
pub(in crate::cli) struct Build {
    /// The folder of the crate
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    options: Options,
}

pub(super) fn build(Build { folder, options }: Build) -> anyhow::Result<ExitCode> {
    let Some(files) = workshop::build(&folder)? else {
        output::line("it does not build; cargo says why");
        return Ok(verdict(false));
    };
    let mut is_well = true;
    for file in files {
        let checked = options.of(&file)?.check()?;
        checked.lines().iter().for_each(|line| output::line(line));
        is_well &= checked.is_well();
    }
    Ok(verdict(is_well))
}
