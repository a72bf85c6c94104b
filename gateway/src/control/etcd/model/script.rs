//! An etcd in memory that does what it is told: its history, its connections, and the failures of both.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    super::{
        super::source::Event,
        list::{Ask, Page, Pages, Unread},
        machine::{End, Known, Response},
        member::{Cluster, Member, Stream},
    },
    PREFIX,
    history::History,
};

/// The id of every watch on its stream.
const ID: i64 = 4;
/// Entries that a page holds at most, so that lists have several.
const PAGE: usize = 2;
/// How long connecting takes, at least.
const STEP: Duration = Duration::from_millis(1);

/// The etcd; a clone is the same one.
#[derive(Clone)]
pub(super) struct Script {
    state: Arc<Mutex<State>>,
    /// Something was done.
    news: watch::Sender<()>,
}

pub(super) struct State {
    /// The last one is now; the others were before a restore.
    pub(super) lives: Vec<History>,
    /// What every watcher is told of each revision, in parts.
    log: BTreeMap<u64, Vec<Vec<(u64, Event)>>>,
    compacted: u64,
    late: Duration,
    page: Duration,
    merged: bool,
    refused: u8,
    dropping: usize,
    /// Changes that were not told.
    pub(super) dropped: usize,
    /// Connections of an earlier number are lost.
    connections: u64,
    watchers: BTreeMap<u64, Watcher>,
    next_watcher: u64,
}

/// What is under way on a stream.
#[derive(Default)]
struct Watcher {
    queue: VecDeque<(Instant, Response)>,
    asides: VecDeque<Response>,
    silent: bool,
}

/// What a stream says next.
enum Next {
    Say(Response),
    At(Option<Instant>),
    Ended,
}

impl Script {
    pub(super) fn new() -> Self {
        let state = State {
            lives: vec![History::new(1)],
            log: BTreeMap::new(),
            compacted: 0,
            late: Duration::ZERO,
            page: Duration::ZERO,
            merged: false,
            refused: 0,
            dropping: 0,
            dropped: 0,
            connections: 0,
            watchers: BTreeMap::new(),
            next_watcher: 0,
        };
        Self { state: Arc::new(Mutex::new(state)), news: watch::Sender::new(()) }
    }

    pub(super) fn see<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock())
    }

    fn act(&self, act: impl FnOnce(&mut State)) {
        act(&mut self.state.lock());
        self.news.send_replace(());
    }

    /// Puts and deletes keys in one revision. Nothing happens when nothing is there to be deleted.
    pub(super) fn write(&self, changes: &[(u8, Option<u8>)], apart: bool) {
        self.act(|state| state.write(changes, apart));
    }

    pub(super) fn write_other(&self) {
        self.act(|state| {
            let (revision, mut standing) = (state.now().revision() + 1, state.now().now().clone());
            standing.put("klineV2/A/1", "10.0.0.9:1", revision);
            state.history().standings.insert(revision, standing);
        });
    }

    pub(super) fn late(&self, watch: u16, page: u16, merged: bool) {
        let [watch, page] = [watch, page].map(|time| Duration::from_millis(time.into()));
        self.act(|state| (state.late, state.page, state.merged) = (watch, page, merged));
    }

    pub(super) fn cut(&self) {
        self.act(State::cut);
    }

    pub(super) fn refuse(&self, endpoints: u8) {
        self.act(|state| state.refused = endpoints);
    }

    pub(super) fn compact(&self, late_ones_end: bool) {
        self.act(|state| {
            state.compacted = state.now().revision();
            let compacted = compacted(state.compacted);
            for watcher in state.watchers.values_mut().filter(|watcher| late_ones_end && !watcher.queue.is_empty()) {
                watcher.queue = VecDeque::from([(Instant::now(), compacted.clone())]);
            }
        });
    }

    pub(super) fn progress(&self) {
        self.act(|state| {
            let progress = Response { watch_id: ID, revision: state.now().revision(), ..Response::default() };
            state.tell(progress);
        });
    }

    pub(super) fn overtake(&self) {
        self.act(|state| {
            let reply = Response { watch_id: -1, revision: state.now().revision(), ..Response::default() };
            state.watchers.values_mut().for_each(|watcher| watcher.asides.push_back(reply.clone()));
        });
    }

    pub(super) fn silence(&self) {
        self.act(|state| state.watchers.values_mut().for_each(|watcher| watcher.silent = true));
    }

    pub(super) fn drop_next(&self) {
        self.act(|state| state.dropping += 1);
    }

    /// Nothing more is dropped.
    pub(super) fn tell_everything(&self) {
        self.act(|state| state.dropping = 0);
    }

    pub(super) fn restore(&self, back: u64, other: bool) {
        self.act(|state| {
            let mut life = state.now().clone();
            let revision = life.revision().saturating_sub(back).max(1);
            life.standings.retain(|at, _| *at <= revision);
            life.cluster += u64::from(other);
            state.log.retain(|at, _| *at <= revision);
            state.compacted = state.compacted.min(revision);
            state.lives.push(life);
            state.cut();
        });
    }
}

