//! What a plugin that misbehaves does to its own call, and that it does nothing to any other.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use symgate::{
    config::Recycle,
    plugin::{Failure, Plugin, Sandboxes},
};
use symgate_sdk::{Call, extract::Outcome};

use super::{Subject, misbehave, select, symbol};

/// The call fails as expected, and the next one is answered by a new sandbox.
#[track_caller]
fn check(plugin: &Plugin, how: &str, reason: &str, expected: &str) {
    let mut sandboxes = Sandboxes::default();
    for round in 0..3 {
        let failure = misbehave(&mut sandboxes, plugin, Some(how)).expect_err("it misbehaves");
        assert_eq!(failure.reason(), reason, "{how}: {failure}");
        assert!(failure.to_string().contains(expected), "{failure} does not say {expected:?}");
        let next = misbehave(&mut sandboxes, plugin, None);
        assert!(next.as_ref().is_ok_and(|outcome| *outcome == symbol()), "{how}, round {round}, next call: {next:?}");
    }
}

#[test]
fn a_spoiled_sandbox_is_replaced_for_the_next_call() {
    let plugin = Subject::new("misbehaves").load();
    check(&plugin, "spin", "time", "used more than its 50ms of CPU time");
    check(&plugin, "trap", "trap", ": trapped as told");
    check(&plugin, "bloat", "memory", "wanted more than its 16 MiB of memory");
    check(&plugin, "recurse", "trap", "trapped: ");
}

#[test]
fn answers_against_the_contract_fail_their_call() {
    let misbehaves = Subject::new("misbehaves").config(r#"{"message":"never"}"#).load();
    check(&misbehaves, "need-message", "contract", "`need-message` after it declared `never`");

    let misbehaves = Subject::new("misbehaves").load();
    let metadata = [Some(b"need-message".as_slice()), None];
    let call = Call { path: "/a/B", metadata: &metadata, message: Some(b"here it is") };
    let failure = Sandboxes::default().extract(0, &misbehaves, &call).unwrap_err().to_string();
    assert!(failure.contains("`need-message` though the message was given"), "{failure}");

    let mut sandboxes = Sandboxes::default();
    for (index, given) in [(1000, false), (2, false), (1, true)] {
        let plugin = Subject::new("wrong-index").config(&format!(r#"{{"index":{index}}}"#)).load();
        match select(&mut sandboxes, &plugin) {
            Ok(_) => assert!(given, "candidate {index} of 2 was accepted"),
            Err(failure) => {
                assert!(!given && failure.to_string().contains(&format!("candidate {index} of 2")), "{failure}");
            }
        }
    }
}

#[test]
fn a_plugin_that_only_traps_is_left_alone_for_a_while() {
    let plugin = Subject::new("misbehaves").config(r#"{"extract":"trap"}"#).load();
    let mut sandboxes = Sandboxes::default();
    let mut last = Ok(symbol());
    for _ in 0..100 {
        last = misbehave(&mut sandboxes, &plugin, None);
        if matches!(last, Err(Failure::CutOff)) {
            break;
        }
    }
    assert!(matches!(last, Err(Failure::CutOff)), "it never paused: {last:?}");

    let other_worker = misbehave(&mut Sandboxes::default(), &plugin, None);
    assert!(matches!(other_worker, Err(Failure::Trap(_))), "the pause is a worker's own: {other_worker:?}");
}

#[test]
fn to_want_the_message_forgives_no_trap() {
    let plugin = Subject::new("misbehaves").load();
    let mut sandboxes = Sandboxes::default();
    let trap = |sandboxes: &mut Sandboxes| {
        drop(misbehave(sandboxes, &plugin, Some("need-message")));
        misbehave(sandboxes, &plugin, Some("trap"))
    };
    let cut_off = (0..10).any(|_| matches!(trap(&mut sandboxes), Err(Failure::CutOff)));
    assert!(cut_off, "ten calls whose message it trapped on");
}

#[test]
fn a_new_version_does_not_inherit_the_pause() {
    let bad = Subject::new("misbehaves").config(r#"{"extract":"trap"}"#).load();
    let good = Subject::new("misbehaves").load();
    let mut sandboxes = Sandboxes::default();
    while !matches!(misbehave(&mut sandboxes, &bad, None), Err(Failure::CutOff)) {}
    assert_eq!(misbehave(&mut sandboxes, &good, None).unwrap(), symbol());
}

#[test]
fn innocent_calls_are_not_hurt_by_a_busy_machine() {
    let limit = Duration::from_millis(5);
    let spins = Subject::new("misbehaves").time_limit(limit).load();
    let innocent = Subject::new("misbehaves").time_limit(limit).load();
    let busy = AtomicBool::new(true);
    thread::scope(|scope| {
        let spinners: Vec<_> = (0..2 * thread::available_parallelism().unwrap().get())
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let failure = misbehave(&mut Sandboxes::default(), &spins, Some("spin")).unwrap_err();
                        assert_eq!(failure.reason(), "time", "{failure}");
                    }
                })
            })
            .collect();
        let caller = scope.spawn(|| {
            let mut sandboxes = Sandboxes::default();
            let mut calls = 0;
            while busy.load(Ordering::Relaxed) {
                let answer = misbehave(&mut sandboxes, &innocent, None);
                assert!(answer.is_ok(), "innocent call {calls}: {answer:?}");
                calls += 1;
            }
            calls
        });
        let spun = spinners.into_iter().map(thread::ScopedJoinHandle::join).all(|spinner| spinner.is_ok());
        busy.store(false, Ordering::Relaxed);
        assert!(spun, "every endless call ended");
        assert!(caller.join().expect("no innocent call failed") > 0);
    });
}

