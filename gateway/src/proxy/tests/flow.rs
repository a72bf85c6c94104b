//! Windows, cancellation, and callers that do not read.

use std::sync::atomic::Ordering::SeqCst;

use bytes::Bytes;
use h2::Reason;

use super::{
    client::{Client, next, send_all},
    eventually,
    gateway::{Gateway, Setup},
    instance::Instance,
    message, soon,
};

const SYMBOL: (&str, &str) = ("symbol", "BTC_USDT");

async fn bench() -> (Instance, Gateway) {
    let instance = Instance::start().await;
    let gateway = Gateway::of(&[("BTC_USDT", &[instance.address])]);
    (instance, gateway)
}

/// Waits until a counter stands still.
async fn settled(counter: impl Fn() -> usize) -> usize {
    let mut last = counter();
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        match counter() {
            now if now == last && now > 0 => return now,
            now => last = now,
        }
    }
}

#[tokio::test]
async fn a_caller_that_does_not_read_stops_the_sender_and_nobody_else() {
    let (instance, gateway) = bench().await;
    let client = Client::with_windows(gateway.address, 65_535, 1 << 24).await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        slow.push(client.start("/t.T/Flood", &[SYMBOL]).await);
    }
    let sent = soon("the flood stops", settled(|| instance.seen.flooded.load(SeqCst))).await;
    // Three windows at most: the client's, the gateway's, and what waits in between.
    assert!(sent / slow.len() <= 3 * 65_535, "{sent} bytes were taken for 20 callers that read none");
    for _ in 0..100 {
        assert_eq!(client.call("/t.T/Echo", &[SYMBOL], message(&[1; 60])).await.outcome(), ("0", ""));
    }
    let mut first = soon("a head", slow.remove(0).response).await.expect("a head").into_body();
    soon("flow again", async {
        let mut read = 0;
        while read < 1_000_000 {
            read += next(&mut first).await.expect("no reset").expect("no end").len();
        }
    })
    .await;
    assert_eq!(instance.seen.connections.load(SeqCst), 1, "all of it on one connection");
}

#[tokio::test]
async fn an_instance_that_does_not_read_stops_the_caller_and_hears_of_its_cancel() {
    let (instance, gateway) = bench().await;
    let client = Client::connect(gateway.address).await;
    let mut call = client.start("/t.T/Silence", &[SYMBOL]).await;
    let sent = std::cell::Cell::new(0);
    let sending = async {
        loop {
            send_all(&mut call.send, Bytes::from(vec![0; 1024]), false).await.expect("the call is open");
            sent.set(sent.get() + 1024);
        }
    };
    tokio::select! {
        () = sending => {}
        _ = settled(|| sent.get()) => {}
    }
    assert!(sent.get() <= 3 * 65_535, "{} bytes were taken for an instance that reads none", sent.get());
    call.send.send_reset(Reason::CANCEL);
    eventually("the instance is told", || *instance.seen.resets.lock() == [Some(Reason::CANCEL)]).await;
}

#[tokio::test]
async fn a_call_that_fills_a_shared_connection_stops_no_other() {
    // Its connection window is as large as one stream's.
    let (instance, gateway) = bench().await;
    let mut blocking = Client::connect(gateway.address).await.start("/t.T/Silence", &[SYMBOL]).await;
    let sending = tokio::spawn(async move { send_all(&mut blocking.send, Bytes::from(vec![0; 1 << 20]), true).await });
    let queued = || gateway.metric("symgate_queued_bytes").parse().unwrap_or(0) > 0;
    eventually("the window is full", queued).await;
    let client = Client::connect(gateway.address).await;
    for _ in 0..100 {
        assert_eq!(client.call("/t.T/Echo", &[SYMBOL], message(&[1; 60])).await.outcome(), ("0", ""));
    }
    assert_eq!(instance.seen.connections.load(SeqCst), 2, "the others have one of their own");
    sending.abort();
}

