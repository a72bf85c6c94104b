//! The table kept on disk: used at a start at which etcd cannot be heard, shown as stale, replaced by what etcd says,
//! and refused when it is not exactly what it must be.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use futures::FutureExt;
use symgate_tests::{
    Cable, Etcd, Gateway, Instance, Route,
    client::{ask, assert_owner},
    eventually,
    gateway::Builder,
    load::Load,
};
use tempfile::TempDir;

async fn register(etcd: &Etcd, symbol: &str, instance: &Instance) {
    etcd.put(&format!("klineRpc/{symbol}/1"), instance.address().to_string()).await;
}

fn gateway(cable: &Cable) -> Builder {
    Gateway::builder().etcd_within(&cable.endpoint(), "500ms")
}

/// What an earlier gateway left in front of an etcd that cannot be heard now.
struct Left {
    etcd: Etcd,
    cable: Cable,
    btc: Instance,
    folder: TempDir,
}

impl Left {
    async fn new() -> Self {
        let etcd = Etcd::start().await;
        let cable = Cable::to(etcd.endpoint()).await;
        let btc = Instance::start(&["BTC_USDT"]).await;
        register(&etcd, "BTC_USDT", &btc).await;
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("table");
        let earlier = gateway(&cable).keep(&file, "10m").start().await;
        earlier.serving(&["BTC_USDT"]).await;
        eventually!(file.exists(), "the table is written");
        drop(earlier);
        cable.cut();
        Self { etcd, cable, btc, folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("table")
    }

    /// A start with this configuration refuses the file for a reason, and is not ready.
    async fn refused(&self, builder: Builder, why: &str) {
        let gateway = builder.start().await;
        eventually!(gateway.log().says(&["the kept table is refused", why]), "it is said why: {why}");
        assert!(gateway.metric("symgate_registry_events_total", "kept_refused").await > 0.0, "it is counted");
        assert_ne!(gateway.admin_get("/readyz").await.0, 200, "it is not ready");
        assert!(gateway.client().get_kline(ask("BTC_USDT")).await.is_err());
    }
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_until_etcd_is_heard_and_not_a_call_longer() {
    let left = Left::new().await;
    assert_eq!(mode(&left.file()), 0o600);
    let gateway = gateway(&left.cable).keep(&left.file(), "10m").start().await;
    gateway.ready().await;
    gateway.serving(&["BTC_USDT"]).await;
    let table = gateway.table().await.to_string();
    assert!(table.contains("\"stale_since_unix\":1"), "{table}");
    assert!(gateway.metric("symgate_registry_stale_seconds", "klineRpc").await > 0.5, "as old as the table");
    assert!(gateway.log().says(&["etcd cannot be heard: the table kept on disk serves"]));

    let heard = Arc::new(AtomicBool::new(false));
    let now = heard.clone();
    let mut load = Load::start(&gateway, 4, move |mut client, _| {
        let heard = now.load(SeqCst);
        async move {
            let reply = client.get_kline(ask("BTC_USDT")).await;
            if heard {
                assert_owner(reply.expect("the owner is there").get_ref(), "BTC_USDT");
            }
        }
        .boxed()
    });
    load.calls_more(100).await;
    // Another instance owns the symbol, and the address belongs to another one; the gateway cannot know it yet.
    let new = Instance::start(&["BTC_USDT"]).await;
    left.etcd.delete("klineRpc/BTC_USDT/1").await;
    left.etcd.put("klineRpc/BTC_USDT/2", new.address().to_string()).await;
    register(&left.etcd, "ETH_USDT", &left.btc).await;
    left.btc.own(&["ETH_USDT"]);
    left.cable.mend();
    gateway.serving(&["ETH_USDT"]).await;
    heard.store(true, SeqCst);
    let before = left.btc.seen().calls();
    load.calls_more(1_000).await;
    // Those that were under way on the four connections when etcd was heard.
    assert!(left.btc.seen().calls() <= before + 4, "the old owner is called no more");
    load.stop().await;
    assert_eq!(gateway.metric("symgate_registry_stale_seconds", "klineRpc").await, 0.0);
}

#[tokio::test]
async fn what_is_too_old_corrupt_or_foreign_is_refused_with_its_reason() {
    let left = Left::new().await;
    let (file, good) = (left.file(), fs::read(left.file()).unwrap());
    let usual = || gateway(&left.cable).keep(&file, "10m");
    left.refused(gateway(&left.cable).keep(&file, "1ms"), "it is too old").await;
    left.refused(gateway(&left.cable).keep(&left.folder.path().join("none"), "10m"), "it cannot be read").await;
    left.refused(usual().route(Route::to("klineRpc")).route(Route::to("other").on("/")), "nothing of service").await;
    let elsewhere = Cable::to(left.etcd.endpoint()).await;
    elsewhere.cut();
    left.refused(gateway(&elsewhere).keep(&file, "10m"), "it is foreign: of etcd").await;
    fs::write(&file, &good[..good.len() - 1]).unwrap();
    left.refused(usual(), "it is corrupt").await;
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    fs::write(&file, flipped).unwrap();
    left.refused(usual(), "it is corrupt").await;
    fs::write(&file, &good).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    left.refused(usual(), "others than the user").await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_warned_of() {
    let etcd = Etcd::start().await;
    let cable = Cable::to(etcd.endpoint()).await;
    let btc = Instance::start(&["BTC_USDT"]).await;
    register(&etcd, "BTC_USDT", &btc).await;
    let gateway = gateway(&cable).keep(Path::new("/proc/none/table"), "10m").start().await;
    eventually!(gateway.log().says(&["the table cannot be kept on disk"]), "it is warned of");
    gateway.serving(&["BTC_USDT"]).await;
}
