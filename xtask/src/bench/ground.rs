//! What all measurements stand on: the programs, the folder, the cores and the backends.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    thread,
};

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::process::{Process, pinned};
use crate::{
    cargo::{built, cargo, root, run, succeeds},
    needs, say,
};

/// How many backends own the symbols.
pub(super) const OWNERS: u16 = 4;
/// How many symbols are registered.
pub(super) const SYMBOLS: u16 = 1024;

/// What all measurements stand on.
pub(super) struct Ground {
    /// Where configurations, logs and results go.
    pub(super) folder: PathBuf,
    /// The load and the backends.
    pub(super) program: PathBuf,
    pub(super) gateway: PathBuf,
    /// Where the plugins' Wasm files are.
    pub(super) plugins: PathBuf,
    /// The backends' ports.
    pub(super) owners: Vec<u16>,
    cores: Option<Cores>,
    /// They end with it.
    _backends: Process,
}

/// Which cores a process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// That of the load and the backends.
    Load,
    /// That of the proxies.
    Proxy,
    /// All that are used.
    All,
}

/// Cores, as `taskset` takes them.
#[derive(Debug, PartialEq, Eq)]
struct Cores {
    load: String,
    proxy: String,
    all: String,
}

impl Ground {
    /// Builds what is missing and starts the backends.
    pub(super) fn prepare(gateway: Option<&Path>) -> Result<Self> {
        needs::wasm_target()?;
        let own = built("xtask")?;
        let target = own.ancestors().nth(2).context("the target folder is not known")?;
        let gateway = match gateway {
            Some(path) => path.canonicalize().with_context(|| format!("there is no {}", path.display()))?,
            None => {
                // By itself, so that no other package changes the features of its dependencies.
                run(&mut cargo(["build", "--profile", "dist", "--package", "symgate"]))?;
                target.join("dist/symgate")
            }
        };
        // The plugins are built with it, by the tests' build script.
        run(&mut cargo(["build", "--release", "--package", "symgate-tests", "--bin", "bench"]))?;
        let (program, plugins) = (target.join("release/bench"), target.join("plugins/wasm32-unknown-unknown/plugin"));

        let folder = target.join("bench");
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let cores = cores();
        allow_many_connections();
        let place = cores.as_ref().map(|cores| cores.of(Place::Load));
        let (backends, owners) = backends(&program, place, &folder, OWNERS)?;
        Ok(Self { folder, program, gateway, plugins, owners, cores, _backends: backends })
    }

    /// More backends: the process that they end with, and their ports.
    pub(super) fn backends(&self, count: u16) -> Result<(Process, Vec<u16>)> {
        backends(&self.program, self.cores(Place::Load), &self.folder, count)
    }

    /// The cores of a place; `None`: any.
    pub(super) fn cores(&self, place: Place) -> Option<&str> {
        self.cores.as_ref().map(|cores| cores.of(place))
    }

    /// A template of `tests/bench` with what stands between `@` filled in.
    pub(super) fn template(&self, name: &str, values: &[(&str, String)]) -> Result<String> {
        let path = root().join("tests/bench").join(name);
        let mut text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        for (name, value) in values {
            text = text.replace(&format!("@{name}@"), value);
        }
        let owners = self.owners.iter().enumerate();
        text = owners.fold(text, |text, (at, port)| text.replace(&format!("@OWNER{at}@"), &port.to_string()));
        Ok(text.replace("@FOLDER@", &self.folder.display().to_string()))
    }

    /// Writes a file into the folder.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(path)
    }
}

impl Cores {
    /// The first for the load, the next for the proxies.
    fn new(allowed: &[u32]) -> Option<Self> {
        let [load, proxy, ..] = allowed else { return None };
        Some(Self { load: load.to_string(), proxy: proxy.to_string(), all: format!("{load},{proxy}") })
    }

    fn of(&self, place: Place) -> &str {
        match place {
            Place::Load => &self.load,
            Place::Proxy => &self.proxy,
            Place::All => &self.all,
        }
    }
}

/// All symbols, each with the number of its owner.
pub(super) fn symbols() -> impl Iterator<Item = (String, u16)> {
    (0..SYMBOLS).map(|number| (format!("COIN{number:04}_USDT"), number % OWNERS))
}

/// A port that nobody listens on.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn backends(program: &Path, cores: Option<&str>, folder: &Path, count: u16) -> Result<(Process, Vec<u16>)> {
    let mut command = pinned(program, cores);
    command.args(["backends", &count.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = Process::start("backends", &mut command, folder)?;
    let output = process.child().stdout.take().context("the backends have no output")?;
    let mut ports = String::new();
    BufReader::new(output).read_line(&mut ports)?;
    let ports = ports.split_whitespace().map(str::parse).collect::<Result<_, _>>();
    Ok((process, ports.context("the backends did not say their ports")?))
}

/// A core for the load and one for the proxies, of those that this process may use.
fn cores() -> Option<Cores> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let cores = list.and_then(|list| Cores::new(&numbers(list.trim())));
    if cores.is_none() || !succeeds("taskset", &["--version"]) {
        let cores = thread::available_parallelism().map_or(1, Into::into);
        say(&format!("nothing is pinned (taskset, {cores} cores): figures will be less steady"));
        return None;
    }
    cores
}

/// The numbers of a list such as `0-2,5`.
fn numbers(list: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<u32>().ok()?..=last.parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// A thousand connections need more files than a process may open by default. The programs started inherit the limit.
fn allow_many_connections() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        say(&format!("the number of open files stays limited: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::{Cores, numbers, symbols};

    #[test]
    fn cores_are_taken_from_those_that_are_allowed() {
        assert_eq!(numbers("0-2,5"), [0, 1, 2, 5]);
        let all = Cores { load: "3".into(), proxy: "5".into(), all: "3,5".into() };
        assert_eq!(Cores::new(&numbers("3,5-7")), Some(all));
        assert_eq!(Cores::new(&numbers("4")), None);
    }

    #[test]
    fn owners_take_symbols_in_turn() {
        let first: Vec<_> = symbols().take(5).collect();
        assert_eq!(first.first(), Some(&("COIN0000_USDT".to_owned(), 0)));
        assert_eq!(first.last(), Some(&("COIN0004_USDT".to_owned(), 0)));
    }
}
