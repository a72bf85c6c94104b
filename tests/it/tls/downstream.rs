//! Clients that speak TLS, and those that do it wrong.

use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use symgate_tests::{
    client::{ask, is_ours, reason, with_symbol},
    eventually,
    pb::KlineRequest,
    raw::{RawClient, framed, grpc},
    tls::Pair,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::Code;

use super::*;

#[tokio::test]
async fn all_four_kinds_of_call_pass() {
    let site = Site::start().await;
    let mut client = site.authority.client(site.gateway.address(), None);
    serving(&client, &["BTC_USDT"]).await;
    let reply = client.get_kline(ask("BTC_USDT")).await.unwrap().into_inner();
    assert_eq!(reply.instance, site.instance.address().to_string());
    let request = KlineRequest { count: 3, ..ask("BTC_USDT") };
    let mut replies = client.watch_kline(request).await.unwrap().into_inner();
    for _ in 0..3 {
        replies.message().await.unwrap().expect("a reply");
    }
    assert_eq!(replies.message().await.unwrap(), None);
    let ticks = stream::iter((0..5).map(|_| ask("BTC_USDT")));
    assert_eq!(client.push_ticks(ticks.clone()).await.unwrap().into_inner().received, 5);
    let mut trade = client.trade_kline(ticks).await.unwrap().into_inner();
    for _ in 0..5 {
        trade.message().await.unwrap().expect("a reply");
    }
    assert_eq!(trade.message().await.unwrap(), None);
    assert_eq!(site.instance.seen().last().certificate, None, "the instance is spoken to without TLS");
}

#[tokio::test]
async fn a_client_that_does_not_ask_for_http2_is_refused() {
    let site = Site::start().await;
    let connect = async |alpn: &[&str]| site.authority.connect(site.gateway.address(), None, alpn).await;
    let error = connect(&["http/1.1"]).await.expect_err("there is no protocol in common");
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    eventually!(site.errors("client", "alpn").await == 1.0, "http/1.1 is counted");
    // Without ALPN the handshake ends well on the client's side; nothing may follow.
    let mut silent = connect(&[]).await.expect("a handshake");
    let mut rest = Vec::new();
    // Closed with a goodbye or without one.
    let _ = silent.read_to_end(&mut rest).await;
    assert!(rest.is_empty(), "the gateway speaks no HTTP/2 with it: {rest:?}");
    eventually!(site.errors("client", "alpn").await == 2.0, "no ALPN is counted");
    let raw = RawClient::over(connect(&["h2", "http/1.1"]).await.expect("h2 is in common")).await;
    let answer = raw.call(grpc("/pb.KlineService/GetKline").body(()).unwrap(), framed(&ask("BTC_USDT"))).await;
    assert_eq!(answer.unwrap().grpc_status(), Some(0));
}

#[tokio::test]
async fn a_client_without_tls_is_refused_and_the_others_go_on() {
    let site = Site::start().await;
    let client = site.authority.client(site.gateway.address(), None);
    serving(&client, &["BTC_USDT"]).await;
    let status = site.gateway.client().get_kline(ask("BTC_USDT")).await.expect_err("no TLS, no call");
    assert!(is_ours(&status), "the client cannot connect: {status:?}");
    eventually!(site.errors("client", "not-tls").await >= 1.0, "it is counted");
    let mut http1 = TcpStream::connect(site.gateway.address()).await.unwrap();
    http1.write_all(b"GET / HTTP/1.1\r\nhost: gate\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = http1.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1"), "nothing is said without TLS: {answer:?}");
    client.clone().get_kline(ask("BTC_USDT")).await.expect("those who speak TLS go on");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go() {
    let site = Site::start().await;
    let mut silent = TcpStream::connect(site.gateway.address()).await.unwrap();
    let mut nothing = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(20), silent.read_to_end(&mut nothing)).await;
    closed.expect("the gateway does not wait for ever").unwrap();
    assert!(nothing.is_empty());
    eventually!(site.errors("client", "timeout").await == 1.0, "it is counted");
    eventually!(site.gateway.metric("symgate_downstream_connections", "").await == 0.0, "its place is free");
}

