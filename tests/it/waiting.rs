//! A symbol without a usable instance: calls wait for one where the route says so, within their bounds, and an instance
//! can be replaced without an error.

use futures::FutureExt;
use symgate_tests::{
    Etcd, Gateway, Instance, RegistryFile, Route,
    client::{Client, ask, assert_owner, reason},
    eventually,
    gateway::Builder,
    load::Load,
    pb::{KlineReply, KlineRequest},
    raw::{RawClient, framed, grpc},
};
use tokio::task::JoinHandle;
use tonic::{Code, Request, Response, Status};

const KEY: &str = "klineRpc/BTC_USDT/1";
/// An entry of another service: a registry file without any is refused.
const OTHER: (&str, &str) = ("other/X/1", "127.0.0.1:9");

/// A gateway whose calls wait so long.
fn waiting(time: &str) -> Builder {
    Gateway::builder().route(Route::to("klineRpc").with("wait_for_symbol", time).with("max_waiting", 2))
}

/// A registry in which the symbol is known and has no instance, and a gateway that has seen both.
async fn without_instance(time: &str) -> (RegistryFile, Gateway) {
    let gone = Instance::start(&["BTC_USDT"]).await;
    let registry = RegistryFile::new();
    registry.put(OTHER.0, OTHER.1);
    registry.put(KEY, gone.address());
    let gateway = waiting(time).file(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    registry.delete(KEY);
    eventually!(gateway.metric("symgate_instances", "").await == 0.0, "the instance is gone");
    (registry, gateway)
}

type Answer = JoinHandle<Result<Response<KlineReply>, Status>>;

fn call(gateway: &Gateway, request: Request<KlineRequest>) -> Answer {
    let mut client = gateway.client();
    tokio::spawn(async move { client.get_kline(request).await })
}

async fn waits(gateway: &Gateway, calls: f64) {
    eventually!(gateway.metric("symgate_calls_waiting", "").await == calls, "{calls} calls wait");
}

#[tokio::test]
async fn a_call_waits_until_its_symbol_has_an_instance() {
    let (registry, gateway) = without_instance("60s").await;
    let unary = call(&gateway, Request::new(ask("BTC_USDT")));
    let mut client = gateway.client();
    let stream = tokio::spawn(async move { client.watch_kline(KlineRequest { count: 3, ..ask("BTC_USDT") }).await });
    waits(&gateway, 2.0).await;
    let instance = Instance::start(&["BTC_USDT"]).await;
    registry.put(KEY, instance.address());
    assert_owner(unary.await.unwrap().unwrap().get_ref(), "BTC_USDT");
    let mut replies = stream.await.unwrap().unwrap().into_inner();
    for _ in 0..3 {
        replies.message().await.unwrap().expect("a reply");
    }
    assert_eq!(instance.seen().calls(), 2);
    waits(&gateway, 0.0).await;
}

#[tokio::test]
async fn a_call_waits_until_its_instance_listens() {
    let (registry, gateway) = without_instance("60s").await;
    let mut early = Instance::start(&["BTC_USDT"]).await;
    early.stop();
    registry.put(KEY, early.address());
    let unary = call(&gateway, Request::new(ask("BTC_USDT")));
    waits(&gateway, 1.0).await;
    eventually!(gateway.metric("symgate_connect_failures_total", "").await > 2.0, "nobody listens there");
    let instance = Instance::start_at(early.address(), &["BTC_USDT"]).await;
    assert_owner(unary.await.unwrap().unwrap().get_ref(), "BTC_USDT");
    assert_eq!(instance.seen().calls(), 1);
}

#[tokio::test]
async fn a_wait_ends_with_its_time_or_with_the_deadline() {
    let (_registry, gateway) = without_instance("300ms").await;
    let status = gateway.client().get_kline(ask("BTC_USDT")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::Unavailable, Some("no-instance")), "{status}");
    // Not a tonic client: that one minds the deadline by itself.
    let client = RawClient::connect(gateway.address()).await;
    let request = grpc("/pb.KlineService/GetKline").header("grpc-timeout", "50m").body(()).unwrap();
    let answer = client.call(request, framed(&ask("BTC_USDT"))).await.unwrap();
    assert_eq!((answer.grpc_status(), answer.trailer("symgate-reason")), (Some(4), Some("deadline")), "{answer:?}");
    let unknown = gateway.client().get_kline(ask("NEVER_SEEN")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound, "a symbol that was never registered is not waited for: {unknown}");
    waits(&gateway, 0.0).await;
}

#[tokio::test]
async fn no_more_calls_wait_than_may() {
    let (registry, gateway) = without_instance("60s").await;
    let first = [call(&gateway, Request::new(ask("BTC_USDT"))), call(&gateway, Request::new(ask("BTC_USDT")))];
    waits(&gateway, 2.0).await;
    let status = gateway.client().get_kline(ask("BTC_USDT")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::ResourceExhausted, Some("too-many-waiting")), "{status}");
    assert!(status.message().contains("max_waiting"), "{status}");
    let [kept, cancelled] = first;
    cancelled.abort();
    waits(&gateway, 1.0).await;
    let next = call(&gateway, Request::new(ask("BTC_USDT")));
    waits(&gateway, 2.0).await;
    let instance = Instance::start(&["BTC_USDT"]).await;
    registry.put(KEY, instance.address());
    for call in [kept, next] {
        call.await.unwrap().unwrap();
    }
    assert_eq!(instance.seen().calls(), 2, "the cancelled one is not sent");
}

