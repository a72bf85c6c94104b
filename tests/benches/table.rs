//! What the table costs with a real etcd: the first list of a large service, the memory it takes, and the time from a
//! put to the first call that reaches the new instance, in an empty table and in the large one. Measures the gateway
//! that `SYMGATE_BIN` names, on a quiet machine.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "its result is what it prints")]

use std::time::{Duration, Instant};

use etcd_client::{Txn, TxnOp};
use symgate_tests::{Etcd, Gateway, Instance, client::ask};

const SYMBOLS: usize = 100_000;
const INSTANCES: usize = 3;
const PUTS: usize = 200;
/// Operations that etcd takes in one transaction by default.
const BATCH: usize = 128;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let etcd = Etcd::start().await;
    let gateway = Gateway::builder().etcd(&etcd).start().await;
    gateway.ready().await;
    print("put -> routable, empty table", routable(&etcd, &gateway, "A").await);
    drop(gateway);

    fill(&etcd).await;
    let before = Instant::now();
    let gateway = Gateway::builder().etcd(&etcd).start().await;
    gateway.ready().await;
    let (started, mib) = (before.elapsed(), gateway.rss() >> 20);
    println!("{SYMBOLS} symbols x {INSTANCES}: process started -> ready {started:.2?}, {mib} MiB resident");
    print("put -> routable, large table", routable(&etcd, &gateway, "B").await);
}

/// Distinct addresses on loopback where nobody listens.
async fn fill(etcd: &Etcd) {
    let mut client = etcd.client().await;
    let entry = |n: usize| {
        let (symbol, copy) = (n / INSTANCES, n % INSTANCES);
        let address = format!("127.{}.{}.{}:1", 1 + n / 65_536, n / 256 % 256, n % 256);
        TxnOp::put(format!("klineRpc/SYMBOL{symbol}/{copy}"), address, None)
    };
    let all: Vec<_> = (0..SYMBOLS * INSTANCES).collect();
    for batch in all.chunks(BATCH) {
        let puts: Vec<_> = batch.iter().map(|n| entry(*n)).collect();
        client.txn(Txn::new().and_then(puts)).await.expect("etcd takes the batch");
    }
}

/// Times from a put to the first call that succeeds, a new symbol each.
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
    println!("{what:<30} p50 {:>9.2?}  p99 {:>9.2?}  max {:>9.2?}  n {}", at(50), at(99), at(100), took.len());
}
