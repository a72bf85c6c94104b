//! The book of the run: every call, where it arrived and how it ended; what was broken; what was wrong. The one place
//! that judges.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    call::{End, Plan},
    ownership::Ownership,
};

/// Violations of one kind that are told in full.
const TOLD: u64 = 10;

/// Longer than an instance ever reads nothing.
const UNFROZEN: Duration = Duration::from_secs(5);

/// What everything in the run writes to.
pub(crate) struct Book {
    start: Instant,
    pages: Mutex<Pages>,
}

struct Pages {
    calls: Vec<Call>,
    ownership: Ownership,
    outcomes: BTreeMap<(u8, String), u64>,
    faults: BTreeMap<&'static str, u64>,
    history: Vec<String>,
    violations: BTreeMap<&'static str, u64>,
    texts: Vec<String>,
}

/// A call by its number.
#[derive(Clone, Copy)]
struct Call {
    started: Instant,
    arrived: Option<(u16, Instant)>,
}

/// A call as an instance sees it.
pub(crate) struct Arrival<'a> {
    pub(crate) id: u64,
    pub(crate) port: u16,
    /// What the caller asked for.
    pub(crate) symbol: &'a str,
    /// What the gateway said: each value of `symgate-symbol`.
    pub(crate) told: Vec<&'a [u8]>,
    /// When the instance last began to read nothing, if it did.
    pub(crate) frozen: Option<Instant>,
}

/// Statuses that the gateway may end calls with under these faults, each with its reasons. A new reason is put here with
/// the fault that calls for it.
const EXPECTED: &[(u8, &[&str])] = &[
    (1, &["upstream-reset"]),
    (4, &["deadline"]),
    (5, &["unknown-symbol"]),
    (8, &["upstream-reset", "no-room"]),
    (13, &["upstream-reset"]),
    (14, &["unreachable", "instance-lost", "no-instance", "upstream-reset"]),
];

impl Book {
    pub(crate) fn new() -> Self {
        let start = Instant::now();
        let pages = Pages {
            calls: Vec::new(),
            ownership: Ownership::new(start),
            outcomes: BTreeMap::new(),
            faults: BTreeMap::new(),
            history: Vec::new(),
            violations: BTreeMap::new(),
            texts: Vec::new(),
        };
        Self { start, pages: Mutex::new(pages) }
    }

    /// Changes who owns what.
    pub(crate) fn ownership(&self, change: impl FnOnce(&mut Ownership)) {
        change(&mut self.pages.lock().ownership);
    }

    /// Prints a line with the time since the start, and keeps it.
    pub(crate) fn note(&self, text: &str) {
        let line = format!("[{:8.3}] {text}", self.start.elapsed().as_secs_f64());
        println!("{line}");
        self.pages.lock().history.push(line);
    }

    /// Notes that a fault begins.
    pub(crate) fn fault(&self, kind: &'static str, text: &str) {
        *self.pages.lock().faults.entry(kind).or_default() += 1;
        self.note(&format!("{kind}: {text}"));
    }

    /// Notes that something is wrong.
    pub(crate) fn violation(&self, kind: &'static str, text: &str) {
        let count = {
            let mut pages = self.pages.lock();
            let count = pages.violations.entry(kind).or_default();
            *count += 1;
            *count
        };
        if count <= TOLD {
            self.note(&format!("VIOLATION: {kind}: {text}"));
            self.pages.lock().texts.push(format!("{kind}: {text}"));
        }
    }

    /// A number for a call that begins now.
    pub(crate) fn begin(&self) -> u64 {
        let mut pages = self.pages.lock();
        pages.calls.push(Call { started: Instant::now(), arrived: None });
        pages.calls.len() as u64 - 1
    }

