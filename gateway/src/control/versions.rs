//! The versions of each plugin: which decides, which are kept to go back to, which are not taken again, and when the
//! gateway goes back by itself. Loads nothing: a version comes from the plugin files, or is one that decided before.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tracing::{debug, info, warn};

use super::{Control, plugin_files::PluginUpdate};
use crate::{
    config,
    plugin::{Counted, Plugin},
    snapshot::{self, By, Rejection},
};

/// How long a new version is on trial. What is wrong with it for many calls shows within seconds of traffic; later the
/// cause may as well be another.
const TRIAL: Duration = Duration::from_secs(60);
/// Failures below which the gateway never goes back: a few may be one odd client's.
const FAILURES: u64 = 10;
/// Going back takes one failure in so many questions at least. Fewer are single inputs, which the version before may not
/// have known either, and all other calls want the new one.
const ONE_IN: u64 = 100;
/// Rejections that are shown.
const SHOWN: usize = 5;
/// Versions gone back from that are remembered not to be taken again.
const LEFT: usize = 32;

/// The versions of one plugin.
pub(super) struct Versions {
    keep: usize,
    /// Gone back from: not taken again from the same bytes until an operator says so.
    left: VecDeque<String>,
    trial: Option<Trial>,
    /// Those of the kept versions that were replaced while on trial.
    unproven: Vec<String>,
    shown: snapshot::Versions,
}

/// What a new version is judged by.
struct Trial {
    since: Instant,
    /// What was counted of it before: it may have decided earlier.
    before: Counted,
}

impl Trial {
    fn of(plugin: &Plugin, now: Instant) -> Self {
        Self { since: now, before: plugin.counted() }
    }
}

impl Versions {
    /// Of a plugin that decides from the start.
    pub(super) fn new(config: &config::Plugin, plugin: &Plugin) -> Self {
        let shown = snapshot::Versions::at_start(plugin.loaded());
        Self { keep: config.versions.keep, left: VecDeque::new(), trial: None, unproven: Vec::new(), shown }
    }

    /// What operators see.
    pub(super) fn show(&self) -> Arc<snapshot::Versions> {
        Arc::new(self.shown.clone())
    }

    /// Why a version is not taken, though nothing is wrong with its file.
    fn refusal(&self, version: &str, by: By) -> Option<String> {
        let refused = by == By::File && self.left.iter().any(|left| left == version);
        refused.then(|| "it was gone back from: an operator may reload it, or write another file".into())
    }

    /// `new` decides after `old`.
    fn activate(&mut self, old: &Arc<Plugin>, new: &Plugin, by: By, now: Instant) {
        self.left.retain(|left| left != new.version());
        self.shown.kept.retain(|kept| kept.version() != new.version());
        self.shown.kept.push(Arc::clone(old));
        let over = self.shown.kept.len().saturating_sub(self.keep);
        self.shown.kept.drain(..over);
        if self.trial.replace(Trial::of(new, now)).is_some() {
            self.unproven.push(old.version().into());
        }
        self.unproven.retain(|version| self.shown.kept.iter().any(|kept| kept.version() == version));
        self.decides(by);
        self.shown.is_refused = false;
    }

    /// `before` decides again; `old` is not kept. One that has lasted its trial is not judged again: going back ends there.
    fn go_back(&mut self, old: &Plugin, before: &Plugin, by: By, why: String) {
        if self.left.len() >= LEFT {
            self.left.pop_front();
        }
        self.left.push_back(old.version().into());
        let unproven = self.unproven.iter().any(|version| version == before.version());
        self.trial = unproven.then(|| Trial::of(before, Instant::now()));
        self.decides(by);
        self.reject(Some(old.version().into()), why);
    }

    fn decides(&mut self, by: By) {
        self.shown.by = by;
        self.shown.since = SystemTime::now();
    }

    fn reject(&mut self, version: Option<String>, reason: String) {
        let rejections = &mut self.shown.rejections;
        rejections.push(Rejection { at: SystemTime::now(), version, reason });
        rejections.drain(..rejections.len().saturating_sub(SHOWN));
        self.shown.is_refused = true;
    }

    /// Whether the version on trial has failed it: what was counted, and since when.
    fn verdict(&mut self, plugin: &Plugin, now: Instant) -> Option<(Counted, Duration)> {
        let trial = self.trial.as_ref()?;
        let took = now.duration_since(trial.since);
        if took > TRIAL {
            self.trial = None;
            return None;
        }
        let counted = plugin.counted() - trial.before;
        (fails(counted) && !self.shown.kept.is_empty()).then_some((counted, took))
    }
}

/// Whether this is too much for a new version.
fn fails(Counted { answers, failures }: Counted) -> bool {
    failures >= FAILURES && failures.saturating_mul(ONE_IN) >= answers.saturating_add(failures)
}

