//! Lists beside a watch, as lines of what each says and what is told of it.

use super::*;
use crate::control::etcd::machine::Known;

const PATIENCE: Duration = Duration::from_secs(45);

/// A table as control has it, made of what is told.
struct Desk {
    told: Told,
    table: BTreeMap<String, u64>,
    now: Instant,
    lost: Vec<String>,
    audits: usize,
    last: Option<Change>,
}

impl Desk {
    /// After a list of revision 10: `a` of revision 4, `b` of 7.
    fn new() -> Self {
        let told = Told::new(PATIENCE);
        let (table, lost) = (BTreeMap::new(), Vec::new());
        let mut desk = Self { told, table, now: Instant::now(), lost, audits: 0, last: None };
        let change = desk.told.begin(list(10, &[("a", 4), ("b", 7)]));
        desk.take([change]);
        desk
    }

    fn take(&mut self, changes: impl IntoIterator<Item = Change>) {
        self.last = None;
        for change in changes {
            match &change {
                Change::Listed { entries, .. } => self.table = entries.iter().map(row).collect(),
                Change::Events { events, .. } => events.iter().for_each(|event| match event {
                    Event::Put(entry) => self.table.extend([row(entry)]),
                    Event::Delete { key } => assert!(self.table.remove(&**key).is_some(), "{key} is told gone twice"),
                }),
                Change::Repaired { keys } => {
                    self.lost.extend(keys.iter().map(ToString::to_string));
                    continue;
                }
                Change::Audited => {
                    self.audits += 1;
                    continue;
                }
                _ => {}
            }
            assert!(self.last.replace(change).is_none(), "one change at a time");
        }
    }

    /// The watch tells these events, `None` being a delete.
    fn watch(&mut self, events: &[(u64, &str, Option<()>)]) -> &mut Self {
        let last = events.iter().map(|(revision, ..)| *revision).max().unwrap();
        let event = |(revision, key, put): &(u64, &str, Option<()>)| match put {
            Some(()) => (*revision, Event::Put(entry(key, *revision))),
            None => (*revision, Event::Delete { key: (*key).into() }),
        };
        let meaning = Meaning::Events { events: events.iter().map(event).collect(), last };
        let changes = self.told.watch_says(meaning);
        self.take(changes);
        self
    }

    fn progress(&mut self, revision: u64) -> &mut Self {
        let changes = self.told.watch_says(Meaning::Alive { revision: Some(revision) });
        self.take(changes);
        self
    }

    fn ask(&mut self) -> &mut Self {
        self.told.list_is_asked();
        self
    }

    fn list(&mut self, revision: u64, entries: &[(&str, u64)]) -> &mut Self {
        let changes = self.told.list_says(list(revision, entries), self.now);
        self.take(changes);
        self
    }

    #[track_caller]
    fn check(&mut self, table: &[(&str, u64)], lost: &[&str]) -> &mut Self {
        let found: Vec<_> = self.table.iter().map(|(key, revision)| (&**key, *revision)).collect();
        assert_eq!((found, self.lost.iter().map(String::as_str).collect()), (table.to_vec(), lost.to_vec()));
        self
    }
}

fn row(entry: &Entry) -> (String, u64) {
    (entry.key.to_string(), entry.mod_revision)
}

fn entry(key: &str, revision: u64) -> Entry {
    Entry { key: key.into(), value: Vec::new(), create_revision: 1, mod_revision: revision }
}

fn list(revision: u64, entries: &[(&str, u64)]) -> List {
    let entries = entries.iter().map(|(key, revision)| entry(key, *revision)).collect();
    List { now: Known { cluster: 7, revision }, entries }
}

const PUT: Option<()> = Some(());

#[test]
fn what_does_not_differ_is_not_told() {
    let mut desk = Desk::new();
    desk.ask().list(12, &[("a", 4), ("b", 7)]).check(&[("a", 4), ("b", 7)], &[]);
    assert_eq!((desk.audits, &desk.last), (1, &None));
}

#[test]
fn what_the_watch_should_have_told_is_lost_and_told_with_the_list() {
    let mut desk = Desk::new();
    // Lost: a put of c, another of b, the delete of a.
    desk.watch(&[(20, "d", PUT)]).ask().watch(&[(26, "e", PUT)]);
    desk.list(25, &[("b", 12), ("c", 11), ("d", 20)]);
    desk.check(&[("b", 12), ("c", 11), ("d", 20), ("e", 26)], &["a", "b", "c"]);
    assert!(matches!(desk.last, Some(Change::Events { revision: 26, .. })), "{:?}", desk.last);
    desk.watch(&[(27, "d", None)]).ask().list(27, &[("b", 12), ("c", 11), ("e", 26)]);
    desk.check(&[("b", 12), ("c", 11), ("e", 26)], &["a", "b", "c"]);
}

