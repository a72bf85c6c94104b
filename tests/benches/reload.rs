//! What a reload costs: the time from the change of a plugin file to the first call that the new version decides, and
//! the latency of calls meanwhile beside that of calls without reloads. First each reload has fresh bytes, then the code
//! cache knows them. Measures the gateway that `SYMGATE_BIN` names, on a quiet machine.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "its result is what it prints")]

use std::time::{Duration, Instant};

use symgate_tests::{
    Wasm,
    client::{Client, ask},
    stamp::{A, B, Stamped, version},
};

const RELOADS: usize = 50;
/// Calls after each reload, and without one.
const CALLS: usize = 200;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let wasm = Wasm::of("stamp");
    let stamped = Stamped::start(&wasm.path()).await;
    let mut client = stamped.gateway.client();
    let mut warm = Vec::new();
    calls(&mut client, 2_000, &mut warm).await;

    let (mut quiet, mut busy, mut reloads) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..RELOADS {
        // Taken in turn, so that a drift of the machine meets both alike.
        calls(&mut client, CALLS, &mut quiet).await;
        let symbol = if round % 2 == 0 { B } else { A };
        reloads.push(reload(&wasm, &version(symbol), symbol, &mut client, &mut busy).await);
        calls(&mut client, CALLS, &mut busy).await;
    }
    let (a, b) = (version(A), version(B));
    let (mut first, mut known) = (Vec::new(), Vec::new());
    for (bytes, symbol) in [(&b, B), (&a, A)].into_iter().cycle().take(RELOADS + 2) {
        // The first of each is compiled.
        let times = if first.len() < 2 { &mut first } else { &mut known };
        times.push(reload(&wasm, bytes, symbol, &mut client, &mut busy).await);
        calls(&mut client, CALLS, &mut busy).await;
    }
    println!("plugin file of {} KiB, {RELOADS} reloads, no call failed", version(A).len() >> 10);
    print("file changed -> first call decided by it", reloads);
    print("the same, of a file that the code cache has", known);
    print("call without reloads", quiet);
    print("call during reloads", busy);
}

/// How long it takes until calls are decided by new content of the file.
async fn reload(wasm: &Wasm, bytes: &[u8], symbol: &str, client: &mut Client, took: &mut Vec<Duration>) -> Duration {
    let changed = Instant::now();
    wasm.write(bytes);
    while call(client, took).await != symbol {}
    changed.elapsed()
}

async fn calls(client: &mut Client, count: usize, took: &mut Vec<Duration>) {
    for _ in 0..count {
        call(client, took).await;
    }
}

/// One call; which version decided it.
async fn call(client: &mut Client, took: &mut Vec<Duration>) -> String {
    let started = Instant::now();
    let reply = client.get_kline(ask("any")).await.expect("no call fails for a reload").into_inner();
    took.push(started.elapsed());
    reply.owns.into_iter().next().unwrap_or_default()
}

fn print(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |part: usize| took.get((took.len() - 1) * part / 1000).copied().unwrap_or_default();
    let (median, p99, most) = (at(500), at(990), at(1000));
    println!("{what:<44} p50 {median:>9.2?}  p99 {p99:>9.2?}  max {most:>9.2?}  n {}", took.len());
}
