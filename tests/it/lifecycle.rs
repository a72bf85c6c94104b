//! A symbol appears, gains an instance, loses one, disappears and comes back while calls flow: never a wrong instance,
//! and no failure of a symbol whose owner is there.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt;
use parking_lot::Mutex;
use symgate_tests::{
    Etcd, Gateway, Instance,
    client::{Client, ask, assert_owner, reason},
    eventually,
    load::Load,
};
use tonic::Code;

/// What one run makes at least.
const CALLS: u64 = 100_000;

/// What an owner may take from its registration to its first call.
const SETTLED: Duration = Duration::from_secs(1);

/// The symbol that comes and goes; the others stay.
const SYMBOLS: [&str; 3] = ["BTC_USDT", "ETH_USDT", "IKUN_USDT"];

/// Since when each symbol has had an owner without a gap.
#[derive(Clone, Default)]
struct Truth(Arc<Mutex<HashMap<&'static str, Instant>>>);

/// How the calls ended.
#[derive(Default)]
struct Tally {
    answered: u64,
    refused: u64,
}

impl Truth {
    fn up(&self, symbol: &'static str) {
        self.0.lock().entry(symbol).or_insert_with(Instant::now);
    }

    /// Said before the registration goes: from here on a failure is no surprise.
    fn down(&self, symbol: &'static str) {
        self.0.lock().remove(symbol);
    }

    fn since(&self, symbol: &str) -> Option<Instant> {
        self.0.lock().get(symbol).copied()
    }
}

async fn call(mut client: Client, number: u64, truth: Truth, tally: Arc<Mutex<Tally>>) {
    let symbol = SYMBOLS[usize::try_from(number % 3).unwrap()];
    let before = truth.since(symbol).filter(|since| since.elapsed() >= SETTLED);
    match client.get_kline(ask(symbol)).await {
        Ok(reply) => {
            assert_owner(reply.get_ref(), symbol);
            tally.lock().answered += 1;
        }
        Err(status) => {
            let stayed = before.is_some() && before == truth.since(symbol);
            assert!(!stayed, "{symbol} had an owner for {:?} and failed: {status:?}", before.unwrap().elapsed());
            let documented = matches!(status.code(), Code::NotFound | Code::Unavailable);
            assert!(documented && reason(&status).is_some(), "{symbol}: {status:?}");
            tally.lock().refused += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_reaches_an_owner_of_its_symbol_or_none() {
    let etcd = Etcd::start().await;
    let (truth, tally) = (Truth::default(), Arc::new(Mutex::new(Tally::default())));
    let steady = [Instance::start(&["BTC_USDT"]).await, Instance::start(&["ETH_USDT"]).await];
    for (symbol, instance) in SYMBOLS.iter().zip(&steady) {
        etcd.put(&format!("klineRpc/{symbol}/1"), instance.address().to_string()).await;
    }
    let gateway = Gateway::builder().etcd(&etcd).start().await;
    gateway.serving(&["BTC_USDT", "ETH_USDT"]).await;
    truth.up("BTC_USDT");
    truth.up("ETH_USDT");
    let mut load = Load::start(&gateway, 16, {
        let (truth, tally) = (truth.clone(), tally.clone());
        move |client, number| call(client, number, truth.clone(), tally.clone()).boxed()
    });

    let mut rounds = 0;
    while load.calls() < CALLS || rounds < 3 {
        come_and_go(&etcd, &gateway, &truth, &mut load).await;
        rounds += 1;
    }
    let calls = load.stop().await;
    let tally = tally.lock();
    assert_eq!(tally.answered + tally.refused, calls, "every call ended");
    assert!(tally.answered > calls / 2, "{} of {calls} calls were answered", tally.answered);
    assert!(tally.refused > 0, "a symbol without owner was asked for");
}

/// One life of the third symbol, with calls between the steps.
async fn come_and_go(etcd: &Etcd, gateway: &Gateway, truth: &Truth, load: &mut Load) {
    const SYMBOL: &str = "IKUN_USDT";
    const STEP: u64 = 2_000;
    let first = Instance::start(&[SYMBOL]).await;
    etcd.put("klineRpc/IKUN_USDT/1", first.address().to_string()).await;
    truth.up(SYMBOL);
    gateway.serving(&[SYMBOL]).await;
    load.calls_more(STEP).await;

    let mut second = Instance::start(&[SYMBOL]).await;
    etcd.put("klineRpc/IKUN_USDT/2", second.address().to_string()).await;
    eventually!(second.seen().calls() > 0, "the second instance gets calls");
    load.calls_more(STEP).await;

    etcd.delete("klineRpc/IKUN_USDT/2").await;
    quiet(&second).await;
    second.stop();
    load.calls_more(STEP).await;

    // The same address under another symbol of the service: what it owned before must not reach it.
    truth.down(SYMBOL);
    etcd.delete("klineRpc/IKUN_USDT/1").await;
    quiet(&first).await;
    let address = first.address();
    drop(first);
    let reborn = Instance::start_at(address, &["OTHER_USDT"]).await;
    etcd.put("klineRpc/OTHER_USDT/1", address.to_string()).await;
    gateway.serving(&["OTHER_USDT"]).await;
    load.calls_more(STEP).await;
    etcd.delete("klineRpc/OTHER_USDT/1").await;
    quiet(&reborn).await;
}

/// Waits until no call has reached an instance for a while, as its registration is gone.
async fn quiet(instance: &Instance) {
    let mut before = (instance.seen().calls(), Instant::now());
    eventually!(
        {
            let calls = instance.seen().calls();
            if calls != before.0 {
                before = (calls, Instant::now());
            }
            before.1.elapsed() > Duration::from_millis(200)
        },
        "{} still gets calls",
        instance.address()
    );
}
