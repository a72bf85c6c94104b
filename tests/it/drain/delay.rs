//! Between the signal and the drain: whoever asks is told to go elsewhere, and who does not is served.

use symgate_tests::{Gateway, client::ask, eventually};
use tokio::net::TcpStream;
use tonic::Code;

use super::{EXIT, stalled};

#[tokio::test]
async fn calls_are_taken_until_the_delay_is_over() {
    let (instance, _registry, mut gateway) = Gateway::builder().listen("drain_delay", "1500ms").over_one().await;
    let mut old = gateway.client();
    old.get_kline(ask("BTC_USDT")).await.unwrap();
    let before = instance.seen().calls();
    gateway.terminate();
    eventually!(gateway.admin_get("/readyz").await.0 == 503, "/readyz says no at once");
    for _ in 0..20 {
        old.get_kline(ask("BTC_USDT")).await.expect("on a connection that was open");
        gateway.client().get_kline(ask("BTC_USDT")).await.expect("on a new one");
    }
    assert_eq!(instance.seen().calls(), before + 40);
    eventually!(TcpStream::connect(gateway.address()).await.is_err(), "then nobody listens");
    assert!(gateway.exited(EXIT).await.success());
}

#[tokio::test]
async fn a_second_signal_in_the_delay_ends_at_once() {
    let (instance, _registry, mut gateway) = Gateway::builder().listen("drain_delay", "1h").over_one().await;
    let call = stalled(&instance, &gateway).await;
    gateway.terminate();
    eventually!(gateway.admin_get("/readyz").await.0 == 503, "the first signal is understood");
    gateway.terminate();
    assert!(gateway.exited(EXIT).await.success());
    let status = call.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
}