impl State {
    pub(super) fn now(&self) -> &History {
        self.lives.last().expect("a life")
    }

    fn history(&mut self) -> &mut History {
        self.lives.last_mut().expect("a life")
    }

    fn cut(&mut self) {
        self.connections += 1;
        self.watchers.clear();
    }

    fn write(&mut self, changes: &[(u8, Option<u8>)], apart: bool) {
        let (revision, mut standing) = (self.now().revision() + 1, self.now().now().clone());
        let mut parts = Vec::new();
        let mut events = Vec::new();
        for (key, value) in changes {
            let key = name(*key);
            // etcd takes a key once in a revision.
            if events.iter().any(|event: &Event| event.key() == key) {
                continue;
            }
            match value {
                Some(value) => events.push(Event::Put(standing.put(&key, &address(*value), revision))),
                None if standing.entries.remove(&key).is_some() => events.push(Event::Delete { key: key.into() }),
                None => continue,
            }
            parts.push(standing.owned());
        }
        if events.is_empty() {
            return;
        }
        self.history().standings.insert(revision, standing);
        if apart {
            self.history().parts.extend(parts);
        }
        let dropped = self.dropping.min(events.len());
        self.dropping -= dropped;
        self.dropped += dropped;
        let told: Vec<_> = events.drain(dropped..).map(|event| (revision, event)).collect();
        let told: Vec<_> = if apart { told.into_iter().map(|one| vec![one]).collect() } else { vec![told] };
        let told: Vec<_> = told.into_iter().filter(|part| !part.is_empty()).collect();
        told.iter().for_each(|part| self.tell(response(part.clone())));
        self.log.insert(revision, told);
    }

    fn tell(&mut self, response: Response) {
        for watcher in self.watchers.values_mut() {
            let due = watcher.queue.back().map_or_else(Instant::now, |(due, _)| *due).max(Instant::now() + self.late);
            watcher.queue.push_back((due, response.clone()));
        }
    }

    /// A new watch; what it missed comes in one response.
    fn watch(&mut self, from: u64) -> u64 {
        let mut watcher = Watcher::default();
        let created = Response { watch_id: ID, created: true, revision: self.now().revision(), ..Response::default() };
        watcher.queue.push_back((Instant::now(), created));
        if from < self.compacted {
            watcher.queue.push_back((Instant::now(), compacted(self.compacted)));
        } else {
            let missed = self.log.range(from..).flat_map(|(_, parts)| parts.concat());
            // As etcd does (#19179): a delete at the very revision of the compaction is not told.
            let is_told =
                |(revision, event): &(u64, Event)| *revision > self.compacted || matches!(event, Event::Put(_));
            let (told, untold): (Vec<_>, Vec<_>) = missed.partition(is_told);
            self.dropped += untold.len();
            if !told.is_empty() {
                watcher.queue.push_back((Instant::now() + self.late, response(told)));
            }
        }
        self.next_watcher += 1;
        self.watchers.insert(self.next_watcher, watcher);
        self.next_watcher
    }

    fn next(&mut self, watcher: u64) -> Next {
        let revision = self.now().revision();
        let Some(watcher) = self.watchers.get_mut(&watcher) else { return Next::Ended };
        if watcher.silent {
            return Next::At(None);
        }
        if let Some(aside) = watcher.asides.pop_front() {
            return Next::Say(aside);
        }
        let is_due = |queue: &VecDeque<(Instant, Response)>| queue.front().is_some_and(|(at, _)| *at <= Instant::now());
        if !is_due(&watcher.queue) {
            return Next::At(watcher.queue.front().map(|(at, _)| *at));
        }
        let (_, mut said) = watcher.queue.pop_front().expect("it is due");
        if said.last_event.is_some() {
            said.revision = revision;
        }
        while self.merged && said.last_event.is_some() && is_due(&watcher.queue) {
            let Some((_, more)) = watcher.queue.pop_front_if(|(_, more)| more.last_event.is_some()) else { break };
            said.last_event = more.last_event;
            said.events.extend(more.events);
        }
        Next::Say(said)
    }

