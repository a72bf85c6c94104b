//! Connections that grow only so old.

use symgate_tests::{
    Cable, Gateway,
    client::{self, ask, never_sent, reason, with_symbol},
    eventually,
    eventually::{Clock, PATIENCE},
    load::Load,
    raw::RawClient,
};
use tonic::Code;

/// A load of calls that fail the test if they fail.
fn load(cable: &Cable) -> Load {
    Load::at(cable.address(), 4, |mut client, number| {
        Box::pin(async move {
            let mut reply = client.get_kline(ask("BTC_USDT")).await;
            while reply.as_ref().is_err_and(never_sent) {
                reply = client.get_kline(ask("BTC_USDT")).await;
            }
            reply.unwrap_or_else(|status| panic!("call {number} failed: {status:?}"));
        })
    })
}

#[tokio::test]
async fn clients_reconnect_again_and_again_without_a_failed_call() {
    let (instance, _registry, gateway) = Gateway::builder().listen("max_connection_age", "1s").over_one().await;
    let cable = Cable::to(format!("http://{}", gateway.address())).await;
    let before = instance.seen().calls();
    let mut load = load(&cable);
    let clock = Clock::start(PATIENCE);
    while cable.connections() < 4 * 4 {
        assert!(clock.runs(), "4 clients opened {} connections", cable.connections());
        load.calls_more(50).await;
    }
    let calls = load.stop().await;
    assert_eq!(instance.seen().calls(), before + calls, "each call arrives, and once");
}

#[tokio::test]
async fn a_stream_outlives_the_age_of_its_connection() {
    let (_instance, _registry, gateway) = Gateway::builder().listen("max_connection_age", "1s").over_one().await;
    let (send, requests) = futures::channel::mpsc::unbounded();
    let mut replies = gateway.client().trade_kline(with_symbol(requests, "BTC_USDT")).await.unwrap().into_inner();
    let idle = RawClient::connect(gateway.address()).await;
    eventually!(!idle.is_open(), "a connection without calls is closed");
    for round in 1..=20 {
        send.unbounded_send(ask("BTC_USDT")).unwrap();
        assert_eq!(replies.message().await.expect("it goes on").expect("a reply").received, round);
    }
    drop(send);
    assert_eq!(replies.message().await.unwrap(), None);
}

#[tokio::test]
async fn a_stream_that_outlives_the_grace_ends_with_unavailable() {
    let gateway = Gateway::builder().listen("max_connection_age", "1s").listen("max_connection_age_grace", "1s");
    let (instance, _registry, gateway) = gateway.over_one().await;
    let mut client = client::client(gateway.address());
    let (send, requests) = futures::channel::mpsc::unbounded();
    send.unbounded_send(ask("BTC_USDT")).unwrap();
    let mut replies = client.trade_kline(with_symbol(requests, "BTC_USDT")).await.unwrap().into_inner();
    replies.message().await.unwrap().expect("a reply");
    let ended = tokio::time::timeout(PATIENCE, replies.message()).await.expect("the stream ends");
    let status = ended.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::Unavailable, Some("connection-age")), "{status:?}");
    eventually!(instance.seen().under_way() == 0, "the instance is told");
    client.get_kline(ask("BTC_USDT")).await.expect("on the next connection");
}
