//! Many leases that run out at once, keys that are rewritten and moved under traffic, and an etcd that is set back to a
//! backup.

use std::collections::{BTreeMap, BTreeSet};

use etcd_client::{Client, PutOptions, Txn, TxnOp};
use futures::{FutureExt, StreamExt, future::join_all, stream};
use symgate::control::source::Event;
use symgate_tests::{
    Cable, Gateway, Instance, Route,
    client::{ask, assert_owner, reason},
    etcd::Etcd,
    eventually,
    load::Load,
};

use super::{
    Told, apply,
    etcd::{PREFIX, follow, watch_etcd},
};

const KEYS: usize = 1_000;

fn key(id: usize) -> String {
    format!("{PREFIX}S{id:04}/1")
}

/// An address where nobody listens; few of them, so that few are tried.
fn dead(id: usize) -> String {
    format!("127.0.0.1:{}", 1 + id % 5)
}

async fn put_with_lease(client: &mut Client, id: usize, lease: i64) {
    client.put(key(id), dead(id), Some(PutOptions::new().with_lease(lease))).await.unwrap();
}

/// Each key with a lease of its own.
async fn many_leases(etcd: &Etcd) {
    let client = etcd.client().await;
    let put = |id| {
        let mut client = client.clone();
        async move {
            let lease = client.lease_grant(2, None).await.unwrap().id();
            put_with_lease(&mut client, id, lease).await;
        }
    };
    stream::iter(0..KEYS).map(put).buffer_unordered(50).collect::<Vec<_>>().await;
}

/// All keys with one lease.
async fn one_lease(etcd: &Etcd) {
    let mut client = etcd.client().await;
    let lease = client.lease_grant(2, None).await.unwrap().id();
    for ids in (0..KEYS).collect::<Vec<_>>().chunks(100) {
        let put = |id: &usize| TxnOp::put(key(*id), dead(*id), Some(PutOptions::new().with_lease(lease)));
        client.txn(Txn::new().and_then(ids.iter().map(put).collect::<Vec<_>>())).await.unwrap();
    }
}

