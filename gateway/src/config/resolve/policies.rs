//! The policies that routes may use: every `[[plugin]]`, and the built-ins that routes name directly. Opens no Wasm file:
//! whether one fits is found out when it is loaded.

use std::path::Path;

use serde_json::Value;
use toml::Spanned;

use super::Mistakes;
use crate::config::{Builtin, Limits, Plugin, Recycle, Versions, defaults, error::suggestion, raw};

/// What a route wants a policy for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Finds the symbol.
    Extractor,
    /// Chooses the instance.
    Selector,
}

/// All policies; those with a `[[plugin]]` come first.
pub(super) struct Policies {
    plugins: Vec<Plugin>,
    declared: usize,
}

impl Policies {
    pub(super) fn new(raw: Vec<raw::Plugin>, base: &Path, mistakes: &mut Mistakes) -> Self {
        mistakes.unique("plugin", raw.iter().map(|plugin| &plugin.name));
        let plugins = raw.into_iter().map(|raw| plugin(raw, base, mistakes)).collect::<Vec<_>>();
        Self { declared: plugins.len(), plugins }
    }

    /// The place of the selector that a route names, else of the default one.
    pub(super) fn selector(
        &mut self,
        policy: Option<Spanned<raw::Policy>>,
        route: &str,
        mistakes: &mut Mistakes,
    ) -> Option<usize> {
        let default = || Spanned::new(0..0, raw::Policy::Named(defaults::SELECT.name().into()));
        self.find(&policy.unwrap_or_else(default), Kind::Selector, route, mistakes)
    }

    /// The place of the policy that a route names.
    pub(super) fn find(
        &mut self,
        policy: &Spanned<raw::Policy>,
        kind: Kind,
        route: &str,
        mistakes: &mut Mistakes,
    ) -> Option<usize> {
        let place = match policy.get_ref() {
            raw::Policy::Builtin(builtin, config) => self.direct(*builtin, json(config)),
            raw::Policy::Named(name) => match self.named(name) {
                Some(place) => place,
                None => {
                    let declared = self.plugins.iter().take(self.declared).map(|plugin| &*plugin.name);
                    let near = suggestion(name, declared.chain(Builtin::ALL.iter().map(|builtin| builtin.name())));
                    let text = format!(
                        "route {route:?} {} with {name:?}, which is no [[plugin]] and no built-in{near}",
                        kind.verb()
                    );
                    mistakes.say(policy.span(), text);
                    return None;
                }
            },
        };
        if let Some(builtin) = self.plugins.get(place).and_then(|plugin| plugin.builtin)
            && let Some(misfit) = misfit(builtin, kind)
        {
            mistakes.say(policy.span(), format!("route {route:?} {} with {misfit}", kind.verb()));
        }
        Some(place)
    }

    /// The names of those among `places` that are Wasm files without a built-in to fall back to.
    pub(super) fn without_builtin(&self, places: [Option<usize>; 2]) -> impl Iterator<Item = &str> {
        let plugins = places.into_iter().flatten().filter_map(|place| self.plugins.get(place));
        plugins.filter(|plugin| plugin.builtin.is_none()).map(|plugin| &*plugin.name)
    }

    pub(super) fn finish(self) -> Vec<Plugin> {
        self.plugins
    }

    /// A `[[plugin]]` goes before the built-in of the same name.
    fn named(&mut self, name: &str) -> Option<usize> {
        let declared = self.plugins.iter().take(self.declared).position(|plugin| plugin.name == name);
        let builtin = || Builtin::ALL.into_iter().find(|builtin| builtin.name() == name);
        declared.or_else(|| builtin().map(|builtin| self.direct(builtin, json(&toml::Table::new()))))
    }

