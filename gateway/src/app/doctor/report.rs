//! What the doctor found. Serialized as it is, this is the document of `symgate doctor --json`: fields are added, never
//! renamed. Looks at nothing itself.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

/// The number of the document's shape.
pub(super) const SHAPE: u32 = 1;

/// Everything that was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The number of this shape; another one only when a field goes or changes its meaning.
    pub(super) shape: u32,
    /// Whether nothing is wrong: there is no problem and no warning.
    pub(super) well: bool,
    pub(super) etcd: Cluster,
    /// The configuration that was looked at beside it.
    pub(super) config: Option<String>,
    /// What is about no service.
    pub(super) findings: Vec<Finding>,
    /// The worst first.
    pub(super) services: Vec<Service>,
    /// Keys that are of no service.
    pub(super) left_out: Vec<LeftOut>,
}

/// What was asked.
#[derive(Debug, Serialize)]
pub(super) struct Cluster {
    pub(super) endpoint: String,
    /// Empty where etcd does not tell it.
    pub(super) version: String,
    /// Hexadecimal, as etcd's own tools show it.
    pub(super) cluster_id: String,
    pub(super) revision: i64,
    /// Keys that were read.
    pub(super) keys: usize,
}

/// Keys that begin alike and announce nothing.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct LeftOut {
    pub(super) prefix: String,
    pub(super) keys: usize,
    /// Those that could be registrations all the same: too few for a service.
    pub(super) registrations: usize,
}

/// A service, and what is to be said of it.
#[derive(Debug, Serialize)]
pub(super) struct Service {
    pub(super) name: String,
    /// What all its keys start with.
    pub(super) prefix: String,
    /// Keys under it, with those that are rejected or suspended.
    pub(super) keys: usize,
    /// Routes of the configuration that lead to it.
    pub(super) routes: Vec<Route>,
    /// How many keys are of which format.
    pub(super) formats: BTreeMap<Format, usize>,
    /// The addresses of each symbol's instances; the symbol is empty in a service without symbols.
    pub(super) symbols: BTreeMap<String, Vec<String>>,
    /// The worst first.
    pub(super) findings: Vec<Finding>,
    /// Every key.
    pub(super) entries: Vec<Entry>,
}

/// A route of the configuration.
#[derive(Debug, Serialize)]
pub(super) struct Route {
    #[serde(rename = "match")]
    pub(super) path: String,
    pub(super) extract: Option<String>,
    pub(super) select: Option<String>,
}

/// A key of a service.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) standing: Standing,
    /// As what it is read; null where it is rejected, like the two after it.
    pub(super) format: Option<Format>,
    pub(super) symbol: Option<String>,
    pub(super) address: Option<String>,
    /// Hexadecimal; null: it has none.
    pub(super) lease: Option<String>,
    /// Seconds, where etcd told them.
    pub(super) lease_left: Option<i64>,
    pub(super) lease_granted: Option<i64>,
}

/// What the gateway makes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Standing {
    Used,
    Suspended,
    Rejected,
}

/// The formats of keys and values that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Format {
    ThreeLevel,
    Template,
    Endpoints,
    Flat,
    EndpointsWithoutSymbol,
    GoZero,
}

impl Format {
    /// As in the document.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ThreeLevel => "three-level",
            Self::Template => "template",
            Self::Endpoints => "endpoints",
            Self::Flat => "flat",
            Self::EndpointsWithoutSymbol => "endpoints-without-symbol",
            Self::GoZero => "go-zero",
        }
    }

    /// In words.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::ThreeLevel => "the symbol in the key, the bare address as value",
            Self::Template => "the symbol in the key by the service's template, the bare address as value",
            Self::Endpoints => "the symbol in the key, the JSON of etcd's endpoint manager as value",
            Self::Flat => "the JSON of etcd's endpoint manager, with the symbol in its Metadata",
            Self::EndpointsWithoutSymbol => "the JSON of etcd's endpoint manager, no symbol",
            Self::GoZero => "the bare address as go-zero writes it, no symbol",
        }
    }
}

/// One thing that is to be said, with everything that it is said of.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// What it is, in one word for programs.
    pub(super) kind: &'static str,
    /// What the cases are, one of them: key, symbol, instance, route; empty without cases.
    pub(super) of: &'static str,
    /// With cases, what follows their number: `2 keys` + `without a lease`.
    pub(super) text: String,
    pub(super) cases: Vec<Case>,
}

/// A key, symbol or address, and what is to be said of it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Case {
    pub(super) of: String,
    pub(super) text: String,
}

/// How bad it is. The first is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Calls do not get where they should, or will not.
    Problem,
    /// It works, and should not be so.
    Warning,
    /// Good to know.
    Note,
}

impl Level {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_well(&self) -> bool {
        self.well
    }

    /// As one JSON document.
    pub fn json(&self) -> String {
        // Texts, numbers and lists always serialize.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The worst first, and what that means for the whole.
    pub(super) fn sorted(mut self) -> Self {
        self.findings.sort_by_key(|finding| finding.level);
        for service in &mut self.services {
            service.findings.sort_by_key(|finding| finding.level);
        }
        self.services.sort_by(|a, b| b.count().cmp(&a.count()).then_with(|| a.name.cmp(&b.name)));
        let all = self.findings.iter().chain(self.services.iter().flat_map(|service| &service.findings));
        self.well = all.clone().all(|finding| finding.level == Level::Note);
        self
    }

    /// How many problems, warnings and notes there are.
    pub(super) fn count(&self) -> [usize; 3] {
        let services = self.services.iter().map(Service::count);
        services.fold(count(&self.findings), |sum, more| [sum[0] + more[0], sum[1] + more[1], sum[2] + more[2]])
    }
}

impl Service {
    /// How many problems, warnings and notes there are.
    pub(super) fn count(&self) -> [usize; 3] {
        count(&self.findings)
    }
}

impl Finding {
    /// One that needs no cases.
    pub(super) fn alone(level: Level, kind: &'static str, text: impl Into<String>) -> Self {
        Self { level, kind, of: "", text: text.into(), cases: Vec::new() }
    }

    /// One for all these cases; nothing without any.
    pub(super) fn of(
        level: Level,
        kind: &'static str,
        (of, text): (&'static str, &str),
        cases: Vec<Case>,
    ) -> Option<Self> {
        (!cases.is_empty()).then(|| Self { level, kind, of, text: text.into(), cases })
    }
}

impl Case {
    pub(super) fn new(of: impl Into<String>, text: impl Into<String>) -> Self {
        Self { of: of.into(), text: text.into() }
    }
}

fn count(findings: &[Finding]) -> [usize; 3] {
    [Level::Problem, Level::Warning, Level::Note].map(|level| {
        findings.iter().filter(|finding| finding.level == level).map(|finding| finding.cases.len().max(1)).sum()
    })
}
