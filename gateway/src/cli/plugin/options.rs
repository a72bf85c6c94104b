//! The options that a plugin gets when it is looked at by itself.

use std::path::Path;

use clap::Args;

use crate::app::workshop::Subject;

/// As in the `[plugin.config]` of a `[[plugin]]`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Its options: JSON text, a file of JSON or TOML, or with --plugin a symgate.toml; the default is none
    #[arg(long, value_name = "JSON|FILE")]
    config: Option<String>,
    /// The [[plugin]] of that symgate.toml whose options and limits are taken
    #[arg(long, value_name = "NAME", requires = "config")]
    plugin: Option<String>,
}

impl Options {
    /// A file with these options.
    pub(super) fn of(&self, file: &Path) -> anyhow::Result<Subject> {
        Subject::read(file, self.config.as_deref(), self.plugin.as_deref())
    }
}
