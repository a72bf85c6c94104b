//! Says what a gateway would make of the registrations in an etcd, before there is a gateway, and what is wrong with them.
//! Writes nothing to etcd, and understands entries by the gateway's own code.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use anyhow::{Context, anyhow};
use tokio::runtime::LocalRuntime;

use self::{
    examined::Seen,
    reader::{Range, Reader, TimeLeft, Unread},
    report::{Cluster, Finding, LeftOut, Level, SHAPE},
};
use crate::{
    config::{Config, Etcd, ExpectedSymbols, Registry, Service, Source},
    control::{Own, Terms},
    routing::{Layout, Symbol},
};

mod connecting;
mod discover;
mod examined;
mod expected;
mod findings;
mod reader;
mod report;
mod text;

pub use self::report::Report;

/// Leases that are asked for at most: more would hold up the etcd of others.
const LEASES: usize = 20_000;

/// What is to be looked at.
#[derive(Debug, Default)]
pub struct Doctor {
    /// The cluster; nothing: the first one of the configuration.
    pub etcd: Option<Etcd>,
    /// What every key starts with; nothing: what the configuration says.
    pub prefix: Option<String>,
    /// The services; none: those of the configuration, and what looks like services.
    pub services: Vec<String>,
    /// A configuration, and what it is called.
    pub config: Option<(String, Config)>,
    /// Where the expected symbols of every service are listed; nothing: where the configuration says.
    pub expected: Option<ExpectedSymbols>,
    /// Whether the addresses are connected.
    pub connect: bool,
    /// What is to be said of the configuration beside it.
    pub remark: Option<String>,
}

/// A service to be looked at.
#[derive(Clone, Debug)]
struct Subject {
    name: String,
    /// What its keys start with before its name, where that is not what all keys do.
    deeper: Option<String>,
    layout: Layout,
    exclusive: bool,
    /// Its place in the configuration.
    place: Option<usize>,
}

/// What was read of each service, and what is of none.
#[derive(Default)]
struct Read {
    keys: usize,
    subjects: Vec<(Subject, Range)>,
    left_out: Vec<LeftOut>,
    no_text: Vec<String>,
    findings: Vec<Finding>,
}

impl Doctor {
    /// The registry of the configuration that is looked at: the one of this etcd, else its first one with an etcd.
    fn registry(&self) -> Option<(usize, &Registry)> {
        let (_, config) = self.config.as_ref()?;
        let mut all = config.registries.iter().enumerate();
        all.clone()
            .find(|(_, registry)| self.etcd.as_ref().is_some_and(|etcd| is_of(registry, etcd)))
            .or_else(|| all.find(|(_, registry)| matches!(registry.source, Source::Etcd(_))))
    }

    /// Whether a registry of the configuration is in the cluster that was named.
    pub fn config_names_etcd(config: &Config, etcd: &Etcd) -> bool {
        config.registries.iter().any(|registry| is_of(registry, etcd))
    }

    /// The cluster, with the login of the configuration where that is for it.
    fn cluster(&self) -> anyhow::Result<Etcd> {
        let configured = self.registry().and_then(|(_, registry)| match &registry.source {
            Source::Etcd(etcd) => Some((registry, etcd)),
            Source::File(_) => None,
        });
        match (&self.etcd, configured) {
            (Some(named), Some((registry, configured))) if named.login.is_none() && is_of(registry, named) => {
                let tls = named.tls.clone().or_else(|| configured.tls.clone());
                Ok(Etcd { endpoints: named.endpoints.clone(), tls, ..configured.clone() })
            }
            (Some(named), _) => Ok(named.clone()),
            (None, Some((_, configured))) => Ok(configured.clone()),
            (None, None) => Err(anyhow!(
                "there is no etcd to look at; name one with --etcd URL, or a configuration that does with --config"
            )),
        }
    }

    /// Looks, and says what is there.
    ///
    /// # Errors
    /// When it cannot be looked at: etcd is not reached, or refuses.
    pub fn run(self) -> anyhow::Result<Report> {
        let runtime = LocalRuntime::new().context("there is no runtime")?;
        let report = runtime.block_on(self.look());
        // A name that is being resolved must not keep the process.
        runtime.shutdown_background();
        report
    }

