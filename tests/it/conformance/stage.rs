//! Where cases are played: one gateway of the real binary, a well-behaved instance behind it, and a place of its own
//! for each instance that a script plays.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use symgate_tests::{Gateway, Instance, Plugin, RegistryFile, Route, eventually};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use toml::{Table, Value};

use super::{
    peer::{Peer, Shared},
    script::{Case, Role},
};

/// What holds beside the defaults. An instance is connected by the call that needs it, so that its script sees one
/// connection, when it expects it.
const USUAL: &str = "
    listen.workers = 1
    upstream.warm_connections = 0
    upstream.connect_timeout = '10s'
";
/// Whose call it is, says the metadata key `symbol`, or else the message.
const BY_SYMBOL: &str = "
    metadata = 'symbol'
    fields = { '/pb.KlineService/' = [4] }
";
/// What the well-behaved instance owns.
pub(super) const SYMBOL: &str = "BTC_USDT";

/// One gateway and what is behind it.
pub(super) struct Stage {
    pub(super) gateway: Gateway,
    pub(super) registry: RegistryFile,
    sites: HashMap<String, Site>,
    _instance: Instance,
}

/// Where the gateway finds the instance of one case.
pub(super) struct Site {
    pub(super) symbol: String,
    address: SocketAddr,
    /// The gateway's connections, in order.
    pub(super) connections: tokio::sync::Mutex<mpsc::UnboundedReceiver<Peer>>,
    all: Arc<Mutex<Vec<Arc<Shared>>>>,
    accepting: JoinHandle<()>,
}

impl Stage {
    /// A gateway for these cases, which have one configuration.
    pub(super) async fn start(cases: &[Case]) -> Self {
        let instance = Instance::start(&[SYMBOL]).await;
        let registry = RegistryFile::of(&[(SYMBOL, instance.address())]);
        let mut sites = HashMap::new();
        for (at, case) in cases.iter().enumerate().filter(|(_, case)| case.role == Role::Instance) {
            let site = Site::open(format!("CASE_{at}")).await;
            registry.put(&format!("klineRpc/{}/1", site.symbol), site.address);
            sites.insert(case.name.clone(), site);
        }
        let mut config: Table = USUAL.parse().expect("the usual configuration");
        for line in &cases[0].config {
            merge(&mut config, line.parse().expect("a line that was read"));
        }
        let by_symbol = Plugin::builtin("by-symbol", "message-field").config(BY_SYMBOL);
        let mut builder = Gateway::builder()
            .file(&registry)
            .plugin(by_symbol)
            .plugin(Plugin::builtin("least-loaded", "least-loaded"))
            .route(Route::to("klineRpc").with("health", false));
        if let Some(Value::Table(listen)) = config.remove("listen") {
            builder = listen.into_iter().fold(builder, |builder, (key, value)| builder.listen(&key, value));
        }
        if let Some(Value::Table(upstream)) = config.remove("upstream") {
            builder = upstream.into_iter().fold(builder, |builder, (key, value)| builder.upstream(&key, value));
        }
        let gateway = builder.more(&config.to_string()).start().await;
        gateway.serving(&[SYMBOL]).await;
        Self { gateway, registry, sites, _instance: instance }
    }

    /// Waits until no call is left of the cases, whose connections are closed.
    pub(super) async fn nothing_left(&self) {
        eventually!(self.gateway.metric("symgate_calls_in_flight", "").await == 0.0, "a call is left of a case");
    }

    /// The place of a case's instance.
    pub(super) fn site(&self, case: &Case) -> Option<&Site> {
        self.sites.get(&case.name)
    }

    /// What the calls of a case are about.
    pub(super) fn symbol(&self, case: &Case) -> &str {
        self.site(case).map_or(SYMBOL, |site| &site.symbol)
    }
}

impl Site {
    async fn open(symbol: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, connections) = mpsc::unbounded_channel();
        let all = Arc::new(Mutex::new(Vec::new()));
        let seen = all.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let peer = Peer::new(Role::Instance, socket);
                seen.lock().push(peer.shared.clone());
                // The case may be over.
                drop(sender.send(peer));
            }
        });
        Self { symbol, address, connections: tokio::sync::Mutex::new(connections), all, accepting }
    }

    /// How many calls came, on all connections.
    pub(super) fn deliveries(&self) -> usize {
        self.all.lock().iter().map(|shared| shared.inbox.lock().calls).sum()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(into)), Value::Table(from)) => merge(into, from),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}