    fn page(&self, ask: &Ask) -> Result<Page, Unread> {
        let history = self.now();
        let revision = if ask.revision == 0 { history.revision() } else { ask.revision };
        if revision < self.compacted {
            return Err(Unread::Compacted);
        }
        let standing = history.standings.range(..=revision).next_back().expect("revision 1").1;
        let wanted = |key: &str| key.as_bytes() >= &*ask.from && key.as_bytes() < &*ask.below;
        let mut entries: Vec<_> = standing.entries.values().filter(|entry| wanted(&entry.key)).cloned().collect();
        let more = entries.len() > PAGE;
        entries.truncate(PAGE);
        let last = entries.last().map(|entry| entry.key.as_bytes().to_vec());
        Ok(Page { now: Known { cluster: history.cluster, revision: history.revision() }, entries, last, more })
    }
}

/// A connection.
#[derive(Clone)]
pub(super) struct Wire {
    script: Script,
    number: u64,
}

impl Wire {
    /// Takes half the time that an answer takes.
    async fn travel(&self) -> Result<(), End> {
        sleep(self.script.see(|state| state.page).max(STEP)).await;
        let lost = self.script.see(|state| state.connections) != self.number;
        if lost { Err(End::Lost("the connection was cut".into())) } else { Ok(()) }
    }
}

impl Cluster for Script {
    type Member = Wire;

    async fn open(&self, endpoint: &str) -> Result<Wire, End> {
        sleep(STEP).await;
        let this = if endpoint.ends_with('1') { 1 } else { 2 };
        let refused = self.see(|state| state.refused & this);
        if refused != 0 {
            return Err(End::Lost("refused".into()));
        }
        Ok(Wire { script: self.clone(), number: self.see(|state| state.connections) })
    }
}

impl Pages for Wire {
    async fn page(&mut self, ask: Ask) -> Result<Page, Unread> {
        self.travel().await.map_err(Unread::End)?;
        let page = self.script.see(|state| state.page(&ask))?;
        self.travel().await.map_err(Unread::End)?;
        Ok(page)
    }
}

impl Member for Wire {
    type Stream = Hearing;

    async fn watch(&mut self, _prefix: &str, revision: u64) -> Result<Hearing, End> {
        self.travel().await?;
        let watcher = self.script.state.lock().watch(revision);
        Ok(Hearing { script: self.script.clone(), news: self.script.news.subscribe(), watcher })
    }
}

/// A watch on a stream.
pub(super) struct Hearing {
    script: Script,
    news: watch::Receiver<()>,
    watcher: u64,
}

impl Stream for Hearing {
    async fn hear(&mut self) -> Result<Response, End> {
        loop {
            let next = self.script.state.lock().next(self.watcher);
            match next {
                Next::Say(response) => return Ok(response),
                Next::Ended => return Err(End::Lost("the stream was cut".into())),
                Next::At(due) => tokio::select! {
                    () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                    _ = self.news.changed() => {}
                },
            }
        }
    }

    async fn ask_for_progress(&mut self) -> Result<(), End> {
        self.script.overtake();
        Ok(())
    }
}

fn response(events: Vec<(u64, Event)>) -> Response {
    let last_event = events.last().map(|(revision, _)| *revision);
    Response { watch_id: ID, events, last_event, ..Response::default() }
}

fn compacted(revision: u64) -> Response {
    Response { watch_id: ID, canceled: true, compact_revision: revision.cast_signed(), ..Response::default() }
}

/// Three symbols with two keys each.
fn name(key: u8) -> String {
    format!("{PREFIX}{}/{}", ["A", "B", "C"][usize::from(key / 2 % 3)], key % 2)
}

/// Few, so that symbols get one another's; the last is none.
fn address(value: u8) -> String {
    if value == 4 { String::new() } else { format!("10.0.0.{value}:1") }
}
