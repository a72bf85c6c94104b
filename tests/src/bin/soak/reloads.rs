//! `--reloads`: as many versions of one plugin, one after the other, while calls flow. Every tenth traps in every call, and
//! the gateway goes back from it by itself. No other call may fail, and in the end nothing is kept of them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use symgate_tests::{
    Gateway, Wasm,
    client::{Client, ask, reason},
    eventually::{Clock, pause},
    stamp::{A, B, Stamped, TRAP, version},
};
use tokio::{task::JoinSet, time::sleep};

use super::levels::Level;

const CALLERS: usize = 4;
const BETWEEN_CALLS: Duration = Duration::from_millis(1);
/// One version of so many traps.
const TRAPS: usize = 10;
/// Reloads before anything is compared.
const WARM: usize = 20;
/// How long a version may take to decide, or to be gone back from.
const PATIENCE: Duration = Duration::from_secs(30);
/// Connections that the gateway may have to the two instances.
const CONNECTIONS: (u64, u64) = (0, 8);

/// What became of the calls.
#[derive(Default)]
struct Tally {
    calls: AtomicU64,
    /// Whether a version that traps may be deciding.
    trapping: AtomicBool,
    /// By `symgate-reason`: those that may fail, and those that may not.
    documented: Mutex<BTreeMap<String, u64>>,
    wrong: Mutex<BTreeMap<String, u64>>,
    ended: AtomicBool,
}

/// How long it took.
#[derive(Default)]
struct Times {
    /// From the change of the file to the first call that the version decided.
    reloads: Vec<Duration>,
    /// From the change of the file to one that traps, to the first call that the version before decided again.
    rollbacks: Vec<Duration>,
}

/// Whether all was well.
pub(crate) async fn run(count: usize) -> Result<bool> {
    let wasm = Wasm::of("stamp");
    let stamped = Stamped::start(&wasm.path()).await;
    let gateway = &stamped.gateway;
    let tally = Arc::new(Tally::default());
    under_load(gateway, &tally, &wasm, 0..WARM).await?;
    let (before, _) = Level::settled(gateway, CONNECTIONS, None).await;
    let times = under_load(gateway, &tally, &wasm, WARM..WARM + count).await?;
    let (after, mut wrong) = Level::settled(gateway, CONNECTIONS, Some(&before)).await;

    println!("{count} reloads, {} calls", tally.calls.load(Relaxed));
    print("file changed -> first call decided by it", times.reloads);
    print("one that traps -> the version before decides", times.rollbacks);
    for (reason, count) in &*tally.documented.lock() {
        println!("{count:>9}  {reason}, while a version that traps decided");
    }
    println!("before: {before}\nafter:  {after}");
    wrong.extend(tally.wrong.lock().iter().map(|(reason, count)| format!("{count} calls failed: {reason}")));
    wrong.iter().for_each(|text| println!("wrong: {text}"));
    Ok(wrong.is_empty())
}

/// Takes so many versions one after the other while calls flow.
async fn under_load(
    gateway: &Gateway,
    tally: &Arc<Tally>,
    wasm: &Wasm,
    numbers: std::ops::Range<usize>,
) -> Result<Times> {
    tally.ended.store(false, Relaxed);
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(tally.clone().call(gateway.client()));
    }
    let mut times = Times::default();
    for number in numbers {
        let symbol = if number % 2 == 0 { B } else { A };
        if number % TRAPS == TRAPS - 1 {
            times
                .rollbacks
                .push(one_that_traps(gateway, tally, wasm).await.with_context(|| format!("reload {number}"))?);
        } else {
            let bytes = version(symbol);
            let changed = Instant::now();
            wasm.write(&bytes);
            decided_by(gateway, symbol).await.with_context(|| format!("reload {number}"))?;
            times.reloads.push(changed.elapsed());
        }
    }
    tally.ended.store(true, Relaxed);
    callers.join_all().await;
    Ok(times)
}

/// A version that must be gone back from.
async fn one_that_traps(gateway: &Gateway, tally: &Tally, wasm: &Wasm) -> Result<Duration> {
    let back = || gateway.metric("symgate_plugin_rollbacks_total", "by=\"automatic\"");
    let (bytes, before) = (version(TRAP), back().await);
    tally.trapping.store(true, Relaxed);
    let changed = Instant::now();
    wasm.write(&bytes);
    let clock = Clock::start(PATIENCE);
    while back().await == before {
        if !clock.runs() {
            gateway.log().print();
            bail!("a version that traps still decides after {PATIENCE:?}");
        }
        pause().await;
    }
    let took = changed.elapsed();
    tally.trapping.store(false, Relaxed);
    Ok(took)
}

/// Waits until a call is decided by the version that answers `symbol`.
async fn decided_by(gateway: &Gateway, symbol: &str) -> Result<()> {
    let (mut client, clock) = (gateway.client(), Clock::start(PATIENCE));
    loop {
        let reply = client.get_kline(ask("any")).await.context("a call")?.into_inner();
        if reply.owns.first().is_some_and(|owned| owned == symbol) {
            return Ok(());
        }
        if !clock.runs() {
            bail!("the new version does not decide after {PATIENCE:?}");
        }
        sleep(BETWEEN_CALLS).await;
    }
}

impl Tally {
    /// Calls until it is over.
    async fn call(self: Arc<Self>, mut client: Client) {
        while !self.ended.load(Relaxed) {
            let trapping = self.trapping.load(Relaxed);
            let outcome = client.get_kline(ask("any")).await;
            self.calls.fetch_add(1, Relaxed);
            if let Err(status) = outcome {
                let reason = reason(&status).unwrap_or("none").to_owned();
                // It may have begun before, or have ended after, this one decided.
                let may = (trapping || self.trapping.load(Relaxed)) && reason == "plugin-failed";
                let book = if may { &self.documented } else { &self.wrong };
                *book.lock().entry(reason).or_default() += 1;
            }
            sleep(BETWEEN_CALLS).await;
        }
    }
}

fn print(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |part: usize| took.get((took.len().max(1) - 1) * part / 100).copied().unwrap_or_default();
    println!("{what:<46} p50 {:>9.2?}  p99 {:>9.2?}  max {:>9.2?}  n {}", at(50), at(99), at(100), took.len());
}