    async fn look(self) -> anyhow::Result<Report> {
        let mut reader = Reader::open(&self.cluster()?).await.map_err(|reason| anyhow!(reason))?;
        let mut read = if self.services.is_empty() {
            self.read_all(&mut reader).await?
        } else {
            self.read_named(&mut reader, self.named(&self.services)).await?
        };
        read.findings.extend(self.remark.iter().map(|remark| Finding::alone(Level::Note, "config", remark.clone())));
        let leases = self.leases(&reader, &mut read).await;
        let mut services = Vec::new();
        for (subject, range) in std::mem::take(&mut read.subjects) {
            let expected = self.expected(&mut reader, &subject).await;
            services.push(self.seen(subject, range, &leases, expected));
        }
        if self.connect {
            connecting::connect(&mut services).await;
        }
        read.findings.extend(findings::of_all(&read.no_text, &services, self.root()));
        let cluster = Cluster {
            endpoint: reader.endpoint,
            version: reader.version,
            cluster_id: format!("{:x}", reader.cluster),
            revision: reader.revision,
            keys: read.keys,
        };
        let report = Report {
            shape: SHAPE,
            well: true,
            etcd: cluster,
            config: self.config.map(|(name, _)| name),
            findings: read.findings,
            services,
            left_out: read.left_out,
        };
        Ok(report.sorted())
    }

    /// What every key starts with.
    fn root(&self) -> &str {
        let configured = || self.registry().map(|(_, registry)| &*registry.prefix);
        self.prefix.as_deref().or_else(configured).unwrap_or_default()
    }

    /// The services of these names.
    fn named(&self, names: &[String]) -> Vec<Subject> {
        let configured: Vec<_> = self.configured().collect();
        let subject = |name: &String| {
            let known = configured.iter().find(|(_, service)| service.name == *name);
            self.subject(name, known.map(|(place, service)| (*place, *service)))
        };
        names.iter().map(subject).collect()
    }

    /// The services of the configuration that are read from the registry that is looked at.
    fn configured(&self) -> impl Iterator<Item = (usize, &Service)> {
        let registry = self.registry().map(|(at, _)| at);
        let services = self.config.iter().flat_map(|(_, config)| config.services.iter().enumerate());
        services.filter(move |(_, service)| Some(service.registry) == registry)
    }

    fn subject(&self, name: &str, configured: Option<(usize, &Service)>) -> Subject {
        let template = configured.and_then(|(_, service)| service.key.clone());
        Subject {
            layout: Layout::new(self.root(), name, template),
            name: name.to_owned(),
            deeper: None,
            exclusive: configured.is_none_or(|(_, service)| service.exclusive),
            place: configured.map(|(place, _)| place),
        }
    }

    /// Only what was named: a user of etcd may be allowed to read no more.
    async fn read_named(&self, reader: &mut Reader, subjects: Vec<Subject>) -> anyhow::Result<Read> {
        let mut read = Read::default();
        for subject in subjects {
            let range = reader.read(subject.layout.prefix()).await;
            let range = range.map_err(|unread| {
                anyhow!(
                    "etcd {}: the keys {}* cannot be read: {}",
                    reader.endpoint,
                    subject.layout.prefix(),
                    unread.reason()
                )
            })?;
            read.keys += range.len();
            read.subjects.push((subject, range));
        }
        Ok(read)
    }

