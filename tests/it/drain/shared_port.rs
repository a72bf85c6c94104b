//! A second gateway on the same address takes over from the first without losing a call.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use symgate_tests::{
    Gateway, Instance, RegistryFile, client,
    client::{ask, never_sent},
    eventually,
    load::Load,
    raw::{RawClient, framed, grpc},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{EXIT, one};

/// Handovers in a row.
const HANDOVERS: u64 = 4;

async fn start(registry: &RegistryFile, address: SocketAddr) -> Gateway {
    let shared = Gateway::builder().listen("reuse_port", true).listen("address", address.to_string());
    shared.file(registry).start().await
}

/// What the machine may choose.
fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Calls on connections that stay, and calls each on a new one.
fn loads(address: SocketAddr, connections: &Arc<AtomicU64>) -> [Load; 2] {
    let kept = Load::at(address, 4, |mut client, number| {
        Box::pin(async move {
            let mut reply = client.get_kline(ask("BTC_USDT")).await;
            while reply.as_ref().is_err_and(never_sent) {
                reply = client.get_kline(ask("BTC_USDT")).await;
            }
            reply.unwrap_or_else(|status| panic!("call {number} failed: {status:?}"));
        })
    });
    let connections = connections.clone();
    let new = Load::at(address, 8, move |_, number| {
        let connections = connections.clone();
        Box::pin(async move {
            let client = RawClient::connect(address).await;
            let request = grpc("/pb.KlineService/GetKline").body(()).unwrap();
            let answer = client.call(request, framed(&ask("BTC_USDT"))).await;
            let answer = answer.unwrap_or_else(|error| panic!("call {number} on a new connection failed: {error}"));
            assert_eq!(answer.grpc_status(), Some(0), "{answer:?}");
            connections.fetch_add(1, SeqCst);
        })
    });
    [kept, new]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_loses_no_call() {
    let (instance, registry) = one().await;
    let mut old = start(&registry, any_port()).await;
    old.serving(&["BTC_USDT"]).await;
    let (address, before) = (old.address(), instance.seen().calls());
    let connections = Arc::default();
    let mut loads = loads(address, &connections);
    for _ in 0..HANDOVERS {
        let new = start(&registry, address).await;
        new.ready().await;
        old.terminate();
        assert!(old.exited(EXIT).await.success());
        old = new;
        for load in &mut loads {
            load.calls_more(100).await;
        }
    }
    let mut calls = 0;
    for load in loads {
        calls += load.stop().await;
    }
    println!("{HANDOVERS} handovers, {calls} calls, {} of them on new connections", connections.load(SeqCst));
    assert_eq!(instance.seen().calls(), before + calls, "each call arrives, and once");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_of_two_can_go_as_well() {
    let (instance, registry) = one().await;
    let stays = start(&registry, any_port()).await;
    stays.serving(&["BTC_USDT"]).await;
    let mut goes = start(&registry, stays.address()).await;
    goes.ready().await;
    let before = instance.seen().calls();
    let mut loads = loads(stays.address(), &Arc::default());
    goes.terminate();
    assert!(goes.exited(EXIT).await.success());
    let mut calls = 0;
    for load in &mut loads {
        load.calls_more(100).await;
    }
    for load in loads {
        calls += load.stop().await;
    }
    assert_eq!(instance.seen().calls(), before + calls);
}

/// An address where nobody listens.
fn unused() -> SocketAddr {
    std::net::TcpListener::bind(any_port()).unwrap().local_addr().unwrap()
}

/// What `/readyz` of a gateway says that is not up yet; nothing when it is not there.
async fn readyz(admin: SocketAddr) -> String {
    let mut answer = String::new();
    if let Ok(mut socket) = TcpStream::connect(admin).await {
        drop(socket.write_all(b"GET /readyz HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n").await);
        drop(socket.read_to_string(&mut answer).await);
    }
    answer
}

#[tokio::test]
async fn a_gateway_that_knows_no_instances_takes_no_connection_from_one_that_does() {
    let (_instance, registry) = one().await;
    let knows = start(&registry, any_port()).await;
    knows.serving(&["BTC_USDT"]).await;
    let text = std::fs::read_to_string(registry.path()).unwrap();
    std::fs::remove_file(registry.path()).unwrap();
    let (address, admin) = (knows.address(), unused());
    let builder = Gateway::builder().listen("reuse_port", true).listen("address", address.to_string());
    let mut starting = Box::pin(builder.admin("address", admin.to_string()).file(&registry).start());
    let taken = async {
        eventually!(readyz(admin).await.contains(" 503 "), "the other one is not there");
        for _ in 0..100 {
            client::client(address).get_kline(ask("BTC_USDT")).await.expect("the one that knows has it");
        }
    };
    tokio::select! {
        biased;
        _ = &mut starting => panic!("it listens before it has read its registry"),
        () = taken => {}
    }
    std::fs::write(registry.path(), text).unwrap();
    let other = starting.await;
    assert_eq!(other.address(), address);
}

#[tokio::test]
async fn only_gateways_that_share_it_get_a_port() {
    let instance = Instance::start(&["BTC_USDT"]).await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    let alone = Gateway::builder().file(&registry).start().await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("symgate.toml");
    let builder = Gateway::builder().file(&registry).listen("reuse_port", true);
    std::fs::write(&config, builder.listen("address", alone.address().to_string()).text()).unwrap();
    let output = symgate_tests::gateway::check("run", &config).await;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("cannot be listened on"), "{error}");
}
