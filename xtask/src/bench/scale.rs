//! `cargo xtask scale`: what large numbers cost. Thousands of connected instances, a table of hundreds of thousands,
//! thousands of open streams, a thousand clients. Stands on what `cargo xtask bench` stands on.

#![expect(clippy::print_stdout, reason = "the table is what the command prints")]

use std::{
    fmt::Write,
    path::PathBuf,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Resource, getrlimit};

use super::{
    figures::Figures,
    ground::{Ground, Place, SYMBOLS, free_port, symbols},
    load::Load,
    process::Process,
    proxy::{Kind, Listener, Proxy},
    shape::Setting,
};
use crate::say;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Small numbers: shows that everything works.
    #[arg(long)]
    quick: bool,
    /// Only the measurements whose name contains this: connected, table, streams, clients. May be repeated.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// A gateway that is built already, instead of building one as it is deployed.
    #[arg(long, value_name = "PATH")]
    gateway: Option<PathBuf>,
}

/// How large the numbers are.
struct Sizes {
    /// Symbols with two connected instances each.
    connected: u16,
    /// Symbols in the table, with three instances each, and those of them whose instances are there.
    table: u32,
    live: u16,
    /// Streams, on this many connections.
    streams: u32,
    connections: u32,
    clients: u32,
    calls: u32,
    seconds: u32,
}

const FULL: Sizes = Sizes {
    connected: 3000,
    table: 100_000,
    live: 1000,
    streams: 10_000,
    connections: 20,
    clients: 1000,
    calls: 20_000,
    seconds: 10,
};
const QUICK: Sizes = Sizes {
    connected: 300,
    table: 10_000,
    live: 100,
    streams: 1000,
    connections: 10,
    clients: 100,
    calls: 2000,
    seconds: 2,
};

/// A gateway that uses fewer nanoseconds of a core than this between two looks is at rest.
const IDLE: u64 = 5_000_000;
const BETWEEN: Duration = Duration::from_millis(500);
const LOOKS: u32 = 60;

/// Open files of a process beside its connections to instances, or its listeners.
const MORE_FILES: u64 = 1000;

/// A measurement: its name, and what makes its rows.
type Measurement = (&'static str, fn(&Scale) -> Result<Vec<Row>>);

const ALL: [Measurement; 4] = [
    ("connected", Scale::connected),
    ("table", Scale::table),
    ("streams", Scale::streams),
    ("clients", Scale::clients),
];

/// A row of the table.
struct Row {
    what: String,
    figures: Figures,
}

/// What the measurements have in common.
struct Scale {
    ground: Ground,
    sizes: &'static Sizes,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let sizes = if options.quick { &QUICK } else { &FULL };
    allows_files(u64::from(sizes.connected) * 2 + MORE_FILES)?;
    let scale = Scale { ground: Ground::prepare(options.gateway.as_deref())?, sizes };
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| name.contains(only.as_str()));
    let mut rows = Vec::new();
    for (name, measure) in ALL.into_iter().filter(|(name, _)| wanted(name)) {
        say(&format!("measuring: {name}"));
        rows.extend(measure(&scale).with_context(|| format!("the measurement {name:?}"))?);
    }
    ensure!(!rows.is_empty(), "--only names none of {:?}", ALL.map(|(name, _)| name));
    print(&rows);
    Ok(())
}

/// Fails with what to do where the gateway could not open enough connections.
fn allows_files(needed: u64) -> Result<()> {
    let most = getrlimit(Resource::Nofile).maximum;
    let enough = most.is_none_or(|most| most >= needed);
    ensure!(enough, "a process may open {most:?} files here, and {needed} are needed: raise `ulimit -H -n`");
    Ok(())
}

impl Scale {
    /// Calls spread over all symbols, each instance with a connection.
    fn connected(&self) -> Result<Vec<Row>> {
        let Sizes { connected, calls, seconds, .. } = *self.sizes;
        let (_backends, ports) = self.backends(2, connected)?;
        let registry = registrations(&ports);
        let instances = u64::from(connected) * 2;
        let (proxy, ready) = self.start("connected", &registry, instances, Setting::OneWorker)?;
        let target = format!("--connections 10 --symbols {connected} --owners {connected} --warm-up {}", calls / 2);
        let closed = self.measure(&format!("closed {target} --streams 10 --calls {calls}"), &proxy)?;
        let paced = self.measure(&format!("paced {target} --rate 1000 --seconds {seconds}"), &proxy)?;
        let figures = paced.with("ready", ready).with_from("cpu", &closed, "cpu_per_call");
        Ok(vec![Row { what: format!("{connected} symbols × 2, all connected"), figures }])
    }

