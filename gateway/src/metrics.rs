//! Counters for Prometheus. What is counted per call is looked up once and kept, never by label on the way of a call.

mod expected;
mod labels;
mod plugins;
mod registry;

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64},
};

use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use self::labels::{
    CallLabels, CertificateLabels, CertificateOf, EventLabels, FailureLabels, LoadLabels, PeerLabels, PluginLabels,
    RouteLabels, ServiceLabels, ThreadLabels,
};
pub use self::registry::{RegistryEvent, TableFigures};

/// All metrics of the process.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    calls: Family<CallLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    decisions: Family<PluginLabels, Counter>,
    remembered: Family<PluginLabels, Counter>,
    failures: Family<FailureLabels, Counter>,
    /// Client connections that are open.
    pub downstream_connections: Gauge,
    /// Connections to instances that are open.
    pub upstream_connections: Gauge,
    /// Connections to instances that could not be opened.
    pub connect_failures: Counter,
    /// Instances that calls keep away from after failures, each time that begins.
    pub ejections: Counter,
    /// Times that an instance said to serve, or not to.
    pub health_changes: Counter,
    /// Bytes of messages that wait in the gateway for a reader.
    pub queued_bytes: Gauge,
    connection_errors: Family<PeerLabels, Counter>,
    stream_errors: Family<PeerLabels, Counter>,
    /// Calls under way.
    pub calls_in_flight: Gauge,
    limited: Family<RouteLabels, Gauge>,
    waiting: Family<RouteLabels, Gauge>,
    /// Attempts repeated, on another instance or after a wait.
    pub retries: Counter,
    /// Calls of idempotent methods that were sent again though an instance may have seen them.
    pub repeats: Counter,
    loads: Family<LoadLabels, Counter>,
    plugins: plugins::Plugins,
    tls_errors: Family<PeerLabels, Counter>,
    certificate_loads: Family<CertificateLabels, Counter>,
    not_after: Family<CertificateOf, Gauge>,
    registry_events: Family<EventLabels, Counter>,
    revision: Family<ServiceLabels, Gauge<i64, AtomicI64>>,
    stale_seconds: Family<ServiceLabels, Gauge<f64, AtomicU64>>,
    symbols: Family<ServiceLabels, Gauge>,
    instances: Family<ServiceLabels, Gauge>,
    spared: Family<ServiceLabels, Gauge>,
    expected: expected::Expected,
    tasks: Family<ThreadLabels, Gauge>,
}

/// What one route counts; made when the route is, and kept.
#[derive(Clone)]
pub struct RouteMetrics {
    route: String,
    service: String,
    ok: Counter,
    seconds: Histogram,
    calls: Family<CallLabels, Counter>,
    limited: Gauge,
    waiting: Gauge,
}

/// Counts a call that waits until it is dropped.
pub struct Waits(Gauge);

/// What one plugin counts.
#[derive(Clone)]
pub struct PluginMetrics {
    plugin: String,
    /// Calls into its sandboxes, or to the native policy, as an extractor.
    pub extracts: Counter,
    /// The same as a selector.
    pub selects: Counter,
    /// Outcomes that it had given before as a pure extractor, for which it was not asked again.
    pub remembered: Counter,
    failures: Family<FailureLabels, Counter>,
}

