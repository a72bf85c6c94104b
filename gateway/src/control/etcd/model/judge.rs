//! What must hold, whatever happens.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{
    super::super::{
        lives::Lives,
        own::Own,
        source::{Change, Entry, Event},
        tracked::Tracked,
    },
    AUDIT, LATEST, SLOWEST, Step, WATCHDOG,
    history::Owned,
    script::Script,
};
use crate::{config::Config, metrics::Metrics};

/// A failure is over after this: the silence of a stream, two pauses of the back-off, the reading of a list.
const RECOVERY: Duration = Duration::from_secs(WATCHDOG.as_secs() + 10 + READING.as_secs());
/// Four pages and as many attempts of the slowest kind.
const READING: Duration = Duration::from_millis(SLOWEST.as_millis() as u64 * 2 * 4 * 3);
/// What was dropped is put right after this.
const REPAIR: Duration = Duration::from_secs(AUDIT.as_secs() * 5 / 4 + READING.as_secs());
/// None of the two can be connected.
const EVERY_ENDPOINT: u8 = 3;
/// What is told is seen after this.
const SEEN: Duration = Duration::from_millis(LATEST.as_millis() as u64 + 10);

/// Sees the table as calls would.
pub(super) struct Judge {
    script: Script,
    tracked: Tracked,
    lives: Lives,
    metrics: Metrics,
    table: Owned,
    /// Since when the table says what is true no more.
    wrong: BTreeMap<(String, String), Instant>,
    /// Until when that may be so.
    excused: Instant,
    refused: u8,
    dropped: usize,
    last_told: u64,
    repaired: Vec<String>,
}

impl Judge {
    pub(super) fn new(script: &Script) -> Self {
        let text = "[[registry]]\nname = 'e'\netcd = { endpoints = ['http://1'] }\n[[route]]\nmatch = '/'\nservice = 'kline'\n";
        let config = Config::parse(text, "symgate.toml", "/".as_ref()).expect("a configuration");
        let own = Own::from(config.listen.address);
        Self {
            script: script.clone(),
            tracked: Tracked::all(&config, &own).next().expect("a service"),
            lives: Lives::new(own.clone()),
            metrics: Metrics::new(),
            table: Owned::new(),
            wrong: BTreeMap::new(),
            excused: Instant::now() + RECOVERY,
            refused: 0,
            dropped: 0,
            last_told: 0,
            repaired: Vec::new(),
        }
    }

    /// Some steps excuse a wrong table, for a while.
    pub(super) fn mind(&mut self, step: Step) {
        let excuse = match step {
            Step::Cut | Step::Silence | Step::Restore(..) | Step::Compact(true) => RECOVERY,
            Step::Refuse(endpoints) => {
                self.refused = endpoints;
                RECOVERY
            }
            _ => Duration::ZERO,
        };
        self.excuse(excuse);
    }

    fn excuse(&mut self, time: Duration) {
        self.excused = self.excused.max(Instant::now() + time);
    }

    /// What is told never goes back, and no table is shown that never was.
    pub(super) fn hear(&mut self, change: Change) -> Result<(), String> {
        let text = brief(&change);
        match &change {
            Change::Listed { revision, .. } => self.last_told = *revision,
            Change::Events { revision, .. } | Change::Alive { revision: Some(revision) } => {
                if *revision < self.last_told {
                    return Err(format!("told was {} and then {text}", self.last_told));
                }
                self.last_told = *revision;
            }
            Change::Repaired { keys } => self.repaired.extend(keys.iter().map(ToString::to_string)),
            _ => {}
        }
        self.tracked.hear(change, &mut self.lives, &self.metrics);
        self.table = self.shown();
        let (table, told) = (&self.table, self.last_told);
        self.script.see(|state| {
            let announced = |pair: &(String, String)| {
                let mut standings = state.lives.iter().flat_map(|life| life.standings.values());
                standings.any(|standing| {
                    standing.announced().any(|(_, symbol, address)| (symbol, &address) == (&pair.0, &pair.1))
                })
            };
            if let Some(pair) = table.iter().find(|pair| !announced(pair)) {
                return Err(format!("{pair:?} never was, after {text}"));
            }
            if self.repaired.len() > state.dropped {
                return Err(format!("{} changes were lost, repaired are {:?}", state.dropped, self.repaired));
            }
            if state.dropped == 0 && told != 0 && !state.lives.iter().any(|life| life.was(table, told)) {
                return Err(format!("the table is {table:?} at {told} after {text}; it was {:?}", state.lives));
            }
            Ok(())
        })
    }

    fn shown(&mut self) -> Owned {
        let service = self.tracked.show(&mut self.lives, Instant::now().into_std(), &self.metrics);
        self.lives.settle();
        let owned = |(symbol, instances): (&crate::routing::Symbol, &[std::sync::Arc<crate::routing::Instance>])| {
            let pairs = instances.iter().map(|instance| (symbol.to_string(), instance.live.address().to_string()));
            pairs.collect::<Vec<_>>()
        };
        service.table.iter().flat_map(owned).collect()
    }

    /// Nobody is shown who lost a symbol a good while ago.
    pub(super) fn look(&mut self) -> Result<(), String> {
        let (now, dropped) = self.script.see(|state| (state.now().now().owned(), state.dropped));
        if self.refused == EVERY_ENDPOINT {
            self.excuse(RECOVERY);
        }
        if self.dropped != dropped {
            self.dropped = dropped;
            self.excuse(REPAIR);
        }
        self.wrong.retain(|pair, _| self.table.contains(pair) && !now.contains(pair));
        for pair in self.table.difference(&now) {
            self.wrong.entry(pair.clone()).or_insert_with(Instant::now);
        }
        let at = Instant::now();
        match self.wrong.iter().find(|(_, since)| at > **since + SEEN && at > self.excused) {
            Some((pair, since)) => Err(format!("{pair:?} is wrong for {:?} and still shown", at - *since)),
            None => Ok(()),
        }
    }

    /// It is quiet: the table is what etcd says.
    pub(super) fn conclude(self) -> Result<Vec<String>, String> {
        let now = self.script.see(|state| state.now().now().owned());
        if self.table != now {
            return Err(format!("in the end the table is {:?}, and should be {now:?}", self.table));
        }
        Ok(self.repaired)
    }
}

/// A change without what nobody reads.
fn brief(change: &Change) -> String {
    let put =
        |entry: &Entry| format!("{} {} @{}", entry.key, String::from_utf8_lossy(&entry.value), entry.mod_revision);
    match change {
        Change::Listed { revision, entries } => {
            format!("a list at {revision} of {:?}", entries.iter().map(put).collect::<Vec<_>>())
        }
        Change::Events { revision, events } => {
            let event =
                |event: &Event| if let Event::Put(entry) = event { put(entry) } else { format!("no {}", event.key()) };
            format!("events to {revision}: {:?}", events.iter().map(event).collect::<Vec<_>>())
        }
        other => format!("{other:?}"),
    }
}
