//! `symgate register` and `[[register]]` with a real etcd: what is announced, when, and that it comes back.

mod cluster;
mod command;
mod gateway;
mod health;
mod losses;

use std::{net::TcpListener, time::Duration};

use rustix::process::Signal;
use symgate_tests::{
    Etcd, Gateway, Instance,
    client::{ask, assert_owner},
    eventually,
    eventually::{Clock, PATIENCE, pause},
    registered::{Entry, Registered},
};

const EXIT: Duration = Duration::from_secs(20);
/// What is gone or there again sooner than that did not wait for the lease, nor for a third of it.
const LONG: [&str; 2] = ["--ttl", "10m"];

/// The one entry that is there, once it is.
async fn entry(etcd: &Etcd) -> Entry {
    another_entry(etcd, |_| true).await
}

/// The one entry that is there, once it is the one that is waited for.
async fn another_entry(etcd: &Etcd, expected: impl Fn(&Entry) -> bool) -> Entry {
    loop_until(etcd, |entries| matches!(entries, [entry] if expected(entry))).await.remove(0)
}

async fn no_entry(etcd: &Etcd) {
    loop_until(etcd, <[Entry]>::is_empty).await;
}

async fn loop_until(etcd: &Etcd, expected: impl Fn(&[Entry]) -> bool) -> Vec<Entry> {
    let clock = Clock::start(PATIENCE);
    loop {
        let entries = etcd.entries("klineRpc/").await;
        if expected(&entries) {
            return entries;
        }
        assert!(clock.runs(), "this is registered: {entries:?}");
        pause().await;
    }
}

/// A port that accepts connections, and no more.
fn listening() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// A registration of `BTC_USDT` at this address that ends without a pause.
fn register(etcd: &str, address: &str, more: &[&str]) -> Registered {
    let usual = ["--symbol", "BTC_USDT", "--address", address, "--drain-pause", "0s"];
    Registered::start(etcd, &[&usual[..], more].concat())
}

#[tokio::test]
async fn an_instance_is_announced_reached_and_taken_back() {
    let etcd = Etcd::start().await;
    let instance = Instance::start(&["BTC_USDT"]).await;
    let address = instance.address().to_string();
    let gateway = Gateway::builder().etcd(&etcd).start().await;
    let mut registered = register(&etcd.endpoint(), &address, &["--weight", "3", "--label", "zone=a"]);
    gateway.serving(&["BTC_USDT"]).await;
    assert_owner(gateway.client().get_kline(ask("BTC_USDT")).await.unwrap().get_ref(), "BTC_USDT");

    let entry = entry(&etcd).await;
    assert_eq!(entry.key, format!("klineRpc/BTC_USDT/{}", entry.lease));
    let metadata = r#"{"symbol":"BTC_USDT","weight":3,"zone":"a"}"#;
    assert_eq!(entry.value, format!(r#"{{"Op":0,"Addr":"{address}","Metadata":{metadata}}}"#));
    let table = gateway.table().await.to_string();
    assert!(table.contains(&address) && table.contains(r#""zone":"a""#), "{table}");

    registered.signal(Signal::TERM);
    assert_eq!(registered.exited(EXIT).await.code(), Some(0));
    assert_eq!(etcd.entries("klineRpc/").await, [], "it is taken back before the process ends");
    eventually!(!gateway.table().await.to_string().contains(&address), "the gateway lets go of it");
}

#[tokio::test]
async fn an_instance_without_a_symbol_as_go_zero_writes_it() {
    let etcd = Etcd::start().await;
    let (_listener, address) = listening();
    let arguments = ["--address", &address, "--value", "plain", "--prefix", "klineRpc/", "--ttl", "10m"];
    let mut registered = Registered::start(&etcd.endpoint(), &arguments);
    let entry = entry(&etcd).await;
    assert_eq!((entry.key, entry.value), (format!("klineRpc/klineRpc/{}", entry.lease), address));
    // Twice: the drain pause is skipped.
    registered.signal(Signal::INT);
    no_entry(&etcd).await;
    registered.signal(Signal::INT);
    assert_eq!(registered.exited(EXIT).await.code(), Some(0));
}

#[tokio::test]
async fn two_registrations_of_one_address_are_one_instance() {
    let etcd = Etcd::start().await;
    let instance = Instance::start(&["BTC_USDT"]).await;
    let address = instance.address().to_string();
    let gateway = Gateway::builder().etcd(&etcd).start().await;
    let mut first = register(&etcd.endpoint(), &address, &LONG);
    let _second = register(&etcd.endpoint(), &address, &LONG);
    loop_until(&etcd, |entries| entries.len() == 2).await;
    gateway.serving(&["BTC_USDT"]).await;
    heard_all(&etcd, &gateway, "MARK_1").await;

    first.signal(Signal::TERM);
    assert_eq!(first.exited(EXIT).await.code(), Some(0));
    loop_until(&etcd, |entries| entries.iter().filter(|entry| entry.value.contains(&address)).count() == 1).await;
    heard_all(&etcd, &gateway, "MARK_2").await;
    for _call in 0..100 {
        let reply = gateway.client().get_kline(ask("BTC_USDT")).await.expect("the instance is still announced");
        assert_owner(reply.get_ref(), "BTC_USDT");
    }
}

/// Waits until the gateway knows of an entry that is newer than all others.
async fn heard_all(etcd: &Etcd, gateway: &Gateway, symbol: &str) {
    etcd.put(&format!("klineRpc/{symbol}/1"), "127.0.0.1:1").await;
    eventually!(gateway.table().await.to_string().contains(symbol), "{symbol} is not in the table");
}

#[tokio::test]
async fn a_login_is_read_from_a_file_or_the_environment() {
    let etcd = Etcd::start().await;
    let mut client = etcd.client().await;
    client.user_add("root", "s3cret", None).await.unwrap();
    client.role_add("root").await.unwrap();
    client.user_grant_role("root", "root").await.unwrap();
    client.auth_enable().await.unwrap();
    let (_listener, address) = listening();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "s3cret\n").unwrap();
    let usual = ["--address", &address, "--drain-pause", "0s", "--user", "root"];
    let from_file =
        Registered::start(&etcd.endpoint(), &[&usual[..], &["--password-file", file.to_str().unwrap()]].concat());
    let from_environment = Registered::start_with(&etcd.endpoint(), &usual, &[("SYMGATE_ETCD_PASSWORD", "s3cret")]);
    for registered in [from_file, from_environment] {
        eventually!(registered.log().says(&["\"registered\"", "klineRpc/"]), "it is not registered");
        let mut registered = registered;
        registered.signal(Signal::TERM);
        assert!(registered.exited(EXIT).await.success());
        assert!(registered.log().says(&["deregistered"]), "the lease is given back");
    }
}
