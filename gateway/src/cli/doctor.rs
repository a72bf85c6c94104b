//! `symgate doctor`: its command line, and what it exits with.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use super::{NotDone, access::Access, output};
use crate::{
    app::doctor::{Doctor, Report, expected_symbols},
    config::{self, Config, Etcd},
};

/// Something is wrong.
const WRONG: u8 = 1;
/// The configuration that is looked at when none is named.
const AT_HAND: &str = "symgate.toml";

pub(super) const AFTER: &str = "\
Examples:
  symgate doctor --etcd http://127.0.0.1:2379                        what of all there is would be used?
  symgate doctor --etcd http://127.0.0.1:2379 --service klineRpc --expected Symbol/ --connect
  symgate doctor --config symgate.toml                               the registry and the routes of a configuration

It reads and never writes. Without --service the services of the configuration are looked at, and every first part of a
key whose keys are read as registrations for the greater part. The etcd user needs to read these keys; with --service
those of the services are enough. A configuration that is named, or symgate.toml in this folder, says how keys are made,
where instances may be, which symbols are expected and which routes lead where: what is said then is what a gateway with
it would do on this machine. Its login goes to its own etcd only.

Environment:
  SYMGATE_ETCD_PASSWORD   the password of --user

Exit status: 0 all is well (there may be notes), 1 something is wrong (a problem or a warning), 2 it could not be looked at:
etcd is not reached or refuses, a file cannot be read, wrong usage.";

/// What is looked at.
#[derive(Debug, Args)]
pub(super) struct Looked {
    /// The etcd cluster: URLs of its members, separated by commas; the default is that of the configuration
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    etcd: Vec<String>,
    #[command(flatten)]
    access: Access,
    /// What every key starts with; the default is what the configuration says, else nothing
    #[arg(long)]
    prefix: Option<String>,
    /// A service to look at, e.g. klineRpc; may be repeated
    #[arg(long = "service", value_name = "NAME", value_parser = service)]
    services: Vec<String>,
    /// The configuration; the default is symgate.toml, if there is one
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the symbols are listed that should have an instance: a file with one a line, or what comes before them in
    /// keys, such as Symbol/; the default is what the configuration says of each service
    #[arg(long, value_name = "PREFIX|FILE")]
    expected: Option<String>,
    /// Try whether every address accepts a connection, for up to 1s each
    #[arg(long)]
    connect: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Cut no list, and show every key
    #[arg(long)]
    all: bool,
}

/// Looks, prints what is there, and says what to exit with.
pub(super) fn doctor(looked: Looked) -> anyhow::Result<ExitCode> {
    let (json, all) = (looked.json, looked.all);
    let report = looked.report().map_err(NotDone)?;
    if json {
        output::line(&report.json());
    } else {
        report.lines(all).iter().for_each(|line| output::line(line));
    }
    Ok(if report.is_well() { ExitCode::SUCCESS } else { WRONG.into() })
}

impl Looked {
    fn report(self) -> anyhow::Result<Report> {
        let etcd = (!self.etcd.is_empty()).then(|| self.access.to(self.etcd)).transpose()?;
        let (config, remark) = match &self.config {
            Some(named) => (Some((named.display().to_string(), Config::read(named)?)), None),
            None => at_hand(Path::new(AT_HAND), etcd.as_ref()),
        };
        let expected = self.expected.as_deref().map(expected_symbols);
        let Self { prefix, services, connect, .. } = self;
        Doctor { etcd, prefix, services, config, expected, connect, remark }.run()
    }
}

/// The configuration that nobody named, if it is there and is about this etcd; else what is to be said of it.
fn at_hand(path: &Path, etcd: Option<&Etcd>) -> (Option<(String, Config)>, Option<String>) {
    if !path.is_file() {
        return (None, None);
    }
    let name = path.display();
    match Config::read(path) {
        Ok(config) if etcd.is_none_or(|etcd| Doctor::config_names_etcd(&config, etcd)) => {
            (Some((name.to_string(), config)), None)
        }
        Ok(_) => (None, Some(format!("{name} is about another etcd and is not looked at; --config {name} does"))),
        Err(error) => {
            let first = error.to_string().lines().next().unwrap_or_default().to_owned();
            (None, Some(format!("{name} cannot be looked at: {first}")))
        }
    }
}

fn service(text: &str) -> Result<String, String> {
    config::check_service_name(text).map(|()| text.to_owned())
}
