//! One stuck instance cannot hold every stream: calls per symbol, per route and in the line of an instance are limited,
//! and the caller is told which limit it met.

use symgate_tests::{
    Gateway, Instance, RegistryFile, Route,
    client::{ask, reason},
    eventually,
    gateway::Builder,
    instance::Behaviour,
    pb::{KlineReply, KlineRequest},
    raw::{RawClient, framed, grpc},
};
use tokio::task::JoinHandle;
use tonic::{Code, Request, Response, Status};

async fn two() -> (Instance, Instance, RegistryFile) {
    let (btc, eth) = (Instance::start(&["BTC_USDT"]).await, Instance::start(&["ETH_USDT"]).await);
    let registry = RegistryFile::of(&[("BTC_USDT", btc.address()), ("ETH_USDT", eth.address())]);
    (btc, eth, registry)
}

async fn serving(builder: Builder, registry: &RegistryFile) -> Gateway {
    let gateway = builder.file(registry).start().await;
    gateway.serving(&["BTC_USDT", "ETH_USDT"]).await;
    gateway
}

fn call(gateway: &Gateway, request: Request<KlineRequest>) -> JoinHandle<Result<Response<KlineReply>, Status>> {
    let mut client = gateway.client();
    tokio::spawn(async move { client.get_kline(request).await })
}

#[tokio::test]
async fn a_stuck_symbol_leaves_the_others_alone() {
    let (btc, eth, registry) = two().await;
    let gateway =
        serving(Gateway::builder().route(Route::to("klineRpc").with("max_in_flight_per_symbol", 3)), &registry).await;
    btc.behave(Behaviour::Stall);
    let stuck: Vec<_> = (0..3).map(|_| call(&gateway, Request::new(ask("BTC_USDT")))).collect();
    eventually!(btc.seen().under_way() == 3, "three calls are stuck");
    let status = gateway.client().get_kline(ask("BTC_USDT")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::ResourceExhausted, Some("symbol-limit")), "{status}");
    for part in ["BTC_USDT", "3 calls", "1 instances", "max_in_flight_per_symbol"] {
        assert!(status.message().contains(part), "{part} in {status}");
    }
    gateway.client().get_kline(ask("ETH_USDT")).await.expect("the other symbol is not concerned");
    btc.behave(Behaviour::Answer);
    stuck.iter().for_each(JoinHandle::abort);
    eventually!(gateway.client().get_kline(ask("BTC_USDT")).await.is_ok(), "there is room again");
    assert_eq!(eth.seen().cancelled(), 0);
}

#[tokio::test]
async fn a_full_route_leaves_the_others_alone() {
    let (btc, _eth, registry) = two().await;
    let limited = Route::to("klineRpc").on("/pb.KlineService/GetKline").with("max_in_flight", 2);
    let gateway = serving(Gateway::builder().route(limited).route(Route::to("klineRpc")), &registry).await;
    btc.behave(Behaviour::Stall);
    let stuck: Vec<_> = (0..2).map(|_| call(&gateway, Request::new(ask("BTC_USDT")))).collect();
    eventually!(btc.seen().under_way() == 2, "two calls are stuck");
    let status = gateway.client().get_kline(ask("ETH_USDT")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::ResourceExhausted, Some("route-limit")), "{status}");
    assert!(status.message().contains("max_in_flight") && status.message().contains("GetKline"), "{status}");
    let request = KlineRequest { count: 1, ..ask("ETH_USDT") };
    let mut replies = gateway.client().watch_kline(request).await.expect("another route").into_inner();
    replies.message().await.unwrap().expect("a reply");
    stuck.iter().for_each(JoinHandle::abort);
    eventually!(gateway.client().get_kline(ask("ETH_USDT")).await.is_ok(), "there is room again");
    eventually!(gateway.metric("symgate_route_calls_in_flight", "").await == 0.0, "nothing is left in the count");
}

/// Calls beyond what the connections of an instance take wait, within bounds.
#[tokio::test]
async fn a_full_instance_has_a_line_that_ends() {
    let instance = Instance::start_with_streams(2, &["BTC_USDT"]).await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    let builder = Gateway::builder().listen("workers", 1).upstream("max_queued", 2).upstream("queue_timeout", "60s");
    let gateway = builder.file(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    instance.behave(Behaviour::Stall);
    // Two streams on each of eight connections.
    let mut stuck = Vec::new();
    eventually!(
        {
            stuck.push(call(&gateway, Request::new(ask("BTC_USDT"))));
            gateway.metric("symgate_calls_in_flight", "").await >= 18.0
        },
        "the connections are full and two calls wait"
    );
    assert_eq!(instance.seen().under_way(), 16);
    let status = gateway.client().get_kline(ask("BTC_USDT")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::ResourceExhausted, Some("no-room")), "{status}");
    for part in ["max_queued", "BTC_USDT", "one of 1 instances", "2 calls"] {
        assert!(status.message().contains(part), "{part} in {status}");
    }
    instance.behave(Behaviour::Answer);
    stuck.drain(..16).for_each(|call| call.abort());
    for call in stuck {
        let _ended = call.await;
    }
    eventually!(gateway.client().get_kline(ask("BTC_USDT")).await.is_ok(), "there is room again");
}

#[tokio::test]
async fn a_call_whose_time_ends_in_the_line_is_told_of_the_line() {
    let instance = Instance::start_with_streams(1, &["BTC_USDT"]).await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    let builder = Gateway::builder().listen("workers", 1).upstream("queue_timeout", "200ms");
    let gateway = builder.file(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    instance.behave(Behaviour::Stall);
    let mut stuck = Vec::new();
    eventually!(
        {
            stuck.push(call(&gateway, Request::new(ask("BTC_USDT"))));
            instance.seen().under_way() == 8
        },
        "the connections are full"
    );
    // Not a tonic client: that one minds the deadline by itself.
    let client = RawClient::connect(gateway.address()).await;
    for (timeout, part) in [("60S", "queue_timeout"), ("50m", "deadline")] {
        let request = grpc("/pb.KlineService/GetKline").header("grpc-timeout", timeout).body(()).unwrap();
        let answer = client.call(request, framed(&ask("BTC_USDT"))).await.unwrap();
        assert_eq!((answer.grpc_status(), answer.trailer("symgate-reason")), (Some(8), Some("no-room")), "{answer:?}");
        let text = answer.trailer("grpc-message").unwrap_or_default();
        assert!(text.contains(part) && text.contains("BTC_USDT"), "{text}");
    }
    assert_eq!(instance.seen().under_way(), 8, "those that gave up are not sent");
}
