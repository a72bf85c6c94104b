//! `[[register]]`: the gateway announces itself while it can place calls.

use std::time::Duration;

use symgate_tests::{Cable, Etcd, Gateway, Instance, client::ask, eventually, gateway::Builder, instance::Behaviour};

const EXIT: Duration = Duration::from_secs(20);

/// One gateway that is found by clients of both makers.
fn announced(etcd: &Etcd) -> Builder {
    Gateway::builder().etcd(etcd).more(
        "[[register]]\nservice = 'gateway'\nformat = 'go-zero'\naddress = '127.0.0.1'\n\
         [[register]]\nservice = 'edge'\nformat = 'endpoints'\naddress = '127.0.0.1'\nttl = '2s'",
    )
}

#[tokio::test]
async fn gateways_are_found_in_both_formats_and_gone_before_their_calls_end() {
    let etcd = Etcd::start().await;
    let instance = Instance::start(&["BTC_USDT"]).await;
    etcd.put("klineRpc/BTC_USDT/1", instance.address().to_string()).await;
    let mut first = announced(&etcd).start().await;
    let second = announced(&etcd).start().await;
    first.serving(&["BTC_USDT"]).await;
    eventually!(etcd.entries("gateway/").await.len() == 2 && etcd.entries("edge/").await.len() == 2, "both are there");
    let plain = etcd.entries("gateway/").await;
    let endpoints = etcd.entries("edge/").await;
    for gateway in [&first, &second] {
        let address = gateway.address().to_string();
        let entry = plain.iter().find(|entry| entry.value == address).expect("go-zero finds it");
        assert_eq!(entry.key, format!("gateway/{}", entry.lease));
        let json = format!(r#"{{"Op":0,"Addr":"{address}","Metadata":null}}"#);
        let entry = endpoints.iter().find(|entry| entry.value == json).expect("grpc-go finds it");
        assert_eq!(entry.key, format!("edge/{}", entry.lease));
    }

    instance.behave(Behaviour::Delay(Duration::from_secs(3)));
    let mut client = first.client();
    let call = tokio::spawn(async move { client.get_kline(ask("BTC_USDT")).await });
    eventually!(instance.seen().under_way() == 1, "the call arrives");
    first.terminate();
    let others = second.address().to_string();
    eventually!(
        matches!(&*etcd.entries("gateway/").await, [entry] if entry.value == others)
            && etcd.entries("edge/").await.len() == 1,
        "it is taken back"
    );
    assert_eq!(instance.seen().under_way(), 1, "the call still runs");
    call.await.unwrap().expect("it ends in peace");
    assert!(first.exited(EXIT).await.success());
}

#[tokio::test]
async fn a_gateway_without_a_table_is_not_announced() {
    let etcd = Etcd::start().await;
    let cable = Cable::to(etcd.endpoint()).await;
    cable.cut();
    let second = format!(
        "[[registry]]\nname = 'second'\netcd = {{ endpoints = ['{}'] }}\n\
         [[register]]\nregistry = 'second'\nservice = 'gateway'\nformat = 'go-zero'\naddress = '127.0.0.1'",
        etcd.endpoint()
    );
    let gateway = Gateway::builder().etcd_at(&cable.endpoint()).more(&second).start().await;
    eventually!(gateway.log().says(&["registry lost"]), "the table cannot be read");
    assert_eq!(etcd.entries("gateway/").await, []);
    cable.mend();
    eventually!(etcd.entries("gateway/").await.len() == 1, "now it can place calls");
}

#[tokio::test]
async fn an_etcd_that_is_away_does_not_hold_up_the_drain() {
    let etcd = Etcd::start().await;
    let cable = Cable::to(etcd.endpoint()).await;
    let register = "[[register]]\nservice = 'gateway'\nformat = 'go-zero'\naddress = '127.0.0.1'\nttl = '1h'";
    let mut gateway = Gateway::builder().etcd_at(&cable.endpoint()).more(register).start().await;
    eventually!(etcd.entries("gateway/").await.len() == 1, "it is announced");
    cable.cut();
    gateway.terminate();
    assert!(gateway.exited(EXIT).await.success());
    assert!(gateway.log().says(&["could not be taken back"]));
}
