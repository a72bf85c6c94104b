//! All four kinds of call with messages of every size, long streams and many streams at once.

use bytes::Bytes;
use futures::{StreamExt, future::try_join_all, stream};
use symgate_tests::{
    Gateway,
    client::{Client, ask, with_symbol},
    pb::KlineRequest,
};

const SIZES: [usize; 4] = [0, 1, 64 << 10, 5 << 20];

/// A request with this many bytes of payload, which asks for as many in the reply.
fn sized(bytes: usize) -> KlineRequest {
    KlineRequest {
        payload: Bytes::from(vec![9; bytes]),
        reply_bytes: u32::try_from(bytes).unwrap(),
        count: 3,
        ..ask("BTC_USDT")
    }
}

async fn all_kinds(client: &mut Client, bytes: usize) {
    // The symbol is in the metadata, so that a large first message need not be read before the call is placed.
    let request = || with_symbol(sized(bytes), "BTC_USDT");
    let reply = client.get_kline(request()).await.unwrap().into_inner();
    assert_eq!((reply.received_bytes, reply.payload.len()), (bytes as u64, bytes), "unary");

    let mut replies = client.watch_kline(request()).await.unwrap().into_inner();
    for number in 1..=3 {
        let reply = replies.message().await.unwrap().expect("three replies");
        assert_eq!((reply.received, reply.payload.len()), (number, bytes), "server stream");
    }
    assert_eq!(replies.message().await.unwrap(), None, "server stream: three replies, no more");

    let ticks = stream::iter(vec![sized(bytes); 3]);
    let reply = client.push_ticks(with_symbol(ticks, "BTC_USDT")).await.unwrap().into_inner();
    assert_eq!((reply.received, reply.received_bytes), (3, 3 * bytes as u64), "client stream");

    let requests = stream::iter(vec![sized(bytes); 3]);
    let mut replies = client.trade_kline(with_symbol(requests, "BTC_USDT")).await.unwrap().into_inner();
    for number in 1..=3 {
        let reply = replies.message().await.unwrap().expect("a reply to each request");
        assert_eq!((reply.received, reply.payload.len()), (number, bytes), "bidirectional stream");
    }
    assert_eq!(replies.message().await.unwrap(), None, "bidirectional stream: no reply without request");
}

#[tokio::test]
async fn four_kinds_in_four_sizes() {
    let (_instance, _registry, gateway) = Gateway::builder().over_one().await;
    for bytes in SIZES {
        all_kinds(&mut gateway.client(), bytes).await;
    }
}

#[tokio::test]
async fn an_empty_message_is_routed_by_metadata() {
    let (instance, _registry, gateway) = Gateway::builder().over_one().await;
    let reply = gateway.client().get_kline(with_symbol(KlineRequest::default(), "BTC_USDT")).await.unwrap();
    assert_eq!(reply.into_inner().instance, instance.address().to_string());
}

#[tokio::test]
async fn the_first_message_of_a_stream_places_all_of_it() {
    let (_instance, _registry, gateway) = Gateway::builder().over_one().await;
    let mut first = vec![sized(64 << 10)];
    first.extend(vec![KlineRequest { symbol: "UNKNOWN".into(), ..sized(1) }; 9]);
    let reply = gateway.client().push_ticks(stream::iter(first)).await.unwrap().into_inner();
    assert_eq!((reply.received, reply.received_bytes), (10, (64 << 10) + 9));
}

#[tokio::test]
async fn ten_thousand_messages_each_way() {
    const COUNT: u32 = 10_000;
    let (_instance, _registry, gateway) = Gateway::builder().over_one().await;
    let mut client = gateway.client();

    let request = KlineRequest { count: COUNT, reply_bytes: 100, ..ask("BTC_USDT") };
    let mut replies = client.watch_kline(request).await.unwrap().into_inner();
    for number in 1..=u64::from(COUNT) {
        assert_eq!(replies.message().await.unwrap().expect("all replies").received, number, "in order, none lost");
    }
    assert_eq!(replies.message().await.unwrap(), None);

    let ticks = stream::iter((0..COUNT).map(|_| sized(100)));
    let reply = client.push_ticks(ticks).await.unwrap().into_inner();
    assert_eq!((reply.received, reply.received_bytes), (u64::from(COUNT), 100 * u64::from(COUNT)));

    let requests = stream::iter((0..COUNT).map(|_| sized(100)));
    let replies = client.trade_kline(requests).await.unwrap().into_inner();
    let numbers: Vec<u64> = replies.map(|reply| reply.unwrap().received).collect().await;
    assert_eq!(numbers, (1..=u64::from(COUNT)).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_at_once() {
    let (instance, _registry, gateway) = Gateway::builder().over_one().await;
    let client = gateway.client();
    // Opened one after the other and then all kept open, each with one exchange so far.
    let open = (0..1_000).map(|_| {
        let mut client = client.clone();
        async move {
            let (send, requests) = futures::channel::mpsc::unbounded();
            send.unbounded_send(ask("BTC_USDT")).unwrap();
            let mut replies = client.trade_kline(requests).await?.into_inner();
            replies.message().await?.expect("a reply");
            Ok::<_, tonic::Status>((send, replies))
        }
    });
    let before = instance.seen().under_way();
    let mut open = try_join_all(open).await.unwrap();
    assert_eq!(instance.seen().under_way() - before, 1_000, "all are open at the instance at once");
    for (send, replies) in &mut open {
        send.unbounded_send(ask("BTC_USDT")).unwrap();
        let reply = replies.message().await.unwrap().expect("a second reply");
        assert_eq!(reply.received, 2);
        send.close_channel();
        assert_eq!(replies.message().await.unwrap(), None);
    }
}
