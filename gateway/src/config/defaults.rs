//! Every default, once. `symgate.example.toml` shows them all and is tested against this file.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::{
    Admin, Builtin, Limits, Listen, Log, LogFormat, Registry, Reload, Sandbox, Source, Upstream, Versions,
    environment::Lookup,
};

const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;

/// The selector of a route that names none.
pub(super) const SELECT: Builtin = Builtin::LeastLoaded;

/// The registry when the configuration names none: a file beside it.
pub(super) fn registry(base: &Path) -> Registry {
    let source = Source::File(base.join("instances.toml"));
    Registry { name: "main".into(), prefix: String::new(), source, keep: None, networks: None }
}

/// Where compiled plugins are kept: what a service manager made for it, else the user's cache. None without either.
pub(super) fn code_cache(variable: Lookup<'_>) -> Option<PathBuf> {
    let folder = |name: &str| {
        let value = variable(name)?;
        // systemd lists them all; the first is as good as any.
        let first = value.split(':').next().map(PathBuf::from)?;
        first.is_absolute().then_some(first)
    };
    // In a folder below, because a service manager may have made a link.
    let of_service = folder("CACHE_DIRECTORY").map(|cache| cache.join("compiled"));
    let of_user = || folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
    of_service.or_else(|| of_user().map(|cache| cache.join("symgate")))
}

pub(super) const fn etcd_timeout() -> Duration {
    Duration::from_secs(5)
}

pub(super) const fn etcd_watchdog() -> Duration {
    Duration::from_secs(30)
}

pub(super) const fn etcd_audit() -> Duration {
    Duration::from_secs(60)
}

/// `[[register]] ttl`
pub(super) const fn register_ttl() -> Duration {
    Duration::from_secs(10)
}

/// `[[service]] exclusive`
pub(super) const fn exclusive() -> bool {
    true
}

/// `[[route]] max_waiting`
pub(super) const fn max_waiting() -> u32 {
    1_000
}

/// `[[route]] retry_budget`
pub(super) const fn retry_budget() -> f64 {
    0.1
}

/// `[[plugin]] remember`
pub(super) const fn remember() -> bool {
    true
}

/// `[[plugin]] keep_versions`: the one before, and two more for whoever sees late that something is wrong.
pub(super) const fn keep_versions() -> usize {
    3
}

/// `NOT_FOUND`: go-zero's breaker counts `UNAVAILABLE` over all symbols of a method, so that one delisted symbol would
/// cut off every other.
pub(super) const fn unknown_symbol() -> u8 {
    5
}

/// `[[route]] health`: the server as a whole.
pub(super) const fn health() -> Option<String> {
    Some(String::new())
}

pub(super) const fn max_first_message() -> usize {
    MIB as usize
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::UNSPECIFIED, 9000).into(),
            reuse_port: false,
            tls: None,
            workers: thread::available_parallelism().map_or(1, usize::from),
            max_connections: 10_000,
            // hyper's 200 would make grpc-go clients queue the 201st call without a word.
            max_concurrent_streams: 1_000,
            max_resets_per_second: 1_000,
            max_control_frames_per_second: 1_000,
            max_header_bytes: 64 * KIB,
            stream_window: 256 * KIB,
            connection_window: MIB,
            max_unread: 32 * MIB as usize,
            max_connection_age: None,
            max_connection_age_grace: None,
            // How long others take to look at `/readyz` is theirs to know.
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            warm_connections: 1_024,
            max_queued: 1_000,
            queue_timeout: Duration::from_secs(10),
            // As go-zero servers do from their side.
            idle_timeout: Duration::from_secs(300),
            keepalive_interval: Duration::from_secs(20),
            keepalive_timeout: Duration::from_secs(10),
            eject_after: 3,
            eject_time: Duration::from_secs(1),
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self { address: (Ipv4Addr::LOCALHOST, 9901).into() }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Text }
    }
}

impl Default for Limits {
    fn default() -> Self {
        // A plugin in Rust has a table element per function whose address is taken; those of larger languages have thousands.
        Self { time: Duration::from_millis(5), memory: 16 * MIB as usize, table: 100_000 }
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        // A quarter of a thread's.
        Self { stack: 512 * KIB as usize }
    }
}

impl Default for Versions {
    fn default() -> Self {
        Self { sha256: None, reload: Reload::default(), keep: keep_versions() }
    }
}
