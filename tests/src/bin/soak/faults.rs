//! Faults at random from one seeded generator. Each is drawn whole before it begins, so that a seed draws the same faults
//! again; each then runs by itself, so that they overlap.

mod instances;

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use fastrand::Rng;
use parking_lot::Mutex as Lock;
use symgate_tests::{Etcd, Wasm, wasm};
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{book::Book, fleet::Fleet, traffic::Traffic};

/// The longest pause between two faults, and the longest that one lasts; the shortest.
const GAP: u64 = 1200;
const LENGTH: (u64, u64) = (100, 4000);

/// What faults befall.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) etcd: Arc<Mutex<Etcd>>,
    pub(crate) plugins: Arc<Plugins>,
    pub(crate) traffic: Traffic,
}

/// The plugin files of the gateways.
pub(crate) struct Plugins {
    pub(crate) extract: Wasm,
    pub(crate) select: Wasm,
    writing: Lock<()>,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Restart,
    Relocate,
    Stall,
    Freeze,
    Reset,
    Refuse,
    Cut,
    GoAway,
    Abort,
    Move,
    Reuse,
    Again,
    Expire,
    Leave,
    Newcomer,
    Storm,
    Etcd,
    Reload,
    Broken,
}

/// One fault.
struct Fault {
    kind: Kind,
    slot: usize,
    symbol: usize,
    length: Duration,
    number: usize,
    rng: Rng,
}

/// How often each is drawn, in the mean.
const WEIGHTS: &[(Kind, u32)] = &[
    (Kind::Restart, 4),
    (Kind::Relocate, 2),
    (Kind::Stall, 2),
    (Kind::Freeze, 3),
    (Kind::Reset, 2),
    (Kind::Refuse, 2),
    (Kind::Cut, 3),
    (Kind::GoAway, 3),
    (Kind::Abort, 2),
    (Kind::Move, 4),
    (Kind::Reuse, 3),
    (Kind::Again, 2),
    (Kind::Expire, 3),
    (Kind::Leave, 3),
    (Kind::Newcomer, 3),
    (Kind::Storm, 2),
    (Kind::Etcd, 2),
    (Kind::Reload, 3),
    (Kind::Broken, 1),
];

/// Draws faults until `end`, and waits until all are over.
///
/// # Errors
/// When one cannot be made or undone: a fault of this program or its machine, not of the gateway.
pub(crate) async fn run(ground: &Ground, mut rng: Rng, end: Instant) -> Result<()> {
    let mut under_way = JoinSet::new();
    let mut next = Instant::now();
    for number in 0.. {
        let fault = Fault::draw(&mut rng, number, ground.fleet.slots.len());
        next += Duration::from_millis(rng.u64(0..GAP));
        if next >= end {
            break;
        }
        sleep_until(next).await;
        under_way.spawn(fault.run(ground.clone()));
        while let Some(over) = under_way.try_join_next() {
            over.context("a fault panicked")??;
        }
    }
    while let Some(over) = under_way.join_next().await {
        over.context("a fault panicked")??;
    }
    Ok(())
}

impl Fault {
    fn draw(rng: &mut Rng, number: usize, slots: usize) -> Self {
        let sum = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut at = rng.u32(0..sum);
        let mut kind = Kind::Restart;
        for (each, weight) in WEIGHTS {
            kind = *each;
            if at < *weight {
                break;
            }
            at -= weight;
        }
        let length = Duration::from_millis(rng.u64(LENGTH.0..LENGTH.1));
        Self { kind, slot: rng.usize(0..slots), symbol: rng.usize(0..slots), length, number, rng: rng.fork() }
    }

    async fn run(self, ground: Ground) -> Result<()> {
        let (book, length) = (&ground.fleet.book, self.length);
        match self.kind {
            Kind::Storm => {
                book.fault("storm", "many connections at once");
                ground.traffic.storm(self.rng).await;
            }
            Kind::Etcd => etcd(&ground, length).await?,
            Kind::Reload => ground.plugins.reload(book, self.symbol),
            Kind::Broken => ground.plugins.break_one(book, self.symbol),
            Kind::Newcomer => instances::newcomer(&ground.fleet, self.number, length).await?,
            _ => instances::befall(&self, &ground.fleet).await?,
        }
        Ok(())
    }
}

/// Kills etcd and starts it again with its data.
async fn etcd(ground: &Ground, length: Duration) -> Result<()> {
    let book = &ground.fleet.book;
    let Ok(mut etcd) = ground.etcd.try_lock() else { return Ok(()) };
    book.fault("etcd", &format!("killed for {length:.1?}"));
    book.ownership(|owners| owners.registry_down(std::time::Instant::now()));
    etcd.stop();
    sleep(length).await;
    etcd.restart().await;
    book.ownership(|owners| owners.registry_up(std::time::Instant::now()));
    book.note("etcd answers again");
    Ok(())
}

impl Plugins {
    pub(crate) fn new() -> Self {
        Self { extract: Wasm::of("message_field"), select: Wasm::of("least_loaded"), writing: Lock::new(()) }
    }

    /// Writes new bytes of one of the two.
    pub(crate) fn reload(&self, book: &Book, which: usize) {
        let (wasm, name) = self.one(which);
        book.fault("reload", &format!("a new version of {name}"));
        let _writing = self.writing.lock();
        wasm.write(&wasm::with_fresh_bytes(wasm::bytes(name)));
    }

    /// Writes what no gateway may take.
    fn break_one(&self, book: &Book, which: usize) {
        let (wasm, name) = self.one(which);
        let broken = if which % 4 < 2 { wasm::bytes("wrong_world") } else { b"no plugin at all".to_vec() };
        book.fault("broken reload", &format!("a version of {name} that must be refused"));
        let _writing = self.writing.lock();
        wasm.write(&broken);
    }

    fn one(&self, which: usize) -> (&Wasm, &'static str) {
        if which.is_multiple_of(2) { (&self.extract, "message_field") } else { (&self.select, "least_loaded") }
    }
}
