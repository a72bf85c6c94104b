//! Instances that fail are left alone for a while, and tried again by one call at a time.

use symgate_tests::{
    Etcd, Gateway, Instance, RegistryFile,
    client::reason,
    eventually,
    gateway::{Builder, Route},
};
use tonic::Status;

use super::{call, gateway, is_ejected, shown, wire::Wire};

/// So long that it does not end while a test runs.
const LONG: &str = "10m";

/// An instance that loses its calls and one that answers them, of the same symbol.
struct Pair {
    losing: Instance,
    wire: Wire,
    answering: Instance,
    registry: RegistryFile,
}

impl Pair {
    async fn start() -> Self {
        let (losing, answering) = (Instance::start(&["BTC_USDT"]).await, Instance::start(&["BTC_USDT"]).await);
        let wire = Wire::to(losing.address()).await;
        let registry = RegistryFile::of(&[("BTC_USDT", wire.address()), ("BTC_USDT", answering.address())]);
        Self { losing, wire, answering, registry }
    }

    async fn gateway(&self, eject_time: &str) -> Gateway {
        let gateway = without_health(eject_time).file(&self.registry).start().await;
        gateway.ready().await;
        eventually!(self.wire.open() == 1, "the instance is connected");
        self.wire.lose_calls(true);
        gateway
    }
}

/// The wire is to lose calls, and not what asks for health.
fn without_health(eject_time: &str) -> Builder {
    gateway().upstream("eject_time", eject_time).route(Route::to("klineRpc").with("health", false))
}

/// Whether the call was lost with its instance; it must not fail otherwise.
fn is_lost(outcome: &Result<String, Status>) -> bool {
    match outcome {
        Ok(_) => false,
        Err(status) if reason(status) == Some("instance-lost") => true,
        Err(status) => panic!("{status:?}"),
    }
}

/// Calls until the gateway has ejected so often; how many calls were lost.
async fn eject(gateway: &Gateway, times: f64) -> usize {
    let mut lost = 0;
    eventually!(
        {
            lost += usize::from(is_lost(&call(gateway).await));
            gateway.metric("symgate_ejections_total", "").await >= times
        },
        "an instance that loses {lost} calls is ejected"
    );
    lost
}

#[tokio::test]
async fn an_instance_that_loses_calls_gets_no_more_of_them() {
    let pair = Pair::start().await;
    let gateway = pair.gateway(LONG).await;
    assert_eq!(eject(&gateway, 1.0).await, 3, "as many as eject_after says");
    assert!(is_ejected(&gateway, pair.wire.address()).await && !is_ejected(&gateway, pair.answering.address()).await);
    eventually!(gateway.log().says(&["WARN", "instance ejected"]), "it is logged");
    // The list is told again, with one entry more.
    let another = Instance::start(&["ETH_USDT"]).await;
    pair.registry.put("klineRpc/ETH_USDT/1", another.address());
    eventually!(gateway.metric("symgate_symbols", "").await == 2.0, "the list is read");
    assert!(is_ejected(&gateway, pair.wire.address()).await, "that it is still registered is no news");
    let before = pair.wire.streams();
    for _ in 0..50 {
        call(&gateway).await.expect("the other answers");
    }
    assert_eq!(pair.wire.streams(), before);
    assert_eq!(pair.losing.seen().calls(), 0);
}

#[tokio::test]
async fn each_trial_is_one_call() {
    let pair = Pair::start().await;
    let gateway = pair.gateway("1s").await;
    assert_eq!(eject(&gateway, 1.0).await, 3);
    assert_eq!(eject(&gateway, 3.0).await, 2, "two trials, one call each");
    pair.wire.lose_calls(false);
    eventually!(
        {
            assert!(!is_lost(&call(&gateway).await));
            pair.losing.seen().calls() > 1
        },
        "the instance is back"
    );
    assert!(!is_ejected(&gateway, pair.wire.address()).await);
    eventually!(gateway.log().says(&["INFO", "instance returned"]), "it is logged");
}

#[tokio::test]
async fn the_last_candidate_is_tried_however_it_failed() {
    let instance = Instance::start(&["BTC_USDT"]).await;
    let wire = Wire::to(instance.address()).await;
    let registry = RegistryFile::of(&[("BTC_USDT", wire.address())]);
    let gateway = without_health(LONG).file(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    wire.lose_calls(true);
    eject(&gateway, 1.0).await;
    assert!(is_lost(&call(&gateway).await) && is_ejected(&gateway, wire.address()).await);
    wire.lose_calls(false);
    call(&gateway).await.expect("it answers again");
    assert!(!is_ejected(&gateway, wire.address()).await, "an answer ends the ejection");
}

#[tokio::test]
async fn a_new_registration_ends_an_ejection() {
    let pair = Pair::start().await;
    let gateway = pair.gateway(LONG).await;
    eject(&gateway, 1.0).await;
    pair.wire.lose_calls(false);
    pair.registry.put("klineRpc/BTC_USDT/9", pair.wire.address());
    eventually!(!is_ejected(&gateway, pair.wire.address()).await, "nothing bad is known of who listens there now");
    eventually!(call(&gateway).await.unwrap() == pair.losing.address().to_string(), "it gets calls");
}

#[tokio::test]
async fn an_instance_that_cannot_be_connected_returns_with_its_connection() {
    let pair = Pair::start().await;
    pair.wire.refuse(true);
    let gateway = without_health(LONG).file(&pair.registry).start().await;
    gateway.ready().await;
    eventually!(is_ejected(&gateway, pair.wire.address()).await, "it is ejected without a call");
    assert_eq!(call(&gateway).await.unwrap(), pair.answering.address().to_string());
    pair.wire.refuse(false);
    eventually!(call(&gateway).await.unwrap() == pair.losing.address().to_string(), "it gets calls");
    assert!(!is_ejected(&gateway, pair.wire.address()).await);
    assert_eq!(shown(&gateway, pair.wire.address()).await["connections"], 1);
}

#[tokio::test]
async fn the_registry_is_asked_about_an_instance_that_cannot_be_connected() {
    let etcd = Etcd::start().await;
    let (instance, other) = (Instance::start(&["BTC_USDT"]).await, Instance::start(&["ETH_USDT"]).await);
    let wire = Wire::to(instance.address()).await;
    etcd.put("klineRpc/BTC_USDT/1", wire.address().to_string()).await;
    etcd.put("klineRpc/ETH_USDT/1", other.address().to_string()).await;
    let gateway = without_health("1s").etcd(&etcd).start().await;
    gateway.serving(&["BTC_USDT", "ETH_USDT"]).await;
    let audits = async || gateway.metric("symgate_registry_events_total", r#"event="audit""#).await;
    assert_eq!(audits().await, 0.0);
    wire.refuse(true);
    wire.cut();
    eventually!(audits().await > 0.0, "the list is read again");
    eventually!(gateway.log().says(&["reading the registry again", &wire.address().to_string()]), "it is logged");
    wire.refuse(false);
    eventually!(call(&gateway).await.is_ok(), "it is still registered, and gets calls");
    let another = Instance::start(&["SOL_USDT"]).await;
    etcd.put("klineRpc/SOL_USDT/1", another.address().to_string()).await;
    gateway.serving(&["BTC_USDT", "ETH_USDT", "SOL_USDT"]).await;
}
