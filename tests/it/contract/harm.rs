//! What a plugin that misbehaves does to its own call, and that it does nothing to any other.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use symgate::plugin::{Failure, Plugin, Sandboxes};
use symgate_sdk::Call;

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
