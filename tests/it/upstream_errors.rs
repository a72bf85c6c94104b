//! What a caller gets when the instance speaks HTTP/2 but not gRPC, or resets the stream.

use bytes::Bytes;
use futures::FutureExt;
use h2::{SendStream, server::SendResponse};
use http::Response;
use symgate_tests::{
    Gateway, Instance, RegistryFile,
    client::ask,
    eventually,
    raw::{Exchange, RawClient, RawInstance, framed, grpc},
};
use tonic::Code;

/// How an instance treats a call: the metadata `treat` says.
fn treat(exchange: Exchange) {
    let (request, mut respond) = exchange;
    let treat = request.headers().get("treat").map_or("", |treat| treat.to_str().unwrap()).to_owned();
    let words: Vec<&str> = treat.split(' ').collect();
    let head = |status: &str| Response::builder().status(status).header("content-type", "application/grpc");
    match words.as_slice() {
        ["http", status] => drop(respond.send_response(Response::builder().status(*status).body(()).unwrap(), true)),
        ["http-with-body", status] => {
            let html = Response::builder().status(*status).header("content-type", "text/html");
            let mut body = respond.send_response(html.body(()).unwrap(), false).unwrap();
            body.send_data(Bytes::from_static(b"<html>"), true).unwrap();
        }
        ["http-and-grpc", status, grpc] => {
            let head = head(status).header("grpc-status", *grpc);
            drop(respond.send_response(head.body(()).unwrap(), true));
        }
        ["reset", code] => respond.send_reset(code.parse::<u32>().unwrap().into()),
        ["half-and-reset", code] => half(&mut respond).send_reset(code.parse::<u32>().unwrap().into()),
        ["half-and-end"] => half(&mut respond).send_data(Bytes::new(), true).unwrap(),
        _ => drop(respond.send_response(head("200").header("grpc-status", "0").body(()).unwrap(), true)),
    }
}

/// The head of a reply and the beginning of a message.
fn half(respond: &mut SendResponse<Bytes>) -> SendStream<Bytes> {
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut body = respond.send_response(head, false).unwrap();
    body.send_data(Bytes::from_static(&[0, 0, 0, 0, 9, 1]), false).unwrap();
    body
}

/// Plays every case over one connection: how the instance treats the call, and the status that the caller sees.
async fn check(cases: impl IntoIterator<Item = (String, Code)>) {
    let instance = RawInstance::start(|exchange| {
        treat(exchange);
        std::future::ready(()).boxed()
    })
    .await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    let gateway = Gateway::builder().file(&registry).start().await;
    let client = RawClient::connect(gateway.address()).await;
    let call = |treat: &str| {
        let request = grpc("/pb.KlineService/GetKline").header("treat", treat).body(()).unwrap();
        client.call(request, framed(&ask("BTC_USDT")))
    };
    eventually!(call("well").await.is_ok_and(|answer| answer.grpc_status() == Some(0)), "the instance is not reached");
    for (treat, expected) in cases {
        let answer = call(&treat).await.unwrap_or_else(|error| panic!("{treat}: {error} is no gRPC status"));
        let ours = answer.trailer("symgate-reason").is_some();
        assert_eq!(answer.grpc_status(), Some(expected as u8), "{treat}: {answer:?}");
        assert_eq!(ours, !treat.starts_with("http-and-grpc"), "{treat}: who made the status is told: {answer:?}");
        assert!(treat.starts_with("http-and-grpc") || answer.status == 200, "{treat}: {answer:?}");
    }
    assert_eq!(gateway.metric("symgate_calls_in_flight", "").await, 0.0);
}

/// <https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>
fn of_http(status: u16) -> Code {
    match status {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

/// <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors>
fn of_reset(code: u32) -> Code {
    match code {
        7 => Code::Unavailable,
        8 => Code::Cancelled,
        11 => Code::ResourceExhausted,
        12 => Code::PermissionDenied,
        0..=10 => Code::Internal,
        _ => Code::Unknown,
    }
}

#[tokio::test]
async fn every_http_status_has_its_grpc_status() {
    check((200..=599).map(|status| (format!("http {status}"), of_http(status)))).await;
}

#[tokio::test]
async fn the_body_of_an_answer_that_is_not_grpc_changes_nothing() {
    let statuses = [200, 206, 301, 400, 401, 403, 404, 418, 429, 500, 502, 503, 504, 599];
    check(statuses.map(|status| (format!("http-with-body {status}"), of_http(status)))).await;
}

#[tokio::test]
async fn a_grpc_status_counts_more_than_any_http_status() {
    let statuses = [200, 301, 400, 401, 403, 404, 429, 500, 502, 503, 504];
    check(statuses.map(|status| (format!("http-and-grpc {status} 5"), Code::NotFound))).await;
}

#[tokio::test]
async fn every_reset_has_its_grpc_status() {
    let codes = || (0..=13).chain([0xfeed, u32::MAX]);
    check(codes().map(|code| (format!("reset {code}"), of_reset(code)))).await;
    check(codes().map(|code| (format!("half-and-reset {code}"), of_reset(code)))).await;
}

#[tokio::test]
async fn a_reply_that_ends_within_a_message_is_no_clean_end() {
    check([("half-and-end".to_owned(), Code::Internal)]).await;
}

#[tokio::test]
async fn a_refused_stream_is_tried_on_another_instance() {
    let refusing = RawInstance::start(|(_, mut respond)| {
        respond.send_reset(h2::Reason::REFUSED_STREAM);
        std::future::ready(()).boxed()
    })
    .await;
    let answering = Instance::start(&["BTC_USDT"]).await;
    let registry = RegistryFile::of(&[("BTC_USDT", refusing.address()), ("BTC_USDT", answering.address())]);
    let gateway = Gateway::builder().file(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    for _ in 0..50 {
        gateway.client().get_kline(ask("BTC_USDT")).await.expect("a refused call was never seen; it is safe to repeat");
    }
}

#[tokio::test]
async fn an_address_where_nobody_listens_costs_nothing_while_another_lives() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = unused.local_addr().unwrap();
    drop(unused);
    let answering = Instance::start(&["BTC_USDT"]).await;
    let registry = RegistryFile::of(&[("BTC_USDT", nobody), ("BTC_USDT", answering.address())]);
    let gateway = Gateway::builder().file(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    for _ in 0..50 {
        gateway.client().get_kline(ask("BTC_USDT")).await.expect("the living instance answers");
    }
}
