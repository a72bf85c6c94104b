//! Cases: calls and what is expected of each, asked one by one in the real sandbox, within the real limits. The format is
//! in `docs/plugin-commands.md`.

mod decision;
mod expect;
mod raw;
mod wire;

use std::{collections::HashMap, fs, path::Path};

use anyhow::{Context, bail};
use symgate_sdk::select::MAX_CANDIDATES;

use self::{decision::Decision, expect::Expect};
use super::{Subject, asked::Asked};
use crate::{
    config::{self, Limits},
    plugin::{Host, Plugin, Rejected, Sandboxes},
};

/// The cases of a file.
pub struct Cases {
    limits: Option<Limits>,
    all: Vec<Case>,
}

/// A call, and what is expected.
struct Case {
    name: String,
    /// The options that the plugin gets, as JSON text; `None`: those that the command line says.
    options: Option<String>,
    asked: Asked,
    /// Which instance? Else which symbol.
    selects: bool,
    expect: Expect,
}

/// How a case ended.
pub struct Ended {
    name: String,
    expected: Expect,
    decision: Decision,
}

impl Cases {
    /// Reads a file of cases.
    ///
    /// # Errors
    /// When it cannot be read or is none, with the line.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let text = fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
        let cases = Self::parse(&text).map_err(|mistake| anyhow::anyhow!("{shown}{mistake}"))?;
        if cases.all.is_empty() {
            bail!("{shown} has no [[case]]");
        }
        Ok(cases)
    }

    /// What they are called, and what is asked.
    pub(super) fn asked(&self) -> impl Iterator<Item = (&str, &Asked, bool)> {
        self.all.iter().map(|case| (&*case.name, &case.asked, case.selects))
    }

    /// Asks them all; each has a sandbox of its own.
    ///
    /// # Errors
    /// When a case asks what the file never answers, or there can be no host.
    pub fn ask(&self, subject: &Subject) -> anyhow::Result<Vec<Ended>> {
        let kept = tempfile::tempdir().context("there is no folder to compile in")?;
        let host = Host::with_compiler(Some(kept.path()), None, config::Sandbox::default())?;
        let mut loaded = HashMap::new();
        let mut ended = Vec::new();
        for case in &self.all {
            let plugin = self.configured(case, &subject.plugin);
            let plugin = loaded.entry(plugin.config.clone()).or_insert_with(|| host.load(&plugin, &subject.bytes, 0));
            let (name, expected) = (case.name.clone(), case.expect.clone());
            ended.push(Ended { name, expected, decision: case.ask(plugin)? });
        }
        Ok(ended)
    }

    /// The plugin as a case wants it.
    fn configured(&self, case: &Case, plugin: &config::Plugin) -> config::Plugin {
        config::Plugin {
            config: case.options.clone().unwrap_or_else(|| plugin.config.clone()),
            limits: self.limits.unwrap_or(plugin.limits),
            ..plugin.clone()
        }
    }
}

impl Case {
    fn ask(&self, plugin: &Result<Plugin, Rejected>) -> anyhow::Result<Decision> {
        let plugin = match plugin {
            Ok(plugin) => plugin,
            Err(Rejected(reason)) => return Ok(Decision::Refused(reason.clone())),
        };
        let mut sandboxes = Sandboxes::default();
        let name = &self.name;
        if self.selects {
            let Some(wanted) = plugin.select_inputs() else {
                bail!("case {name:?} has `candidates`, but the file chooses no instance");
            };
            let count = self.asked.instances.len();
            if !(1..=MAX_CANDIDATES).contains(&count) {
                bail!("case {name:?} has {count} candidates; a selector is given 1 to {MAX_CANDIDATES}");
            }
            return Ok(self.asked.to_select(wanted).ask(&mut sandboxes, plugin, 0).into());
        }
        match plugin.extract_inputs() {
            Some(wanted) => Ok(self.asked.to_extract(wanted).ask(&mut sandboxes, plugin).into()),
            None => bail!("case {name:?} asks for a symbol, and the file finds none; add `candidates` to choose from"),
        }
    }
}

impl Ended {
    /// Whether it ended as expected.
    pub fn is_well(&self) -> bool {
        self.expected.holds(&self.decision)
    }

    /// One line, or where it did not end as expected three.
    pub fn lines(&self) -> Vec<String> {
        let Self { name, expected, decision } = self;
        if self.is_well() {
            return vec![format!("ok      {name}: {decision}")];
        }
        vec![format!("FAILED  {name}"), format!("        expected {expected}"), format!("        it said  {decision}")]
    }
}
