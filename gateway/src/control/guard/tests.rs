//! Whole services that leave and come back, as the table shows them.

use std::time::{Duration, Instant};

use super::{
    super::{
        index::Index,
        lives::Lives,
        source::{Entry, Event},
    },
    *,
};
use crate::routing::Layout;

const SECOND: Duration = Duration::from_secs(1);

/// A service of which each symbol has one instance: `S1` that of port 1.
struct Service {
    index: Index,
    lives: Lives,
    guard: Guard,
    shown: FxHashMap<Symbol, Arc<[Arc<Instance>]>>,
    now: Instant,
    revision: u64,
}

impl Service {
    /// With so many symbols, each with a connected instance.
    fn of(symbols: u16, rule: config::Guard) -> Self {
        let mut service = Self {
            index: Index::new(Layout::new("", "kline", None), true),
            lives: Lives::new(std::net::SocketAddr::from(([127, 0, 0, 1], 9000)).into()),
            guard: Guard::new(rule),
            shown: FxHashMap::default(),
            now: Instant::now(),
            revision: 0,
        };
        for symbol in 1..=symbols {
            service.put(&format!("S{symbol}/1"), symbol);
        }
        service.show();
        service.shown.values().flat_map(|instances| instances.iter()).for_each(|it| it.live.connection_opened());
        service
    }

    fn put(&mut self, key: &str, port: u16) {
        self.revision += 1;
        let (key, value) = (format!("kline/{key}").into(), format!("h:{port}").into());
        let entry = Entry { key, value, create_revision: self.revision, mod_revision: self.revision };
        self.index.apply(Event::Put(entry), &mut self.lives);
    }

    fn delete(&mut self, symbols: impl IntoIterator<Item = u16>) {
        for symbol in symbols {
            self.index.apply(Event::Delete { key: format!("kline/S{symbol}/1").into() }, &mut self.lives);
        }
    }

    /// What control does with it.
    fn show(&mut self) {
        let changes = self.index.changes(&self.lives);
        let at = &mut Now { index: &self.index, lives: &mut self.lives, now: self.now };
        for (symbol, after) in &changes {
            let before = self.shown.get(symbol).cloned().unwrap_or_default();
            self.guard.follow(symbol, &before, after, at);
        }
        let judged = self.guard.judge(Some(changes.iter().map(|(symbol, _)| symbol)), at);
        for (symbol, after) in changes {
            let after = if after.is_empty() { self.guard.spared_of(&symbol) } else { after };
            self.shown.insert(symbol, after);
        }
        self.judged(judged);
    }

    fn judged(&mut self, symbols: Vec<Symbol>) {
        for symbol in symbols.into_iter().filter(|symbol| !self.index.owns(symbol)) {
            let spared = self.guard.spared_of(&symbol);
            self.shown.insert(symbol, spared);
        }
        self.lives.settle();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        let all: Option<std::iter::Empty<_>> = None;
        let judged = self.guard.judge(all, &mut Now { index: &self.index, lives: &mut self.lives, now: self.now });
        self.judged(judged);
    }

    fn live(&self, port: u16) -> Option<Arc<crate::routing::Live>> {
        self.lives.find(&format!("h:{port}").parse().expect("an address"))
    }

    /// The ports of all symbols that have an instance, each as `symbol:port` unless both are the same number.
    #[track_caller]
    fn check(&self, expected: &[&str], spared: usize) {
        let mut found: Vec<_> = self
            .shown
            .iter()
            .flat_map(|(symbol, instances)| {
                instances.iter().map(move |it| format!("{symbol}:{}", it.live.address().port()))
            })
            .collect();
        found.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!(self.guard.figures().spared, spared);
    }
}

fn rule() -> config::Guard {
    config::Guard { share: 0.5, minimum: 3, within: 10 * SECOND, at_most: 60 * SECOND }
}

const ALL: [&str; 4] = ["S1:1", "S2:2", "S3:3", "S4:4"];

#[test]
fn all_that_leave_at_once_serve_on() {
    let mut service = Service::of(4, rule());
    service.delete(1..=4);
    service.show();
    service.check(&ALL, 4);
    service.pass(59 * SECOND);
    service.check(&ALL, 4);
    assert!(service.live(1).is_some_and(|live| live.parted() && live.registered()), "nothing new is opened there");
    service.pass(SECOND);
    service.check(&[], 0);
    assert!(service.live(1).is_none());
}

#[test]
fn those_that_left_before_it_was_noticed_come_back() {
    let mut service = Service::of(4, rule());
    service.delete([1]);
    service.show();
    service.check(&ALL[1..], 0);
    service.pass(9 * SECOND);
    service.delete([2]);
    service.show();
    service.check(&ALL[2..], 0);
    service.delete([3]);
    service.show();
    service.check(&ALL, 3);
}

#[test]
fn a_few_are_believed_and_so_is_who_leaves_one_after_the_other() {
    let mut service = Service::of(6, rule());
    service.delete(1..=3);
    service.show();
    service.check(&["S4:4", "S5:5", "S6:6"], 0);
    assert!(service.live(1).is_some_and(|live| live.parted()), "what is known of it is kept for a while");
    service.pass(10 * SECOND);
    assert!(service.live(1).is_none());
    for symbol in 4..=6 {
        service.delete([symbol]);
        service.show();
        service.pass(5 * SECOND);
    }
    service.check(&[], 0);
}

#[test]
fn what_left_long_ago_does_not_count() {
    let mut service = Service::of(8, rule());
    service.delete(1..=4);
    service.show();
    service.pass(10 * SECOND);
    service.delete([5, 6]);
    service.show();
    service.check(&["S7:7", "S8:8"], 0);
}

