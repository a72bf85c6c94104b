//! A reader that does not read costs neither memory nor other calls.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, stream};
use symgate_tests::{Gateway, client::ask, eventually, instance::Behaviour, pb::KlineRequest};

const MIB: u64 = 1 << 20;
/// A sender that sent nothing for so long is held back.
const STILL: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_slow_reader_does_not_grow_memory() {
    let (_instance, _registry, gateway) = Gateway::builder().over_one().await;
    let mut client = gateway.client();
    let before = gateway.rss();
    // 1 GiB, of which the client takes what its windows hold.
    let request = KlineRequest { count: 16_384, reply_bytes: 64 << 10, ..ask("BTC_USDT") };
    let mut unread = client.watch_kline(request).await.unwrap().into_inner();
    unread.message().await.unwrap().expect("a first reply");
    let mut other = gateway.client();
    for _ in 0..200 {
        other.get_kline(ask("BTC_USDT")).await.expect("other calls go on");
    }
    let grown = gateway.rss().saturating_sub(before);
    assert!(grown < 64 * MIB, "the gateway grew by {} MiB", grown / MIB);
}

#[tokio::test]
async fn a_slow_instance_does_not_grow_memory() {
    let (instance, _registry, gateway) = Gateway::builder().over_one().await;
    instance.behave(Behaviour::Stall);
    let before = gateway.rss();
    let (taken, tick) = (std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0)), Bytes::from(vec![1; 64 << 10]));
    let counter = taken.clone();
    let ticks = stream::repeat_with(move || {
        counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        KlineRequest { payload: tick.clone(), ..ask("BTC_USDT") }
    });
    let mut client = gateway.client();
    let call = tokio::spawn(async move { client.push_ticks(ticks.take(16_384)).await });
    eventually!(instance.seen().under_way() == 1, "the call arrives");
    let (mut settled, mut since) = (0, Instant::now());
    eventually!(
        {
            let now = taken.load(std::sync::atomic::Ordering::SeqCst);
            if now != settled {
                (settled, since) = (now, Instant::now());
            }
            settled > 0 && since.elapsed() > STILL
        },
        "the sender is never held back"
    );
    assert!(settled < 16_384, "the sender is held back");
    let grown = gateway.rss().saturating_sub(before);
    assert!(grown < 64 * MIB, "the gateway grew by {} MiB", grown / MIB);
    call.abort();
}

#[tokio::test]
async fn an_unread_stream_of_small_messages_disturbs_no_call_on_its_connection() {
    let (_instance, _registry, gateway) = Gateway::builder().over_one().await;
    let mut client = gateway.client();
    let request = KlineRequest { count: 100_000, reply_bytes: 60, ..ask("BTC_USDT") };
    let _unread = client.watch_kline(request).await.unwrap().into_inner();
    for _ in 0..200 {
        client.get_kline(ask("BTC_USDT")).await.expect("a neighbour on the same connection");
    }
}

#[tokio::test]
async fn a_storm_of_cancellations_does_not_end_the_shared_connection() {
    let (instance, _registry, gateway) = Gateway::builder().over_one().await;
    instance.behave(Behaviour::StallAfterFirst);
    let mut client = gateway.client();
    let request = KlineRequest { count: 2, ..ask("BTC_USDT") };
    let mut steady = gateway.client().watch_kline(request.clone()).await.unwrap().into_inner();
    steady.message().await.unwrap().expect("a first reply");
    for _ in 0..1_500 {
        drop(client.watch_kline(request.clone()).await.expect("a connection that stands"));
    }
    eventually!(instance.seen().cancelled() >= 1_500, "{} of 1500 are told", instance.seen().cancelled());
    assert_eq!(instance.seen().under_way(), 1, "the one that was not cancelled goes on");
}
