//! The proxies that are compared: which are installed, how each is started, and what it has used.

mod config;

use std::{
    env,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{
    admin::{self, Counters},
    ground::{Ground, Place, free_port},
    process::{Process, pinned},
    shape::Setting,
    usage::Usage,
};
use crate::say;

pub(super) use self::config::Listener;

/// A kind of proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    SymgateWasm,
    SymgateNative,
    Haproxy,
    Nginx,
    Envoy,
}

/// A proxy that listens, or the way past all of them.
pub(super) struct Proxy {
    /// As in the report; with two workers, ending in `@2`.
    pub(super) name: String,
    pub(super) port: u16,
    process: Option<Process>,
    /// Symgate's alone.
    admin: Option<u16>,
}

/// What calls that go straight to a backend are told as.
pub(super) const NONE: &str = "no proxy";

/// Beside those of PATH: where distributions put programs for administrators.
const MORE_PLACES: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

const PEERS: [Kind; 3] = [Kind::Haproxy, Kind::Nginx, Kind::Envoy];

/// The peers that are installed, or those of them that are asked for.
pub(super) fn installed(asked: Option<&[String]>) -> Result<Vec<Kind>> {
    let Some(asked) = asked else {
        let (there, missing): (Vec<_>, Vec<_>) = PEERS.into_iter().partition(|kind| kind.program().is_some());
        for kind in missing {
            say(&format!("{} is not installed and left out", kind.name()));
        }
        return Ok(there);
    };
    let named = asked.iter().filter(|name| !matches!(name.as_str(), "" | "none")).map(|name| {
        let kind = PEERS.into_iter().find(|kind| kind.name() == name);
        let kind = kind.with_context(|| format!("there is no peer {name:?}; there are {:?}", PEERS.map(Kind::name)))?;
        kind.program().with_context(|| format!("{name} is not on PATH"))?;
        Ok(kind)
    });
    named.collect()
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SymgateWasm => "symgate",
            Self::SymgateNative => "symgate-native",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::Envoy => "envoy",
        }
    }

    pub(super) fn is_symgate(self) -> bool {
        matches!(self, Self::SymgateWasm | Self::SymgateNative)
    }

    /// Where a peer's program is.
    fn program(self) -> Option<PathBuf> {
        let path = env::var_os("PATH").unwrap_or_default();
        let places = env::split_paths(&path).chain(MORE_PLACES.map(PathBuf::from));
        places.map(|place| place.join(self.name())).find(|program| program.is_file())
    }

    /// A peer's version, for the report.
    pub(super) fn version(self) -> Option<String> {
        let argument = if self == Self::Envoy { "--version" } else { "-v" };
        let output = Command::new(self.program()?).arg(argument).output().ok()?;
        // nginx says it on standard error.
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let (_, version) = text.lines().find_map(|line| line.split_once("version"))?;
        Some(version.trim_start_matches(':').trim().to_owned())
    }
}

impl Proxy {
    /// Starts one and waits until it takes calls.
    pub(super) fn start(kind: Kind, ground: &Ground, workers: u8, setting: Setting) -> Result<Self> {
        let name = if workers == 1 { kind.name().into() } else { format!("{}@{workers}", kind.name()) };
        let port = free_port()?;
        let admin = if kind.is_symgate() { Some(free_port()?) } else { None };
        let listener = Listener { name: &name, port, admin, workers };
        let config = config::write(kind, ground, &listener)?;
        Self::launch(kind, ground, &listener, &config, setting)
    }

    /// Starts one on a configuration that is written already.
    pub(super) fn launch(
        kind: Kind,
        ground: &Ground,
        listener: &Listener<'_>,
        config: &Path,
        setting: Setting,
    ) -> Result<Self> {
        let Listener { name, port, admin, workers } = *listener;
        let program = if kind.is_symgate() { Some(ground.gateway.clone()) } else { kind.program() };
        let program = program.with_context(|| format!("{name} is not installed"))?;
        let place = if setting == Setting::TwoWorkers { Place::All } else { Place::Proxy };
        let mut command = pinned(&program, ground.cores(place));
        command.args(arguments(kind, config, workers));
        if setting == Setting::Fresh {
            // symgate's allocator gives back what is free at its leisure: tens of MiB from its start hide what a
            // thousand connections take.
            command.env("MIMALLOC_PURGE_DELAY", "0");
        }
        let mut process = Process::start(name, &mut command, &ground.folder)?;
        process.until("listening", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())?;
        if let Some(admin) = admin {
            process.until("readiness", || admin::answers(admin, "/readyz"))?;
        }
        Ok(Self { name: name.into(), port, process: Some(process), admin })
    }

    /// Waits until one of symgate's gauges has reached a value.
    pub(super) fn until(&mut self, gauge: &str, value: u64) -> Result<()> {
        let (Some(process), Some(admin)) = (&mut self.process, self.admin) else { return Ok(()) };
        process.until(&format!("{gauge} {value}"), || admin::gauge(admin, gauge).is_ok_and(|now| now >= value))
    }

    /// The way straight to the first backend.
    pub(super) fn none(ground: &Ground) -> Self {
        let port = ground.owners.first().copied().unwrap_or_default();
        Self { name: NONE.into(), port, process: None, admin: None }
    }

    pub(super) fn is_none(&self) -> bool {
        self.process.is_none()
    }

    /// What it has used so far.
    pub(super) fn usage(&self) -> Result<Option<Usage>> {
        self.process.as_ref().map(|process| Usage::of(process.id())).transpose()
    }

    /// Symgate's counters.
    pub(super) fn counters(&self) -> Result<Counters> {
        self.admin.map_or_else(|| Ok(Counters::default()), Counters::read)
    }

    /// Fails unless symgate's plugins were asked twice for each call that was made since.
    pub(super) fn asked_twice_each(&self, before: Counters, made: u64) -> Result<()> {
        self.admin.map_or(Ok(()), |admin| admin::asked_twice_each(admin, before, made))
    }
}

/// How a program is told to stay in the foreground with its configuration.
fn arguments(kind: Kind, config: &Path, workers: u8) -> Vec<String> {
    let config = config.display().to_string();
    let words: Vec<&str> = match kind {
        Kind::SymgateWasm | Kind::SymgateNative => vec!["run", "--config", &config],
        Kind::Haproxy => vec!["-db", "-f", &config],
        Kind::Nginx => vec!["-e", "stderr", "-c", &config],
        Kind::Envoy => {
            let concurrency = workers.to_string();
            let quiet = ["--disable-hot-restart", "--log-level", "error", "-c", &config, "--concurrency"];
            return quiet.into_iter().map(str::to_owned).chain([concurrency]).collect();
        }
    };
    words.into_iter().map(str::to_owned).collect()
}
