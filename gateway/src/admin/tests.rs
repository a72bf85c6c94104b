//! The views as an operator's tools get them: over a socket.

use std::{collections::BTreeMap, net::SocketAddr};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
    task::JoinHandle,
};

use super::*;
use crate::{
    config,
    plugin::Host,
    routing::{Failure, Instance, Labels, Live, ServiceTable, Symbol},
    shutdown::{self, Trigger},
    snapshot::{self, Expectation, Service, TableState, Writer},
};

struct Admin {
    address: SocketAddr,
    writer: Writer,
    trigger: Trigger,
    serving: JoinHandle<()>,
}

impl Admin {
    async fn start(first: Snapshot) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (writer, readers) = snapshot::channel(first);
        let (trigger, shutdown) = shutdown::channel();
        let serving = tokio::spawn(serve(listener, View { readers, metrics: Metrics::new() }, shutdown));
        Self { address, writer, trigger, serving }
    }

    async fn ask(&self, method: &str, path: &str) -> String {
        let socket = TcpSocket::new_v4().expect("a socket");
        let mut stream = socket.connect(self.address).await.expect("a connection");
        let request = format!("{method} {path} HTTP/1.1\r\nhost: admin\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("the request is sent");
        let mut answer = String::new();
        let read = timeout(Duration::from_secs(10), stream.read_to_string(&mut answer));
        read.await.expect("an answer in time").expect("an answer");
        answer
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.ask("GET", path).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, body.to_owned())
    }

    async fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("JSON")
    }
}

fn instance(address: &str) -> Arc<Instance> {
    let live = Live::new(address.parse().expect("an address"));
    live.call_started();
    live.observe_latency(250);
    live.set_health(Some(false));
    live.ejection().failed(Failure::Lost, 1);
    live.ejection().set_until(5_000);
    let labels = Labels::from_iter([("zone".to_owned(), "a".to_owned())]);
    Arc::new(Instance { labels, weight: 2, order: 1, owner: 1, draining: false, live: Arc::new(live) })
}

fn kline(loaded: bool) -> Service {
    let table = ServiceTable::default().with([
        ("ETH_USDT".into(), Arc::from([])),
        ("BTC/USDT".into(), Arc::from([instance("10.0.0.1:9000")])),
        ("XRP_USDT".into(), Arc::from([instance("10.0.0.2:9000")])),
    ]);
    let stale_since = Some(UNIX_EPOCH + Duration::from_secs(1_000));
    Service {
        end_streams: false,
        spared: 0,
        name: "klineRpc".into(),
        registry: "main".into(),
        table: Arc::new(table),
        state: TableState { loaded, revision: 42, stale_since },
        lost: Some("etcd http://e:2379: permission denied".into()),
        rejected: Arc::new(BTreeMap::from([("klineRpc/X/1".into(), "the address is blank".into())])),
        suspended: Arc::default(),
        expected: loaded.then(|| Expectation {
            listed: Arc::new(["ETH_USDT", "SOL_USDT", "XRP_USDT"].map(Symbol::from).into()),
            loaded: true,
            stale_since,
            missing: Some(2),
        }),
    }
}

fn of(services: impl Into<Arc<[Service]>>) -> Snapshot {
    Snapshot { services: services.into(), ..Snapshot::default() }
}

