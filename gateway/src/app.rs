//! The composition root: binds the listeners, loads the plugins, starts the threads, and ends them in order.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    runtime::{Handle, LocalRuntime},
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    task::{JoinHandle, spawn_blocking, spawn_local},
    time::{interval, sleep, timeout},
};
use tracing::{info, warn};

use crate::{
    admin,
    config::{Config, Listen},
    control::{
        Control, Gate,
        certificate_files::CertificateFiles,
        plugin_files::{self, PluginFiles},
    },
    metrics::Metrics,
    plugin::Host,
    proxy::{self, Proxy},
    shutdown,
};

mod announcing;
mod check;
pub mod doctor;
mod explain;
mod sidecar;
pub mod workshop;

use self::announcing::Announcing;
pub use self::{check::check, explain::explain, sidecar::Sidecar};

/// What workers get to end their calls once the drain is over.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs the gateway until it is told to end. `program` is what compiles plugins as a child: this program, or nothing.
///
/// # Errors
/// When it cannot start: a listener that cannot be bound, a plugin that cannot be loaded.
pub fn run(config: &Config, program: Option<PathBuf>) -> anyhow::Result<()> {
    allow_many_files();
    // First what fails most often and takes no time.
    let data = bind("listen", config.listen.address, config.listen.reuse_port)?;
    let admin = bind("admin", config.admin.address, false)?;
    let mut config = config.clone();
    // Port 0 lets the system choose; an entry that names the chosen one is still this gateway.
    config.listen.address = data.local_addr()?;
    config.admin.address = admin.local_addr()?;
    let host = host(&config, program)?;
    let runtime = LocalRuntime::new().context("the control thread has no runtime")?;
    let served = runtime.block_on(serve(&config, host, data, admin));
    // A worker that cannot end must not keep the process.
    runtime.shutdown_background();
    served
}

/// Each connection is an open file, and a process may open 1,024 by default where it may ask for far more.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        Ok(()) => info!(before = ?limit.current, now = ?limit.maximum, "as many open files as the system allows"),
        Err(error) => warn!(%error, limit = ?limit.current, "the number of open files stays limited"),
    }
}

/// The plugin host; the folder of compiled code is only touched when there is something to compile.
fn host(config: &Config, program: Option<PathBuf>) -> anyhow::Result<Host> {
    let compiles = config.plugins.iter().any(|plugin| plugin.path.is_some());
    let kept = config.code_cache.folder.as_deref().filter(|_| compiles);
    Host::with_compiler(kept, program, config.sandbox).context("the plugin host cannot start")
}

async fn serve(config: &Config, host: Host, data: TcpListener, admin: TcpListener) -> anyhow::Result<()> {
    let signals = Signals::new()?;
    let certificates = CertificateFiles::load(config)?;
    let secured = certificates.secured().to_vec();
    // Every worker has a sandbox of its own, and one is spare.
    let sandboxes = config.listen.workers + 1;
    let plugins = plugin_files::load_all(&host, &config.plugins, sandboxes)?;
    for plugin in &plugins {
        let (version, sha256) = (plugin.version(), plugin.sha256());
        info!(plugin = plugin.name(), version, sha256, by = "start", "plugin activated");
    }
    let metrics = Metrics::new();
    let (trigger, shutdown) = shutdown::channel();
    let (line, far_end) = plugin_files::line();
    let files = PluginFiles::new(host, &config.plugins, &plugins).context("the plugin files cannot be watched")?;
    spawn_local(count_tasks(metrics.clone()));
    let (sender, renewed) = mpsc::unbounded_channel();
    if let Some(watch) = certificates.watch().context("the certificate files cannot be watched")? {
        spawn_local(certificates.run(watch, sender));
    }
    let (control, readers) = Control::new(config, plugins, &secured, metrics.clone());
    let files = files.behind(Gate::new(config.gates.clone(), readers.clone())).configured_by(config.source.clone());
    spawn_local(files.run(sandboxes, far_end));

    let announcing = Announcing::start(config, &readers)?;

    let view = admin::View { readers: readers.clone(), metrics: metrics.clone() };
    spawn_local(admin::serve(tokio::net::TcpListener::from_std(admin)?, view, shutdown.clone()));
    let (listen, upstream) = (config.listen.clone(), config.upstream.clone());
    let (listener, decisions) = (data, config.decisions);
    let proxy = Proxy { listener, listen, upstream, decisions, readers, metrics, shutdown: shutdown.clone() };
    let proxy = proxy::start(proxy).context("the data plane cannot start")?;
    info!(listener = "admin", address = %config.admin.address, "listening");

    let proxy = spawn_blocking(|| proxy.join());
    let end = end(&config.listen, announcing, trigger, signals, proxy);
    tokio::join!(control.run(config, line, renewed, shutdown), end);
    info!("ended");
    Ok(())
}

/// Says each second how many tasks this thread has.
async fn count_tasks(metrics: Metrics) {
    let (runtime, tasks) = (Handle::current().metrics(), metrics.tasks("control"));
    let mut every = interval(Duration::from_secs(1));
    loop {
        every.tick().await;
        tasks.set(runtime.num_alive_tasks() as i64);
    }
}

/// Leaves and drains at the first signal; ends when all calls have, when the time is over, or at the second signal.
async fn end(
    listen: &Listen,
    announcing: Announcing,
    trigger: shutdown::Trigger,
    mut signals: Signals,
    mut proxy: JoinHandle<()>,
) {
    signals.next().await;
    let cut_short = drained(listen, announcing, &trigger, &mut signals, &mut proxy).await;
    trigger.end();
    let Some(why) = cut_short else { return };
    warn!(why, "ending the calls under way");
    if timeout(LAST_WORDS, proxy).await.is_err() {
        warn!("some calls could not be told that they ended");
    }
}

/// Waits until all calls have ended, or says why it waits no longer.
async fn drained(
    &Listen { drain_delay, drain_timeout, .. }: &Listen,
    announcing: Announcing,
    trigger: &shutdown::Trigger,
    signals: &mut Signals,
    proxy: &mut JoinHandle<()>,
) -> Option<&'static str> {
    trigger.leave();
    info!(?drain_delay, "leaving: no new calls should come, those that do are taken");
    let in_peace = async {
        announcing.end().await;
        sleep(drain_delay).await;
        trigger.drain();
        info!(?drain_timeout, "draining: no new calls, those under way go on");
        timeout(drain_timeout, proxy).await.err().map(|_elapsed| "the drain took too long")
    };
    tokio::select! {
        cut_short = in_peace => cut_short,
        () = signals.next() => Some("told a second time"),
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let hear = |kind| signal(kind).context("signals cannot be heard");
        Ok(Self { terminate: hear(SignalKind::terminate())?, interrupt: hear(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A socket on an address: one that listens, or, shared with other processes, one that will.
fn bind(section: &str, address: SocketAddr, shared: bool) -> anyhow::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let listen = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(shared)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        // As soon as a shared one listens, it gets its part of the connections.
        if !shared {
            socket.listen(proxy::BACKLOG)?;
        }
        Ok::<TcpListener, std::io::Error>(socket.into())
    };
    listen().with_context(|| {
        format!("[{section}] address {address} cannot be listened on; end what uses it or choose another")
    })
}
