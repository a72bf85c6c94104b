//! `symgate check`: says whether a configuration could run, and what would. Listens nowhere.

use std::path::Path;

use super::output;
use crate::{app, config::Config};

pub(super) fn check(path: &Path) -> anyhow::Result<()> {
    let config = Config::read(path)?;
    for line in app::check(&config)? {
        output::line(&line);
    }
    output::line(&format!("{}: ok", path.display()));
    Ok(())
}