/// The names of the gRPC status codes, by number.
pub(crate) const STATUS: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// From 100 us to 10 s.
const SECONDS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            calls: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            decisions: Family::default(),
            remembered: Family::default(),
            failures: Family::default(),
            downstream_connections: Gauge::default(),
            upstream_connections: Gauge::default(),
            connect_failures: Counter::default(),
            ejections: Counter::default(),
            health_changes: Counter::default(),
            queued_bytes: Gauge::default(),
            connection_errors: Family::default(),
            stream_errors: Family::default(),
            calls_in_flight: Gauge::default(),
            limited: Family::default(),
            waiting: Family::default(),
            retries: Counter::default(),
            repeats: Counter::default(),
            loads: Family::default(),
            plugins: plugins::Plugins::default(),
            tls_errors: Family::default(),
            certificate_loads: Family::default(),
            not_after: Family::default(),
            registry_events: Family::default(),
            revision: Family::default(),
            stale_seconds: Family::default(),
            symbols: Family::default(),
            instances: Family::default(),
            spared: Family::default(),
            expected: expected::Expected::default(),
            tasks: Family::default(),
        };
        let mut registry = Registry::with_prefix("symgate");
        metrics.register_calls(&mut registry);
        metrics.register_control(&mut registry);
        metrics.registry = Arc::new(registry);
        metrics
    }

    fn register_calls(&self, registry: &mut Registry) {
        registry.register("calls", "Calls by the status the caller got", self.calls.clone());
        let unit = Unit::Seconds;
        registry.register_with_unit("call", "Time from head to trailers", unit, self.seconds.clone());
        registry.register("decisions", "Plugins asked", self.decisions.clone());
        // Its labels are those of `decisions`, so that one can be divided by the other.
        registry.register("decisions_remembered", "Outcomes known without asking", self.remembered.clone());
        registry.register("plugin_failures", "Plugins that gave no answer", self.failures.clone());
        registry.register("downstream_connections", "Open client connections", self.downstream_connections.clone());
        registry.register("upstream_connections", "Open connections to instances", self.upstream_connections.clone());
        registry.register("connect_failures", "Connections to instances not opened", self.connect_failures.clone());
        registry.register("ejections", "Instances that calls keep away from after failures", self.ejections.clone());
        let help = "Times that an instance said that it serves, or does not";
        registry.register("health_changes", help, self.health_changes.clone());
        let errors = self.connection_errors.clone();
        registry.register("connection_errors", "Connections ended because the peer broke a rule of HTTP/2", errors);
        let errors = self.stream_errors.clone();
        registry.register("stream_errors", "Streams refused or reset because the peer broke a rule of HTTP/2", errors);
        registry.register("tls_errors", "TLS handshakes that failed", self.tls_errors.clone());
        let unit = Unit::Bytes;
        registry.register_with_unit("queued", "Messages that wait for a reader", unit, self.queued_bytes.clone());
        registry.register("calls_in_flight", "Calls under way", self.calls_in_flight.clone());
        let help = "Calls under way on routes with max_in_flight";
        registry.register("route_calls_in_flight", help, self.limited.clone());
        registry.register("calls_waiting", "Calls that wait for an instance of their symbol", self.waiting.clone());
        registry.register("retries", "Attempts repeated", self.retries.clone());
        let help = "Calls of idempotent methods sent again though an instance may have seen them";
        registry.register("repeats", help, self.repeats.clone());
    }

    fn register_control(&self, registry: &mut Registry) {
        let loads = self.certificate_loads.clone();
        registry.register("certificate_loads", "Certificate files activated and rejected", loads);
        let help = "When the certificate that is shown runs out, in seconds since 1970";
        registry.register_with_unit("certificate_not_after", help, Unit::Seconds, self.not_after.clone());
        registry.register("plugin_loads", "Plugin versions activated and rejected", self.loads.clone());
        self.plugins.register(registry);
        registry.register("registry_events", "What the registry said", self.registry_events.clone());
        registry.register("registry_revision", "Registry revision of the table", self.revision.clone());
        let help = "How long the registry has not been heard; 0 while it is";
        registry.register("registry_stale_seconds", help, self.stale_seconds.clone());
        registry.register("symbols", "Symbols known", self.symbols.clone());
        registry.register("instances", "Instances, once per symbol that they own", self.instances.clone());
        registry.register("spared_instances", "Instances that left the registry and serve on", self.spared.clone());
        self.expected.register(registry);
        registry.register("tasks", "Tasks that have not ended, by thread", self.tasks.clone());
    }

    /// The text that Prometheus scrapes, in the OpenMetrics format.
    pub fn render(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }

    /// What a route counts.
    pub fn route(&self, route: &str, service: &str) -> RouteMetrics {
        let labels = RouteLabels { route: route.into(), service: service.into() };
        let ok = CallLabels { route: route.into(), service: service.into(), status: "OK", reason: "" };
        RouteMetrics {
            route: route.into(),
            service: service.into(),
            ok: self.calls.get_or_create_owned(&ok),
            seconds: self.seconds.get_or_create_owned(&labels),
            calls: self.calls.clone(),
            limited: self.limited.get_or_create_owned(&labels),
            waiting: self.waiting.get_or_create_owned(&labels),
        }
    }

    /// What a plugin counts.
    pub fn plugin(&self, plugin: &str) -> PluginMetrics {
        let labels = |kind| PluginLabels { plugin: plugin.into(), kind };
        PluginMetrics {
            plugin: plugin.into(),
            extracts: self.decisions.get_or_create_owned(&labels("extract")),
            selects: self.decisions.get_or_create_owned(&labels("select")),
            remembered: self.remembered.get_or_create_owned(&labels("extract")),
            failures: self.failures.clone(),
        }
    }

    /// A connection ended because a `client` or an `instance` broke a rule of HTTP/2: which one.
    pub fn connection_error(&self, peer: &'static str, why: &'static str) {
        self.connection_errors.get_or_create(&PeerLabels { peer, why }).inc();
    }

    /// A stream was refused or reset because a `client` or an `instance` broke a rule of HTTP/2: which one.
    pub fn stream_error(&self, peer: &'static str, why: &'static str) {
        self.stream_errors.get_or_create(&PeerLabels { peer, why }).inc();
    }

    /// The tasks of a thread that have not ended.
    pub fn tasks(&self, thread: &str) -> Gauge {
        self.tasks.get_or_create_owned(&ThreadLabels { thread: thread.into() })
    }

    /// A plugin version was activated (`true`) or rejected.
    pub fn plugin_load(&self, plugin: &str, activated: bool) {
        let outcome = if activated { "activated" } else { "rejected" };
        self.loads.get_or_create(&LoadLabels { plugin: plugin.into(), outcome }).inc();
    }

    /// A TLS handshake with a `client` or an `instance` failed: why.
    pub fn tls_error(&self, peer: &'static str, why: &'static str) {
        self.tls_errors.get_or_create(&PeerLabels { peer, why }).inc();
    }

    /// Changed certificate files were activated (`true`) or rejected.
    pub fn certificate_load(&self, of: &str, activated: bool) {
        let outcome = if activated { "activated" } else { "rejected" };
        self.certificate_loads.get_or_create(&CertificateLabels { of: of.into(), outcome }).inc();
    }

    /// When the certificate that is shown runs out, in seconds since 1970.
    pub fn certificate_not_after(&self, of: &str, unix_seconds: u64) {
        self.not_after.get_or_create(&CertificateOf { of: of.into() }).set(unix_seconds.cast_signed());
    }

    /// Something happened `count` times in a service's part of the registry.
    pub fn registry_event(&self, registry: &str, service: &str, event: RegistryEvent, count: u64) {
        let labels = EventLabels { registry: registry.into(), service: service.into(), event: event.name() };
        self.registry_events.get_or_create(&labels).inc_by(count);
    }

    /// What a service's table holds now.
    pub fn table(&self, registry: &str, service: &str, figures: TableFigures) {
        let labels = ServiceLabels { registry: registry.into(), service: service.into() };
        self.revision.get_or_create(&labels).set(figures.revision.cast_signed());
        self.stale_seconds.get_or_create(&labels).set(figures.stale_seconds);
        self.symbols.get_or_create(&labels).set(figures.symbols as i64);
        self.instances.get_or_create(&labels).set(figures.instances as i64);
        self.spared.get_or_create(&labels).set(figures.spared as i64);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl RouteMetrics {
    /// The service that the route leads to.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Counts one more call under way unless there are as many as may be.
    pub fn enter(&self, limit: u32) -> bool {
        let may = self.limited.inc() < i64::from(limit);
        if !may {
            self.limited.dec();
        }
        may
    }

    /// Whether one more call would be counted.
    pub fn has_room(&self, limit: u32) -> bool {
        self.limited.get() < i64::from(limit)
    }

    /// One that was counted has ended.
    pub fn leave(&self) {
        self.limited.dec();
    }

    /// Counts one more call that waits unless there are as many as may be.
    pub fn wait(&self, limit: u32) -> Option<Waits> {
        let before = self.waiting.inc();
        let waits = Waits(self.waiting.clone());
        (before < i64::from(limit)).then_some(waits)
    }

    /// A call ended for its caller with this gRPC status after this many seconds. `reason` is that of an error that
    /// the gateway made, else empty.
    pub fn ended(&self, status: u8, reason: &'static str, seconds: f64) {
        self.seconds.observe(seconds);
        if status == 0 {
            self.ok.inc();
            return;
        }
        let status = STATUS.get(usize::from(status)).copied().unwrap_or("UNKNOWN");
        let labels = CallLabels { route: self.route.clone(), service: self.service.clone(), status, reason };
        self.calls.get_or_create(&labels).inc();
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl PluginMetrics {
    /// The plugin gave no answer, for this kind of reason.
    pub fn failed(&self, reason: &'static str) {
        self.failures.get_or_create(&FailureLabels { plugin: self.plugin.clone(), reason }).inc();
    }
}
