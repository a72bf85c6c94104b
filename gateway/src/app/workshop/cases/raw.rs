//! A file of cases as it is written, and what it means.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Table;

use super::{
    Case, Cases,
    expect::Expect,
    wire::{Bytes, Message},
};
use crate::{
    app::workshop::asked::{Asked, Instance},
    config::{self, Limits},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    config: Option<Table>,
    limits: Option<Limits>,
    #[serde(default, rename = "case")]
    cases: Vec<RawCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    name: String,
    config: Option<Table>,
    #[serde(default = "any_path")]
    path: String,
    #[serde(default)]
    metadata: BTreeMap<String, Bytes>,
    message: Option<Message>,
    #[serde(default)]
    symbol: String,
    candidates: Option<Vec<RawInstance>>,
    #[serde(default)]
    random: u64,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawInstance {
    #[serde(default = "one")]
    weight: u32,
    #[serde(default)]
    in_flight: u32,
    #[serde(default)]
    latency_us: u32,
    id: Option<u64>,
    order: Option<u64>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

fn any_path() -> String {
    "/".into()
}

const fn one() -> u32 {
    1
}

impl Cases {
    /// Reads a text. A mistake begins with `:line:column: ` or `: `, to be put behind the file's name.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let file: RawFile = toml::from_str(text).map_err(|error| placed(text, &error))?;
        let options = file.config.as_ref().map(config::options_as_json);
        let all = file.cases.into_iter().map(|case| case.meant(options.as_deref())).collect();
        Ok(Self { limits: file.limits, all })
    }
}

impl RawCase {
    /// With the options of the file, where it has none of its own.
    fn meant(self, options: Option<&str>) -> Case {
        let own = self.config.as_ref().map(config::options_as_json);
        let selects = self.candidates.is_some();
        let instances = self.candidates.unwrap_or_default();
        Case {
            name: self.name,
            options: own.or_else(|| options.map(str::to_owned)),
            asked: Asked {
                path: self.path,
                metadata: self.metadata.into_iter().map(|(key, value)| (key, value.0)).collect(),
                message: self.message.map(|message| message.0),
                symbol: self.symbol,
                instances: (1..).zip(instances).map(|(place, instance)| instance.meant(place)).collect(),
                random: self.random,
            },
            selects,
            expect: self.expect,
        }
    }
}

impl RawInstance {
    /// Who says no id has its place as one; who says no order has its id as one.
    fn meant(self, place: u64) -> Instance {
        let Self { weight, in_flight, latency_us, id, order, labels } = self;
        let id = id.unwrap_or(place);
        Instance { weight, in_flight, latency_us, id, order: order.unwrap_or(id), labels }
    }
}

/// A mistake with its line and column.
fn placed(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let place = before.map(|before| {
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        format!(":{line}:{column}")
    });
    format!("{}: {}", place.unwrap_or_default(), error.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let mistake = Cases::parse(text).err().expect("a mistake");
        assert!(mistake.starts_with(expected), "{mistake:?} does not begin with {expected:?}");
    }

    #[test]
    fn a_case_has_the_options_of_its_file_or_its_own() {
        let cases = "[config]\na = 1\n[[case]]\nname = 'x'\nexpect = 'any'\n[[case]]\nname = 'y'\nexpect = 'any'\nconfig = {}\n";
        let cases = Cases::parse(cases).unwrap();
        let options: Vec<_> = cases.all.iter().map(|case| case.options.as_deref()).collect();
        assert_eq!(options, [Some(r#"{"a":1}"#), Some("{}")]);
        assert!(cases.limits.is_none() && !cases.all[0].selects);
    }

    #[test]
    fn instances_have_what_an_idle_one_has() {
        let cases = "[[case]]\nname = 'x'\ncandidates = [{}, { id = 7, weight = 3 }]\nexpect = { candidate = 0 }\n";
        let cases = Cases::parse(cases).unwrap();
        let figures: Vec<_> = cases.all[0].asked.instances.iter().map(|it| (it.weight, it.id, it.order)).collect();
        assert_eq!(figures, [(1, 1, 1), (3, 7, 7)]);
        assert!(cases.all[0].selects);
    }

    #[test]
    fn mistakes_have_their_place() {
        refused("[[case]]\nname = 'x'\nexpect = 'some'\n", ":3:10: `expect` is \"any\"");
        refused("[[case]]\nname = 'x'\nexpect = 'any'\nmeta = {}\n", ":4:1: unknown field `meta`");
        refused("[[case]]\nname = 'x'\n", ":1:1: missing field `expect`");
        refused("[[case]]\nname = 'x'\nexpect = 'any'\nmessage = 'xy'\n", ":4:11: \"xy\" is no hexadecimal text");
        refused("limits = { time = '5' }\n", ":1:");
    }
}