    /// A large table whose instances are connected by the first call that needs one.
    fn table(&self) -> Result<Vec<Row>> {
        let Sizes { table, live, seconds, .. } = *self.sizes;
        let (_backends, ports) = self.backends(3, live)?;
        let mut registry = registrations(&ports);
        let dead = table.saturating_sub(live.into());
        // Distinct addresses of loopback where nobody listens.
        let address = |n: u32| format!("127.{}.{}.{}:1", 1 + n / 65_536, n / 256 % 256, n % 256);
        for n in 0..dead * 3 {
            writeln!(registry, "\"prices/DEAD{}_USDT/{}\" = \"{}\"", n / 3, n % 3, address(n))?;
        }
        let (small, _) = self.start("small", &own_registrations(&self.ground), 0, Setting::Fresh)?;
        let base = settled(&small)?;
        drop(small);
        let (proxy, ready) = self.start("table", &registry, 0, Setting::Fresh)?;
        let resident = settled(&proxy)?;
        let each = (resident as f64 - base as f64) / f64::from(table * 3);
        let loaded =
            Figures::default().with("ready", ready).with("kib_each", each).with("resident_kib", resident as f64);

        // As many calls as there are symbols with instances: each symbol once.
        let rate = u32::from(live) / seconds;
        let target = format!("--connections 1 --symbols {live} --owners {live} --warm-up 0");
        let load = format!("paced {target} --rate {rate} --seconds {seconds}");
        let (first, then) = (self.measure(&load, &proxy)?, self.measure(&load, &proxy)?);
        let row = |what: String, figures: Figures| Row { what, figures };
        let with_cpu = |figures: Figures| figures.clone().with_from("cpu", &figures, "cpu_per_call");
        Ok(vec![
            row(format!("{table} symbols × 3, none connected"), loaded),
            row("the first call about each of them".into(), with_cpu(first)),
            row("the second".into(), with_cpu(then)),
        ])
    }

    /// Open streams, with a message each way now and then.
    fn streams(&self) -> Result<Vec<Row>> {
        let Sizes { streams, connections, seconds, .. } = *self.sizes;
        let (proxy, _) = self.start("streams", &own_registrations(&self.ground), 0, Setting::Fresh)?;
        let each = streams / connections;
        let load = format!("chat --connections {connections} --streams {each} --rate 1000 --seconds {seconds}");
        let mut load = Load::start(&self.ground, Place::Load, &words(&load), &proxy)?;
        let warm = load.used_at("warm", &proxy)?;
        let held = load.used_at("held", &proxy)?;
        let talked = load.used_at("talked", &proxy)?;
        let figures = load.figures()?.with_memory(warm, held).with_cpu(held, talked);
        let what = format!("{streams} open streams, 1000 messages/s each way (CPU per message)");
        let figures = figures.clone().with_from("cpu", &figures, "cpu_per_message");
        Ok(vec![Row { what, figures }])
    }

    /// Many clients with a call each.
    fn clients(&self) -> Result<Vec<Row>> {
        let Sizes { clients, calls, seconds, .. } = *self.sizes;
        let (proxy, _) = self.start("clients", &own_registrations(&self.ground), 0, Setting::OneWorker)?;
        let target = format!("--connections {clients} --symbols {SYMBOLS} --warm-up {}", calls / 2);
        let closed = self.measure(&format!("closed {target} --streams 1 --calls {calls}"), &proxy)?;
        let paced = self.measure(&format!("paced {target} --rate 1000 --seconds {seconds}"), &proxy)?;
        let figures = paced.with_from("cpu", &closed, "cpu_per_call");
        Ok(vec![Row { what: format!("{clients} clients"), figures }])
    }

