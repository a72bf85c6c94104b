//! How calls end before their time: cancelled by the client, out of time, or because the instance died; each in every
//! phase of a call.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use symgate_tests::{
    Gateway, Instance, RegistryFile,
    client::{ask, reason, with_metadata, with_symbol},
    eventually,
    eventually::PATIENCE,
    instance::Behaviour,
    pb::KlineRequest,
    raw::{RawClient, RawInstance, framed, grpc},
};
use tonic::{Code, Request};

/// Waits until the instance was told that one call more than `before` is off, and nothing of it is left anywhere.
async fn cancelled(instance: &Instance, gateway: &Gateway, before: u64) {
    eventually!(instance.seen().cancelled() > before, "the instance is not told of the cancellation");
    eventually!(instance.seen().under_way() == 0, "the instance still works on a call");
    eventually!(gateway.metric("symgate_calls_in_flight", "").await == 0.0, "the gateway still counts a call");
}

#[tokio::test]
async fn cancelled_while_the_gateway_waits_for_the_first_message() {
    let (instance, _registry, gateway) = Gateway::builder().over_one().await;
    let before = instance.seen().calls();
    let client = RawClient::connect(gateway.address()).await;
    let (response, stream) = client.open(grpc("/pb.KlineService/GetKline").body(()).unwrap()).await.unwrap();
    eventually!(gateway.metric("symgate_calls_in_flight", "").await > 0.0, "the call has begun");
    drop((response, stream));
    eventually!(gateway.metric("symgate_calls_in_flight", "").await == 0.0, "the call is over");
    assert_eq!(instance.seen().calls(), before, "no instance was bothered");
}

#[tokio::test]
async fn cancelled_before_the_reply_headers() {
    let (instance, _registry, gateway) = Gateway::builder().over_one().await;
    instance.behave(Behaviour::Stall);
    let mut client = gateway.client();
    let call = tokio::spawn(async move { client.get_kline(ask("BTC_USDT")).await });
    eventually!(instance.seen().under_way() == 1, "the call arrives");
    call.abort();
    cancelled(&instance, &gateway, 0).await;
}

#[tokio::test]
async fn cancelled_in_the_middle_of_the_replies() {
    let (instance, _registry, gateway) = Gateway::builder().over_one().await;
    instance.behave(Behaviour::StallAfterFirst);
    let request = KlineRequest { count: 2, ..ask("BTC_USDT") };
    let mut replies = gateway.client().watch_kline(request).await.unwrap().into_inner();
    replies.message().await.unwrap().expect("the first reply");
    drop(replies);
    cancelled(&instance, &gateway, 0).await;
}

#[tokio::test]
async fn cancelled_in_the_middle_of_the_requests() {
    let (tell, mut told) = futures::channel::mpsc::unbounded();
    // Not a tonic server: that one takes a cancellation for the end of the requests.
    let instance = RawInstance::start(move |(mut request, respond)| {
        let tell = tell.clone();
        async move {
            let _open = respond;
            let mut chunks = Ok(());
            while let (Ok(()), Some(chunk)) = (&chunks, request.body_mut().data().await) {
                chunks = chunk.map(drop).map_err(|error| error.reason());
                tell.unbounded_send(chunks).unwrap();
            }
        }
        .boxed()
    })
    .await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    let gateway = Gateway::builder().file(&registry).start().await;
    let client = RawClient::connect(gateway.address()).await;
    let mut calls = Vec::new();
    eventually!(
        {
            // Until the instance is connected, the gateway answers by itself.
            let (response, mut requests) =
                client.open(grpc("/pb.KlineService/PushTicks").body(()).unwrap()).await.unwrap();
            requests.send_data(framed(&ask("BTC_USDT")), false).unwrap();
            let arrived = tokio::time::timeout(Duration::from_secs(1), told.next()).await;
            calls.push((response, requests));
            matches!(arrived, Ok(Some(Ok(()))))
        },
        "the call arrives"
    );
    drop(calls);
    eventually!(gateway.metric("symgate_calls_in_flight", "").await == 0.0, "the call is over");
    let end = tokio::time::timeout(PATIENCE, told.next()).await.expect("the instance is told");
    assert_eq!(end, Some(Err(Some(h2::Reason::CANCEL))));
}

