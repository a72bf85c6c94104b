//! `/plugins`: which version decides, since when and why, which are kept, and what was refused.

use std::sync::Arc;

use serde::Serialize;

use super::unix_seconds;
use crate::{
    plugin::{Counted, Plugin},
    snapshot::{Rejection, Snapshot, Versions},
};

#[derive(Serialize)]
pub(super) struct View<'a> {
    plugins: Vec<One<'a>>,
}

#[derive(Serialize)]
struct One<'a> {
    name: &'a str,
    version: &'a str,
    sha256: Option<&'a str>,
    kind: Vec<&'static str>,
    loaded_unix: u64,
    active_since_unix: Option<u64>,
    active_by: Option<&'static str>,
    answers: u64,
    failures: u64,
    /// Workers that do not ask it now, because it failed too much.
    cut_off_workers: u32,
    /// Sandboxes that were replaced though they did their work.
    recycled: u64,
    /// Sandboxes that no worker has taken yet.
    spare_sandboxes: usize,
    /// Earlier versions that can be gone back to, the next one first.
    kept: Vec<Kept<'a>>,
    /// What the file is now, if that does not decide.
    refused: Option<Refused<'a>>,
    /// The newest first.
    rejections: Vec<Refused<'a>>,
}

#[derive(Serialize)]
struct Kept<'a> {
    version: &'a str,
    sha256: Option<&'a str>,
    loaded_unix: u64,
}

#[derive(Serialize)]
struct Refused<'a> {
    at_unix: u64,
    version: Option<&'a str>,
    reason: &'a str,
}

pub(super) fn view(snapshot: &Snapshot) -> View<'_> {
    let versions = snapshot.versions.iter().map(Some).chain(std::iter::repeat(None));
    let plugins = snapshot.plugins.iter().zip(versions);
    View { plugins: plugins.map(|(plugin, versions)| one(plugin, versions.map(Arc::as_ref))).collect() }
}

fn one<'a>(plugin: &'a Plugin, versions: Option<&'a Versions>) -> One<'a> {
    let extracts = plugin.extract_inputs().map(|_| "extract");
    let selects = plugin.select_inputs().map(|_| "select");
    let Counted { answers, failures } = plugin.counted();
    let kept = versions.map_or(&[][..], |versions| &versions.kept);
    let rejections = versions.map_or(&[][..], |versions| &versions.rejections);
    One {
        name: plugin.name(),
        version: plugin.version(),
        sha256: plugin.sha256(),
        kind: extracts.into_iter().chain(selects).collect(),
        loaded_unix: unix_seconds(plugin.loaded()),
        active_since_unix: versions.map(|versions| unix_seconds(versions.since)),
        active_by: versions.map(|versions| versions.by.name()),
        answers,
        failures,
        cut_off_workers: plugin.cut_off(),
        recycled: plugin.recycled(),
        spare_sandboxes: plugin.spare(),
        kept: kept.iter().rev().map(|plugin| self::kept(plugin)).collect(),
        refused: versions.and_then(Versions::refused).map(refused),
        rejections: rejections.iter().rev().map(refused).collect(),
    }
}

fn kept(plugin: &Plugin) -> Kept<'_> {
    Kept { version: plugin.version(), sha256: plugin.sha256(), loaded_unix: unix_seconds(plugin.loaded()) }
}

fn refused(Rejection { at, version, reason }: &Rejection) -> Refused<'_> {
    Refused { at_unix: unix_seconds(*at), version: version.as_deref(), reason }
}
