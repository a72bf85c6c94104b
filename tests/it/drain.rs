//! SIGTERM: no new calls, the ones under way end in peace, then the process ends by itself.

mod age;
mod delay;
mod shared_port;

use std::time::Duration;

use symgate_tests::{
    Gateway, Instance, RegistryFile,
    client::{ask, with_symbol},
    eventually,
    instance::Behaviour,
    pb::KlineReply,
};
use tokio::task::JoinHandle;
use tonic::{Code, Response, Status};

const EXIT: Duration = Duration::from_secs(20);

async fn one() -> (Instance, RegistryFile) {
    let instance = Instance::start(&["BTC_USDT"]).await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    (instance, registry)
}

#[tokio::test]
async fn an_idle_gateway_ends_with_success() {
    let (_instance, registry) = one().await;
    let mut gateway = Gateway::builder().file(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    gateway.terminate();
    assert!(gateway.exited(EXIT).await.success());
}

#[tokio::test]
async fn calls_under_way_end_in_peace() {
    let (_instance, registry) = one().await;
    let mut gateway = Gateway::builder().file(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    let (send, requests) = futures::channel::mpsc::unbounded();
    let mut replies = gateway.client().trade_kline(with_symbol(requests, "BTC_USDT")).await.unwrap().into_inner();
    send.unbounded_send(ask("BTC_USDT")).unwrap();
    replies.message().await.unwrap().expect("a reply");

    gateway.terminate();
    eventually!(gateway.admin_get("/readyz").await.0 != 200, "/readyz says no while draining");
    for round in 2..=20 {
        send.unbounded_send(ask("BTC_USDT")).unwrap();
        let reply = replies.message().await.expect("the stream goes on while draining").expect("a reply");
        assert_eq!(reply.received, round);
    }
    let status = gateway.client().get_kline(ask("BTC_USDT")).await;
    assert!(status.is_err(), "no new calls on new connections");
    drop(send);
    assert_eq!(replies.message().await.unwrap(), None, "the stream ends with its own status");
    assert!(gateway.exited(EXIT).await.success());
}

/// A call that the instance has and never answers.
async fn stalled(instance: &Instance, gateway: &Gateway) -> JoinHandle<Result<Response<KlineReply>, Status>> {
    instance.behave(Behaviour::Stall);
    let mut client = gateway.client();
    let call = tokio::spawn(async move { client.get_kline(ask("BTC_USDT")).await });
    eventually!(instance.seen().under_way() == 1, "the call arrives");
    call
}

#[tokio::test]
async fn a_call_that_outlasts_the_drain_ends_with_unavailable() {
    let (instance, _registry, mut gateway) = Gateway::builder().listen("drain_timeout", "300ms").over_one().await;
    let call = stalled(&instance, &gateway).await;
    gateway.terminate();
    let status = call.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(gateway.exited(EXIT).await.success());
    eventually!(instance.seen().under_way() == 0, "the instance is told");
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let (instance, _registry, mut gateway) = Gateway::builder().listen("drain_timeout", "1h").over_one().await;
    let call = stalled(&instance, &gateway).await;
    gateway.terminate();
    eventually!(gateway.admin_get("/readyz").await.0 != 200, "the first signal is understood");
    gateway.terminate();
    gateway.exited(EXIT).await;
    assert!(call.await.unwrap().is_err());
}