#[tokio::test]
async fn out_of_time_while_the_gateway_waits_for_the_first_message() {
    let (instance, _registry, gateway) = Gateway::builder().over_one().await;
    let before = instance.seen().calls();
    let client = RawClient::connect(gateway.address()).await;
    let request = grpc("/pb.KlineService/GetKline").header("grpc-timeout", "100m").body(()).unwrap();
    let (response, _stream) = client.open(request).await.unwrap();
    let answer = symgate_tests::raw::read(response.await.unwrap()).await.unwrap();
    assert_eq!(answer.grpc_status(), Some(4), "{answer:?}");
    assert_eq!(instance.seen().calls(), before, "no instance was bothered");
}

/// A listener that takes connections, in the kernel, and never says a word.
fn black_hole() -> std::net::TcpListener {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap()
}

#[tokio::test]
async fn out_of_time_or_cancelled_while_the_gateway_connects_to_nobody() {
    let hole = black_hole();
    let registry = RegistryFile::of(&[("BTC_USDT", hole.local_addr().unwrap())]);
    let gateway = Gateway::builder().file(&registry).upstream("connect_timeout", "1h").start().await;
    gateway.ready().await;
    // Not a tonic client: that one minds the deadline by itself.
    let client = RawClient::connect(gateway.address()).await;
    let request = grpc("/pb.KlineService/GetKline").header("grpc-timeout", "200m").body(()).unwrap();
    let late = client.call(request, framed(&ask("BTC_USDT"))).await.unwrap();
    assert_eq!((late.grpc_status(), late.trailer("symgate-reason")), (Some(4), Some("deadline")), "{late:?}");
    let mut other = gateway.client();
    let call = tokio::spawn(async move { other.get_kline(ask("BTC_USDT")).await });
    eventually!(gateway.metric("symgate_calls_in_flight", "").await > 0.0, "the call has begun");
    call.abort();
    eventually!(gateway.metric("symgate_calls_in_flight", "").await == 0.0, "the gateway still counts a call");

    let instance = Instance::start(&["BTC_USDT"]).await;
    registry.delete("klineRpc/BTC_USDT/0");
    registry.put("klineRpc/BTC_USDT/1", instance.address());
    gateway.serving(&["BTC_USDT"]).await;
    assert_eq!(instance.seen().cancelled(), 0, "neither came late");
}

#[tokio::test]
async fn out_of_time_before_the_reply_headers() {
    let (tell, mut told) = futures::channel::mpsc::unbounded();
    // Not a tonic server: that one minds the deadline by itself.
    let instance = RawInstance::start(move |(_request, mut respond)| {
        let tell = tell.clone();
        async move {
            let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            tell.unbounded_send(reason.unwrap()).unwrap();
        }
        .boxed()
    })
    .await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    let gateway = Gateway::builder().file(&registry).start().await;
    gateway.ready().await;
    let client = RawClient::connect(gateway.address()).await;
    let call = || grpc("/pb.KlineService/GetKline").header("grpc-timeout", "200m").body(()).unwrap();
    eventually!(
        {
            let answer = client.call(call(), framed(&ask("BTC_USDT"))).await.unwrap();
            answer.grpc_status() == Some(4) && answer.trailer("symgate-reason").is_some()
        },
        "the gateway itself says DEADLINE_EXCEEDED"
    );
    let reset = tokio::time::timeout(PATIENCE, told.next()).await.expect("the instance is told");
    assert_eq!(reset, Some(h2::Reason::CANCEL));
}