/// Every call succeeds, whatever happens to the instances.
async fn must_succeed(mut client: Client, number: u64) {
    if number.is_multiple_of(4) {
        let request = KlineRequest { count: 2, ..ask("BTC_USDT") };
        let mut replies = client.watch_kline(request).await.expect("the stream starts").into_inner();
        while let Some(reply) = replies.message().await.expect("the stream goes on") {
            assert_owner(&reply, "BTC_USDT");
        }
        return;
    }
    let reply = client.get_kline(ask("BTC_USDT")).await.expect("the call waits for the next instance");
    assert_owner(reply.get_ref(), "BTC_USDT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_replacement_of_the_only_instance_fails_no_call() {
    let etcd = Etcd::start().await;
    let mut old = Instance::start(&["BTC_USDT"]).await;
    etcd.put(KEY, old.address().to_string()).await;
    let route = Route::to("klineRpc").with("wait_for_symbol", "60s");
    let gateway = Gateway::builder().route(route).etcd(&etcd).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    let mut load = Load::start(&gateway, 8, |client, number| must_succeed(client, number).boxed());
    for round in 0..10_u32 {
        load.calls_more(50).await;
        // First it leaves the registry, then it lets its calls end, then it is gone. For a while there is none.
        etcd.delete(KEY).await;
        eventually!(gateway.metric("symgate_instances", "").await == 0.0, "it has left");
        // Those on their way to it, too: the gateway keeps the connections of what has left as long as it has calls on them.
        eventually!(gateway.metric("symgate_upstream_connections", "").await == 0.0, "its calls end");
        old.stop();
        let new = Instance::start(&["BTC_USDT"]).await;
        if round.is_multiple_of(2) {
            eventually!(gateway.metric("symgate_calls_waiting", "").await > 0.0, "calls wait");
        }
        etcd.put(KEY, new.address().to_string()).await;
        old = new;
    }
    load.calls_more(50).await;
    load.stop().await;
}

#[tokio::test]
async fn a_draining_instance_gets_no_new_calls_and_ends_its_own() {
    let (old, new) = (Instance::start(&["BTC_USDT"]).await, Instance::start(&["BTC_USDT"]).await);
    let registry = RegistryFile::new();
    registry.put(KEY, old.address());
    let gateway = waiting("60s").file(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    let (send, requests) = futures::channel::mpsc::unbounded();
    send.unbounded_send(ask("BTC_USDT")).unwrap();
    let mut replies = gateway.client().trade_kline(requests).await.unwrap().into_inner();
    replies.message().await.unwrap().expect("a reply");

    let value = format!(r#"{{"Op":0,"Addr":"{}","Metadata":{{"draining":true}}}}"#, old.address());
    registry.put(KEY, value);
    eventually!(gateway.admin_get("/table").await.1.contains(r#""draining": true"#), "the table shows it");
    let before = old.seen().calls();
    let unary = call(&gateway, Request::new(ask("BTC_USDT")));
    waits(&gateway, 1.0).await;
    registry.put("klineRpc/BTC_USDT/2", new.address());
    unary.await.unwrap().unwrap();
    for _ in 0..20 {
        gateway.client().get_kline(ask("BTC_USDT")).await.unwrap();
    }
    assert_eq!((old.seen().calls(), new.seen().calls()), (before, 21));
    send.unbounded_send(ask("BTC_USDT")).unwrap();
    replies.message().await.unwrap().expect("the stream on the old one goes on");
    drop(send);
    assert_eq!(replies.message().await.unwrap(), None);
}

#[tokio::test]
async fn streams_end_when_their_symbol_has_another_owner() {
    let (old, new) = (Instance::start(&["BTC_USDT"]).await, Instance::start(&["BTC_USDT"]).await);
    let registry = RegistryFile::of(&[("BTC_USDT", old.address())]);
    registry.put(OTHER.0, OTHER.1);
    let more = "[[service]]\nname = \"klineRpc\"\nend_streams = true";
    let gateway = Gateway::builder().file(&registry).more(more).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    let (send, requests) = futures::channel::mpsc::unbounded();
    send.unbounded_send(ask("BTC_USDT")).unwrap();
    let mut replies = gateway.client().trade_kline(requests).await.unwrap().into_inner();
    replies.message().await.unwrap().expect("a reply");
    old.behave(symgate_tests::instance::Behaviour::Stall);
    let order = call(&gateway, Request::new(ask("BTC_USDT")));
    eventually!(old.seen().under_way() == 2, "a call that is no stream is there, too");

    registry.delete("klineRpc/BTC_USDT/0");
    eventually!(gateway.metric("symgate_instances", "").await == 0.0, "the owner has left");
    send.unbounded_send(ask("BTC_USDT")).unwrap();
    replies.message().await.unwrap().expect("without another owner the stream goes on");
    registry.put("klineRpc/BTC_USDT/1", new.address());
    let status = replies.message().await.expect_err("the stream ends");
    assert_eq!((status.code(), reason(&status)), (Code::Unavailable, Some("owner-moved")), "{status}");
    eventually!(old.seen().under_way() == 1, "the old owner is told");
    assert!(!order.is_finished(), "a call that may be an order is not cut off");
    let reply = gateway.client().get_kline(ask("BTC_USDT")).await.unwrap();
    assert_eq!(reply.get_ref().instance, new.address().to_string());
}