    /// A call reached an instance: it must be the first time, and the instance an owner of its symbol.
    pub(crate) fn arrived(&self, arrival: &Arrival<'_>) {
        let now = Instant::now();
        let Arrival { id, port, symbol, ref told, frozen } = *arrival;
        if told.as_slice() != [symbol.as_bytes()] {
            let told: Vec<_> = told.iter().map(|told| String::from_utf8_lossy(told)).collect();
            self.violation("wrong symgate-symbol", &format!("call {id} about {symbol} was told {told:?}"));
        }
        let mut pages = self.pages.lock();
        let Some(call) = usize::try_from(id).ok().and_then(|id| pages.calls.get_mut(id)) else {
            drop(pages);
            return self.violation("unknown call", &format!("{port} got call {id}, which nobody made"));
        };
        let earlier = call.arrived.replace((port, now));
        // What came while the instance read nothing was sent at some time since it was begun.
        let moment = if frozen.is_some_and(|frozen| frozen + UNFROZEN > call.started) { call.started } else { now };
        let wrong = pages.ownership.fault(port, symbol, moment);
        drop(pages);
        if let Some((first, at)) = earlier {
            let text = format!("call {id} about {symbol} at {first}, and {:.2?} later at {port}", now - at);
            self.violation("double delivery", &text);
        }
        if let Some(wrong) = wrong {
            self.violation("wrong owner", &format!("call {id} about {symbol} at {port}: {wrong}"));
        }
    }

    /// A call ended for its caller.
    pub(crate) fn ended(&self, plan: &Plan, end: &End) {
        match end {
            End::Status { code, reason, own } => {
                *self.pages.lock().outcomes.entry((*code, label(reason, *own))).or_default() += 1;
                self.judge(plan, *code, reason, *own);
            }
            End::Left => *self.pages.lock().outcomes.entry((1, "the caller left".into())).or_default() += 1,
            End::Lost(why) => self.violation("no status", &format!("{plan:?} ended without one: {why}")),
            End::Wrong(why) => self.violation("wrong reply", &format!("{plan:?}: {why}")),
            End::Hung(limit) => self.violation("hung", &format!("{plan:?} had not ended after {limit:?}")),
        }
    }

    fn judge(&self, plan: &Plan, code: u8, reason: &str, own: bool) {
        if own {
            // The instance's own word: OK, or the status that it was asked for.
            if !reason.is_empty() || code != plan.wanted_status() {
                self.violation("changed status", &format!("{plan:?} got {code} {reason:?} from an instance"));
            }
        } else if reason.is_empty() {
            self.violation("no symgate-reason", &format!("{plan:?} got {code} from the gateway"));
        } else if !EXPECTED.iter().any(|(expected, reasons)| *expected == code && reasons.contains(&reason)) {
            self.violation("unexpected status", &format!("{plan:?} got {code} {reason:?}"));
        }
    }

    /// How many calls ended how.
    pub(crate) fn outcomes(&self) -> BTreeMap<(u8, String), u64> {
        self.pages.lock().outcomes.clone()
    }

    /// How often each fault happened.
    pub(crate) fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.pages.lock().faults.clone()
    }

    /// Calls begun, and calls that reached an instance.
    pub(crate) fn calls(&self) -> (usize, usize) {
        let pages = self.pages.lock();
        (pages.calls.len(), pages.calls.iter().filter(|call| call.arrived.is_some()).count())
    }

    /// Whether anything was wrong.
    pub(crate) fn has_violations(&self) -> bool {
        !self.pages.lock().violations.is_empty()
    }

    /// How often each rule was broken, and the first texts.
    pub(crate) fn violations(&self) -> (BTreeMap<&'static str, u64>, Vec<String>) {
        let pages = self.pages.lock();
        (pages.violations.clone(), pages.texts.clone())
    }

    /// Everything that was noted.
    pub(crate) fn history(&self) -> Vec<String> {
        self.pages.lock().history.clone()
    }
}

fn label(reason: &str, own: bool) -> String {
    if own { "(the instance's own)".into() } else { reason.into() }
}
