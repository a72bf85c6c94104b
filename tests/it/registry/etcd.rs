//! The etcd source against a real etcd.

use std::{collections::BTreeMap, time::Duration};

use etcd_client::{Client, GetOptions, PutOptions, Txn, TxnOp};
use symgate::{
    config,
    control::{
        Reread, etcd,
        source::{Change, Entry, Event},
    },
};
use symgate_tests::{etcd::Etcd, eventually};
use tokio::time::{sleep, timeout};

use super::{SOON, Told, apply, link::Link};

pub(super) const PREFIX: &str = "klineRpc/";
pub(super) const SERVICE: usize = 7;

pub(super) fn config(endpoints: &[String]) -> config::Etcd {
    config::Etcd {
        endpoints: endpoints.to_vec(),
        login: None,
        tls: None,
        timeout: Duration::from_secs(5),
        watchdog: Duration::from_secs(30),
        audit: Duration::from_secs(60),
    }
}

pub(super) fn watch(config: config::Etcd) -> Told {
    Told::by(|updates| etcd::watch(config, PREFIX.into(), SERVICE, updates, Reread::default()))
}

/// The number in a value.
fn number(entry: &Entry) -> u32 {
    str::from_utf8(&entry.value).unwrap().parse().unwrap()
}

pub(super) fn watch_etcd(etcd: &Etcd) -> Told {
    watch(config(&[etcd.endpoint()]))
}

/// What etcd itself says is under the prefix.
async fn truth(client: &mut Client) -> BTreeMap<String, Vec<u8>> {
    let answer = client.get(PREFIX, Some(GetOptions::new().with_prefix())).await.unwrap();
    answer.kvs().iter().map(|pair| (pair.key_str().unwrap().into(), pair.value().to_vec())).collect()
}

/// Follows what is told until it is what etcd says.
pub(super) async fn follow(told: &mut Told, table: &mut BTreeMap<String, Vec<u8>>, client: &mut Client) {
    let truth = truth(client).await;
    while *table != truth {
        let (_, events) = told.events().await;
        apply(table, events);
    }
}

