//! What the caller reads when a call cannot be answered.

use bytes::Bytes;
use h2::Reason;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    client::{Client, reply, request, send_all},
    gateway::{Gateway, Setup},
    instance::Instance,
    message, soon,
};

const SYMBOL: (&str, &str) = ("symbol", "BTC_USDT");

async fn bench() -> (Instance, Gateway, Client) {
    let instance = Instance::start().await;
    let gateway = Gateway::of(&[("BTC_USDT", &[instance.address]), ("OLD_USDT", &[])]);
    let client = Client::connect(gateway.address).await;
    (instance, gateway, client)
}

#[track_caller]
fn check<'a>(
    client: &'a Client,
    path: &'a str,
    metadata: &'a [(&str, &str)],
    expected: (&'a str, &'a str),
) -> impl Future<Output = ()> + 'a {
    let at = std::panic::Location::caller();
    async move {
        let reply = client.call(path, metadata, message(b"")).await;
        assert_eq!(reply.outcome(), expected, "{at}: {reply:?}");
        assert_eq!(reply.status, 200, "{at}");
    }
}

#[tokio::test]
async fn a_call_without_a_place_is_told_why() {
    let (_instance, _gateway, client) = bench().await;
    check(&client, "/other.O/Get", &[SYMBOL], ("12", "no-route")).await;
    check(&client, "/t.T/Echo", &[], ("3", "no-symbol")).await;
    check(&client, "/t.T/Echo", &[("symbol", "NEW_USDT")], ("5", "unknown-symbol")).await;
    check(&client, "/t.T/Echo", &[("symbol", "OLD_USDT")], ("14", "no-instance")).await;
    check(&client, "/t.T/Echo", &[SYMBOL, SYMBOL], ("3", "ambiguous-metadata")).await;
    check(&client, "/t.T/Echo", &[SYMBOL, ("grpc-timeout", "soon")], ("3", "bad-timeout")).await;
    check(&client, "/unread.U/Echo", &[SYMBOL], ("14", "table-not-loaded")).await;
}

#[tokio::test]
async fn errors_of_the_instance_map_as_grpc_says() {
    let (_instance, _gateway, client) = bench().await;
    check(&client, "/t.T/Reset", &[SYMBOL], ("8", "upstream-reset")).await;
    check(&client, "/t.T/Http", &[SYMBOL], ("14", "upstream-http")).await;
    check(&client, "/t.T/Bare", &[SYMBOL], ("13", "no-trailers")).await;
}

#[tokio::test]
async fn a_reply_without_its_end_is_no_clean_end() {
    let (_instance, _gateway, client) = bench().await;
    let reply = client.call("/t.T/Truncate", &[SYMBOL], message(b"")).await;
    assert_eq!((reply.outcome(), reply.body.clone()), (("13", "no-trailers"), message(b"half")));
}

#[tokio::test]
async fn an_instance_that_dies_ends_its_calls_with_unavailable() {
    let (instance, _gateway, client) = bench().await;
    let mut open = client.start("/t.T/Echo", &[SYMBOL]).await;
    send_all(&mut open.send, message(b"one"), false).await.expect("the call is open");
    let head = soon("a head", &mut open.response).await.expect("a head");
    let silent = client.start("/t.T/Silence", &[SYMBOL]).await;
    super::eventually("both calls came", || instance.calls() == 2).await;
    instance.kill();
    let (body, trailers) = soon("trailers", super::client::read(head.into_body())).await.expect("no reset");
    let trailers = trailers.expect("trailers");
    assert_eq!(
        (body, &trailers["grpc-status"], &trailers["symgate-reason"]),
        (message(b"one"), &"14".parse().expect("a value"), &"instance-lost".parse().expect("a value"))
    );
    let reply = soon("a reply", reply(silent.response)).await.expect("no reset");
    assert_eq!(reply.outcome(), ("14", "instance-lost"));
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let (instance, gateway, client) = bench().await;
    instance.kill();
    super::eventually("the connection is gone", || gateway.metric("symgate_upstream_connections") == "0").await;
    check(&client, "/t.T/Echo", &[SYMBOL], ("14", "unreachable")).await;
}

#[tokio::test]
async fn what_is_not_grpc_is_told_in_http() {
    let (_instance, _gateway, client) = bench().await;
    for (method, content_type, expected) in [("POST", "application/json", 415), ("GET", "application/grpc+proto", 405)]
    {
        let mut request = request("/t.T/Echo", &[SYMBOL]);
        *request.method_mut() = method.parse().expect("a method");
        request.headers_mut().insert("content-type", content_type.parse().expect("a value"));
        let call = client.start_request(request, true).await;
        let reply = soon("a reply", reply(call.response)).await.expect("a reply");
        assert_eq!(reply.status, expected, "{method} {content_type}");
    }
}

#[tokio::test]
async fn an_http1_client_is_told_what_is_spoken_here() {
    let (_instance, gateway, _client) = bench().await;
    let mut tcp = TcpStream::connect(gateway.address).await.expect("the gateway accepts");
    tcp.write_all(b"GET / HTTP/1.1\r\nhost: gateway\r\n\r\n").await.expect("an open connection");
    let mut answer = String::new();
    soon("the answer", tcp.read_to_string(&mut answer)).await.expect("text and a clean end");
    assert!(answer.starts_with("HTTP/1.1 505 "), "{answer}");
    assert!(answer.contains("symgate speaks gRPC over HTTP/2 (h2c with prior knowledge)"), "{answer}");
}

#[tokio::test]
async fn oversize_metadata_leaves_the_connection_alone() {
    let (_instance, _gateway, client) = bench().await;
    let large = "x".repeat(20_000);
    let reply = client.call("/t.T/Echo", &[SYMBOL, ("x-large", &large)], Bytes::new()).await;
    assert_eq!(reply.status, 431);
    check(&client, "/t.T/Echo", &[SYMBOL], ("0", "")).await;
}

#[tokio::test]
async fn a_first_message_over_the_limit_is_refused() {
    let instance = Instance::start().await;
    let setup = Setup::new(&[("BTC_USDT", &[instance.address])]).routes(|route| route.max_first_message = 1000);
    let gateway = setup.start();
    let reply = Client::connect(gateway.address).await.call("/m.M/Echo", &[], message(&[0; 1001])).await;
    assert_eq!(reply.outcome(), ("8", "message-too-large"));
    assert_eq!(instance.calls(), 0);
}

#[tokio::test]
async fn the_deadline_ends_the_call_on_both_sides() {
    let (instance, _gateway, client) = bench().await;
    check(&client, "/t.T/Silence", &[SYMBOL, ("grpc-timeout", "50m")], ("4", "deadline")).await;
    super::eventually("the instance is told", || *instance.seen.resets.lock() == [Some(Reason::CANCEL)]).await;
    let mut call = client.start("/t.T/Echo", &[SYMBOL, ("grpc-timeout", "50m")]).await;
    send_all(&mut call.send, message(b"one"), false).await.expect("the call is open");
    let reply = soon("a reply", reply(call.response)).await.expect("no reset");
    assert_eq!((reply.outcome(), reply.body.clone()), (("4", "deadline"), message(b"one")));
}

#[tokio::test]
async fn the_deadline_counts_while_the_first_message_is_waited_for() {
    let (_instance, _gateway, client) = bench().await;
    let call = client.start("/m.M/Echo", &[("grpc-timeout", "50m")]).await;
    let reply = soon("a reply", reply(call.response)).await.expect("no reset");
    assert_eq!(reply.outcome(), ("4", "deadline"));
}
