//! All kinds of call pass as they are.

use bytes::Bytes;

use super::{
    client::{Client, next, read, reply, send_all},
    gateway::{Gateway, Setup},
    instance::Instance,
    message, soon,
};

const SYMBOL: (&str, &str) = ("symbol", "BTC_USDT");

async fn bench() -> (Instance, Gateway, Client) {
    let instance = Instance::start().await;
    let gateway = Gateway::of(&[("BTC_USDT", &[instance.address])]);
    let client = Client::connect(gateway.address).await;
    (instance, gateway, client)
}

#[tokio::test]
async fn messages_of_any_size_pass() {
    let (_instance, gateway, client) = bench().await;
    for size in [0, 1, 64 * 1024, 5 * 1024 * 1024] {
        let body = message(&vec![7; size]);
        let reply = client.call("/t.T/Echo", &[SYMBOL], body.clone()).await;
        assert!(reply.body == body, "{} of {} bytes came back", reply.body.len(), body.len());
        assert_eq!(reply.outcome(), ("0", ""));
    }
    let counted = r#"symgate_calls_total{route="/t.T/",service="test",status="OK",reason=""}"#;
    super::eventually("4 calls counted", || gateway.metric(counted) == "4").await;
    assert_eq!(gateway.metric("symgate_calls_in_flight"), "0");
}

#[tokio::test]
async fn a_call_without_any_message_passes() {
    let (_instance, _gateway, client) = bench().await;
    assert_eq!(client.call("/t.T/Echo", &[SYMBOL], Bytes::new()).await.outcome(), ("0", ""));
}

#[tokio::test]
async fn both_directions_flow_while_both_are_open() {
    let (_instance, _gateway, client) = bench().await;
    let mut call = client.start("/t.T/Echo", &[SYMBOL]).await;
    let mut body = None;
    for number in 0..100_u8 {
        let sent = message(&[number; 10]);
        send_all(&mut call.send, sent.clone(), false).await.expect("the call is open");
        let body = match &mut body {
            Some(body) => body,
            empty => empty.insert(soon("a head", &mut call.response).await.expect("a head").into_body()),
        };
        assert_eq!(soon("the echo", next(body)).await.expect("the call is open"), Some(sent));
    }
    call.send.send_data(Bytes::new(), true).expect("the call is open");
    let (rest, trailers) = soon("the end", read(body.expect("a body"))).await.expect("a clean end");
    assert_eq!((rest.len(), &trailers.expect("trailers")["grpc-status"]), (0, &"0".parse().expect("a value")));
}

#[tokio::test]
async fn a_reply_may_end_before_the_request() {
    let (_instance, _gateway, client) = bench().await;
    let mut call = client.start("/t.T/Early", &[SYMBOL]).await;
    send_all(&mut call.send, message(b"one"), false).await.expect("the call is open");
    let reply = soon("a reply", reply(call.response)).await.expect("a complete reply");
    assert_eq!(reply.outcome(), ("0", ""));
}

#[tokio::test]
async fn a_reply_of_headers_only_is_not_changed() {
    let (_instance, _gateway, client) = bench().await;
    let reply = client.call("/t.T/Only", &[SYMBOL], message(b"")).await;
    assert!(reply.trailers.is_none(), "still headers only: {reply:?}");
    assert_eq!(reply.outcome(), ("9", ""));
    assert_eq!(reply.end("grpc-message"), "not%20now");
    assert_eq!(reply.end("grpc-status-details-bin"), "CAkSA2FiYw");
}

#[tokio::test]
async fn metadata_passes_both_ways_and_says_what_was_decided() {
    let (instance, _gateway, client) = bench().await;
    let metadata = [
        SYMBOL,
        ("x-text", "a"),
        ("x-text", "b"),
        ("x-raw-bin", "/wA"),
        ("symgate-symbol", "ETH"),
        ("symgate-owner", "1"),
    ];
    let reply = client.call("/t.T/Echo", &metadata, message(b"")).await;
    assert_eq!(reply.headers.get_all("x-text").iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(reply.headers["x-raw-bin"], "/wA");
    let seen = instance.seen.heads.lock()[0].clone();
    assert_eq!(seen.get_all("symgate-symbol").iter().collect::<Vec<_>>(), ["BTC_USDT"]);
    assert_eq!(seen.get_all("symgate-owner").iter().collect::<Vec<_>>(), ["70"]);
    assert_eq!(seen["te"], "trailers");
    assert_eq!(seen.get("grpc-timeout"), None);
}

#[tokio::test]
async fn the_instance_gets_the_time_that_is_left() {
    let (instance, _gateway, client) = bench().await;
    client.call("/t.T/Echo", &[SYMBOL, ("grpc-timeout", "20S")], message(b"")).await;
    let seen = instance.seen.heads.lock()[0]["grpc-timeout"].to_str().expect("text").to_owned();
    let left: u32 = seen.strip_suffix('u').expect("microseconds").parse().expect("a number");
    assert!((10_000_000..20_000_000).contains(&left), "{seen}");
}

#[tokio::test]
async fn the_reply_names_the_instance_when_the_route_says_so() {
    let instance = Instance::start().await;
    let setup = Setup::new(&[("BTC_USDT", &[instance.address])]).routes(|route| route.reply_instance = true);
    let gateway = setup.start();
    let reply = Client::connect(gateway.address).await.call("/t.T/Echo", &[SYMBOL], message(b"")).await;
    assert_eq!(reply.headers["symgate-instance"], instance.address.to_string());
}
