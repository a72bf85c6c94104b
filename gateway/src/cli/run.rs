//! `symgate run`: serves calls. Only puts the pieces in order; the composition is in `app`.

use std::path::{Path, PathBuf};

use crate::{app, config::Config, telemetry};

pub(super) fn run(path: &Path, program: Option<PathBuf>) -> anyhow::Result<()> {
    let config = Config::read(path)?;
    telemetry::start(&config.log.filter, config.log.format)?;
    app::run(&config, program)
}
