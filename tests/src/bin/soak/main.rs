//! `cargo xtask soak`: an hour's worth of trouble in ten minutes. Two gateways, a real etcd, instances that misbehave,
//! callers of every kind, and faults at random that overlap. No call may reach a wrong owner or arrive twice, every call
//! ends as it may, and when all is quiet again nothing has been kept. Knows nothing of the gateway's insides.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what it prints is its result")]

mod book;
mod call;
mod faults;
mod fleet;
mod instance;
mod levels;
mod ownership;
mod quiet;
mod registrar;
mod reloads;
mod report;
mod traffic;
mod wire;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use clap::Parser;
use fastrand::Rng;
use symgate_tests::{Etcd, Gateway, Plugin};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Mutex,
    time::{Instant, sleep},
};

use self::{
    book::Book,
    faults::{Ground, Plugins},
    fleet::Fleet,
    levels::Level,
    registrar::Registrar,
    traffic::Traffic,
};

/// An hour's worth of trouble in ten minutes.
#[derive(Parser)]
struct Options {
    /// How long calls are made, the time before the first fault included.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(10..))]
    seconds: u64,
    /// Draws the same faults as the run that printed it; without it, others each time.
    #[arg(long)]
    seed: Option<u64>,
    /// Instead of all that, takes so many versions of a plugin, one after the other, while calls flow.
    #[arg(long)]
    reloads: Option<usize>,
}

const GATEWAYS: usize = 2;
const WORKERS: u8 = 2;
const SYMBOLS: usize = 12;
/// How much of the time passes before the first fault, and the most.
const WARM_PART: u64 = 6;
const WARM: Duration = Duration::from_secs(20);
/// What a gateway may take to end when it is told to.
const END: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    let run = || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(until_told(&options, seed))
    };
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#} (seed {seed})");
            ExitCode::FAILURE
        }
    }
}

/// Runs to the end, or until somebody ends it: then the children end with it.
async fn until_told(options: &Options, seed: u64) -> Result<bool> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = run(options, seed) => done,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

async fn run(options: &Options, seed: u64) -> Result<bool> {
    match options.reloads {
        Some(count) => reloads::run(count).await,
        None => soak(Duration::from_secs(options.seconds), seed).await,
    }
}

async fn soak(length: Duration, seed: u64) -> Result<bool> {
    let mut rng = Rng::with_seed(seed);
    let etcd = Etcd::start().await;
    let book = Arc::new(Book::new());
    book.note(&format!("seed {seed}, {} seconds of calls", length.as_secs()));
    let plugins = Plugins::new();
    let fleet = Arc::new(Fleet::start(book.clone(), Registrar::new(etcd.endpoint()), SYMBOLS).await?);
    let mut gateways = start(&etcd, &plugins).await;
    let addresses = gateways.iter().map(Gateway::address).collect();
    let traffic = Traffic { fleet: fleet.clone(), gateways: addresses };
    let etcd = Arc::new(Mutex::new(etcd));
    let ground = Ground { fleet, etcd, plugins: Arc::new(plugins), traffic };

    let before = warm_up(&ground, &gateways, &mut rng, length).await?;
    storm(&ground, &mut rng, length).await?;
    book.note("healed; now all must be quiet and every symbol served");
    quiet::served(&ground, &gateways).await;
    let after = quiet::levels(&ground, &gateways, Some(&before)).await;
    end(&mut gateways, &book).await;
    report::print(&book);
    for (before, after) in before.iter().zip(&after) {
        println!("gateway before the faults: {before}\n        after the faults:  {after}");
    }
    if book.has_violations() {
        gateways.iter().for_each(|gateway| gateway.log().print());
    }
    Ok(report::verdict(&book, seed))
}

async fn start(etcd: &Etcd, plugins: &Plugins) -> Vec<Gateway> {
    let mut gateways = Vec::new();
    for _ in 0..GATEWAYS {
        let extract = Plugin::usual("by-symbol", &plugins.extract.path());
        let select = Plugin::usual("least-loaded", &plugins.select.path());
        let gateway =
            Gateway::builder().etcd(etcd).plugin(extract).plugin(select).listen("workers", i64::from(WORKERS));
        let gateway = gateway.start().await;
        gateway.ready().await;
        gateways.push(gateway);
    }
    gateways
}

/// Each gateway ends by itself when it is told to.
async fn end(gateways: &mut [Gateway], book: &Book) {
    for gateway in gateways {
        gateway.terminate();
        let status = gateway.exited(END).await;
        if !status.success() {
            book.violation("bad end", &format!("a gateway ended with {status}"));
        }
    }
}

/// Everything that costs memory once happens before anything is compared.
async fn warm_up(ground: &Ground, gateways: &[Gateway], rng: &mut Rng, length: Duration) -> Result<Vec<Level>> {
    let book = &ground.fleet.book;
    book.note("warming up");
    let load = ground.traffic.start(rng);
    let warm = length.mul_f64(1.0 / WARM_PART as f64).min(WARM);
    for which in 0..2 {
        ground.plugins.reload(book, which);
        sleep(warm / 2).await;
    }
    ground.traffic.storm(rng.fork()).await;
    load.stop().await.context("the warm-up")?;
    quiet::served(ground, gateways).await;
    Ok(quiet::levels(ground, gateways, None).await)
}

async fn storm(ground: &Ground, rng: &mut Rng, length: Duration) -> Result<()> {
    let warm = length.mul_f64(1.0 / WARM_PART as f64).min(WARM);
    ground.fleet.book.note("the faults begin");
    let load = ground.traffic.start(rng);
    faults::run(ground, rng.fork(), Instant::now() + length.saturating_sub(warm)).await?;
    load.stop().await?;
    ground.fleet.heal().await
}
