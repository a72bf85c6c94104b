//! `/plugins`: which version decides, and what was refused after it.

use serde::Serialize;

use super::unix_seconds;
use crate::{
    plugin::Plugin,
    snapshot::{Refused, Snapshot},
};

#[derive(Serialize)]
pub(super) struct View<'a> {
    plugins: Vec<One<'a>>,
}

#[derive(Serialize)]
struct One<'a> {
    name: &'a str,
    version: &'a str,
    kind: Vec<&'static str>,
    loaded_unix: u64,
    refused: Option<LastRefused<'a>>,
}

#[derive(Serialize)]
struct LastRefused<'a> {
    at_unix: u64,
    reason: &'a str,
}

pub(super) fn view(snapshot: &Snapshot) -> View<'_> {
    let refused = snapshot.refused.iter().map(Option::as_ref).chain(std::iter::repeat(None));
    View { plugins: snapshot.plugins.iter().zip(refused).map(|(plugin, refused)| one(plugin, refused)).collect() }
}

fn one<'a>(plugin: &'a Plugin, refused: Option<&'a Refused>) -> One<'a> {
    let extracts = plugin.extract_inputs().map(|_| "extract");
    let selects = plugin.select_inputs().map(|_| "select");
    One {
        name: plugin.name(),
        version: plugin.version(),
        kind: extracts.into_iter().chain(selects).collect(),
        loaded_unix: unix_seconds(plugin.loaded()),
        refused: refused.map(|refused| LastRefused { at_unix: unix_seconds(refused.at), reason: &refused.reason }),
    }
}