impl Control {
    /// A file changed, or was read because an operator said so.
    pub(super) fn plugin_changed(&mut self, update: PluginUpdate) {
        let PluginUpdate { at, version, outcome, told } = update;
        let by = if told.is_some() { By::Admin } else { By::File };
        let (Some(old), Some(versions)) = (self.next.plugins.get(at).cloned(), self.plugins.get_mut(at)) else {
            return;
        };
        let outcome = outcome.and_then(|new| versions.refusal(new.version(), by).map_or(Ok(new), Err));
        let said = match outcome {
            Ok(new) if new.version() == old.version() => {
                // The file is again what it was, after one that was refused.
                versions.shown.is_refused = false;
                Ok(format!("{} decides already", old.version()))
            }
            Ok(new) => {
                versions.activate(&old, &new, by, Instant::now());
                self.metrics.plugin_load(old.name(), true);
                Ok(self.replace(at, &old, new, by))
            }
            Err(reason) => {
                warn!(plugin = old.name(), kept = old.version(), version, by = by.name(), reason, "plugin rejected");
                self.metrics.plugin_load(old.name(), false);
                versions.reject(version, reason.clone());
                Err(format!("{reason}; {} decides as before", old.version()))
            }
        };
        self.show_versions();
        if let Some(reply) = told {
            // It decides when the operator reads that it does, who may have given up.
            self.publish();
            drop(reply.send(said));
        }
    }

    /// An operator wants the version that decided before.
    pub(super) fn roll_back(&mut self, at: usize) -> Result<String, String> {
        let said = self.go_back(at, By::Admin, "an operator went back from it".into());
        self.publish();
        said
    }

    /// Makes the sandboxes that workers will want, and goes back from new versions that fail.
    pub(super) fn look_at_plugins(&mut self, now: Instant) {
        for plugin in &*self.next.plugins {
            if let Err(reason) = plugin.top_up() {
                debug!(plugin = plugin.name(), %reason, "no sandbox could be made to spare");
            }
        }
        for at in 0..self.plugins.len() {
            let (Some(plugin), Some(versions)) = (self.next.plugins.get(at), self.plugins.get_mut(at)) else { return };
            let Some((Counted { answers, failures }, took)) = versions.verdict(plugin, now) else { continue };
            let asked = answers + failures;
            let why = format!(
                "the gateway went back from it: it failed {failures} of {asked} times in its first {}.{} s",
                took.as_secs(),
                took.subsec_millis() / 100
            );
            warn!(
                plugin = plugin.name(),
                version = plugin.version(),
                failures,
                asked,
                "the new version fails: going back"
            );
            if let Err(reason) = self.go_back(at, By::Automatic, why) {
                warn!(reason, "could not go back");
            }
        }
    }

    fn go_back(&mut self, at: usize, by: By, why: String) -> Result<String, String> {
        let (Some(old), Some(versions)) = (self.next.plugins.get(at).cloned(), self.plugins.get_mut(at)) else {
            return Err("there is no such plugin".into());
        };
        let Some(before) = versions.shown.kept.pop() else {
            return Err(format!("no earlier version is kept; {} decides as before", old.version()));
        };
        if let Err(reason) = before.wake() {
            return Err(format!(
                "{} cannot decide again: {reason}; {} decides as before",
                before.version(),
                old.version()
            ));
        }
        versions.go_back(&old, &before, by, why);
        self.metrics.plugin_rollback(old.name(), by.name());
        let said = self.replace(at, &old, before, by);
        self.show_versions();
        Ok(said)
    }

    /// One line for each change of what decides.
    fn replace(&mut self, at: usize, old: &Plugin, new: Arc<Plugin>, by: By) -> String {
        let (plugin, version, before) = (new.name(), new.version(), old.version());
        info!(plugin, version, before, sha256 = new.sha256(), by = by.name(), "plugin activated");
        let said = format!("{version} decides; before: {before}");
        old.rest();
        let mut plugins = self.next.plugins.to_vec();
        plugins.splice(at..=at, [new]);
        self.next.plugins = plugins.into();
        said
    }

    fn show_versions(&mut self) {
        self.next.versions = self.plugins.iter().map(Versions::show).collect();
        self.dirty = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_version_fails_by_ten_failures_that_are_one_in_a_hundred() {
        let check = |failures, answers, expected| {
            assert_eq!(fails(Counted { answers, failures }), expected, "{failures} of {answers}")
        };
        check(0, 0, false);
        check(9, 0, false);
        check(10, 0, true);
        check(10, 990, true);
        check(10, 991, false);
        check(u64::MAX, 5, true);
    }
}
