//! A gateway whose snapshots the test makes by hand.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use crate::{
    config::{self, Builtin, Decisions, Limits, Listen, NoSymbol, OnFailure, Route, Upstream},
    metrics::Metrics,
    plugin::{Host, Plugin},
    proxy::{Proxy, Running, start},
    routing::{Condition, Instance, Labels, Live, PathMatch, Routes, ServiceTable, Symbol},
    shutdown::{self, Trigger},
    snapshot::{self, Service, Snapshot, TableState, Writer},
};

/// A gateway that runs until it is dropped.
pub(super) struct Gateway {
    pub(super) address: SocketAddr,
    pub(super) metrics: Metrics,
    pub(super) trigger: Trigger,
    pub(super) running: Option<Running>,
    writer: Writer,
}

/// What a gateway is started with.
pub(super) struct Setup {
    pub(super) listen: Listen,
    pub(super) upstream: Upstream,
    pub(super) snapshot: Snapshot,
}

/// Symbols of the one service and where their instances listen.
pub(super) type Symbols<'a> = &'a [(&'a str, &'a [SocketAddr])];

impl Gateway {
    /// Before whose instances the test's clients call.
    pub(super) fn of(symbols: Symbols<'_>) -> Self {
        Setup::new(symbols).start()
    }

    /// Publishes another table.
    pub(super) fn publish(&self, symbols: Symbols<'_>) {
        self.writer.publish(snapshot(symbols));
    }

    /// The value of a metric, by its name and labels.
    pub(super) fn metric(&self, name: &str) -> String {
        let text = self.metrics.render();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or_else(String::new, str::to_owned)
    }
}

impl Drop for Gateway {
    /// Not waited for: the clients that would have to hear of it share the thread of the test.
    fn drop(&mut self) {
        self.trigger.end();
    }
}

impl Setup {
    /// With limits that a test may lower.
    pub(super) fn new(symbols: Symbols<'_>) -> Self {
        let listen = Listen {
            address: ([127, 0, 0, 1], 0).into(),
            tls: None,
            workers: 1,
            max_connections: 100,
            max_concurrent_streams: 100,
            max_resets_per_second: 1_000,
            max_control_frames_per_second: 1_000,
            max_header_bytes: 16 * 1024,
            stream_window: 65_535,
            connection_window: 1024 * 1024,
            max_unread: 32 << 20,
            drain_timeout: Duration::from_secs(60),
            ..Listen::default()
        };
        let upstream = Upstream {
            connect_timeout: Duration::from_secs(5),
            warm_connections: 100,
            max_queued: 10_000,
            queue_timeout: Duration::from_secs(60),
            ..Upstream::default()
        };
        Self { listen, upstream, snapshot: snapshot(symbols) }
    }

    /// Changes every route.
    pub(super) fn routes(mut self, change: impl Fn(&mut Route)) -> Self {
        self.snapshot.routes = Arc::new(routes(change));
        self
    }

    /// Starts.
    pub(super) fn start(self) -> Gateway {
        let Self { listen, upstream, snapshot } = self;
        let listener = TcpListener::bind(listen.address).expect("a free port");
        listener.set_nonblocking(true).expect("non-blocking");
        let address = listener.local_addr().expect("an address");
        let metrics = Metrics::new();
        let (trigger, shutdown) = shutdown::channel();
        let (writer, readers) = snapshot::channel(snapshot);
        let (metrics_of, decisions) = (metrics.clone(), Decisions::default());
        let proxy = Proxy { listener, listen, upstream, decisions, readers, metrics: metrics_of, shutdown };
        let running = Some(start(proxy).expect("threads"));
        Gateway { address, metrics, trigger, running, writer }
    }
}

/// Routes `/t.T/` by metadata `symbol`, `/m.M/` by field 1 of the first message, `/one.One/` to the symbol-less.
pub(super) fn snapshot(symbols: Symbols<'_>) -> Snapshot {
    let instance = |(order, address): (usize, &SocketAddr)| {
        let live = Arc::new(Live::new(address.to_string().parse().expect("an address")));
        Arc::new(Instance {
            labels: Labels::default(),
            weight: 1,
            order: order as u64 + 1,
            owner: 70 + order as u64,
            draining: false,
            live,
        })
    };
    let symbols = symbols.iter().map(|(symbol, addresses)| {
        let instances: Arc<[_]> = addresses.iter().enumerate().map(instance).collect();
        (Symbol::from(*symbol), instances)
    });
    let state = TableState { loaded: true, ..TableState::default() };
    let service =
        |name: &str, table| Service { name: name.into(), table: Arc::new(table), state, ..Service::default() };
    let mut unread = service("unread", ServiceTable::default());
    unread.state.loaded = false;
    Snapshot {
        routes: Arc::new(routes(|_| {})),
        services: [service("test", ServiceTable::default().with(symbols)), unread].into(),
        plugins: plugins().into(),
        ..Snapshot::default()
    }
}

fn plugins() -> Vec<Arc<Plugin>> {
    let plugin = |name: &str, builtin, config: &str| {
        let limits = Limits { time: Duration::from_secs(1), memory: 1 << 24, ..Limits::default() };
        let (name, config) = (name.into(), config.into());
        let (builtin, versions) = (Some(builtin), config::Versions::default());
        let recycle = config::Recycle::default();
        let plugin = config::Plugin { name, path: None, builtin, config, limits, remember: true, versions, recycle };
        Arc::new(Host::builtin(&plugin).expect("a built-in"))
    };
    vec![
        plugin("metadata-key", Builtin::MetadataKey, "{}"),
        plugin("message-field", Builtin::MessageField, r#"{"fields": {"/": [1]}}"#),
        plugin("least-loaded", Builtin::LeastLoaded, "{}"),
    ]
}

fn routes(change: impl Fn(&mut Route)) -> Routes<Arc<Route>> {
    let rules = [("/t.T/", Some(0), 0), ("/m.M/", Some(1), 0), ("/one.One/", None, 0), ("/unread.U/", Some(0), 1)];
    Routes::new(rules.into_iter().enumerate().map(|(index, (path, extract, service))| {
        let mut route = Route {
            index,
            name: path.into(),
            path: PathMatch::parse(path).expect("a path"),
            condition: Condition::default(),
            clients: Vec::new(),
            service,
            extract,
            select: 2,
            no_symbol: NoSymbol::Reject,
            unknown_symbol: 5,
            on_failure: OnFailure::Reject,
            max_first_message: 1 << 20,
            reply_instance: false,
            wait_for_symbol: Duration::ZERO,
            max_waiting: 10,
            max_in_flight: None,
            max_in_flight_per_symbol: None,
            idempotent: Vec::new(),
            retry_budget: 0.1,
            health: None,
        };
        change(&mut route);
        (route.path.clone(), route.condition.clone(), Arc::new(route))
    }))
}
