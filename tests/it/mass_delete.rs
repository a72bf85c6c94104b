//! Most of a service leaves the registry at once, and its instances still answer: they serve on, loudly, as long as they
//! live and nobody else owns their symbol.

use std::{io::ErrorKind, net::TcpListener};

use etcd_client::{Client as EtcdClient, PutOptions};
use futures::{FutureExt, future::BoxFuture};
use symgate_tests::{
    Etcd, Gateway, Instance,
    client::{Client, ask, assert_owner, owner_or_none, reason},
    eventually,
    load::Load,
};
use tonic::Code;

const SYMBOLS: [&str; 6] = ["BTC_USDT", "ETH_USDT", "SOL_USDT", "XRP_USDT", "ADA_USDT", "DOT_USDT"];

/// A gateway that reaches one instance of each symbol, on each of its two workers.
struct Six {
    etcd: Etcd,
    client: EtcdClient,
    instances: Vec<Instance>,
    gateway: Gateway,
}

impl Six {
    fn start() -> BoxFuture<'static, Self> {
        Self::start_with("")
    }

    /// With more configuration of the service.
    fn start_with(service: &'static str) -> BoxFuture<'static, Self> {
        Self::launch(service).boxed()
    }

    async fn launch(service: &str) -> Self {
        let etcd = Etcd::start().await;
        let mut instances = Vec::new();
        for symbol in SYMBOLS {
            instances.push(Instance::start(&[symbol]).await);
        }
        let client = etcd.client().await;
        let mut six = Self { gateway: Self::gateway(&etcd, service).await, etcd, client, instances };
        six.register(None).await;
        six.connected().await;
        six
    }

    async fn gateway(etcd: &Etcd, service: &str) -> Gateway {
        let service = format!("[[service]]\nname = \"klineRpc\"\n{service}");
        Gateway::builder().etcd(etcd).listen("workers", 2).more(&service).start().await
    }

    async fn register(&mut self, lease: Option<i64>) {
        for (symbol, instance) in SYMBOLS.iter().zip(&self.instances) {
            let options = lease.map(|lease| PutOptions::new().with_lease(lease));
            let (key, value) = (format!("klineRpc/{symbol}/1"), instance.address().to_string());
            self.client.put(key, value, options).await.unwrap();
        }
    }

    async fn connected(&self) {
        let both = 2.0 * SYMBOLS.len() as f64;
        eventually!(self.gateway.metric("symgate_upstream_connections", "").await == both, "all are connected");
    }

    /// One lease for all, which runs out.
    async fn lose_all(&mut self) {
        let lease = self.client.lease_grant(60, None).await.unwrap().id();
        self.register(Some(lease)).await;
        self.client.lease_revoke(lease).await.unwrap();
        self.spares(SYMBOLS.len()).await;
    }

    async fn spares(&self, count: usize) {
        eventually!(self.spared().await == (count, count), "{count} instances are spared");
    }

    /// How many are, as the service says and as its instances say.
    async fn spared(&self) -> (usize, usize) {
        let table = self.gateway.table().await;
        let shown =
            table["services"][0]["symbols"].as_object().unwrap().values().flat_map(|instances| {
                instances.as_array().unwrap().iter().filter(|instance| instance["spared"] == true)
            });
        (usize::try_from(table["services"][0]["spared_known"].as_u64().unwrap()).unwrap(), shown.count())
    }

    /// Calls for all symbols, of which none may fail.
    fn load(&self) -> Load {
        Load::start(&self.gateway, 8, |client, number| must_succeed(client, number).boxed())
    }
}

async fn must_succeed(mut client: Client, number: u64) {
    let symbol = SYMBOLS[number as usize % SYMBOLS.len()];
    let reply = client.get_kline(ask(symbol)).await.unwrap_or_else(|status| panic!("{symbol}: {status}"));
    assert_owner(reply.get_ref(), symbol);
}