/// Follows until every key has come and gone.
async fn all_come_and_go(told: &mut Told, etcd: &Etcd) {
    let (mut table, mut came) = (BTreeMap::new(), BTreeSet::new());
    while came.len() < KEYS || !table.is_empty() {
        let (_, events) = told.events().await;
        came.extend(
            events
                .iter()
                .filter_map(|event| if let Event::Put(entry) = event { Some(entry.key.clone()) } else { None }),
        );
        apply(&mut table, events);
    }
    assert_eq!(etcd.entries(PREFIX).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_leases_run_out() {
    let etcd = Etcd::start().await;
    let mut told = watch_etcd(&etcd);
    told.listed().await;
    many_leases(&etcd).await;
    all_come_and_go(&mut told, &etcd).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_lease_of_a_thousand_keys_runs_out() {
    let etcd = Etcd::start().await;
    let mut told = watch_etcd(&etcd);
    told.listed().await;
    one_lease(&etcd).await;
    all_come_and_go(&mut told, &etcd).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_is_empty_after_a_storm_and_calls_flow_through_it() {
    let etcd = Etcd::start().await;
    let btc = Instance::start(&["BTC_USDT"]).await;
    etcd.put("klineRpc/BTC_USDT/1", btc.address().to_string()).await;
    let more = "[[service]]\nname = \"klineRpc\"\nexclusive = false";
    let gateway = Gateway::builder().etcd(&etcd).more(more).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    let load = steady(&gateway);
    let instances = async || gateway.metric("symgate_instances", "klineRpc").await;
    let deletes = async || gateway.metric("symgate_registry_events_total", "event=\"delete\"").await;
    for round in 1..=2 {
        if round == 1 {
            many_leases(&etcd).await;
        } else {
            one_lease(&etcd).await;
        }
        eventually!(deletes().await >= (round * KEYS) as f64, "round {round}: {} are gone", deletes().await);
        eventually!(instances().await == 1.0, "round {round}: {} instances are left", instances().await);
        let table = gateway.table().await.to_string();
        assert!((0..5).all(|id| !table.contains(&format!("\"{}\"", dead(id)))), "{table}");
    }
    load.stop().await;
}

/// Calls about BTC_USDT, none of which may fail.
fn steady(gateway: &Gateway) -> Load {
    Load::start(gateway, 4, |mut client, _| {
        async move {
            let reply = client.get_kline(ask("BTC_USDT")).await.expect("the owner is there all the time");
            assert_owner(reply.get_ref(), "BTC_USDT");
        }
        .boxed()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_rewritten_and_rewritten_keeps_its_connections() {
    let etcd = Etcd::start().await;
    let btc = Instance::start(&["BTC_USDT"]).await;
    // The instance behind a cable, which counts its connections.
    let cable = Cable::to(format!("http://{}", btc.address())).await;
    let (key, address) = ("klineRpc/BTC_USDT/1", cable.address().to_string());
    etcd.put(key, address.clone()).await;
    let gateway = Gateway::builder().etcd(&etcd).listen("workers", 1).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    let mut load = steady(&gateway);
    let connections = cable.connections();
    for _write in 0..200 {
        etcd.put(key, address.clone()).await;
    }
    let puts = async || gateway.metric("symgate_registry_events_total", "event=\"put\"").await;
    eventually!(puts().await >= 200.0, "{} puts are heard", puts().await);
    load.calls_more(100).await;
    load.stop().await;
    assert_eq!(cable.connections(), connections, "it was connected once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn symbols_that_change_places_in_one_transaction_are_never_without_an_owner() {
    const SYMBOLS: [&str; 2] = ["BTC_USDT", "ETH_USDT"];
    let etcd = Etcd::start().await;
    // Both know both symbols: who is called is looked at here.
    let pair = [Instance::start(&SYMBOLS).await, Instance::start(&SYMBOLS).await];
    let address = |at: usize| pair[at % 2].address().to_string();
    for (at, symbol) in SYMBOLS.iter().enumerate() {
        etcd.put(&format!("klineRpc/{symbol}/0"), address(at)).await;
    }
    let gateway = Gateway::builder().etcd(&etcd).start().await;
    gateway.serving(&SYMBOLS).await;
    let mut load = Load::start(&gateway, 6, |mut client, number| {
        async move {
            let symbol = SYMBOLS[number as usize % 2];
            client.get_kline(ask(symbol)).await.unwrap_or_else(|status| panic!("{symbol} has an owner: {status}"));
        }
        .boxed()
    });
    let mut client = etcd.client().await;
    for round in 1..=10_usize {
        load.calls_more(50).await;
        // The keys are rewritten, or new ones replace them.
        let mut moves = Vec::new();
        for (at, symbol) in SYMBOLS.iter().enumerate() {
            let (old, new) = if round % 2 == 0 { (round - 2, round) } else { (round - 1, round - 1) };
            if old != new {
                moves.push(TxnOp::delete(format!("klineRpc/{symbol}/{old}"), None));
            }
            moves.push(TxnOp::put(format!("klineRpc/{symbol}/{new}"), address(at + round), None));
        }
        let revision = client.txn(Txn::new().and_then(moves)).await.unwrap().header().unwrap().revision();
        eventually!(
            gateway.table().await["services"][0]["revision"].as_i64() >= Some(revision),
            "round {round} is heard"
        );
        // The calls that were decided before, and those that are decided now.
        for _call in 0..50 {
            for (at, symbol) in SYMBOLS.iter().enumerate() {
                let reply = gateway.client().get_kline(ask(symbol)).await.expect("an owner").into_inner();
                assert_eq!(reply.instance, address(at + round), "round {round}: {symbol} has moved");
            }
        }
    }
    load.stop().await;
}

#[tokio::test]
async fn an_address_that_changes_its_symbol_in_one_transaction() {
    const SYMBOLS: [&str; 2] = ["BTC_USDT", "ETH_USDT"];
    let etcd = Etcd::start().await;
    // It knows both symbols: who is called for which is the gateway's matter.
    let instance = Instance::start(&SYMBOLS).await;
    let address = instance.address().to_string();
    etcd.put("klineRpc/BTC_USDT/1", address.clone()).await;
    let gateway = Gateway::builder().etcd(&etcd).start().await;
    gateway.serving(&SYMBOLS[..1]).await;
    let mut client = etcd.client().await;
    for round in 0..10 {
        let [old, new] = [SYMBOLS[round % 2], SYMBOLS[(round + 1) % 2]];
        let moves = [
            TxnOp::delete(format!("klineRpc/{old}/1"), None),
            TxnOp::put(format!("klineRpc/{new}/1"), address.clone(), None),
        ];
        client.txn(Txn::new().and_then(moves)).await.unwrap();
        gateway.serving(&[new]).await;
        for _call in 0..20 {
            let status = gateway.client().get_kline(ask(old)).await.expect_err("nobody owns it any more");
            assert_eq!(reason(&status), Some("no-instance"), "round {round}: {status}");
            gateway.client().get_kline(ask(new)).await.expect("its owner is there");
            assert_eq!(instance.seen().last().metadata("symgate-symbol"), Some(new));
        }
    }
}

#[tokio::test]
async fn keys_by_template_come_and_go() {
    let etcd = Etcd::start().await;
    let more = "[[service]]\nname = \"orderRpcDtm\"\nkey = \"orderRpcDtm_{symbol}/{id}\"";
    let gateway = Gateway::builder().etcd(&etcd).route(Route::to("orderRpcDtm")).more(more).start().await;
    gateway.ready().await;
    let instances = [Instance::start(&["BTC_USDT"]).await, Instance::start(&["BTC_USDT"]).await];
    let puts = instances.iter().enumerate().map(|(id, instance)| {
        let (key, address) = (format!("orderRpcDtm_BTC_USDT/{id}"), instance.address().to_string());
        let etcd = &etcd;
        async move { etcd.put(&key, address).await }
    });
    join_all(puts).await;
    gateway.serving(&["BTC_USDT"]).await;
    let [first, second] = &instances;
    eventually!(shows(&gateway, first).await && shows(&gateway, second).await, "both are announced");
    etcd.delete("orderRpcDtm_BTC_USDT/0").await;
    eventually!(!shows(&gateway, first).await, "one is gone");
    let reply = gateway.client().get_kline(ask("BTC_USDT")).await.expect("the other is there").into_inner();
    assert_eq!(reply.instance, second.address().to_string());
}

async fn shows(gateway: &Gateway, instance: &Instance) -> bool {
    gateway.table().await.to_string().contains(&instance.address().to_string())
}

#[tokio::test]
async fn a_backup_that_is_restored_under_a_watch() {
    for token in ["etcd-cluster", "another-cluster"] {
        let mut etcd = Etcd::start().await;
        let folder = tempfile::tempdir().unwrap();
        let backup = folder.path().join("backup");
        for id in 0..10 {
            etcd.put(&format!("klineRpc/A/{id}"), "10.0.0.1:1").await;
        }
        etcd.save(&backup).await;
        etcd.delete("klineRpc/A/0").await;
        let mut last = 0;
        for id in 0..20 {
            last = etcd.put(&format!("klineRpc/B/{id}"), "10.0.0.1:1").await;
        }
        let mut told = watch_etcd(&etcd);
        let before = told.listed().await;
        assert_eq!((before.entries.len(), before.revision), (29, last));
        etcd.restore(&backup, token).await;
        let (after, _) = told.relisted().await;
        assert!(after.revision < last, "{token}: its revision went back: {after:?}");
        let mut table = after.table();
        assert!(table.len() == 10 && table.contains_key("klineRpc/A/0"), "{token}: {table:?}");
        let revision = etcd.put("klineRpc/C/1", "10.0.0.1:1").await;
        assert!(revision < last, "a watch from the old revision would not hear this");
        follow(&mut told, &mut table, &mut etcd.client().await).await;
    }
}
