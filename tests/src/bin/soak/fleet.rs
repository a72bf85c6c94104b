//! The instances and what they own: every change of ownership is told to the book and to the registry, in the order that
//! the rule of `ownership` asks for.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use parking_lot::RwLock;
use tokio::{sync::Mutex, time::sleep};

use super::{
    book::Book,
    instance::{Instance, Mood},
    registrar::Registrar,
};

/// Instances of each symbol.
const EACH: usize = 2;
/// The most connections of a worker to one instance.
const CONNECTIONS: usize = 8;
/// Of so many instances one may have a second connection that it needs no more.
const SECOND: usize = 8;

/// All instances.
pub(crate) struct Fleet {
    pub(crate) book: Arc<Book>,
    pub(crate) registrar: Registrar,
    /// Who has the lock of one may do with it what it likes.
    pub(crate) slots: Vec<Mutex<Slot>>,
    /// The symbols that are there from the beginning.
    homes: Vec<String>,
    /// Those that callers ask for.
    symbols: RwLock<Vec<String>>,
}

/// A place for an instance.
pub(crate) struct Slot {
    pub(crate) number: usize,
    /// What it owns when all is well.
    home: String,
    pub(crate) symbol: String,
    pub(crate) port: u16,
    pub(crate) process: Option<Instance>,
    pub(crate) keys: Vec<String>,
}

impl Fleet {
    /// Starts and registers two instances of each symbol.
    pub(crate) async fn start(book: Arc<Book>, registrar: Registrar, symbols: usize) -> Result<Self> {
        let homes: Vec<_> = (0..symbols).map(|number| format!("COIN{number}_USDT")).collect();
        let symbols = RwLock::new(homes.clone());
        let mut fleet = Self { book, registrar, slots: Vec::new(), homes, symbols };
        for number in 0..fleet.homes.len() * EACH {
            let home = fleet.homes.iter().cycle().nth(number).cloned().unwrap_or_default();
            let slot = fleet.slot(number, &home).await?;
            fleet.slots.push(Mutex::new(slot));
        }
        Ok(fleet)
    }

    /// A new instance, registered.
    pub(crate) async fn slot(&self, number: usize, symbol: &str) -> Result<Slot> {
        let process = Instance::start(0, streams(number), &self.book).await.context("an instance cannot listen")?;
        let (home, port) = (symbol.to_owned(), process.port());
        let mut slot = Slot { number, symbol: home.clone(), home, port, process: Some(process), keys: Vec::new() };
        self.register(&mut slot, None).await;
        Ok(slot)
    }

    /// The symbols that callers ask for.
    pub(crate) fn symbols(&self) -> Vec<String> {
        self.symbols.read().clone()
    }

    /// The symbol that a slot may be moved to: another one, or the one that it left, so that none is left for long.
    pub(crate) fn destination(&self, slot: &Slot, drawn: usize) -> String {
        let drawn = self.homes.iter().cycle().nth(drawn).filter(|_| slot.symbol == slot.home);
        drawn.unwrap_or(&slot.home).clone()
    }

    /// Callers ask for one symbol more.
    pub(crate) fn list(&self, symbol: &str) {
        self.symbols.write().push(symbol.to_owned());
    }

    /// Callers ask for a symbol no more.
    pub(crate) fn delist(&self, symbol: &str) {
        self.symbols.write().retain(|listed| listed != symbol);
    }

    /// Announces what a slot owns, once more if it is announced already.
    pub(crate) async fn register(&self, slot: &mut Slot, lease: Option<i64>) {
        self.book.ownership(|owners| owners.gained(slot.port, &slot.symbol));
        slot.keys.push(self.registrar.put(&slot.symbol, slot.port, lease).await);
    }

    /// Takes back all announcements but the newest `kept`.
    pub(crate) async fn unregister(&self, slot: &mut Slot, kept: usize) {
        while slot.keys.len() > kept {
            let key = slot.keys.remove(0);
            self.registrar.delete(&key).await;
        }
        if kept == 0 {
            self.lost(slot.port, &slot.symbol);
        }
    }

    /// The registry has said that an address owns a symbol no more.
    pub(crate) fn lost(&self, port: u16, symbol: &str) {
        self.book.ownership(|owners| owners.lost(port, symbol, Instant::now()));
    }

    /// Gives a slot to another symbol: the newest announcement of an address counts, whatever is still announced.
    pub(crate) async fn move_to(&self, slot: &mut Slot, symbol: &str, late: Duration) {
        if slot.symbol == symbol {
            return;
        }
        let before = std::mem::replace(&mut slot.symbol, symbol.to_owned());
        self.register(slot, None).await;
        self.lost(slot.port, &before);
        sleep(late).await;
        self.unregister(slot, 1).await;
    }

    /// Starts a slot's process on its port; when somebody took that, on another.
    pub(crate) async fn revive(&self, slot: &mut Slot) -> Result<()> {
        let there = Instance::start(slot.port, streams(slot.number), &self.book).await;
        if let Ok(process) = there {
            slot.process = Some(process);
            return Ok(());
        }
        self.book.note(&format!("port {} is taken; instance {} takes another", slot.port, slot.number));
        self.revive_elsewhere(slot).await
    }

    /// Starts a slot's process on another port and announces that instead.
    pub(crate) async fn revive_elsewhere(&self, slot: &mut Slot) -> Result<()> {
        let process = Instance::start(0, streams(slot.number), &self.book).await;
        let process = process.context("an instance cannot listen")?;
        let old = std::mem::replace(&mut slot.port, process.port());
        slot.process = Some(process);
        self.register(slot, None).await;
        while slot.keys.len() > 1 {
            let key = slot.keys.remove(0);
            self.registrar.delete(&key).await;
        }
        self.lost(old, &slot.symbol);
        Ok(())
    }

    /// Everything runs, answers and owns what it owned first.
    pub(crate) async fn heal(&self) -> Result<()> {
        for slot in &self.slots {
            let mut slot = slot.lock().await;
            let slot = &mut *slot;
            match &slot.process {
                None => self.revive(slot).await?,
                Some(process) => {
                    process.feel(Mood::Serves);
                    process.break_calls(0, 0);
                }
            }
            if slot.keys.is_empty() {
                self.register(slot, None).await;
            }
            let home = slot.home.clone();
            self.move_to(slot, &home, Duration::ZERO).await;
        }
        Ok(())
    }

    /// Connections that each worker needs, and the most that it may have: some instances take few streams on each.
    pub(crate) fn connections(&self) -> (u64, u64) {
        let few = (0..self.slots.len()).filter(|number| has_few_streams(*number)).count();
        let least = self.slots.len();
        (least as u64, (least + few * (CONNECTIONS - 1) + least / SECOND) as u64)
    }

    /// Connections that the instances have, and calls.
    pub(crate) async fn busy(&self) -> (i64, i64) {
        let mut sum = (0, 0);
        for slot in &self.slots {
            let busy = slot.lock().await.process.as_ref().map(Instance::busy).unwrap_or_default();
            sum = (sum.0 + busy.0, sum.1 + busy.1);
        }
        sum
    }
}

/// Streams that the instance of a number takes on a connection: some take so few that calls have to wait, and that more
/// than one connection is of use.
fn streams(number: usize) -> u32 {
    if has_few_streams(number) { 4 } else { 1000 }
}

fn has_few_streams(number: usize) -> bool {
    number % 4 == 3
}

impl Slot {
    /// Ends its process as a crash does.
    pub(crate) async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
    }

    /// As a line of the history shows it.
    pub(crate) fn name(&self) -> String {
        format!("instance {} of {} at {}", self.number, self.symbol, self.port)
    }
}
