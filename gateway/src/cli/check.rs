//! `symgate check`: says whether a configuration could run, and what would. Listens nowhere.

use std::path::{Path, PathBuf};

use super::output;
use crate::{app, config::Config};

pub(super) fn check(path: &Path, program: Option<PathBuf>) -> anyhow::Result<()> {
    let config = Config::read(path)?;
    for line in app::check(&config, program)? {
        output::line(&line);
    }
    output::line(&format!("{}: ok", path.display()));
    Ok(())
}