    /// The services of the configuration, and what looks like services.
    async fn read_all(&self, reader: &mut Reader) -> anyhow::Result<Read> {
        let configured: Vec<_> = self.configured().map(|found| self.subject(&found.1.name, Some(found))).collect();
        let mut all = match reader.read(self.root()).await {
            Ok(all) => all,
            Err(Unread::Denied(reason)) if !configured.is_empty() => {
                let mut read = self.read_named(reader, configured).await?;
                let text =
                    format!("only services of the configuration are looked at, this user may not read more: {reason}");
                read.findings.push(Finding::alone(Level::Note, "denied", text));
                return Ok(read);
            }
            Err(Unread::Denied(reason)) => {
                let endpoint = &reader.endpoint;
                return Err(anyhow!("etcd {endpoint}: {reason}; name what this user may read with --service NAME"));
            }
            Err(Unread::Failed(reason)) => return Err(anyhow!("etcd {}: {reason}", reader.endpoint)),
        };
        let keys = all.len();
        let no_text = std::mem::take(&mut all.no_text);
        let sorted = discover::sort(all, self.root(), &configured, &self.lists());
        let subjects = configured.into_iter().zip(sorted.named).chain(sorted.found).collect();
        Ok(Read { keys, subjects, left_out: sorted.left_out, no_text, findings: Vec::new() })
    }

    /// What the keys of lists of expected symbols start with.
    fn lists(&self) -> Vec<String> {
        let configured = self.configured().filter_map(|(_, service)| service.expected.as_ref());
        let prefixes = self.expected.iter().chain(configured).filter_map(|expected| match expected {
            ExpectedSymbols::Prefix(prefix) => Some(format!("{}{prefix}", self.root())),
            ExpectedSymbols::File(_) => None,
        });
        prefixes.collect()
    }

    async fn leases(&self, reader: &Reader, read: &mut Read) -> BTreeMap<i64, TimeLeft> {
        let leases = read.subjects.iter().flat_map(|(_, range)| &range.found).map(|found| found.lease);
        let mut leases: BTreeSet<_> = leases.filter(|lease| *lease != 0).collect();
        let there = leases.len();
        while leases.len() > LEASES {
            leases.pop_last();
        }
        let asked = leases.len();
        let (known, trouble) = reader.leases(leases).await;
        let reason = trouble.or_else(|| (asked < there).then(|| format!("{asked} are enough")));
        read.findings.extend(reason.map(|reason| {
            let text = format!("{} of {there} leases were asked how long they live: {reason}", known.len());
            Finding::alone(Level::Note, "leases", text)
        }));
        known
    }

    /// The symbols that a service should have; nothing when nobody says.
    async fn expected(&self, reader: &mut Reader, subject: &Subject) -> Option<Result<BTreeSet<Symbol>, String>> {
        let service = subject.place.and_then(|place| self.config.as_ref()?.1.services.get(place));
        let list = self.expected.as_ref().or_else(|| service?.expected.as_ref())?;
        Some(expected::read(list, self.root(), reader).await)
    }

    fn seen(
        &self,
        subject: Subject,
        range: Range,
        leases: &BTreeMap<i64, TimeLeft>,
        expected: Option<Result<BTreeSet<Symbol>, String>>,
    ) -> report::Service {
        let terms = Terms {
            layout: subject.layout.clone(),
            exclusive: subject.exclusive,
            networks: self.registry().and_then(|(_, registry)| registry.networks.clone()),
            own: self.config.as_ref().map(|(_, config)| Own::of(config)).unwrap_or_default(),
        };
        let seen = Seen::new(terms, range, leases);
        let routes: Vec<_> =
            self.config.iter().flat_map(|(_, config)| examined::routes(config, subject.place)).collect();
        // Only lists that are meant for the service say that it is split.
        let expected = expected.filter(|_| subject.place.is_some() || !self.services.is_empty() || seen.is_split());
        let findings = findings::of(&subject, &seen, &routes, expected, self.config.is_some());
        seen.report(subject, routes, findings)
    }
}

fn is_of(registry: &Registry, etcd: &Etcd) -> bool {
    let Source::Etcd(configured) = &registry.source else { return false };
    configured.endpoints.iter().any(|endpoint| etcd.endpoints.contains(endpoint))
}

/// How a list on the command line is meant: a file that is there, else a prefix.
pub fn expected_symbols(text: &str) -> ExpectedSymbols {
    let path = PathBuf::from(text);
    if path.is_file() { ExpectedSymbols::File(path) } else { ExpectedSymbols::Prefix(text.to_owned()) }
}