#[test]
fn an_alarm_is_over_when_all_are_back() {
    let mut service = Service::of(4, rule());
    service.delete(1..=4);
    service.show();
    for symbol in 1..=4 {
        service.put(&format!("S{symbol}/1"), symbol);
    }
    service.show();
    service.check(&ALL, 0);
    service.pass(SECOND);
    service.delete([1]);
    service.show();
    service.check(&ALL[1..], 0);
    service.pass(10 * SECOND);
    assert_eq!(service.guard.figures(), Figures::default());
    assert!(service.guard.times.is_empty() && service.guard.peaks.is_empty(), "nothing is left behind");
}

#[test]
fn while_some_serve_on_others_that_leave_do_too() {
    let mut service = Service::of(5, rule());
    service.delete(1..=4);
    service.show();
    service.pass(30 * SECOND);
    service.delete([5]);
    service.show();
    service.check(&["S1:1", "S2:2", "S3:3", "S4:4", "S5:5"], 5);
    service.pass(30 * SECOND);
    service.check(&["S5:5"], 1);
    service.pass(30 * SECOND);
    service.check(&[], 0);
    assert_eq!(service.guard.figures(), Figures::default());
}

#[test]
fn one_that_comes_and_goes_is_no_alarm() {
    let mut service = Service::of(4, rule());
    for _ in 0..10 {
        service.delete([1]);
        service.show();
        service.check(&ALL[1..], 0);
        service.put("S1/1", 1);
        service.show();
        service.check(&ALL, 0);
    }
}

#[test]
fn only_who_is_connected_and_as_long_as_it_is() {
    let mut service = Service::of(4, rule());
    let first = service.live(1).expect("registered");
    first.connection_closed();
    service.delete(1..=4);
    service.show();
    service.check(&ALL[1..], 3);
    service.live(2).expect("spared").connection_closed();
    service.pass(SECOND);
    service.check(&ALL[2..], 2);
    first.connection_opened();
    service.pass(SECOND);
    assert_eq!(service.guard.figures().spared, 2, "who listens there now may be another process");
}

#[test]
fn never_whose_symbol_has_another_owner() {
    let mut service = Service::of(4, rule());
    service.delete(1..=4);
    service.put("S1/2", 91);
    service.show();
    service.check(&["S1:91", "S2:2", "S3:3", "S4:4"], 3);
    service.put("S2/2", 92);
    service.show();
    service.check(&["S1:91", "S2:92", "S3:3", "S4:4"], 2);
    service.pass(SECOND);
    service.check(&["S1:91", "S2:92", "S3:3", "S4:4"], 2);
}

#[test]
fn never_whose_address_is_announced_for_another_symbol() {
    let mut service = Service::of(4, rule());
    service.delete(1..=4);
    service.show();
    service.put("NEW/1", 3);
    service.show();
    service.check(&["NEW:3", "S1:1", "S2:2", "S4:4"], 3);
    assert!(!service.live(3).expect("registered").parted(), "connections to it may be opened again");
    let mut moved = Service::of(4, rule());
    moved.delete(1..=4);
    moved.put("S1/2", 4);
    moved.show();
    moved.check(&["S1:4", "S2:2", "S3:3"], 2);
}

#[test]
fn who_comes_back_is_the_same_instance() {
    let mut service = Service::of(4, rule());
    let live = service.live(2).expect("registered");
    service.delete(1..=4);
    service.show();
    service.put("S2/7", 2);
    service.show();
    service.check(&ALL, 3);
    let back = service.live(2).expect("registered");
    assert!(Arc::ptr_eq(&live, &back) && !back.parted());
    service.pass(60 * SECOND);
    service.check(&["S2:2"], 0);
    assert_eq!(service.guard.figures(), Figures::default());
    assert!(service.guard.gone.is_empty() && service.guard.places.is_empty(), "nothing is left behind");
}

#[test]
fn of_several_instances_that_leave_one_by_one_all_serve_on() {
    let mut service = Service::of(4, rule());
    service.put("S1/2", 91);
    service.show();
    service.live(91).expect("registered").connection_opened();
    service.delete([1]);
    service.show();
    service.index.apply(Event::Delete { key: "kline/S1/2".into() }, &mut service.lives);
    service.delete(2..=4);
    service.show();
    service.check(&["S1:1", "S1:91", "S2:2", "S3:3", "S4:4"], 5);
}

#[test]
fn who_was_replaced_does_not_come_back_when_its_successor_leaves() {
    let mut service = Service::of(4, rule());
    service.delete([1]);
    service.show();
    service.put("S1/2", 91);
    service.show();
    service.live(91).expect("registered").connection_opened();
    service.index.apply(Event::Delete { key: "kline/S1/2".into() }, &mut service.lives);
    service.delete(2..=4);
    service.show();
    service.check(&["S1:91", "S2:2", "S3:3", "S4:4"], 4);
}

#[test]
fn an_operator_releases_them() {
    let mut service = Service::of(4, rule());
    service.delete(1..=4);
    service.show();
    let released = service.guard.release(&mut service.lives);
    assert_eq!(released.len(), 4);
    service.judged(released);
    service.check(&[], 0);
    assert!(service.live(1).is_none());
}

#[test]
fn without_a_guard_nothing_is_remembered() {
    let mut service = Service::of(4, config::Guard { at_most: Duration::ZERO, ..rule() });
    service.delete(1..=4);
    service.show();
    service.check(&[], 0);
    assert!(service.live(1).is_none());
}