    /// A gateway on a registry, and the seconds until it was ready and had `connected` connections to instances.
    fn start(&self, name: &str, registry: &str, connected: u64, setting: Setting) -> Result<(Proxy, f64)> {
        let file = format!("{name}-instances.toml");
        self.ground.write(&file, registry)?;
        let (port, admin) = (free_port()?, free_port()?);
        let values = [
            ("PORT", port.to_string()),
            ("ADMIN", admin.to_string()),
            ("WORKERS", "1".into()),
            ("WARM", connected.to_string()),
            ("REGISTRY", file),
            ("PLUGINS", self.ground.plugins.display().to_string()),
        ];
        let config =
            self.ground.write(&format!("{name}.toml"), &self.ground.template("symgate-scale.toml", &values)?)?;
        let listener = Listener { name, port, admin: Some(admin), workers: 1 };
        let start = Instant::now();
        let mut proxy = Proxy::launch(Kind::SymgateWasm, &self.ground, &listener, &config, setting)?;
        proxy.until("symgate_upstream_connections", connected)?;
        Ok((proxy, start.elapsed().as_secs_f64()))
    }

    /// Processes of `count` backends each: the backend of one number in each of them owns the same symbol.
    fn backends(&self, processes: u16, count: u16) -> Result<(Vec<Process>, Vec<Vec<u16>>)> {
        let started = (0..processes).map(|_| self.ground.backends(count)).collect::<Result<Vec<_>>>()?;
        Ok(started.into_iter().unzip())
    }

    /// The figures of a load, with what the gateway used for it.
    fn measure(&self, load: &str, proxy: &Proxy) -> Result<Figures> {
        let mut load = Load::start(&self.ground, Place::Load, &words(load), proxy)?;
        let warm = load.used_at("warm", proxy)?;
        let figures = load.figures()?;
        Ok(figures.with_cpu(warm, proxy.usage()?))
    }
}

/// KiB resident once the gateway has nothing left to do: it is ready before its workers have seen all of a large table.
fn settled(proxy: &Proxy) -> Result<u64> {
    let mut before = proxy.usage()?.unwrap_or_default();
    for _ in 0..LOOKS {
        sleep(BETWEEN);
        let now = proxy.usage()?.unwrap_or_default();
        if now.cpu - before.cpu < IDLE {
            return Ok(now.resident);
        }
        before = now;
    }
    bail!("the gateway did not come to rest within {:?}", BETWEEN * LOOKS)
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// Lines of a registry file in which the n-th port of each process owns the n-th symbol.
fn registrations(ports: &[Vec<u16>]) -> String {
    let line = |copy: usize, number: usize, port: &u16| {
        format!("\"prices/COIN{number:04}_USDT/{copy}\" = \"127.0.0.1:{port}\"\n")
    };
    let processes = ports.iter().enumerate();
    processes.flat_map(|(copy, ports)| ports.iter().enumerate().map(move |(at, port)| line(copy, at, port))).collect()
}

/// The symbols of the ground's own backends.
fn own_registrations(ground: &Ground) -> String {
    let line = |(symbol, owner): (String, u16)| {
        let port = ground.owners.get(usize::from(owner))?;
        Some(format!("\"prices/{symbol}/1\" = \"127.0.0.1:{port}\"\n"))
    };
    symbols().filter_map(line).collect()
}

fn print(rows: &[Row]) {
    println!("| | ready s | resident MiB | KiB each | CPU µs | p50 µs | p99 µs |");
    println!("|---|---|---|---|---|---|---|");
    for Row { what, figures } in rows {
        let cell = |name: &str, scale: f64, decimals: usize| {
            figures.get(name).map_or_else(|| "-".into(), |value| format!("{:.decimals$}", value / scale))
        };
        let cells = [
            cell("ready", 1.0, 1),
            cell("resident_kib", 1024.0, 1),
            cell("kib_each", 1.0, 2),
            cell("cpu", 1.0, 1),
            cell("p50", 1.0, 0),
            cell("p99", 1.0, 0),
        ];
        println!("| {what} | {} |", cells.join(" | "));
    }
}

#[cfg(test)]
mod tests {
    use super::registrations;

    #[test]
    fn the_backends_of_one_number_own_one_symbol() {
        let text = registrations(&[vec![7, 8], vec![17, 18]]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines.first(), Some(&r#""prices/COIN0000_USDT/0" = "127.0.0.1:7""#));
        assert_eq!(lines.last(), Some(&r#""prices/COIN0001_USDT/1" = "127.0.0.1:18""#));
    }
}