#[tokio::test]
async fn ready_once_every_table_was_read_and_until_the_drain() {
    let admin = Admin::start(Snapshot::default()).await;
    assert_eq!(admin.get("/livez").await, (200, "ok\n".into()));
    assert_eq!(admin.get("/readyz").await, (503, "starting: no snapshot was published yet\n".into()));
    admin.writer.publish(of([kline(true), Service { name: "orders".into(), ..Service::default() }]));
    assert_eq!(admin.get("/readyz").await, (503, "not read from the registry yet: orders\n".into()));
    let why = "not read from the registry yet: klineRpc (etcd http://e:2379: permission denied)\n";
    admin.writer.publish(of([kline(false)]));
    assert_eq!(admin.get("/readyz").await, (503, why.into()));
    admin.writer.publish(of([kline(true)]));
    assert_eq!(admin.get("/readyz").await, (200, "ok\n".into()));
    admin.trigger.drain();
    assert_eq!(admin.get("/readyz").await, (503, "draining: send no new calls\n".into()));
    assert_eq!(admin.get("/livez").await.0, 200, "alive while it drains");
    admin.trigger.end();
    timeout(Duration::from_secs(10), admin.serving).await.expect("ends with the process").expect("no panic");
}

#[tokio::test]
async fn the_table_shows_owners() {
    let admin = Admin::start(of([kline(true), Service { name: "orders".into(), ..Service::default() }])).await;
    let btc = json!([{
        "address": "10.0.0.1:9000", "weight": 2, "labels": { "zone": "a" },
        "connections": 0, "in_flight": 1, "latency_us": 250,
        "draining": false, "spared": false, "ejected_until_unix_ms": 5_000, "serving": false,
    }]);
    let found = admin.json("/table?service=klineRpc&symbol=BTC%2FUSDT").await;
    let expected = json!({ "services": [{
        "service": "klineRpc", "registry": "main", "loaded": true, "revision": 42, "stale_since_unix": 1_000,
        "lost": "etcd http://e:2379: permission denied",
        "symbols_known": 3, "instances_known": 2,
        "rejected_known": 1, "rejected": { "klineRpc/X/1": "the address is blank" },
        "suspended_known": 0, "suspended": {}, "spared_known": 0,
        "expected": {
            "loaded": true, "stale_since_unix": 1000, "symbols_known": 3,
            "missing_known": 2, "missing": ["ETH_USDT", "SOL_USDT"], "unexpected": ["BTC/USDT"],
        },
        "symbols": { "BTC/USDT": btc },
    }]});
    assert_eq!(found, expected);
    let all = admin.json("/table").await;
    assert_eq!(all["services"][0]["symbols"].as_object().expect("symbols").len(), 3);
    assert_eq!(all["services"][1]["service"], "orders");
    let some = admin.json("/table?limit=1").await;
    assert_eq!(some["services"][0]["symbols"], json!({ "BTC/USDT": btc }));
    assert_eq!(admin.json("/table?service=none").await, json!({ "services": [] }));
    assert_eq!(admin.json("/table?symbol=none").await["services"][0]["symbols"], json!({}));
    let refused = "there is no filter \"sybmol\"; use service, symbol or limit\n";
    assert_eq!(admin.get("/table?sybmol=X").await, (400, refused.into()));
    assert_eq!(admin.get("/table?symbol=%FF").await.0, 400);
    assert_eq!(admin.get("/table?limit=x").await.0, 400);
}

#[tokio::test]
async fn metrics_show_the_table_of_now() {
    let admin = Admin::start(of([kline(true)])).await;
    let answer = admin.ask("GET", "/metrics").await;
    assert!(
        answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"),
        "{answer}"
    );
    assert!(answer.contains("symgate_registry_revision{registry=\"main\",service=\"klineRpc\"} 42\n"), "{answer}");
    assert!(answer.contains("symgate_symbols{registry=\"main\",service=\"klineRpc\"} 3\n"), "{answer}");
    assert!(answer.ends_with("# EOF\n"), "{answer}");
}