#[tokio::test]
async fn out_of_time_in_the_middle_of_the_replies() {
    let (instance, _registry, gateway) = Gateway::builder().over_one().await;
    instance.behave(Behaviour::StallAfterFirst);
    let request = KlineRequest { count: 2, ..ask("BTC_USDT") };
    let request = with_metadata(request, "grpc-timeout", "300m");
    let mut replies = gateway.client().watch_kline(request).await.unwrap().into_inner();
    replies.message().await.unwrap().expect("the first reply");
    let status = replies.message().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    cancelled(&instance, &gateway, 0).await;
}

#[tokio::test]
async fn the_instance_gets_the_time_that_is_left() {
    let (instance, _registry, gateway) = Gateway::builder().over_one().await;
    let mut request = Request::new(ask("BTC_USDT"));
    request.set_timeout(Duration::from_secs(100));
    gateway.client().get_kline(request).await.unwrap();
    let timeout = instance.seen().last().metadata("grpc-timeout").expect("a deadline is passed on").to_owned();
    let (digits, unit) = timeout.split_at(timeout.len() - 1);
    let digits: u64 = digits.parse().unwrap();
    let micros = match unit {
        "u" => digits,
        "m" => digits * 1_000,
        "S" => digits * 1_000_000,
        "n" => digits / 1_000,
        _ => panic!("unexpected unit in {timeout}"),
    };
    assert!(micros < 100_000_000 && micros > 50_000_000, "{timeout} is left of 100 s");

    let before = instance.seen().calls();
    gateway.client().get_kline(ask("BTC_USDT")).await.unwrap();
    assert_eq!(instance.seen().calls(), before + 1);
    assert_eq!(instance.seen().last().metadata("grpc-timeout"), None, "no deadline is invented");
}

#[tokio::test]
async fn an_instance_that_dies_before_its_reply_headers() {
    let (mut instance, _registry, gateway) = Gateway::builder().over_one().await;
    instance.behave(Behaviour::Stall);
    let mut client = gateway.client();
    let call = tokio::spawn(async move { client.get_kline(ask("BTC_USDT")).await });
    eventually!(instance.seen().under_way() == 1, "the call arrives");
    instance.stop();
    let status = call.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(reason(&status).is_some(), "{status:?}");
    assert_eq!(instance.seen().calls(), 2, "a call that may have been seen is never sent again");
}

#[tokio::test]
async fn an_instance_that_dies_mid_stream() {
    let (mut instance, _registry, gateway) = Gateway::builder().over_one().await;
    instance.behave(Behaviour::StallAfterFirst);
    let request = KlineRequest { count: 2, ..ask("BTC_USDT") };
    let mut replies = gateway.client().watch_kline(request).await.unwrap().into_inner();
    replies.message().await.unwrap().expect("the first reply");
    instance.stop();
    let status = replies.message().await.expect_err("never a clean end");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(reason(&status).is_some(), "in trailers, not a bare reset: {status:?}");
}

#[tokio::test]
async fn the_death_of_one_instance_disturbs_no_other() {
    let (instance, registry, gateway) = Gateway::builder().over_one().await;
    let mut dying = Instance::start(&["ETH_USDT"]).await;
    registry.put("klineRpc/ETH_USDT/1", dying.address());
    gateway.serving(&["ETH_USDT"]).await;
    let (send, requests) = futures::channel::mpsc::unbounded();
    let mut replies = gateway.client().trade_kline(with_symbol(requests, "BTC_USDT")).await.unwrap().into_inner();
    for round in 1..=100 {
        if round == 50 {
            dying.stop();
        }
        send.unbounded_send(ask("BTC_USDT")).unwrap();
        assert_eq!(replies.message().await.unwrap().expect("a reply").received, round);
    }
    drop(send);
    assert_eq!(replies.message().await.unwrap(), None);
    assert_eq!(instance.seen().cancelled(), 0);
}
