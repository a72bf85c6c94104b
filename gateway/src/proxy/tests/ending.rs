//! The end of the gateway.

use std::time::Duration;

use bytes::Bytes;

use super::{
    client::{Client, next, read, reply, send_all},
    gateway::{Gateway, Setup},
    instance::Instance,
    message, soon,
};

const SYMBOL: (&str, &str) = ("symbol", "S");

async fn joined(mut gateway: Gateway) {
    let running = gateway.running.take().expect("it runs");
    let joined = tokio::task::spawn_blocking(move || running.join());
    soon("every worker ends", joined).await.expect("no panic");
}

#[tokio::test]
async fn calls_under_way_finish_and_new_connections_are_refused() {
    let instance = Instance::start().await;
    let gateway = Gateway::of(&[("S", &[instance.address])]);
    let client = Client::connect(gateway.address).await;
    let mut call = client.start("/t.T/Echo", &[SYMBOL]).await;
    send_all(&mut call.send, message(b"one"), false).await.expect("the call is open");
    let mut body = soon("a head", call.response).await.expect("a head").into_body();
    soon("the echo", next(&mut body)).await.expect("the call is open");
    gateway.trigger.drain();
    let address = gateway.address;
    super::eventually("the listener is closed", || std::net::TcpStream::connect(address).is_err()).await;
    send_all(&mut call.send, message(b"two"), true).await.expect("the call is open");
    let (rest, trailers) = soon("the end", read(body)).await.expect("a clean end");
    assert_eq!((rest, &trailers.expect("trailers")["grpc-status"]), (message(b"two"), &"0".parse().expect("a value")));
    joined(gateway).await;
}

#[tokio::test]
async fn calls_that_do_not_finish_are_told() {
    let instance = Instance::start().await;
    let mut setup = Setup::new(&[("S", &[instance.address])]);
    setup.listen.drain_timeout = Duration::from_millis(50);
    let gateway = setup.start();
    let client = Client::connect(gateway.address).await;
    let silent = client.start("/t.T/Silence", &[SYMBOL]).await;
    let mut open = client.start("/t.T/Echo", &[SYMBOL]).await;
    open.send.send_data(Bytes::new(), false).expect("the call is open");
    super::eventually("both calls came", || instance.calls() == 2).await;
    gateway.trigger.drain();
    for call in [silent, open] {
        let reply = soon("a reply", reply(call.response)).await.expect("no reset");
        assert_eq!(reply.outcome(), ("14", "draining"));
    }
    joined(gateway).await;
}
