//! Only an instance that can take calls is announced.

use std::net::TcpListener;

use rustix::process::Signal;
use symgate_tests::{Etcd, eventually, registered::Registered};
use tonic::transport::{Server, server::TcpIncoming};
use tonic_health::ServingStatus;

use super::{EXIT, another_entry, entry, listening, no_entry, register};

#[tokio::test]
async fn a_closed_port_is_not_announced() {
    let etcd = Etcd::start().await;
    let (listener, address) = listening();
    drop(listener);
    let registered = register(&etcd.endpoint(), &address, &[]);
    eventually!(registered.log().says(&["not healthy", "its port is closed"]), "the closed port is noticed");
    assert_eq!(etcd.entries("klineRpc/").await, []);

    let listener = TcpListener::bind(&address).unwrap();
    let first = entry(&etcd).await;
    drop(listener);
    no_entry(&etcd).await;
    let _listener = TcpListener::bind(&address).unwrap();
    another_entry(&etcd, |entry| entry.create_revision > first.create_revision).await;
}

#[tokio::test]
async fn what_grpc_health_says_counts() {
    const SERVICE: &str = "pb.KlineService";
    let etcd = Etcd::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (health, service) = tonic_health::server::health_reporter();
    let server = Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener));
    let server = tokio::spawn(server);
    let registered = register(&etcd.endpoint(), &address, &["--health", &format!("grpc={SERVICE}")]);
    eventually!(registered.log().says(&["not healthy", "NotFound"]), "the service is not known yet");
    health.set_service_status(SERVICE, ServingStatus::NotServing).await;
    eventually!(registered.log().says(&["not healthy", "NOT_SERVING"]), "it says no");
    assert_eq!(etcd.entries("klineRpc/").await, []);
    health.set_service_status(SERVICE, ServingStatus::Serving).await;
    entry(&etcd).await;
    health.set_service_status(SERVICE, ServingStatus::NotServing).await;
    no_entry(&etcd).await;
    health.set_service_status(SERVICE, ServingStatus::Serving).await;
    entry(&etcd).await;
    server.abort();
    no_entry(&etcd).await;
}

#[tokio::test]
async fn without_a_check_it_is_announced_at_once() {
    let etcd = Etcd::start().await;
    let (listener, address) = listening();
    drop(listener);
    let _registered = register(&etcd.endpoint(), &address, &["--health", "off"]);
    entry(&etcd).await;
}

#[tokio::test]
async fn one_that_never_was_healthy_ends_in_peace() {
    let etcd = Etcd::start().await;
    let (listener, address) = listening();
    drop(listener);
    let mut registered: Registered = register(&etcd.endpoint(), &address, &[]);
    eventually!(registered.log().says(&["its port is closed"]), "it waits");
    registered.signal(Signal::TERM);
    assert_eq!(registered.exited(EXIT).await.code(), Some(0));
}
