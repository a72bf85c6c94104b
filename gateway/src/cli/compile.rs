//! `symgate compile`: what the gateway runs as its child to have a plugin compiled. Not for people.

use std::path::Path;

use crate::plugin;

pub(super) fn compile(folder: &Path) -> anyhow::Result<()> {
    Ok(plugin::compile_apart(folder)?)
}