#[test]
fn timed_progress_shows_what_is_lost() {
    Desk::new().progress(20).ask().list(20, &[("a", 4), ("c", 19)]).check(&[("a", 4), ("c", 19)], &["b", "c"]);
}

#[test]
fn what_is_ahead_of_the_watch_is_told_once_and_is_not_lost() {
    let mut desk = Desk::new();
    desk.ask().list(15, &[("b", 7), ("c", 13)]).check(&[("b", 7), ("c", 13)], &[]);
    // The table does not go back to how c was before.
    desk.watch(&[(11, "a", None)]).watch(&[(12, "c", PUT)]).check(&[("b", 7), ("c", 13)], &[]);
    assert_eq!(desk.last, Some(Change::Alive { revision: None }), "it was told before");
    desk.watch(&[(13, "c", PUT), (14, "x", PUT), (15, "x", None)]).watch(&[(16, "d", PUT)]);
    desk.check(&[("b", 7), ("c", 13), ("d", 16)], &[]);
}

#[test]
fn a_watch_that_crosses_the_list_in_one_response() {
    let mut desk = Desk::new();
    desk.ask().list(15, &[("b", 7), ("c", 13)]);
    desk.watch(&[(11, "a", None), (12, "c", PUT), (13, "c", PUT), (16, "c", None)]).check(&[("b", 7)], &[]);
}

#[test]
fn what_the_watch_passes_by_is_lost() {
    let event = |desk: &mut Desk| _ = desk.watch(&[(16, "d", PUT)]);
    let progress = |desk: &mut Desk| _ = desk.progress(15);
    for pass in [event, progress] {
        let mut desk = Desk::new();
        desk.ask().list(15, &[("b", 7), ("c", 13)]).watch(&[(14, "x", PUT)]).watch(&[(15, "x", None)]);
        // The last revision may come in two responses.
        desk.check(&[("b", 7), ("c", 13)], &[]);
        pass(&mut desk);
        desk.table.remove("d");
        desk.check(&[("b", 7), ("c", 13)], &["a", "c"]).progress(30).check(&[("b", 7), ("c", 13)], &["a", "c"]);
    }
}

#[test]
fn what_is_ahead_for_too_long_is_lost() {
    let mut desk = Desk::new();
    desk.ask().list(15, &[("b", 7), ("c", 13)]);
    desk.now += PATIENCE - Duration::from_secs(1);
    desk.ask().list(16, &[("b", 7), ("c", 13)]).check(&[("b", 7), ("c", 13)], &[]);
    desk.now += Duration::from_secs(1);
    desk.ask().list(17, &[("b", 7), ("c", 13)]).check(&[("b", 7), ("c", 13)], &["a", "c"]);
}

#[test]
fn a_list_that_the_watch_has_overtaken_does_not_take_the_table_back() {
    let mut desk = Desk::new();
    desk.ask().watch(&[(12, "a", PUT)]).watch(&[(16, "a", None)]).watch(&[(17, "c", PUT)]);
    desk.list(15, &[("a", 12), ("b", 7)]).check(&[("b", 7), ("c", 17)], &[]);
}

#[test]
fn revisions_do_not_go_back() {
    let mut desk = Desk::new();
    desk.ask().list(15, &[("b", 7)]).progress(14);
    assert_eq!(desk.last, Some(Change::Alive { revision: None }));
    desk.progress(16);
    assert_eq!((&desk.last, desk.told.revision()), (&Some(Change::Alive { revision: Some(16) }), 16));
}

#[test]
fn a_new_watch_begins_anew() {
    let mut desk = Desk::new();
    desk.ask().list(15, &[("b", 7), ("c", 13)]).ask();
    let key = desk.told.keys.first_key_value().unwrap().0.clone();
    let change = desk.told.begin(list(5, &[("b", 2)]));
    desk.take([change]);
    desk.watch(&[(6, "c", PUT)]).check(&[("b", 2), ("c", 6)], &[]);
    assert!(desk.told.meanwhile.is_none() && Arc::ptr_eq(desk.told.keys.first_key_value().unwrap().0, &key));
}
