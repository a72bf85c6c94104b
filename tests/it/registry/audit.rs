//! The audit against a real etcd whose watch loses what the sieve takes out of it.

use std::{collections::BTreeMap, time::Duration};

use symgate::{
    config,
    control::{Reread, etcd, source::Change},
};
use symgate_tests::{Etcd, Gateway, Instance, Sieve, client::ask, eventually};
use tokio::time::timeout;

use super::{SOON, Told, apply};

const PREFIX: &str = "klineRpc/";

/// What was told, and the table that comes of it.
struct Audited {
    told: Told,
    table: BTreeMap<String, Vec<u8>>,
    audits: usize,
    repaired: Vec<String>,
}

impl Audited {
    async fn start(sieve: &Sieve, audit: Duration) -> Self {
        let config = config::Etcd { audit, ..config::Etcd::new(vec![sieve.endpoint()], None, None).unwrap() };
        let mut told = Told::by(|updates| etcd::watch(config, PREFIX.into(), 0, updates, Reread::default()));
        let table = told.listed().await.table();
        Self { told, table, audits: 0, repaired: Vec::new() }
    }

    async fn hear(&mut self) {
        match self.told.change().await {
            Change::Events { events, .. } => apply(&mut self.table, events),
            Change::Repaired { keys } => self.repaired.extend(keys.iter().map(ToString::to_string)),
            Change::Audited => self.audits += 1,
            other => panic!("told was {other:?}"),
        }
    }

    /// Hears until this is so.
    async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let heard = async {
            while !is_so(self) {
                self.hear().await;
            }
        };
        timeout(SOON, heard).await.unwrap_or_else(|_elapsed| panic!("never: {what}"));
    }

    async fn audits_more(&mut self, audits: usize) {
        let last = self.audits + audits;
        self.until("more audits", |heard| heard.audits >= last).await;
    }

    /// Until these keys were repaired, all in all.
    async fn repairs(&mut self, keys: &[&str]) {
        self.until("a repair", |heard| heard.repaired.len() >= keys.len()).await;
        assert_eq!(self.repaired, keys);
    }

    /// Until a key stands in the table, or does not.
    async fn shows(&mut self, key: &str, shown: bool) {
        self.until(key, |heard| heard.table.contains_key(key) == shown).await;
    }
}

#[tokio::test]
async fn what_the_watch_lost_is_repaired_and_counted_once() {
    let etcd = Etcd::start().await;
    etcd.put("klineRpc/A/1", "10.0.0.1:1").await;
    let sieve = Sieve::to(etcd.endpoint()).await;
    let mut audited = Audited::start(&sieve, Duration::from_millis(400)).await;
    let connections = sieve.connections();

    sieve.lose("klineRpc/B/1");
    etcd.put("klineRpc/B/1", "10.0.0.2:1").await;
    audited.shows("klineRpc/B/1", true).await;
    assert_eq!(sieve.lost(), 1, "the watch did not tell it");
    audited.repairs(&["klineRpc/B/1"]).await;

    sieve.lose("klineRpc/A/1");
    etcd.delete("klineRpc/A/1").await;
    audited.shows("klineRpc/A/1", false).await;
    assert_eq!(sieve.lost(), 2);
    audited.repairs(&["klineRpc/B/1", "klineRpc/A/1"]).await;

    audited.audits_more(3).await;
    assert_eq!(audited.repaired.len(), 2, "once");
    etcd.put("klineRpc/C/1", "10.0.0.3:1").await;
    audited.shows("klineRpc/C/1", true).await;
    assert_eq!(sieve.connections(), connections, "the watch was not given up for it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_others_are_written_only_what_is_lost_is_counted() {
    let etcd = Etcd::start().await;
    etcd.put("klineRpc/A/1", "10.0.0.1:1").await;
    let sieve = Sieve::to(etcd.endpoint()).await;
    let mut audited = Audited::start(&sieve, Duration::from_millis(100)).await;
    let mut client = etcd.client().await;
    let writing = tokio::spawn(async move {
        for write in 0_u32.. {
            let key = format!("{PREFIX}S{:02}/1", write % 30);
            if write % 3 == 2 {
                client.delete(key, None).await.unwrap();
            } else {
                client.put(key, write.to_string(), None).await.unwrap();
            }
        }
    });
    audited.audits_more(10).await;
    assert!(audited.repaired.is_empty(), "nothing was lost: {:?}", audited.repaired);
    sieve.lose("klineRpc/A/1");
    etcd.delete("klineRpc/A/1").await;
    audited.repairs(&["klineRpc/A/1"]).await;
    audited.audits_more(5).await;
    assert_eq!((audited.repaired.len(), sieve.lost()), (1, 1));
    writing.abort();
}

#[tokio::test]
async fn the_gateway_stops_calling_an_instance_whose_delete_was_lost() {
    let etcd = Etcd::start().await;
    let sieve = Sieve::to(etcd.endpoint()).await;
    let (old, new) = (Instance::start(&["BTC_USDT"]).await, Instance::start(&["BTC_USDT"]).await);
    etcd.put("klineRpc/BTC_USDT/1", old.address().to_string()).await;
    let gateway = Gateway::builder().etcd_at(&sieve.endpoint()).etcd_key("audit", "1s").start().await;
    gateway.serving(&["BTC_USDT"]).await;
    let connections = sieve.connections();

    sieve.lose("klineRpc/BTC_USDT/1");
    etcd.delete("klineRpc/BTC_USDT/1").await;
    etcd.put("klineRpc/BTC_USDT/2", new.address().to_string()).await;
    let mut client = gateway.client();
    let counted = async |event: &str| gateway.metric("symgate_registry_events_total", event).await;
    eventually!(counted(r#"event="repaired""#).await > 0.0, "it is counted");
    for _ in 0..20 {
        let reply = client.get_kline(ask("BTC_USDT")).await.expect("the new instance answers");
        assert_eq!(reply.get_ref().instance, new.address().to_string());
    }
    assert!(gateway.log().says(&["lost changes", "klineRpc/BTC_USDT/1"]), "it is logged with its key");
    assert_eq!((counted(r#"event="repaired""#).await, counted(r#"event="list""#).await), (1.0, 1.0));
    assert!(counted(r#"event="audit""#).await > 0.0);
    assert_eq!((sieve.lost(), sieve.connections()), (1, connections));
}
