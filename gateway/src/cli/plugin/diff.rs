//! `symgate plugin diff`: recorded decisions made again by another file of their plugin, in this process. The gateway is
//! asked for what it recorded, and for nothing else.

use std::{collections::BTreeSet, fs, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;

use super::ring;
use crate::{
    cli::{decided, listener::Listener, output},
    config::{self, Config},
    plugin::{
        Host,
        decision::Decision,
        replay::{Tally, replay},
    },
};

/// Something would change.
const CHANGED: u8 = 1;
/// It could not be told.
const NOT_TOLD: u8 = 2;
/// Examples that are shown.
const EXAMPLES: usize = 3;
/// The configuration that says how the plugin is configured, when none is named.
const AT_HAND: &str = "symgate.toml";

pub(super) const AFTER: &str = "\
Only decisions of the version that decides now are compared. The file runs with the [plugin.config] and the limits that
the configuration gives the plugin. A decision whose inputs were not all recorded (another metadata key, a first message)
is unknown; unknown ones count as a change.

Exit status: 0 nothing changes, 1 something does or is unknown, 2 it cannot be told: no decisions, no gateway, a file that
does not load.";

/// What is compared with what.
#[derive(Debug, Args)]
pub(in crate::cli) struct Compared {
    /// The new Wasm file
    file: PathBuf,
    /// The plugin whose decisions are compared; the default is the one plugin of the configuration with this file name
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    #[command(flatten)]
    gateway: Listener,
    /// Decisions that were written down by `symgate plugin ring`, instead of a gateway's
    #[arg(long, value_name = "FILE", conflicts_with = "address")]
    ring: Option<PathBuf>,
    /// The configuration that the plugin has
    #[arg(short, long, value_name = "FILE", default_value = AT_HAND)]
    config: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn diff(compared: &Compared) -> anyhow::Result<ExitCode> {
    match told(compared) {
        Ok(code) => Ok(code),
        Err(error) => {
            output::error(&error);
            Ok(NOT_TOLD.into())
        }
    }
}

fn told(compared: &Compared) -> anyhow::Result<ExitCode> {
    let config = Config::read(&compared.config)?;
    let plugin = compared.plugin(&config)?;
    let recorded = compared.recorded(&plugin.name)?;
    let (decisions, others): (Vec<_>, Vec<_>) = recorded.into_iter().partition(|decision| decision.current);
    if decisions.is_empty() {
        bail!(
            "there is no recorded decision of plugin {}: is `ring` of [decisions] 0, or did no call ask it?",
            plugin.name
        );
    }
    let bytes = fs::read(&compared.file).with_context(|| format!("cannot read {}", compared.file.display()))?;
    let host = Host::with_compiler(config.code_cache.folder.as_deref(), None, config.sandbox)?;
    // Each decision is made anew, however pure the file says it is.
    let asked = config::Plugin { remember: false, ..plugin.clone() };
    let new = host.load(&asked, &bytes, 0).with_context(|| compared.file.display().to_string())?;
    let tally = replay(&new, &decisions, EXAMPLES, Duration::MAX);
    let lines = if compared.json {
        vec![document(&plugin.name, new.version(), &decisions, &tally)]
    } else {
        lines(&plugin.name, new.version(), &decisions, &tally, others.len())
    };
    lines.iter().for_each(|line| output::line(line));
    Ok(if tally.changed + tally.unknown == 0 { ExitCode::SUCCESS } else { CHANGED.into() })
}

impl Compared {
    /// The plugin as the configuration has it.
    fn plugin<'a>(&self, config: &'a Config) -> anyhow::Result<&'a config::Plugin> {
        let file_name = self.file.file_name();
        let is_meant = |plugin: &&config::Plugin| match &self.plugin {
            Some(name) => plugin.name == *name,
            None => plugin.path.as_ref().is_some_and(|path| path.file_name() == file_name),
        };
        let meant: Vec<_> = config.plugins.iter().filter(is_meant).collect();
        match meant[..] {
            [plugin] => Ok(plugin),
            _ => {
                let known: Vec<_> = config.plugins.iter().map(|plugin| &*plugin.name).collect();
                let file = self.config.display();
                bail!("say --plugin with one of the plugins of {file}: {}", known.join(", "))
            }
        }
    }

    fn recorded(&self, plugin: &str) -> anyhow::Result<Vec<Decision>> {
        let (text, from) = match &self.ring {
            Some(file) => {
                let name = file.display().to_string();
                (fs::read(file).with_context(|| format!("cannot read {name}"))?, name)
            }
            None => (self.gateway.get(&ring::path(Some(plugin)))?, "the gateway's answer".to_owned()),
        };
        let text = String::from_utf8_lossy(&text);
        let line = |(at, line): (usize, &str)| {
            Decision::from_line(line).map_err(|why| anyhow::anyhow!("{from}: line {} is no decision: {why}", at + 1))
        };
        let all = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(line);
        let mut all = all.collect::<anyhow::Result<Vec<_>>>()?;
        all.retain(|decision| decision.plugin == plugin);
        Ok(all)
    }
}

fn lines(plugin: &str, version: &str, decisions: &[Decision], tally: &Tally, others: usize) -> Vec<String> {
    let before: BTreeSet<_> = decisions.iter().map(|decision| &*decision.version).collect();
    let before = before.into_iter().collect::<Vec<_>>().join(", ");
    let Tally { decisions: count, changed, unknown, unknown_because, examples } = tally;
    let share = |part: &usize| format!("{:.1}%", 100.0 * *part as f64 / (*count).max(1) as f64);
    let mut lines = vec![format!(
        "plugin {plugin}, version {before} against {version}: {count} decisions, {changed} change ({}), {unknown} unknown ({})",
        share(changed),
        share(unknown)
    )];
    if others > 0 {
        lines.push(format!("left out: {others} decisions of other versions and of the built-in that stands in"));
    }
    lines.extend(unknown_because.iter().map(|(why, times)| format!("unknown, {times} times: {why}")));
    for (at, after) in examples {
        let Some(decision) = decisions.get(*at) else { continue };
        lines.push(String::new());
        lines.extend(decided::given(decision, true, true));
        lines.push(format!("  before  {}", decided::outcome(&decision.outcome)));
        lines.push(format!("  after   {}", decided::outcome(after)));
    }
    lines
}

fn document(plugin: &str, version: &str, decisions: &[Decision], tally: &Tally) -> String {
    let Tally { decisions: count, changed, unknown, unknown_because, examples } = tally;
    let example = |(at, after)| json!({ "decision": decisions.get(at), "after": after });
    let examples: Vec<_> = examples.iter().cloned().map(example).collect();
    let document = json!({
        "plugin": plugin, "version": version, "decisions": count, "changed": changed, "unknown": unknown,
        "unknown_because": unknown_because, "examples": examples,
    });
    format!("{document:#}")
}
