//! What the table costs with a real etcd: the first list of a large service, the memory that it takes, the time from a put
//! to the first call that is routed by it, a minute of churn while calls flow, ten services. Measures the gateway that
//! `SYMGATE_BIN` names, on a quiet machine. Names of measurements as arguments choose among them.

#![expect(clippy::print_stdout, clippy::expect_used, clippy::unwrap_used, reason = "its result is what it prints")]

mod churn;
mod fill;

use std::{
    env,
    time::{Duration, Instant},
};

use symgate_tests::{Etcd, Gateway, Instance, client::ask, eventually, gateway::Builder};

use self::fill::fill;

/// Symbols of the large service, with three instances each.
const SYMBOLS: usize = 100_000;
const PUTS: usize = 200;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let chosen: Vec<_> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|chosen| chosen == name);
    if wanted("first") {
        first().await;
    }
    if wanted("churn") {
        Box::pin(churn::measure()).await;
    }
    if wanted("services") {
        services().await;
    }
}

/// Nobody listens at most of the addresses: a connection is only tried when a call needs it.
fn builder(etcd: &Etcd) -> Builder {
    Gateway::builder().etcd(etcd).upstream("warm_connections", 0)
}

/// An empty table and a large one.
async fn first() {
    let etcd = Etcd::start().await;
    let gateway = builder(&etcd).start().await;
    gateway.ready().await;
    let base = gateway.rss();
    print("put -> routable, empty table", routable(&etcd, &gateway, "A").await);
    drop(gateway);

    fill(&etcd, "klineRpc", SYMBOLS).await;
    let before = Instant::now();
    let gateway = builder(&etcd).start().await;
    gateway.ready().await;
    let ready = before.elapsed();
    let (most, rest) = (gateway.rss(), settled(&gateway).await);
    let each = (rest - base) as f64 / 1024.0 / (SYMBOLS * fill::INSTANCES) as f64;
    println!(
        "{SYMBOLS} symbols x {}: process started -> ready {ready:.2?}, resident {} MiB then, {} MiB at rest, {each:.2} KiB each",
        fill::INSTANCES,
        most >> 20,
        rest >> 20
    );
    print("put -> routable, large table", routable(&etcd, &gateway, "B").await);
}

/// As many instances, spread over ten services.
async fn services() {
    let etcd = Etcd::start().await;
    let mut builder = builder(&etcd);
    for number in 0..10 {
        let name = format!("service{number}");
        fill(&etcd, &name, SYMBOLS / 10).await;
        builder = builder.route(symgate_tests::Route::to(&name).on(&format!("/service{number}.Prices/")));
    }
    let before = Instant::now();
    let gateway = builder.start().await;
    gateway.ready().await;
    let ready = before.elapsed();
    let rest = settled(&gateway).await;
    println!("10 services of {} symbols x {}: ready {ready:.2?}, {} MiB", SYMBOLS / 10, fill::INSTANCES, rest >> 20);
}

/// Bytes resident once nothing is left to do.
async fn settled(gateway: &Gateway) -> u64 {
    let mut before = gateway.cpu();
    eventually!(
        {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let (used, now) = (gateway.cpu() - before, gateway.cpu());
            before = now;
            used < Duration::from_millis(20)
        },
        "the gateway comes to rest"
    );
    gateway.rss()
}

/// Times from a put to the first call that reaches the new instance, a new symbol each.
async fn routable(etcd: &Etcd, gateway: &Gateway, series: &str) -> Vec<Duration> {
    let mut client = gateway.client();
    let mut took = Vec::new();
    for n in 0..PUTS {
        let symbol = format!("NEW-{series}-{n}");
        let instance = Instance::start(&[&symbol]).await;
        let put = Instant::now();
        etcd.put(&format!("klineRpc/{symbol}/1"), instance.address().to_string()).await;
        while client.get_kline(ask(&symbol)).await.is_err() {}
        took.push(put.elapsed());
    }
    took
}

fn print(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |part: usize| took.get((took.len() - 1) * part / 100).copied().unwrap_or_default();
    println!("{what:<44} p50 {:>9.2?}  p99 {:>9.2?}  max {:>9.2?}  n {}", at(50), at(99), at(100), took.len());
}