#[tokio::test]
async fn the_list_then_every_change_in_order_byte_for_byte() {
    let etcd = Etcd::start().await;
    let values: [(&str, &[u8]); 5] = [
        ("klineRpc/7587876543210987654", b"192.168.2.159:20002"),
        ("klineRpc/BTC_USDT/1", b"192.168.2.159:9999"),
        ("klineRpc/BTC_USDT/2", br#"{"Op":0,"Addr":"192.168.2.159:9999","Metadata":{"symbol":"BTC_USDT"}}"#),
        ("klineRpc/ETH/USDT/3", b" \xff\x00\r\n"),
        ("klineRpc/\u{5e01}\u{5b89}/4", b""),
    ];
    etcd.put("klineRpcV2/BTC_USDT/1", "10.0.0.1:1").await;
    let mut revisions = Vec::new();
    for (key, value) in values {
        revisions.push(etcd.put(key, value).await);
    }
    let revision = *revisions.last().unwrap();
    let mut told = watch_etcd(&etcd);

    let listed = told.listed().await;
    assert_eq!(listed.revision, revision);
    let expected: Vec<_> = values
        .iter()
        .zip(revisions)
        .map(|((key, value), revision)| Entry {
            key: (*key).into(),
            value: value.to_vec(),
            create_revision: revision,
            mod_revision: revision,
        })
        .collect();
    assert_eq!(listed.entries, expected);

    let key = "klineRpc/BTC_USDT/1";
    let put = etcd.put(key, "a").await;
    etcd.put("klineRpcV2/BTC_USDT/1", "10.0.0.1:2").await;
    let gone = etcd.delete(key).await;
    let back = etcd.put(key, "b").await;
    let (mut heard, mut last) = (Vec::new(), 0);
    while heard.len() < 3 {
        let (revision, events) = told.events().await;
        assert!(revision > last, "revisions only grow");
        last = revision;
        heard.extend(events);
    }
    let entry = |value: &str, create_revision, mod_revision| {
        Event::Put(Entry { key: key.into(), value: value.into(), create_revision, mod_revision })
    };
    assert_eq!(
        heard,
        [entry("a", expected[1].create_revision, put), Event::Delete { key: key.into() }, entry("b", back, back)]
    );
    assert_eq!((last, gone + 1), (back, back));
}

#[tokio::test]
async fn changes_that_were_made_together_are_told_together() {
    let etcd = Etcd::start().await;
    let mut told = watch_etcd(&etcd);
    assert!(told.listed().await.entries.is_empty(), "an empty registry is a list too");
    let puts: Vec<_> = (0..100).map(|id| TxnOp::put(format!("{PREFIX}BTC/{id:03}"), "10.0.0.1:1", None)).collect();
    etcd.client().await.txn(Txn::new().and_then(puts)).await.unwrap();
    assert_eq!(told.events().await.1.len(), 100);
}

#[tokio::test]
async fn a_list_of_many_pages_while_others_write() {
    const KEYS: usize = 12_000;
    let etcd = Etcd::start().await;
    let mut client = etcd.client().await;
    for chunk in (0..KEYS).collect::<Vec<_>>().chunks(100) {
        let puts = chunk.iter().map(|id| TxnOp::put(format!("{PREFIX}S{id:05}/1"), "10.0.0.1:1", None));
        client.txn(Txn::new().and_then(puts.collect::<Vec<_>>())).await.unwrap();
    }
    let mut writer = etcd.client().await;
    let writing = tokio::spawn(async move {
        // Behind, within and before what the pages have read.
        for id in (0..500).map(|id| id * 10) {
            writer.put(format!("{PREFIX}S{id:05}/2"), "10.0.0.2:1", None).await.unwrap();
            writer.delete(format!("{PREFIX}S{:05}/1", KEYS - 1 - id), None).await.unwrap();
        }
    });
    let mut told = watch_etcd(&etcd);
    let mut table = told.listed().await.table();
    assert!(table.len() > KEYS - 501);
    writing.await.unwrap();
    follow(&mut told, &mut table, &mut client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_again_beside_the_watch_the_table_never_goes_back() {
    const WRITES: u32 = 500;
    let etcd = Etcd::start().await;
    // Enough for several pages.
    let mut client = etcd.client().await;
    for chunk in (0..12_000).collect::<Vec<_>>().chunks(100) {
        let puts = chunk.iter().map(|id| TxnOp::put(format!("{PREFIX}Z{id:05}/1"), "0", None));
        client.txn(Txn::new().and_then(puts.collect::<Vec<_>>())).await.unwrap();
    }
    let link = Link::to(&etcd.endpoint()).await;
    let (reread, key) = (Reread::default(), format!("{PREFIX}A/1"));
    let (config, asked) = (config(&[link.endpoint()]), reread.clone());
    let mut told = Told::by(|updates| etcd::watch(config, PREFIX.into(), SERVICE, updates, asked));
    told.listed().await;
    let connections = link.connections();
    let (mut writer, written) = (etcd.client().await, key.clone());
    let writing = tokio::spawn(async move {
        for value in 1..=WRITES {
            writer.put(written.clone(), value.to_string(), None).await.unwrap();
        }
    });
    let (mut last, mut audits) = (0, 0);
    while last < WRITES || audits < 3 {
        reread.notify_one();
        match told.change().await {
            Change::Audited => audits += 1,
            Change::Events { events, .. } => {
                for event in events {
                    let Event::Put(entry) = event else { panic!("nothing was deleted: {event:?}") };
                    assert_eq!(*entry.key, *key, "only what differs is told");
                    assert!(number(&entry) > last, "{} came after {last}", number(&entry));
                    last = number(&entry);
                }
            }
            other => panic!("told was {other:?}"),
        }
    }
    writing.await.unwrap();
    assert_eq!(link.connections(), connections, "the watch was not given up for it");
}

#[tokio::test]
async fn compacted_while_disconnected() {
    let etcd = Etcd::start().await;
    let link = Link::to(&etcd.endpoint()).await;
    for key in ["klineRpc/A/1", "klineRpc/B/1"] {
        etcd.put(key, "10.0.0.1:1").await;
    }
    let mut told = watch(config(&[link.endpoint()]));
    assert_eq!(told.listed().await.keys(), ["klineRpc/A/1", "klineRpc/B/1"]);
    link.cut();
    told.lost().await;
    etcd.delete("klineRpc/A/1").await;
    let revision = etcd.put("klineRpc/C/1", "10.0.0.1:1").await;
    etcd.compact().await;
    link.open();
    let listed = told.listed().await;
    assert_eq!((listed.keys(), listed.revision), (vec!["klineRpc/B/1", "klineRpc/C/1"], revision));
}

#[tokio::test]
async fn an_outage_is_told_once_and_nothing_is_missed() {
    let etcd = Etcd::start().await;
    let link = Link::to(&etcd.endpoint()).await;
    let mut told = watch(config(&[link.endpoint()]));
    told.listed().await;
    link.cut();
    let reason = told.lost().await;
    assert!(reason.contains(&link.endpoint()), "the reason names the endpoint: {reason}");
    let tried = timeout(SOON, async {
        while link.cut_connections() < 4 {
            sleep(Duration::from_millis(5)).await;
        }
    });
    tried.await.expect("it is tried again and again");
    etcd.put("klineRpc/A/1", "10.0.0.1:1").await;
    link.open();
    assert_eq!(told.listed().await.keys(), ["klineRpc/A/1"], "the next that is told is the list");
}

#[tokio::test]
async fn etcd_restarts() {
    let mut etcd = Etcd::start().await;
    etcd.put("klineRpc/A/1", "10.0.0.1:1").await;
    let mut told = watch_etcd(&etcd);
    told.listed().await;
    etcd.stop();
    told.lost().await;
    etcd.restart().await;
    // While it comes up it may be heard and lost again.
    assert_eq!(told.relisted().await.0.keys(), ["klineRpc/A/1"]);
    etcd.put("klineRpc/B/1", "10.0.0.1:1").await;
    let mut client = etcd.client().await;
    let mut table = BTreeMap::from([("klineRpc/A/1".to_owned(), b"10.0.0.1:1".to_vec())]);
    follow(&mut told, &mut table, &mut client).await;
}

#[tokio::test]
async fn etcd_restarts_without_its_data() {
    let mut etcd = Etcd::start().await;
    for id in 0..20 {
        etcd.put(&format!("klineRpc/A/{id}"), "10.0.0.1:1").await;
    }
    let mut told = watch_etcd(&etcd);
    let before = told.listed().await.revision;
    etcd.restart_without_data().await;
    let (listed, lost) = told.relisted().await;
    assert!(lost > 0);
    assert!(listed.entries.is_empty() && listed.revision < before, "the list counts: {listed:?}");
    let revision = etcd.put("klineRpc/B/1", "10.0.0.1:1").await;
    assert!(revision < before, "a watch from the old revision would not hear this");
    assert_eq!(told.events().await.0, revision);
}

#[tokio::test]
async fn a_lease_that_runs_out_is_a_delete() {
    let etcd = Etcd::start().await;
    let mut told = watch_etcd(&etcd);
    told.listed().await;
    let mut client = etcd.client().await;
    let lease = client.lease_grant(1, None).await.unwrap().id();
    client.put("klineRpc/A/1", "10.0.0.1:1", Some(PutOptions::new().with_lease(lease))).await.unwrap();
    assert!(matches!(&told.events().await.1[..], [Event::Put(_)]));
    assert_eq!(told.events().await.1, [Event::Delete { key: "klineRpc/A/1".into() }]);
}

#[tokio::test]
async fn a_quiet_prefix_stays_alive_while_others_write() {
    let etcd = Etcd::start().await;
    let mut told = watch(config::Etcd { watchdog: Duration::from_millis(900), ..config(&[etcd.endpoint()]) });
    told.listed().await;
    for id in 0..5 {
        etcd.put(&format!("others/{id}"), "x").await;
        let update = told.next().await;
        assert!(matches!(update.change, Change::Alive { .. }), "told was {update:?}");
        assert_eq!(update.service, SERVICE);
    }
}

/// In etcd 3.4.23 the reply and the events wait in two queues (etcd #15220): it is sent before most of the events, of
/// which etcd can send few until somebody reads.
#[tokio::test]
async fn a_reply_to_a_requested_progress_that_overtakes_events_moves_nothing() {
    const WRITES: usize = 400;
    let etcd = Etcd::start().await;
    let link = Link::to(&etcd.endpoint()).await;
    let mut told = watch(config::Etcd { watchdog: Duration::from_secs(9), ..config(&[link.endpoint()]) });
    let mut revision = told.listed().await.revision;
    let connections = link.connections();
    link.deafen();
    let mut client = etcd.client().await;
    for id in 0..WRITES {
        client.put(format!("{PREFIX}S{id:03}/1"), vec![b'x'; 32 << 10], None).await.unwrap();
    }
    let said = link.said();
    eventually!(link.said() > said, "the source asks for progress");
    link.open();
    let mut heard = 0;
    while heard < WRITES {
        match told.next().await.change {
            Change::Events { revision: next, events } => {
                assert!(next > revision, "revisions only grow");
                (revision, heard) = (next, heard + events.len());
            }
            Change::Alive { revision: None } => {}
            other => panic!("told was {other:?}"),
        }
    }
    assert_eq!(link.connections(), connections, "the watch was not given up for it");
}

#[tokio::test]
async fn a_silent_connection_is_given_up() {
    let etcd = Etcd::start().await;
    let link = Link::to(&etcd.endpoint()).await;
    let limits = config::Etcd {
        watchdog: Duration::from_millis(600),
        timeout: Duration::from_millis(600),
        ..config(&[link.endpoint()])
    };
    let mut told = watch(limits);
    told.listed().await;
    link.freeze();
    let reason = told.lost().await;
    assert!(reason.contains("nothing was heard for 600ms"), "{reason}");
    etcd.put("klineRpc/A/1", "10.0.0.1:1").await;
    link.open();
    assert_eq!(told.listed().await.keys(), ["klineRpc/A/1"]);
}

#[tokio::test]
async fn a_dead_endpoint_is_passed_over() {
    let etcd = Etcd::start().await;
    let dead = Link::to(&etcd.endpoint()).await;
    dead.cut();
    let mut told = watch(config(&[dead.endpoint(), etcd.endpoint()]));
    let (_, lost) = told.relisted().await;
    assert!(lost <= 1);
}

#[tokio::test]
async fn nobody_listens_any_more() {
    let etcd = Etcd::start().await;
    let mut told = watch_etcd(&etcd);
    told.listed().await;
    drop(told.updates);
    timeout(SOON, told.task).await.expect("the source ends").unwrap();
}
