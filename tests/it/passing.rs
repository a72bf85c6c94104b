//! What passes through the gateway unchanged: metadata of both sorts, status, details, trailers.

mod compressed;

use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderMap, HeaderValue, Response};
use symgate_tests::{
    Gateway, Instance, RegistryFile, Route,
    client::{ask, reason},
    instance::Behaviour,
    raw::{RawClient, RawInstance, framed, grpc},
};
use tonic::{
    Code, Request, Status,
    metadata::{MetadataMap, MetadataValue},
};

#[tokio::test]
async fn metadata_text_and_binary_both_ways() {
    let instance = Instance::start(&["BTC_USDT"]).await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    let gateway = Gateway::builder().file(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    let binary: Vec<u8> = (0..=255).collect();
    let mut request = Request::new(ask("BTC_USDT"));
    request.metadata_mut().insert("echo", "text with spaces ~!*".parse().unwrap());
    request.metadata_mut().insert_bin("echo-bin", MetadataValue::from_bytes(&binary));
    request.metadata_mut().append("twice", "one".parse().unwrap());
    request.metadata_mut().append("twice", "two".parse().unwrap());
    let response = gateway.client().get_kline(request).await.unwrap();
    assert_eq!(response.metadata().get("echo").unwrap(), "text with spaces ~!*");
    assert_eq!(response.metadata().get_bin("echo-bin").unwrap().to_bytes().unwrap(), binary);
    let twice: Vec<_> = instance.seen().last().metadata.get_all("twice").iter().cloned().collect();
    assert_eq!(twice, ["one", "two"], "repeated keys keep their values and their order");
    assert!(response.metadata().get("symgate-instance").is_none(), "only when the route asks for it");
}

#[tokio::test]
async fn status_message_details_and_trailing_metadata() {
    let instance = Instance::start(&["BTC_USDT"]).await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    let gateway = Gateway::builder().file(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    for code in 1..=16 {
        let mut metadata = MetadataMap::new();
        metadata.insert("retry-after", "7".parse().unwrap());
        metadata.insert_bin("trace-bin", MetadataValue::from_bytes(&[0, 255]));
        let details = Bytes::from_static(&[1, 0, 255, 10]);
        let sent =
            Status::with_details_and_metadata(Code::from(code), "k-line: 50% \u{e9}\u{4e2d}\n", details, metadata);
        instance.behave(Behaviour::Fail(Box::new(sent.clone())));
        let got = gateway.client().get_kline(ask("BTC_USDT")).await.unwrap_err();
        assert_eq!((got.code(), got.message(), got.details()), (sent.code(), sent.message(), sent.details()));
        assert_eq!(got.metadata().get("retry-after").unwrap(), "7");
        assert_eq!(got.metadata().get_bin("trace-bin").unwrap().to_bytes().unwrap(), &[0, 255][..]);
        assert_eq!(reason(&got), None, "it is the instance's own error");
    }
}

/// An instance of the test's own making behind a gateway.
async fn raw(trailers_only: bool) -> (RawInstance, RegistryFile, Gateway) {
    let instance = RawInstance::start(move |(_request, mut respond)| {
        async move {
            let response = Response::builder().header("content-type", "application/grpc+proto").header("a", "b");
            if trailers_only {
                let response = response.header("grpc-status", "9").header("grpc-message", "not%20now").header("c", "d");
                respond.send_response(response.body(()).unwrap(), true).unwrap();
                return;
            }
            let mut stream = respond.send_response(response.body(()).unwrap(), false).unwrap();
            stream.send_data(Bytes::from_static(&[0, 0, 0, 0, 0]), false).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            trailers.append("x-trailer", HeaderValue::from_static("one"));
            trailers.append("x-trailer", HeaderValue::from_static("two"));
            stream.send_trailers(trailers).unwrap();
        }
        .boxed()
    })
    .await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    let gateway = Gateway::builder().file(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    (instance, registry, gateway)
}

#[tokio::test]
async fn trailers_of_a_call_that_went_well() {
    let (_instance, _registry, gateway) = raw(false).await;
    let client = RawClient::connect(gateway.address()).await;
    let request = grpc("/pb.KlineService/GetKline").body(()).unwrap();
    let answer = client.call(request, framed(&ask("BTC_USDT"))).await.unwrap();
    assert_eq!(answer.body, [0, 0, 0, 0, 0]);
    assert_eq!(answer.headers["content-type"], "application/grpc+proto");
    assert_eq!(answer.headers["a"], "b");
    let trailers = answer.trailers.expect("trailers");
    let values: Vec<_> = trailers.get_all("x-trailer").iter().collect();
    assert_eq!(values, ["one", "two"]);
    assert_eq!(trailers["grpc-status"], "0");
}

#[tokio::test]
async fn a_response_of_trailers_only_stays_one() {
    let (_instance, _registry, gateway) = raw(true).await;
    let client = RawClient::connect(gateway.address()).await;
    let request = grpc("/pb.KlineService/GetKline").body(()).unwrap();
    let answer = client.call(request, framed(&ask("BTC_USDT"))).await.unwrap();
    assert_eq!(answer.trailers, None, "the status is in the one header block");
    assert_eq!(answer.headers["grpc-status"], "9");
    assert_eq!(answer.headers["grpc-message"], "not%20now", "not decoded, not encoded again");
    assert_eq!(answer.headers["c"], "d");
}

#[tokio::test]
async fn health_and_reflection_of_instances_pass_as_any_other_service() {
    const BOTH_WAYS: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let instance = RawInstance::start_with(&h2::server::Builder::new(), |(mut request, mut respond)| {
        async move {
            let path = request.uri().path().to_owned();
            let head = Response::builder().header("content-type", "application/grpc").header("path", path);
            let mut replies = respond.send_response(head.body(()).unwrap(), false).unwrap();
            // What comes is what goes, message by message.
            while let Some(chunk) = request.body_mut().data().await {
                replies.send_data(chunk.unwrap(), false).unwrap();
            }
            replies.send_trailers(HeaderMap::from_iter([("grpc-status".parse().unwrap(), 0.into())])).unwrap();
        }
        .boxed()
    })
    .await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    registry.put("plainRpc/1", instance.address());
    let by_symbol = r#"{ builtin = "metadata-key", key = "symbol" }"#;
    let extract: toml::Value = format!("it = {by_symbol}").parse::<toml::Table>().unwrap()["it"].clone();
    let gateway = Gateway::builder()
        .file(&registry)
        .route(Route::to("klineRpc").on("/grpc.health.v1.Health/").with("extract", extract).with("health", false))
        .route(Route::to("plainRpc").on("/grpc.reflection.v1.ServerReflection/").with("health", false).unsplit());
    let gateway = gateway.start().await;
    gateway.ready().await;
    let client = RawClient::connect(gateway.address()).await;
    let message = Bytes::from_static(&[0, 0, 0, 0, 3, 10, 1, b'x']);
    for (path, symbol, expected) in [
        ("/grpc.health.v1.Health/Check", Some("BTC_USDT"), Some(0)),
        ("/grpc.health.v1.Health/Watch", Some("BTC_USDT"), Some(0)),
        ("/grpc.health.v1.Health/Check", None, Some(3)),
        (BOTH_WAYS, None, Some(0)),
        ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", None, Some(12)),
    ] {
        let request = symbol.into_iter().fold(grpc(path), |request, symbol| request.header("symbol", symbol));
        let answer = client.call(request.body(()).unwrap(), message.clone()).await.unwrap();
        assert_eq!(answer.grpc_status(), expected, "{path} {symbol:?}: {answer:?}");
        if expected == Some(0) {
            assert_eq!((&answer.headers["path"], &answer.body[..]), (&path.parse().unwrap(), &message[..]));
        }
    }
    // Both ways at once, as reflection is spoken.
    let (response, mut requests) = client.open(grpc(BOTH_WAYS).body(()).unwrap()).await.unwrap();
    requests.send_data(message.clone(), false).unwrap();
    let mut replies = response.await.unwrap().into_body();
    assert_eq!(replies.data().await.unwrap().unwrap(), message);
    requests.send_data(message.clone(), true).unwrap();
    assert_eq!(replies.data().await.unwrap().unwrap(), message, "a reply to each request");
}