#[tokio::test]
async fn a_cancel_reaches_the_instance_before_and_during_the_reply() {
    let (instance, gateway) = bench().await;
    let client = Client::connect(gateway.address).await;
    let mut waiting = client.start("/t.T/Silence", &[SYMBOL]).await;
    eventually("the call came", || instance.calls() == 1).await;
    waiting.send.send_reset(Reason::CANCEL);
    eventually("the instance is told", || instance.seen.resets.lock().len() == 1).await;
    let mut flowing = client.start("/t.T/Flood", &[SYMBOL]).await;
    soon("a head", &mut flowing.response).await.expect("a head");
    flowing.send.send_reset(Reason::CANCEL);
    eventually("the instance is told", || instance.seen.resets.lock().len() == 2).await;
    let cancelled = r#"symgate_calls_total{route="/t.T/",service="test",status="CANCELLED",reason=""}"#;
    eventually("both are counted", || gateway.metric(cancelled) == "2").await;
}

#[tokio::test]
async fn a_client_that_vanishes_cancels_its_calls() {
    let (instance, gateway) = bench().await;
    let client = Client::connect(gateway.address).await;
    let call = client.start("/t.T/Silence", &[SYMBOL]).await;
    eventually("the call came", || instance.calls() == 1).await;
    drop((call, client));
    eventually("the instance is told", || instance.seen.resets.lock().len() == 1).await;
    eventually("nothing is left", || gateway.metric("symgate_calls_in_flight") == "0").await;
}

#[tokio::test]
async fn many_cancels_leave_the_connections_alone() {
    let instance = Instance::with_streams(10_000).await;
    let mut setup = Setup::new(&[("BTC_USDT", &[instance.address])]);
    // The gateway may not have looked yet at a call that the client has long forgotten.
    setup.listen.max_concurrent_streams = 10_000;
    let gateway = setup.start();
    let client = Client::connect(gateway.address).await;
    for _ in 0..3_000 {
        client.start("/t.T/Silence", &[SYMBOL]).await.send.send_reset(Reason::CANCEL);
    }
    assert_eq!(client.call("/t.T/Echo", &[SYMBOL], message(b"one")).await.outcome(), ("0", ""));
    assert_eq!(instance.seen.connections.load(SeqCst), 1, "all of it on one connection");
    eventually("nothing is left", || gateway.metric("symgate_calls_in_flight") == "0").await;
}

#[tokio::test]
async fn a_caller_for_whom_too_much_waits_is_cut_off() {
    let instance = Instance::start().await;
    let mut setup = Setup::new(&[("BTC_USDT", &[instance.address])]);
    setup.listen.max_unread = 100_000;
    let gateway = setup.start();
    let client = Client::with_windows(gateway.address, 0, 65_535).await;
    let mut calls = Vec::new();
    for _ in 0..3 {
        calls.push(client.start("/t.T/Flood", &[SYMBOL]).await.response);
    }
    let cut = r#"symgate_calls_total{route="/t.T/",service="test",status="RESOURCE_EXHAUSTED",reason="slow-reader"}"#;
    eventually("one is too many", || !gateway.metric(cut).is_empty()).await;
    assert_eq!(client.call("/t.T/Only", &[SYMBOL], message(b"")).await.outcome(), ("9", ""), "the connection stands");
}

#[tokio::test]
async fn a_message_larger_than_the_window_is_waited_for() {
    let instance = Instance::start().await;
    let mut setup = Setup::new(&[("S", &[instance.address])]);
    setup.listen.connection_window = 65_535;
    let gateway = setup.start();
    let client = Client::connect(gateway.address).await;
    // Field 1 is the symbol, field 2 a large text.
    let message = message(&[&[0x0a, 1, b'S', 0x12, 0x80, 0x80, 0x20][..], &vec![b'x'; 512 * 1024]].concat());
    let reply = client.call("/m.M/Echo", &[], message.clone()).await;
    assert_eq!(reply.outcome(), ("0", ""));
    assert!(reply.body == message, "the message came back whole");
}