    /// A built-in that a route uses without a `[[plugin]]`: one for all routes that configure it alike.
    fn direct(&mut self, builtin: Builtin, config: String) -> usize {
        let same = |plugin: &Plugin| plugin.builtin == Some(builtin) && plugin.config == config;
        if let Some(place) = self.plugins.iter().skip(self.declared).position(same) {
            return self.declared + place;
        }
        let name = self.free_name(builtin.name());
        let (builtin, limits, remember) = (Some(builtin), Limits::default(), defaults::remember());
        let (versions, recycle) = (Versions::default(), Recycle::default());
        self.plugins.push(Plugin { name, path: None, builtin, config, limits, remember, versions, recycle });
        self.plugins.len() - 1
    }

    fn free_name(&self, name: &str) -> String {
        let free = |name: &String| self.plugins.iter().all(|plugin| plugin.name != *name);
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        std::iter::once(name.to_owned()).chain(numbered).find(free).unwrap_or_default()
    }
}

impl Kind {
    const fn verb(self) -> &'static str {
        match self {
            Self::Extractor => "extracts",
            Self::Selector => "selects",
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Extractor => "an extractor",
            Self::Selector => "a selector",
        }
    }
}

/// What is wrong when a built-in is used as this kind of policy.
fn misfit(builtin: Builtin, kind: Kind) -> Option<String> {
    let is = if builtin.is_extractor() { Kind::Extractor } else { Kind::Selector };
    let others = Builtin::ALL.iter().filter(|other| other.is_extractor() != builtin.is_extractor());
    let others = others.map(|other| other.name()).collect::<Vec<_>>().join(", ");
    let (name, is_noun, noun) = (builtin.name(), is.noun(), kind.noun());
    (is != kind).then(|| format!("{name:?}, which is {is_noun}; built in as {noun}: {others}"))
}

fn plugin(raw: raw::Plugin, base: &Path, mistakes: &mut Mistakes) -> Plugin {
    let (at, name) = (raw.name.span(), raw.name.into_inner());
    if raw.path.is_none() && raw.builtin.is_none() {
        let known = Builtin::ALL.map(Builtin::name).join(", ");
        let fix = format!("add `path = \"...\"` for a Wasm file, or `builtin` with one of {known}");
        mistakes.say(at, format!("plugin {name:?} has no code; {fix}"));
    }
    if let (None, Some(sha256)) = (&raw.path, &raw.sha256) {
        let fix = "add `path = \"...\"` or remove `sha256`";
        mistakes.say(sha256.span(), format!("plugin {name:?} has no file that could have this SHA-256; {fix}"));
    }
    let versions =
        Versions { sha256: raw.sha256.map(Spanned::into_inner), reload: raw.reload, keep: raw.keep_versions };
    let recycle = recycle(raw.recycle, raw.limits, &name, mistakes);
    let path = raw.path.map(|path| base.join(path));
    let (config, remember) = (json(&raw.config), raw.remember);
    Plugin { name, path, builtin: raw.builtin, config, limits: raw.limits, remember, versions, recycle }
}

fn recycle(raw: Option<Spanned<Recycle>>, limits: Limits, plugin: &str, mistakes: &mut Mistakes) -> Recycle {
    let Some(raw) = raw else { return Recycle::default() };
    if raw.get_ref().memory.is_some_and(|memory| memory >= limits.memory) {
        let fix = "choose less, or a higher limit";
        let text = format!(
            "plugin {plugin:?}: a sandbox never grows to `memory` of `recycle`: `limits` ends it before; {fix}"
        );
        mistakes.say(raw.span(), text);
    }
    raw.into_inner()
}

/// The JSON text that `init` gets; keys are sorted, so that moving lines changes no version.
pub fn json(config: &toml::Table) -> String {
    json_object(config).to_string()
}

fn json_object(table: &toml::Table) -> Value {
    table.iter().map(|(key, value)| (key.clone(), json_value(value))).collect()
}

fn json_value(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::Boolean(truth) => (*truth).into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(values) => values.iter().map(json_value).collect(),
        toml::Value::Table(table) => json_object(table),
    }
}
