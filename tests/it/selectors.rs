//! Shipped selectors that say who of several gets the calls, with real instances that come and go.

use symgate_tests::{
    Etcd, Gateway, Instance, Route,
    client::{ask, assert_owner},
    eventually,
};

const SYMBOL: &str = "BTC_USDT";
const CALLS: u64 = 40;

/// A gateway with this selector in front of an etcd.
async fn gateway(etcd: &Etcd, selector: &str) -> Gateway {
    let route = Route::to("klineRpc").with("select", selector);
    Gateway::builder().etcd(etcd).route(route).listen("workers", 1).start().await
}

async fn connected(gateway: &Gateway, instances: usize) {
    let all = instances as f64;
    eventually!(gateway.metric("symgate_upstream_connections", "").await == all, "{instances} instances are connected");
}

/// How many of some calls each instance got.
async fn shares<const N: usize>(gateway: &Gateway, instances: [&Instance; N]) -> [u64; N] {
    let before = instances.map(|instance| instance.seen().calls());
    let mut client = gateway.client();
    for _ in 0..CALLS {
        assert_owner(client.get_kline(ask(SYMBOL)).await.expect("an owner is there").get_ref(), SYMBOL);
    }
    std::array::from_fn(|at| instances[at].seen().calls() - before[at])
}

#[tokio::test]
async fn the_primary_gets_all_calls_and_the_next_oldest_takes_over() {
    let etcd = Etcd::start().await;
    let (mut first, second, third) =
        (Instance::start(&[SYMBOL]).await, Instance::start(&[SYMBOL]).await, Instance::start(&[SYMBOL]).await);
    // The keys are in another order than the registrations.
    for (id, instance) in [("9", &first), ("5", &second), ("1", &third)] {
        etcd.put(&format!("klineRpc/{SYMBOL}/{id}"), instance.address().to_string()).await;
    }
    let gateway = gateway(&etcd, "primary").await;
    connected(&gateway, 3).await;
    assert_eq!(shares(&gateway, [&first, &second, &third]).await, [CALLS, 0, 0]);

    // Its registration stands, but it is not there.
    let address = first.address();
    first.stop();
    connected(&gateway, 2).await;
    assert_eq!(shares(&gateway, [&second, &third]).await, [CALLS, 0]);
    let back = Instance::start_at(address, &[SYMBOL]).await;
    connected(&gateway, 3).await;
    assert_eq!(shares(&gateway, [&back, &second]).await, [CALLS, 0], "who was there first still is");

    // It registers anew, and is now the youngest.
    etcd.delete(&format!("klineRpc/{SYMBOL}/9")).await;
    connected(&gateway, 2).await;
    etcd.put(&format!("klineRpc/{SYMBOL}/0"), address.to_string()).await;
    connected(&gateway, 3).await;
    assert_eq!(shares(&gateway, [&back, &second, &third]).await, [0, CALLS, 0]);
}

#[tokio::test]
async fn each_gets_its_share_by_weight() {
    let etcd = Etcd::start().await;
    let (heavy, light) = (Instance::start(&[SYMBOL]).await, Instance::start(&[SYMBOL]).await);
    for (id, instance, weight) in [("1", &heavy, 1_000_000), ("2", &light, 1)] {
        let value = format!(r#"{{"Op":0,"Addr":"{}","Metadata":{{"weight":{weight}}}}}"#, instance.address());
        etcd.put(&format!("klineRpc/{SYMBOL}/{id}"), value).await;
    }
    let gateway = gateway(&etcd, "weighted-random").await;
    connected(&gateway, 2).await;
    let [heavy, light] = shares(&gateway, [&heavy, &light]).await;
    assert!(heavy >= CALLS - 2 && heavy + light == CALLS, "{heavy} and {light} of {CALLS}");
}
