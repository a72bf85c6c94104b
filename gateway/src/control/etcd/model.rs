//! The whole listening to etcd, driven by generated histories: a scripted etcd below, the table that calls would see
//! above, and everything between them as it is, under paused time.
//!
//! What the script does not do: answer a list with an older state than was seen before. etcd's lists are linearizable,
//! whichever member answers.

use std::{env, fmt, pin::pin, time::Duration};

use proptest::{collection::vec, prelude::*};
use tokio::{
    runtime,
    sync::mpsc,
    time::{Instant, sleep_until},
};

use self::{judge::Judge, script::Script};
use super::{super::rereads::Reread, supervise, teller::Teller};
use crate::config::Etcd;

mod history;
mod judge;
mod plain;
mod script;

const PREFIX: &str = "kline/";
const AUDIT: Duration = Duration::from_secs(60);
const WATCHDOG: Duration = Duration::from_secs(30);
/// The longest that the watch may be late, and that half a page may take.
const LATEST: Duration = Duration::from_secs(2);
const SLOWEST: Duration = Duration::from_millis(500);
/// Within this the table is right again after the last failure: an audit, the silence of a stream, the pauses between
/// attempts, the reading of a list.
const QUIET: Duration = Duration::from_secs(75 + 30 + 10 + 15);

/// What happens, one after another. Keys and values are small numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    /// Puts the first, deletes the second, puts the third key, all in one revision; told in one response or in three.
    Together(u8, u8, u8, bool),
    /// A key of another prefix.
    Other,
    Wait(Seconds),
    /// From now on the watch is late by so many milliseconds, pages take twice as many, and what is late comes in one
    /// response or not.
    Late(u16, u16, bool),
    /// Every connection is lost.
    Cut,
    /// From now on these endpoints refuse connections: 1, 2 or both.
    Refuse(u8),
    /// The history is compacted; with it those watches end that are late.
    Compact(bool),
    /// etcd tells every watch how far it is.
    Progress,
    /// A reply to a requested progress runs ahead of all that is under way.
    Overtake,
    /// The stream stands and says nothing any more.
    Silence,
    /// The watch will not tell the next change.
    Drop,
    /// An instance cannot be connected.
    Doubt,
    /// Every member comes back as it was so many revisions ago, as the same cluster or as another.
    Restore(u8, bool),
}

/// Of waiting.
#[derive(Clone, Copy, PartialEq)]
struct Seconds(u16);

impl fmt::Debug for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A history, in one line to read.
struct Steps(Vec<Step>);

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not over as many lines as there are words, whatever is asked for.
        f.write_str(&format!("{:?}", self.0))
    }
}

fn steps() -> impl Strategy<Value = Steps> {
    let (key, value) = (0..6_u8, 0..5_u8);
    let wait = prop_oneof![4 => Just(0), 4 => 1..5_u16, 2 => 5..60_u16, 1 => 60..300_u16];
    let late = (0..LATEST.as_millis() as u16, 0..SLOWEST.as_millis() as u16, any::<bool>());
    let step = prop_oneof![
        12 => (key.clone(), value).prop_map(|(key, value)| Step::Put(key, value)),
        8 => key.clone().prop_map(Step::Delete),
        4 => (key.clone(), key.clone(), key, any::<bool>()).prop_map(|(a, b, c, apart)| Step::Together(a, b, c, apart)),
        2 => Just(Step::Other),
        8 => wait.prop_map(|seconds| Step::Wait(Seconds(seconds))),
        4 => late.prop_map(|(watch, page, merged)| Step::Late(watch, page, merged)),
        1 => Just(Step::Cut),
        1 => (0..4_u8).prop_map(Step::Refuse),
        2 => any::<bool>().prop_map(Step::Compact),
        2 => Just(Step::Progress),
        2 => Just(Step::Overtake),
        1 => Just(Step::Silence),
        3 => Just(Step::Drop),
        5 => Just(Step::Doubt),
        1 => (0..6_u8, any::<bool>()).prop_map(|(back, other)| Step::Restore(back, other)),
    ];
    vec(step, 1..40).prop_map(Steps)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { 500 },
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_table_follows_etcd(steps in steps()) {
        play(&steps.0).map_err(TestCaseError::fail)?;
    }
}

/// Plays a history; what the audits repaired, or what went wrong.
fn play(steps: &[Step]) -> Result<Vec<String>, String> {
    let clock = runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    clock.expect("a runtime").block_on(async {
        // The same pauses whenever the same history is played.
        fastrand::seed(7);
        let play = Play::new();
        play.run(steps).await
    })
}

struct Play {
    script: Script,
    config: Etcd,
    reread: Reread,
}

impl Play {
    fn new() -> Self {
        let config = Etcd {
            endpoints: vec!["http://1".into(), "http://2".into()],
            login: None,
            tls: None,
            timeout: Duration::from_secs(5),
            watchdog: WATCHDOG,
            audit: AUDIT,
        };
        Self { script: Script::new(), config, reread: Reread::default() }
    }

    async fn run(&self, steps: &[Step]) -> Result<Vec<String>, String> {
        let (sender, mut updates) = mpsc::channel(256);
        let teller = Teller::new(PREFIX.into(), 0, sender);
        let mut listening = pin!(supervise(&self.script, &self.config, PREFIX, teller, &self.reread));
        let mut judge = Judge::new(&self.script);
        let settle = [Step::Late(0, 0, false), Step::Refuse(0), Step::Wait(Seconds(QUIET.as_secs() as u16))];
        for step in steps.iter().chain(&settle) {
            let until = Instant::now() + self.take(*step, &mut judge);
            while Instant::now() < until {
                judge.look()?;
                let next = until.min(Instant::now() + Duration::from_secs(1));
                tokio::select! {
                    biased;
                    () = &mut listening => return Err("it ended".into()),
                    Some(update) = updates.recv() => judge.hear(update.change)?,
                    () = sleep_until(next) => {}
                }
            }
            if *step == settle[1] {
                self.script.tell_everything();
            }
        }
        judge.conclude()
    }

    /// Lets a step happen; how long it takes.
    fn take(&self, step: Step, judge: &mut Judge) -> Duration {
        let script = &self.script;
        match step {
            Step::Put(key, value) => script.write(&[(key, Some(value))], false),
            Step::Delete(key) => script.write(&[(key, None)], false),
            Step::Together(first, gone, last, apart) => {
                script.write(&[(first, Some(first % 4)), (gone, None), (last, Some(last % 3))], apart);
            }
            Step::Other => script.write_other(),
            Step::Wait(Seconds(seconds)) => return Duration::from_secs(seconds.into()).max(Duration::from_millis(1)),
            Step::Late(watch, page, merged) => script.late(watch, page, merged),
            Step::Cut => script.cut(),
            Step::Refuse(endpoints) => script.refuse(endpoints),
            Step::Compact(late_ones_end) => script.compact(late_ones_end),
            Step::Progress => script.progress(),
            Step::Overtake => script.overtake(),
            Step::Silence => script.silence(),
            Step::Drop => script.drop_next(),
            Step::Doubt => self.reread.notify_one(),
            Step::Restore(back, other) => script.restore(back.into(), other),
        }
        judge.mind(step);
        Duration::ZERO
    }
}
