//! Clients that do not speak gRPC, or break HTTP/2, or send too much: each gets a clear answer and disturbs nobody.

use bytes::Bytes;
use http::Request;
use symgate_tests::{
    Gateway, Instance, RegistryFile, Route,
    client::{ask, reason, with_symbol},
    pb::KlineRequest,
    raw::{RawClient, framed, grpc},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::Code;

const GET: &str = "/pb.KlineService/GetKline";

async fn one() -> (Instance, RegistryFile, Gateway) {
    let route = Route::to("klineRpc").with("max_first_message", "64KiB");
    Gateway::builder().route(route).listen("max_header_bytes", "16KiB").over_one().await
}

/// Runs something odd between two ordinary calls on a connection of their own.
async fn undisturbed(gateway: &Gateway, odd: impl Future<Output = ()>) {
    let mut client = gateway.client();
    client.get_kline(ask("BTC_USDT")).await.expect("before");
    odd.await;
    client.get_kline(ask("BTC_USDT")).await.expect("after");
}

/// Writes bytes to a fresh connection and reads what comes until it is closed.
async fn talk(gateway: &Gateway, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(gateway.address()).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(symgate_tests::eventually::PATIENCE, socket.read_to_end(&mut answer)).await;
    // A reset ends the connection as well as a clean close.
    drop(read.expect("the gateway closes the connection"));
    answer
}

#[tokio::test]
async fn a_request_that_is_not_grpc_is_415() {
    let (_instance, _registry, gateway) = one().await;
    undisturbed(&gateway, async {
        let client = RawClient::connect(gateway.address()).await;
        let json = Request::post("http://gateway/pb.KlineService/GetKline").header("content-type", "application/json");
        let answer = client.call(json.body(()).unwrap(), Bytes::from_static(b"{}")).await.unwrap();
        assert_eq!(answer.status, 415);
        let bare = Request::get("http://gateway/").body(()).unwrap();
        let answer = client.call(bare, Bytes::new()).await.unwrap();
        assert_eq!(answer.status, 415);
        assert!(client.is_open(), "the connection stands");
    })
    .await;
}

#[tokio::test]
async fn an_http_1_client_is_told_what_is_spoken_here() {
    let (_instance, _registry, gateway) = one().await;
    undisturbed(&gateway, async {
        let answer = talk(&gateway, b"GET / HTTP/1.1\r\nhost: gateway\r\n\r\n").await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.contains("HTTP/1.1 ") && answer.contains("HTTP/2"), "{answer:?}");
    })
    .await;
}

#[tokio::test]
async fn malformed_frames_end_their_connection_only() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let (_instance, _registry, gateway) = one().await;
    let cases: [&[u8]; 5] = [
        // SETTINGS of a length that is no multiple of six
        &[0, 0, 5, 4, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5],
        // DATA on stream 0
        &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9],
        // HEADERS that HPACK cannot read
        &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 4, 1, 5, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff],
        // a frame far over the largest size
        &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1],
        // CONTINUATION of nothing
        &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 9, 4, 0, 0, 0, 1],
    ];
    for frames in cases {
        undisturbed(&gateway, async {
            talk(&gateway, &[PREFACE, frames].concat()).await;
        })
        .await;
    }
    undisturbed(&gateway, async {
        talk(&gateway, &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await;
    })
    .await;
}

#[tokio::test]
async fn oversized_metadata_is_refused() {
    let (instance, _registry, gateway) = one().await;
    let before = instance.seen().calls();
    let client = RawClient::connect(gateway.address()).await;
    let request = grpc(GET).header("symbol", "BTC_USDT").header("large", "x".repeat(20 << 10)).body(()).unwrap();
    let outcome = client.call(request, framed(&ask("BTC_USDT"))).await;
    let refused =
        outcome.as_ref().map_or(true, |answer| answer.status == 431 || matches!(answer.grpc_status(), Some(8)));
    assert!(refused, "{outcome:?}");
    assert_eq!(instance.seen().calls(), before, "no instance saw it");
    gateway.client().get_kline(ask("BTC_USDT")).await.expect("others are not disturbed");
}

#[tokio::test]
async fn a_first_message_over_the_limit_is_refused_only_when_a_plugin_asked_for_it() {
    let (instance, _registry, gateway) = one().await;
    let large = KlineRequest { payload: vec![0; 65 << 10].into(), ..ask("BTC_USDT") };
    let before = instance.seen().calls();
    let status = gateway.client().get_kline(large.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(reason(&status).is_some(), "{status:?}");
    assert!(status.message().contains("max_first_message"), "it says what to change: {status}");
    assert_eq!(instance.seen().calls(), before);
    gateway.client().get_kline(with_symbol(large, "BTC_USDT")).await.expect("by metadata, nothing is read");
}

#[tokio::test]
async fn a_call_that_ends_before_its_first_message_has_no_symbol() {
    let (_instance, _registry, gateway) = one().await;
    let client = RawClient::connect(gateway.address()).await;
    let answer = client.call(grpc(GET).body(()).unwrap(), Bytes::new()).await.unwrap();
    assert_eq!(answer.grpc_status(), Some(3), "{answer:?}");
    let half = Bytes::from_static(&[0, 0, 0, 1, 0, 1, 2, 3]);
    let answer = client.call(grpc(GET).body(()).unwrap(), half).await.unwrap();
    assert!(answer.grpc_status().is_some_and(|status| status != 0), "{answer:?}");
}

#[tokio::test]
async fn any_authority_is_taken() {
    let (_instance, _registry, gateway) = one().await;
    // What this client can send of the authorities of real ones; for the others see `conformance/relay/heads`.
    for authority in ["10.0.0.1:9000", "klineRpc", "[::1]:9000"] {
        let client = RawClient::connect(gateway.address()).await;
        let request = Request::post(format!("http://{authority}{GET}"))
            .version(http::Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let answer = client.call(request.body(()).unwrap(), framed(&ask("BTC_USDT"))).await.unwrap();
        assert_eq!(answer.grpc_status(), Some(0), "{authority}: {answer:?}");
    }
}