#[tokio::test]
async fn only_reads_of_what_there_is() {
    let admin = Admin::start(of([kline(true)])).await;
    assert_eq!(admin.json("/plugins").await, json!({ "plugins": [] }));
    let (status, index) = admin.get("/").await;
    assert!(status == 200 && index.contains("/readyz"), "{index}");
    let (status, text) = admin.get("/metric").await;
    assert!(status == 404 && text.starts_with("there is no /metric;"), "{text}");
    let refused = admin.ask("POST", "/table").await;
    assert!(refused.starts_with("HTTP/1.1 405 ") && refused.contains("allow: GET, HEAD\r\n"), "{refused}");
    let refused = admin.ask("GET", "/explain").await;
    assert!(refused.starts_with("HTTP/1.1 405 ") && refused.contains("allow: POST\r\n"), "{refused}");
    let refused = admin.ask("POST", "/explain").await;
    assert!(refused.starts_with("HTTP/1.1 400 ") && refused.contains("this is no question: "), "{refused}");
    assert_eq!(admin.get("/decisions").await, (200, String::new()), "there is no worker");
    assert_eq!(admin.get("/decisions?of=x").await.0, 400);
    let head = admin.ask("HEAD", "/livez").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn plugins_show_what_decides_and_what_was_refused() {
    let config = config::Plugin {
        name: "by-key".into(),
        path: None,
        builtin: Some(config::Builtin::MetadataKey),
        config: "{}".into(),
        limits: config::Limits::default(),
        remember: true,
        versions: config::Versions::default(),
        recycle: config::Recycle::default(),
    };
    let plugin = Host::builtin(&config).expect("a built-in");
    let (version, loaded) = (plugin.version().to_owned(), unix_seconds(plugin.loaded()));
    let (since, at) = (UNIX_EPOCH + Duration::from_secs(5), UNIX_EPOCH + Duration::from_secs(7));
    let rejection = |version: Option<&str>, reason: &str| snapshot::Rejection {
        at,
        version: version.map(str::to_owned),
        reason: reason.into(),
    };
    let versions = snapshot::Versions {
        since,
        by: snapshot::By::Admin,
        kept: vec![Arc::new(Host::builtin(&config).expect("a built-in"))],
        rejections: vec![rejection(None, "it cannot be read"), rejection(Some("77c0de"), "it exports nothing")],
        is_refused: true,
    };
    let plugins: Arc<[_]> = [Arc::new(plugin)].into();
    let shown = |versions: &snapshot::Versions| Snapshot {
        plugins: plugins.clone(),
        versions: [Arc::new(versions.clone())].into(),
        ..Snapshot::default()
    };
    let admin = Admin::start(shown(&versions)).await;
    let refused = json!({ "at_unix": 7, "version": "77c0de", "reason": "it exports nothing" });
    let mut expected = json!({ "plugins": [{
        "name": "by-key", "version": version, "sha256": null, "kind": ["extract"], "loaded_unix": loaded,
        "active_since_unix": 5, "active_by": "admin", "answers": 0, "failures": 0, "cut_off_workers": 0, "recycled": 0, "spare_sandboxes": 0,
        "kept": [{ "version": version, "sha256": null, "loaded_unix": loaded }],
        "refused": refused,
        "rejections": [refused, { "at_unix": 7, "version": null, "reason": "it cannot be read" }],
    }]});
    assert_eq!(admin.json("/plugins").await, expected);
    admin.writer.publish(shown(&snapshot::Versions { is_refused: false, ..versions }));
    expected["plugins"][0]["refused"] = Value::Null;
    assert_eq!(admin.json("/plugins").await, expected, "what was refused before the one that decides is history");
}

#[tokio::test]
async fn changes_of_plugins_are_asked_for_and_told() {
    let admin = Admin::start(Snapshot::default()).await;
    let unknown = admin.ask("POST", "/plugins/by-key/rollback").await;
    assert!(unknown.starts_with("HTTP/1.1 404 ") && unknown.contains("there is no plugin \"by-key\""), "{unknown}");
    let got = admin.ask("GET", "/plugins/by-key/reload").await;
    assert!(got.starts_with("HTTP/1.1 405 ") && got.contains("allow: POST\r\n"), "{got}");
    assert_eq!(admin.get("/plugins/by-key/restart").await.0, 404);
}