/// How a call of a client ends that shows this pair.
async fn call(site: &Site, shows: Option<&Pair>) -> Result<(), tonic::Status> {
    let mut client = site.authority.client(site.gateway.address(), shows);
    client.get_kline(ask("BTC_USDT")).await.map(drop)
}

#[tokio::test]
async fn where_clients_need_a_certificate_only_one_of_the_authority_will_do() {
    let site = Site::mutual(|builder| builder).await;
    let good = site.authority.pair(&["api.internal"]);
    serving(&site.authority.client(site.gateway.address(), Some(&good)), &["BTC_USDT"]).await;
    let before = site.instance.seen().calls();
    let status = call(&site, None).await.expect_err("without a certificate");
    assert_eq!(reason(&status), None, "it is not even a call: {status:?}");
    eventually!(site.errors("client", "no-certificate").await >= 1.0, "it is counted");
    let foreign = Authority::new().pair(&["api.internal"]);
    let status = call(&site, Some(&foreign)).await.expect_err("of another authority");
    assert_eq!(reason(&status), None, "{status:?}");
    eventually!(site.errors("client", "bad-certificate").await >= 1.0, "it is counted");
    assert_eq!(site.instance.seen().calls(), before, "nothing reached the instance");
    call(&site, Some(&good)).await.expect("the good one still passes");
}

/// Routes by method: two for some clients, one for all.
fn routes(builder: Builder) -> Builder {
    let names = |names: &[&str]| Value::Array(names.iter().map(|name| (*name).into()).collect());
    let some = ["spiffe://example.org/api", "api.internal", "10.1.2.3"];
    builder
        .route(Route::to("klineRpc").on("/pb.KlineService/GetKline").with("clients", names(&some)))
        .route(Route::to("klineRpc").on("/pb.KlineService/WatchKline").with("clients", names(&["ops@example.org"])))
        .route(Route::to("klineRpc"))
}

#[tokio::test]
async fn a_route_is_for_the_clients_that_it_names() {
    let site = Site::mutual(routes).await;
    let pair = |names: &[&str]| site.authority.pair(names);
    serving(&site.authority.client(site.gateway.address(), Some(&pair(&["api.internal"]))), &["BTC_USDT"]).await;
    for names in [&["other", "spiffe://example.org/api"][..], &["api.internal"], &["10.1.2.3"]] {
        call(&site, Some(&pair(names))).await.unwrap_or_else(|status| panic!("{names:?}: {status:?}"));
    }
    let strangers = [
        &[][..],
        &["spiffe://example.org/api/more"],
        &["spiffe://example.org/ap"],
        &["spiffe://example.org/API"],
        &["sub.api.internal", "api.internal.evil.example"],
        &["ops@example.org", "10.1.2.4"],
    ];
    let before = site.instance.seen().calls();
    for names in strangers {
        let status = call(&site, Some(&pair(names))).await.expect_err("not one of those");
        assert_eq!((status.code(), reason(&status)), (Code::PermissionDenied, Some("client-not-allowed")), "{names:?}");
        assert!(status.message().contains("/pb.KlineService/GetKline"), "the text names the route: {status:?}");
    }
    assert_eq!(site.instance.seen().calls(), before, "nothing reached the instance");
    let labels = "status=\"PERMISSION_DENIED\",reason=\"client-not-allowed\"";
    assert_eq!(site.gateway.metric("symgate_calls_total", labels).await, strangers.len() as f64);
}

#[tokio::test]
async fn each_route_has_its_own_clients_on_one_connection() {
    let site = Site::mutual(routes).await;
    let mut client = site.authority.client(site.gateway.address(), Some(&site.authority.pair(&["ops@example.org"])));
    let ticks = || with_symbol(stream::iter([ask("BTC_USDT")]), "BTC_USDT");
    eventually!(client.push_ticks(ticks()).await.is_ok(), "the route that names nobody is for all");
    client.watch_kline(KlineRequest { payload: Bytes::new(), ..ask("BTC_USDT") }).await.expect("named there");
    let status = client.get_kline(ask("BTC_USDT")).await.expect_err("not named here");
    assert_eq!(reason(&status), Some("client-not-allowed"));
    client.push_ticks(ticks()).await.expect("the connection goes on");
}