/// Fails the test when it is answered by one that does not own the symbol.
async fn never_wrong(client: Client, number: u64) {
    owner_or_none(client, SYMBOLS[number as usize % SYMBOLS.len()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_lost_their_leases_together_serve_on() {
    let mut six = Six::start().await;
    let mut load = six.load();
    load.calls_more(100).await;
    six.lose_all().await;
    load.calls_more(500).await;
    assert!(six.gateway.log().says(&["ERROR", "most instances left the registry at once"]));
    let spared = six.gateway.metric("symgate_spared_instances", "klineRpc").await;
    let events = six.gateway.metric("symgate_registry_events_total", "\"spared\"").await;
    assert_eq!((spared, events), (6.0, 6.0));

    // Some are registered again, as if nothing had been.
    six.register(None).await;
    six.spares(0).await;
    load.calls_more(500).await;
    load.stop().await;
    six.connected().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_that_run_out_one_by_one() {
    let mut six = Six::start().await;
    let mut leases = Vec::new();
    for (symbol, instance) in SYMBOLS.iter().zip(&six.instances) {
        let lease = six.client.lease_grant(60, None).await.unwrap().id();
        let (key, value) = (format!("klineRpc/{symbol}/1"), instance.address().to_string());
        six.client.put(key, value, Some(PutOptions::new().with_lease(lease))).await.unwrap();
        leases.push(lease);
    }
    let calls = Load::start(&six.gateway, 8, |client, number| never_wrong(client, number).boxed());
    for lease in leases {
        six.client.lease_revoke(lease).await.unwrap();
    }
    six.spares(6).await;
    calls.stop().await;
    let mut load = six.load();
    load.calls_more(500).await;
    load.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etcd_without_its_data_takes_nobody_away() {
    let mut six = Six::start().await;
    let mut load = six.load();
    load.calls_more(100).await;
    six.etcd.restart_without_data().await;
    six.spares(6).await;
    load.calls_more(500).await;
    six.client = six.etcd.client().await;
    six.register(None).await;
    six.spares(0).await;
    load.calls_more(500).await;
    load.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_stops_answering_is_gone() {
    let mut six = Six::start().await;
    six.lose_all().await;
    let address = six.instances[0].address();
    six.instances[0].stop();
    six.spares(5).await;
    let mut client = six.gateway.client();
    let status = client.get_kline(ask(SYMBOLS[0])).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::Unavailable, Some("no-instance")), "{status}");
    // Another process on the same address is none of the service's.
    let stranger = TcpListener::bind(address).unwrap();
    stranger.set_nonblocking(true).unwrap();
    let load = Load::start(&six.gateway, 8, |client, number| never_wrong(client, number).boxed());
    eventually!(load.calls() > 300, "calls go on");
    load.stop().await;
    assert_eq!(stranger.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nothing was opened to it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_owner_takes_over_at_once() {
    let mut six = Six::start().await;
    let mut load = six.load();
    load.calls_more(100).await;
    six.lose_all().await;
    let new = Instance::start(&[SYMBOLS[1]]).await;
    six.etcd.put(&format!("klineRpc/{}/2", SYMBOLS[1]), new.address().to_string()).await;
    six.spares(5).await;
    eventually!(new.seen().calls() > 0, "the new one gets calls");
    load.calls_more(50).await;
    let seen = six.instances[1].seen().calls();
    load.calls_more(300).await;
    assert_eq!(six.instances[1].seen().calls(), seen, "the old one gets none");
    load.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_says_that_they_are_gone() {
    let mut six = Six::start().await;
    let (status, text) = six.gateway.admin_post("/release?service=klineRpc").await;
    assert_eq!((status, &*text), (200, "no instance of klineRpc is spared: there is nothing to release\n"));
    six.lose_all().await;
    let (status, text) = six.gateway.admin_post("/release?service=klineRpc").await;
    assert_eq!((status, &*text), (202, "6 instances of klineRpc are released; see /table\n"));
    six.spares(0).await;
    let status = six.gateway.client().get_kline(ask(SYMBOLS[2])).await.unwrap_err();
    assert_eq!(reason(&status), Some("no-instance"), "{status}");
    eventually!(six.gateway.metric("symgate_upstream_connections", "").await == 0.0, "their connections end");
    assert_eq!(six.gateway.admin_post("/release?service=orderRpc").await.0, 404);
    assert_eq!(six.gateway.admin_post("/release").await.0, 400);
    assert_eq!(six.gateway.admin_get("/release?service=klineRpc").await.0, 405);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_longer_than_the_configuration_allows() {
    let mut six = Six::start_with("guard = { at_most = \"1s\" }").await;
    six.lose_all().await;
    six.spares(0).await;
    eventually!(six.gateway.metric("symgate_upstream_connections", "").await == 0.0, "their connections end");
    six.register(None).await;
    six.connected().await;
    six.load().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_that_leave_are_gone_at_once_and_so_are_their_connections() {
    let six = Six::start_with("guard = { within = \"1s\" }").await;
    six.etcd.delete(&format!("klineRpc/{}/1", SYMBOLS[3])).await;
    let mut client = six.gateway.client();
    eventually!(client.get_kline(ask(SYMBOLS[3])).await.is_err(), "it is gone");
    assert_eq!(six.spared().await, (0, 0));
    eventually!(six.gateway.metric("symgate_upstream_connections", "").await == 10.0, "its connections end");
}
