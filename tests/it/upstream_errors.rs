//! What a caller gets when the instance speaks HTTP/2 but not gRPC, or resets the stream.

use futures::FutureExt;
use http::Response;
use symgate_tests::{
    Gateway, Instance, RegistryFile,
    client::{ask, reason},
    eventually,
    raw::{Exchange, RawInstance},
};
use tonic::{Code, Status};

/// A call to an instance that treats it like this ends with this status, and the error says that the gateway made it.
async fn check(answer: impl Fn(Exchange) + Send + Sync + Clone + 'static, expected: Code) {
    let instance = RawInstance::start(move |exchange| {
        answer(exchange);
        std::future::ready(()).boxed()
    })
    .await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    let gateway = Gateway::builder().file(&registry).start().await;
    gateway.ready().await;
    let mut client = gateway.client();
    // Until the instance is connected, the gateway answers by itself that there is none.
    let answers = |status: Status| status.code() != Code::Unavailable;
    eventually!(client.get_kline(ask("BTC_USDT")).await.is_err_and(answers), "the instance is not reached");
    let status = client.get_kline(ask("BTC_USDT")).await.unwrap_err();
    assert_eq!(status.code(), expected, "{status:?}");
    assert!(reason(&status).is_some(), "{status:?}");
}

fn http_status(status: u16) -> impl Fn(Exchange) + Clone {
    move |(_, mut respond)| {
        drop(respond.send_response(Response::builder().status(status).body(()).unwrap(), true));
    }
}

#[tokio::test]
async fn an_http_status_that_is_not_200() {
    check(http_status(401), Code::Unauthenticated).await;
    check(http_status(403), Code::PermissionDenied).await;
    check(http_status(404), Code::Unimplemented).await;
    check(http_status(500), Code::Unknown).await;
}

#[tokio::test]
async fn a_stream_reset_with_a_code() {
    for (code, expected) in [
        (h2::Reason::ENHANCE_YOUR_CALM, Code::ResourceExhausted),
        (h2::Reason::INADEQUATE_SECURITY, Code::PermissionDenied),
        (h2::Reason::CANCEL, Code::Cancelled),
        (h2::Reason::INTERNAL_ERROR, Code::Internal),
    ] {
        check(move |(_, mut respond)| respond.send_reset(code), expected).await;
    }
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
