//! Where calls go, and where they go next when they were never seen.

use std::{io::Write, sync::atomic::Ordering::SeqCst};

use super::{
    client::Client,
    eventually,
    gateway::{Gateway, Setup},
    instance::Instance,
    message,
};
use crate::config::NoSymbol;

#[tokio::test]
async fn a_call_goes_to_the_owner_of_its_symbol() {
    let (btc, eth, whole) = (Instance::start().await, Instance::start().await, Instance::start().await);
    let symbols: super::gateway::Symbols<'_> =
        &[("BTC", &[btc.address]), ("\u{c9}TH %", &[eth.address]), ("", &[whole.address])];
    let gateway = Gateway::of(symbols);
    let client = Client::connect(gateway.address).await;
    // Field 1 of the message: the symbol.
    let by_field = message(&[&[0x0a, 6][..], "\u{c9}TH %".as_bytes()].concat());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&by_field[5..]).expect("to memory");
    let gzip = gzip.finish().expect("to memory");
    let compressed = [&[1][..], &(gzip.len() as u32).to_be_bytes(), &gzip].concat();

    let reply = client.call("/t.T/Echo", &[("symbol", "BTC")], message(b"")).await;
    assert_eq!((reply.outcome(), btc.calls(), eth.calls()), (("0", ""), 1, 0));
    let reply = client.call("/m.M/Echo", &[], by_field).await;
    assert_eq!((reply.outcome(), btc.calls(), eth.calls()), (("0", ""), 1, 1));
    assert_eq!(eth.seen.heads.lock()[0]["symgate-symbol"], "%C3%89TH%20%25");
    let reply = client.call("/m.M/Echo", &[("grpc-encoding", "gzip")], compressed.clone().into()).await;
    assert_eq!((reply.outcome(), eth.calls()), (("0", ""), 2));
    assert!(reply.body == compressed, "what is forwarded stays compressed");
    let reply = client.call("/one.One/Echo", &[], message(b"")).await;
    assert_eq!((reply.outcome(), whole.calls()), (("0", ""), 1));
    assert_eq!(whole.seen.heads.lock()[0].get("symgate-symbol"), None);
}

#[tokio::test]
async fn without_a_symbol_the_route_decides() {
    let instance = Instance::start().await;
    for policy in [NoSymbol::Any, NoSymbol::Symbol("S".into())] {
        let setup = Setup::new(&[("S", &[instance.address])]).routes(|route| route.no_symbol = policy.clone());
        let gateway = setup.start();
        let reply = Client::connect(gateway.address).await.call("/t.T/Echo", &[], message(b"")).await;
        assert_eq!(reply.outcome(), ("0", ""), "{policy:?}");
    }
}

#[tokio::test]
async fn a_new_table_counts_from_the_next_call() {
    let (first, second) = (Instance::start().await, Instance::start().await);
    let gateway = Gateway::of(&[("S", &[first.address])]);
    let client = Client::connect(gateway.address).await;
    assert_eq!(client.call("/t.T/Echo", &[("symbol", "S")], message(b"")).await.outcome(), ("0", ""));
    gateway.publish(&[("S", &[second.address])]);
    assert_eq!(client.call("/t.T/Echo", &[("symbol", "S")], message(b"")).await.outcome(), ("0", ""));
    assert_eq!((first.calls(), second.calls()), (1, 1));
}

#[tokio::test]
async fn a_dead_candidate_costs_a_call_nothing() {
    let (alive, dead) = (Instance::start().await, Instance::start().await);
    dead.kill();
    let gateway = Gateway::of(&[("S", &[dead.address, alive.address])]);
    let client = Client::connect(gateway.address).await;
    for _ in 0..20 {
        assert_eq!(client.call("/t.T/Echo", &[("symbol", "S")], message(b"")).await.outcome(), ("0", ""));
    }
    assert_eq!(alive.calls(), 20);
}

#[tokio::test]
async fn a_refused_call_goes_to_every_candidate_once() {
    let (first, second) = (Instance::start().await, Instance::start().await);
    let gateway = Gateway::of(&[("S", &[first.address, second.address])]);
    let client = Client::connect(gateway.address).await;
    let reply = client.call("/t.T/Refuse", &[("symbol", "S")], message(b"order")).await;
    assert_eq!(reply.outcome(), ("14", "unreachable"));
    assert_eq!((first.calls(), second.calls()), (1, 1));
    assert_eq!(gateway.metric("symgate_retries_total"), "2");
}

#[tokio::test]
async fn a_goaway_is_no_failure() {
    let instance = Instance::start().await;
    let gateway = Gateway::of(&[("S", &[instance.address])]);
    let client = Client::connect(gateway.address).await;
    for round in 1..4 {
        assert_eq!(client.call("/t.T/Echo", &[("symbol", "S")], message(b"")).await.outcome(), ("0", ""));
        instance.go_away();
        eventually("a new connection", || instance.seen.connections.load(SeqCst) > round).await;
    }
}

#[tokio::test]
async fn more_calls_than_one_connection_allows_get_more_connections() {
    let instance = Instance::with_streams(4).await;
    let gateway = Gateway::of(&[("S", &[instance.address])]);
    let client = Client::connect(gateway.address).await;
    let mut calls = Vec::new();
    for number in 1..=20 {
        calls.push(client.start("/t.T/Silence", &[("symbol", "S")]).await);
        eventually("the call came", || instance.calls() == number).await;
    }
    assert!(instance.seen.connections.load(SeqCst) >= 5);
}
