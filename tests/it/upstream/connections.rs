//! When connections to instances are opened and closed, and what addresses they are opened to.

use std::net::TcpListener;

use futures::FutureExt;
use symgate_tests::{
    Instance, RegistryFile,
    client::{ask, reason},
    eventually,
    instance::Behaviour,
    pb::KlineRequest,
    raw::RawInstance,
};
use tonic::Code;

use super::{call, gateway, is_ejected, wire::Wire};

/// HTTP/2's NO_ERROR.
const NO_ERROR: u32 = 0;

#[tokio::test]
async fn a_connection_that_was_opened_on_first_use_closes_when_idle() {
    let instance = Instance::start(&["BTC_USDT"]).await;
    let wire = Wire::to(instance.address()).await;
    let registry = RegistryFile::of(&[("BTC_USDT", wire.address())]);
    let gateway =
        gateway().upstream("warm_connections", 0).upstream("idle_timeout", "1s").file(&registry).start().await;
    gateway.ready().await;
    assert_eq!(wire.opened(), 0, "no call, no connection");
    for round in 1..=2 {
        call(&gateway).await.unwrap();
        assert_eq!(wire.opened(), round);
        eventually!(wire.open() == 0, "the connection closes; its health watch keeps it from nothing");
    }
    assert_eq!(gateway.metric("symgate_ejections_total", "").await, 0.0);
}

#[tokio::test]
async fn an_idle_connection_to_a_warm_instance_closes_unless_it_is_the_last() {
    let (answer, answered) = tokio::sync::watch::channel(false);
    let instance = RawInstance::start_with(h2::server::Builder::new().max_concurrent_streams(4), move |exchange| {
        let mut answered = answered.clone();
        async move {
            let (_request, mut respond) = exchange;
            answered.wait_for(|answered| *answered).await.unwrap();
            respond.send_reset(h2::Reason::INTERNAL_ERROR);
        }
        .boxed()
    })
    .await;
    let wire = Wire::to(instance.address()).await;
    let registry = RegistryFile::of(&[("BTC_USDT", wire.address())]);
    let gateway = gateway().upstream("idle_timeout", "1s").file(&registry).start().await;
    eventually!(wire.open() == 1, "the instance is connected before a call needs it");
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let mut client = gateway.client();
            tokio::spawn(async move { client.get_kline(ask("BTC_USDT")).await })
        })
        .collect();
    eventually!(wire.streams() == 6, "all calls are with the instance, though it allows 4 on a connection");
    assert!(wire.open() >= 2);
    answer.send_replace(true);
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap_err().code(), Code::Internal);
    }
    eventually!(wire.open() == 1, "the others close");
    let opened = wire.opened();
    assert_eq!(call(&gateway).await.unwrap_err().code(), Code::Internal);
    assert_eq!(wire.opened(), opened, "the call found a connection");
}

#[tokio::test]
async fn a_goaway_after_idle_time_is_no_failure() {
    let instance = Instance::start(&["BTC_USDT"]).await;
    for warm in [1, 0] {
        let wire = Wire::to(instance.address()).await;
        let registry = RegistryFile::of(&[("BTC_USDT", wire.address())]);
        let gateway =
            gateway().upstream("warm_connections", warm).upstream("eject_after", 1).file(&registry).start().await;
        gateway.serving(&["BTC_USDT"]).await;
        let failed = async || gateway.metric("symgate_calls_total", r#"status="UNAVAILABLE""#).await;
        let before = failed().await;
        for round in 1..=5 {
            call(&gateway).await.unwrap();
            wire.go_away(NO_ERROR);
            eventually!(wire.open() == 0 || wire.opened() > round, "the connection closes");
            call(&gateway).await.unwrap();
            eventually!(wire.opened() == round + 1, "there is a new connection");
            eventually!(wire.open() == 1, "and the old one is gone");
        }
        assert_eq!(gateway.metric("symgate_ejections_total", "").await, 0.0);
        assert!(!is_ejected(&gateway, wire.address()).await);
        assert_eq!(failed().await, before);
    }
}

/// A name is resolved each time: one that leads nowhere yet is connected once it does.
#[tokio::test]
async fn an_instance_may_have_a_name() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    let registry = RegistryFile::new();
    registry.put("klineRpc/BTC_USDT/1", format!("localhost:{}", address.port()));
    registry.put("klineRpc/ETH_USDT/1", "nobody.invalid:9000");
    let gateway = gateway().upstream("warm_connections", 0).file(&registry).start().await;
    gateway.ready().await;
    let status = call(&gateway).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::Unavailable, Some("unreachable")), "{status}");
    let status = gateway.client().get_kline(ask("ETH_USDT")).await.unwrap_err();
    assert!(status.message().contains("cannot connect to nobody.invalid:9000"), "{status}");
    let _instance = Instance::start_at(address, &["BTC_USDT"]).await;
    eventually!(call(&gateway).await.is_ok(), "the name leads to the instance");
}

#[tokio::test]
async fn an_instance_that_left_the_registry_finishes_its_calls_and_is_let_go() {
    let (instance, other) = (Instance::start(&["BTC_USDT"]).await, Instance::start(&["BTC_USDT"]).await);
    let wire = Wire::to(instance.address()).await;
    let registry = RegistryFile::of(&[("BTC_USDT", wire.address())]);
    let gateway = gateway().file(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    instance.behave(Behaviour::StallAfterFirst);
    let request = KlineRequest { count: 2, ..ask("BTC_USDT") };
    let mut replies = gateway.client().watch_kline(request).await.unwrap().into_inner();
    replies.message().await.unwrap().expect("the first reply");
    registry.put("klineRpc/BTC_USDT/1", other.address());
    eventually!(call(&gateway).await.unwrap() == other.address().to_string(), "the other gets calls");
    registry.delete("klineRpc/BTC_USDT/0");
    eventually!(gateway.metric("symgate_instances", "").await == 1.0, "the first has left");
    assert_eq!((wire.open(), instance.seen().under_way()), (1, 1), "the call goes on");
    drop(replies);
    eventually!(wire.open() == 0, "its connection closes behind it");
}