#[test]
fn an_endless_call_ends_within_twice_its_limit_of_cpu_time() {
    for limit in [5, 10, 20].map(Duration::from_millis) {
        let plugin = Subject::new("misbehaves").time_limit(limit).load();
        let mut took: Vec<_> = (0..20)
            .map(|_| {
                let mut sandboxes = Sandboxes::default();
                misbehave(&mut sandboxes, &plugin, None).expect("it answers");
                let start = thread_cpu_time();
                let failure = misbehave(&mut sandboxes, &plugin, Some("spin")).unwrap_err();
                assert_eq!(failure.reason(), "time", "{failure}");
                thread_cpu_time() - start
            })
            .collect();
        took.sort_unstable();
        let (least, median, most) = (took[0], took[10], took[19]);
        println!(
            "endless, limit {limit:?}: {least:?} at least, {median:?} at the median, {most:?} at most, of CPU time"
        );
        // Twice, where the clock's thread gets its turn; more on a machine that is starved.
        assert!(median <= 3 * limit, "a limit of {limit:?}: {took:?}");
    }
}

/// However an endless call comes among others, all of them together take a small part of the worker's time.
#[test]
fn a_plugin_that_loops_takes_a_small_part_of_a_worker() {
    for (answers_between, most) in [(0, 0.1), (1, 0.25)] {
        let plugin = Subject::new("misbehaves").time_limit(Duration::from_millis(5)).load();
        let mut sandboxes = Sandboxes::default();
        let (start, mut endless, mut failed) = (Instant::now(), Duration::ZERO, 0);
        while start.elapsed() < Duration::from_secs(3) {
            let before = thread_cpu_time();
            let failure = misbehave(&mut sandboxes, &plugin, Some("spin")).unwrap_err();
            if !matches!(failure, Failure::CutOff) {
                endless += thread_cpu_time() - before;
                failed += 1;
            }
            for _ in 0..answers_between {
                drop(misbehave(&mut sandboxes, &plugin, None));
            }
        }
        let share = endless.as_secs_f64() / start.elapsed().as_secs_f64();
        println!("endless calls with {answers_between} answers between: {failed} in 3 s, {share:.3} of the worker");
        assert!(failed > 3, "it is tried again");
        assert!(share < most, "{share} of the worker with {answers_between} answers between");
    }
}

#[test]
fn a_sandbox_is_replaced_after_its_calls_or_its_growth() {
    let counts = |sandboxes: &mut Sandboxes, plugin: &Plugin, how| match misbehave(sandboxes, plugin, Some(how)) {
        Ok(Outcome::Symbol(symbol)) => symbol,
        other => panic!("{how}: {other:?}"),
    };
    let by_calls = Subject::new("misbehaves").recycle(Recycle { calls: Some(3), memory: None }).load();
    let mut sandboxes = Sandboxes::default();
    let counted: Vec<_> = (0..8).map(|_| counts(&mut sandboxes, &by_calls, "count")).collect();
    assert_eq!(counted, ["1", "2", "3", "1", "2", "3", "1", "2"]);
    assert_eq!(by_calls.recycled(), 2);

    let by_memory = Subject::new("misbehaves").recycle(Recycle { calls: None, memory: Some(4 << 20) }).load();
    let mut sandboxes = Sandboxes::default();
    assert_eq!(counts(&mut sandboxes, &by_memory, "count"), "1");
    for _ in 0..2 {
        assert_eq!(counts(&mut sandboxes, &by_memory, "hoard"), "BTC_USDT");
    }
    assert_eq!((counts(&mut sandboxes, &by_memory, "count"), by_memory.recycled()), ("2".into(), 0));
    for _ in 0..2 {
        assert_eq!(counts(&mut sandboxes, &by_memory, "hoard"), "BTC_USDT");
    }
    assert_eq!((counts(&mut sandboxes, &by_memory, "count"), by_memory.recycled()), ("1".into(), 1));
    assert_eq!(by_memory.spare(), 0, "both that were made beforehand are taken");
    by_memory.top_up().expect("more to spare");
    assert_eq!(by_memory.spare(), 2);
}

fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}
