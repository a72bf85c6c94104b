//! Never a wrong owner: while symbols move, addresses are reused and owners are told apart, calls flow without pause, and
//! every reply says what its instance owned.

use futures::FutureExt;
use symgate_tests::{
    Etcd, Gateway, Instance,
    client::{Client, ask, owner_or_none, reason, with_metadata},
    eventually,
    load::Load,
};

const SYMBOLS: [&str; 2] = ["BTC_USDT", "ETH_USDT"];

/// Fails the test when it reaches an instance that does not own the symbol; the gateway may say that there is none.
async fn never_wrong(client: Client, number: u64) {
    owner_or_none(client, SYMBOLS[number as usize % SYMBOLS.len()]).await;
}

fn load(gateway: &Gateway) -> Load {
    Load::start(gateway, 8, |client, number| never_wrong(client, number).boxed())
}

async fn put(etcd: &Etcd, symbol: &str, id: &str, instance: &Instance) {
    etcd.put(&format!("klineRpc/{symbol}/{id}"), instance.address().to_string()).await;
}

/// Both symbols with an instance each, and a gateway that reaches them.
async fn two() -> (Etcd, Instance, Instance, Gateway) {
    let etcd = Etcd::start().await;
    let (btc, eth) = (Instance::start(&["BTC_USDT"]).await, Instance::start(&["ETH_USDT"]).await);
    put(&etcd, "BTC_USDT", "1", &btc).await;
    put(&etcd, "ETH_USDT", "1", &eth).await;
    let gateway = Gateway::builder().etcd(&etcd).start().await;
    gateway.serving(&SYMBOLS).await;
    (etcd, btc, eth, gateway)
}

async fn shows(gateway: &Gateway, text: &str) {
    eventually!(gateway.admin_get("/table").await.1.contains(text), "the table shows {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_symbol_that_moves_to_another_instance_takes_its_calls_along() {
    let (etcd, mut old, _eth, gateway) = two().await;
    let mut load = load(&gateway);
    for round in 2..10_u32 {
        load.calls_more(100).await;
        // The new owner is announced before the old one gives the symbol up; both may answer in between.
        let new = Instance::start(&["BTC_USDT"]).await;
        put(&etcd, "BTC_USDT", &round.to_string(), &new).await;
        shows(&gateway, &new.address().to_string()).await;
        etcd.delete(&format!("klineRpc/BTC_USDT/{}", round - 1)).await;
        eventually!(!gateway.admin_get("/table").await.1.contains(&old.address().to_string()), "the old one has left");
        // A call that is on its way is one that began while it was the owner.
        eventually!(gateway.metric("symgate_upstream_connections", "").await == 4.0, "its connections have ended");
        // From here on any call of the symbol that reaches it is wrong.
        old.own(&[]);
        load.calls_more(50).await;
        let seen = old.seen().calls();
        load.calls_more(50).await;
        assert_eq!(old.seen().calls(), seen, "the old owner gets no call");
        old = new;
    }
    load.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_reused_inside_a_lease_belongs_to_its_newest_symbol() {
    let (etcd, mut btc, _eth, gateway) = two().await;
    let mut load = load(&gateway);
    for _ in 0..5 {
        load.calls_more(100).await;
        // The process dies and its key stays, as long as its lease lives.
        btc.stop();
        // The next process on the address owns another symbol, and says so before it listens.
        put(&etcd, "ETH_USDT", "2", &btc).await;
        shows(&gateway, "a newer entry announces").await;
        let reused = Instance::start_at(btc.address(), &["ETH_USDT"]).await;
        eventually!(reused.seen().calls() > 20, "calls of the new symbol reach it");
        let status = gateway.client().get_kline(ask("BTC_USDT")).await.unwrap_err();
        assert_eq!(reason(&status), Some("no-instance"), "{status}");
        // A late delete of the old lease's key takes nothing away.
        etcd.delete("klineRpc/BTC_USDT/1").await;
        let seen = reused.seen().calls();
        eventually!(reused.seen().calls() > seen + 20, "it goes on");
        etcd.delete("klineRpc/ETH_USDT/2").await;
        eventually!(!gateway.admin_get("/table").await.1.contains(&reused.address().to_string()), "it has left");
        btc = Instance::start(&["BTC_USDT"]).await;
        put(&etcd, "BTC_USDT", "1", &btc).await;
        eventually!(btc.seen().calls() > 0, "the symbol has an owner again");
    }
    load.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_owns_several_symbols_may_say_so() {
    let etcd = Etcd::start().await;
    let both = Instance::start(&SYMBOLS).await;
    put(&etcd, "BTC_USDT", "1", &both).await;
    put(&etcd, "ETH_USDT", "1", &both).await;
    let more = "[[service]]\nname = \"klineRpc\"\nexclusive = false";
    let gateway = Gateway::builder().etcd(&etcd).more(more).start().await;
    gateway.serving(&SYMBOLS).await;
    let mut load = load(&gateway);
    load.calls_more(200).await;
    load.stop().await;
}

#[tokio::test]
async fn each_call_says_whose_it_is_and_by_which_registration() {
    let (etcd, btc, eth, gateway) = two().await;
    let told = |instance: &Instance| {
        let call = instance.seen().last();
        let values = |name: &str| call.metadata.get_all(name).iter().cloned().collect::<Vec<_>>();
        let [symbols, owners] = ["symgate-symbol", "symgate-owner"].map(values);
        assert_eq!((symbols.len(), owners.len()), (1, 1), "{call:?}");
        (symbols[0].to_str().unwrap().to_owned(), owners[0].to_str().unwrap().parse::<u64>().unwrap())
    };
    for (symbol, instance) in [("BTC_USDT", &btc), ("ETH_USDT", &eth)] {
        let mut request = with_metadata(ask(symbol), "symgate-symbol", "OTHER");
        request.metadata_mut().insert("symgate-owner", "1".parse().unwrap());
        gateway.client().get_kline(request).await.unwrap();
        assert_eq!(told(instance).0, symbol, "a client cannot say it");
    }
    let first = told(&btc).1;
    put(&etcd, "BTC_USDT", "2", &btc).await;
    eventually!(
        {
            gateway.client().get_kline(ask("BTC_USDT")).await.unwrap();
            told(&btc).1 > first
        },
        "a new registration of the address has a higher number"
    );
}
