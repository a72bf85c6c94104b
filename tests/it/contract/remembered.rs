//! A pure extractor is asked once about the same inputs; what it says is dropped with its version.

use std::sync::Arc;

use symgate::plugin::{Counted, Plugin, Sandboxes};
use symgate_sdk::{Call, StatusCode, extract::Outcome};

use super::Subject;

/// The metadata that `misbehaves` reads: what to do, and the symbol.
type Metadata<'a> = [Option<&'a [u8]>; 2];

const COUNT: Metadata<'static> = [Some(b"count"), None];

/// The fixture that says it is pure and is not: its answer tells how often it was asked.
fn counting() -> Subject {
    Subject::new("misbehaves").config(r#"{"pure":true}"#)
}

/// The outcome as text, and whether it was remembered.
fn ask(sandboxes: &mut Sandboxes, plugin: &Plugin, call: &Call<'_>) -> (String, bool) {
    let extracted = sandboxes.extract(0, plugin, call).expect("an answer");
    let outcome = match extracted.outcome {
        Outcome::Symbol(symbol) => symbol,
        Outcome::Reject(rejection) => format!("{:?}", rejection.code),
        other => format!("{other:?}"),
    };
    (outcome, extracted.remembered)
}

#[track_caller]
fn check(sandboxes: &mut Sandboxes, plugin: &Plugin, call: &Call<'_>, expected: (&str, bool)) {
    let (outcome, remembered) = ask(sandboxes, plugin, call);
    assert_eq!((outcome.as_str(), remembered), expected, "{call:?}");
}

#[test]
fn the_same_inputs_are_asked_about_once() {
    let plugin = counting().load();
    let mut sandboxes = Sandboxes::default();
    let call = Call { path: "/a/B", metadata: &COUNT, message: None };
    check(&mut sandboxes, &plugin, &call, ("1", false));
    for _ in 0..3 {
        check(&mut sandboxes, &plugin, &call, ("1", true));
    }
    let others: [(&str, Metadata<'_>, Option<&[u8]>); 4] = [
        ("/a/C", COUNT, None),
        ("/a/B", [COUNT[0], Some(b"")], None),
        ("/a/B", COUNT, Some(b"")),
        ("/a/B", COUNT, Some(b"a message")),
    ];
    for (at, (path, metadata, message)) in others.into_iter().enumerate() {
        let call = Call { path, metadata: &metadata, message };
        check(&mut sandboxes, &plugin, &call, (&(at + 2).to_string(), false));
        check(&mut sandboxes, &plugin, &call, (&(at + 2).to_string(), true));
    }
    check(&mut Sandboxes::default(), &plugin, &call, ("1", false));
}

#[test]
fn every_outcome_is_remembered_and_a_failure_never() {
    let plugin = counting().load();
    let mut sandboxes = Sandboxes::default();
    let rejected = format!("{:?}", StatusCode::PermissionDenied);
    for (how, expected) in [("need-message", "NeedMessage"), ("any", "Any"), ("reject", &rejected)] {
        let metadata = [Some(how.as_bytes()), None];
        let call = Call { path: "/a/B", metadata: &metadata, message: None };
        check(&mut sandboxes, &plugin, &call, (expected, false));
        check(&mut sandboxes, &plugin, &call, (expected, true));
    }
    for (how, reason) in [("trap", "trap"), ("spin", "time"), ("need-message", "contract")] {
        let metadata = [Some(how.as_bytes()), None];
        let call = Call { path: "/a/B", metadata: &metadata, message: Some(b"it is here") };
        for round in ["first", "second"] {
            let failure = sandboxes.extract(0, &plugin, &call).unwrap_err();
            assert_eq!(failure.reason(), reason, "{failure}");
            // An answer, so that no pause hides the next failure.
            let symbol = format!("{how}, {round}");
            check(
                &mut sandboxes,
                &plugin,
                &Call { metadata: &[None, Some(symbol.as_bytes())], ..call },
                (&symbol, false),
            );
        }
    }
}

#[test]
fn what_was_not_asked_for_makes_no_difference() {
    let plugin = Subject::new("metadata-key").load();
    let mut sandboxes = Sandboxes::default();
    let mut call = Call { path: "/a/B", metadata: &[Some(b"BTC_USDT")], message: None };
    check(&mut sandboxes, &plugin, &call, ("BTC_USDT", false));
    call.path = "/another/Path";
    check(&mut sandboxes, &plugin, &call, ("BTC_USDT", true));
}

#[test]
fn a_message_is_asked_for_and_answered_once() {
    let plugin = Subject::new("both").load();
    let mut sandboxes = Sandboxes::default();
    for remembered in [false, true] {
        let mut call = Call { path: "/a/B", metadata: &[None], message: None };
        check(&mut sandboxes, &plugin, &call, ("NeedMessage", remembered));
        call.message = Some(b"ETH_USDT");
        check(&mut sandboxes, &plugin, &call, ("ETH_USDT", remembered));
    }
    let call = Call { path: "/a/B", metadata: &[None], message: Some(b"ETH_USDC") };
    check(&mut sandboxes, &plugin, &call, ("ETH_USDC", false));
}

#[test]
fn a_new_version_remembers_nothing() {
    let (old, new) = (Arc::new(counting().load()), Arc::new(counting().load()));
    let mut sandboxes = Sandboxes::default();
    let call = Call { path: "/a/B", metadata: &COUNT, message: None };
    check(&mut sandboxes, &old, &call, ("1", false));
    check(&mut sandboxes, &old, &call, ("1", true));
    check(&mut sandboxes, &new, &call, ("1", false));
    check(&mut sandboxes, &new, &call, ("1", true));

    sandboxes.keep(&[Arc::clone(&new)]);
    check(&mut sandboxes, &new, &call, ("1", true));
    sandboxes.keep(&[old]);
    check(&mut sandboxes, &new, &call, ("1", false));
}

#[test]
fn without_a_promise_or_without_leave_every_call_is_asked_about() {
    for plugin in [Subject::new("misbehaves").load(), counting().remember(false).load()] {
        let mut sandboxes = Sandboxes::default();
        for asked in 1..=3 {
            let call = Call { path: "/a/B", metadata: &COUNT, message: None };
            check(&mut sandboxes, &plugin, &call, (&asked.to_string(), false));
        }
    }
}

#[test]
fn long_inputs_are_asked_about_each_time() {
    let plugin = counting().load();
    let mut sandboxes = Sandboxes::default();
    for asked in 1..=3 {
        let call = Call { path: "/a/B", metadata: &COUNT, message: Some(&[0; 2_000]) };
        check(&mut sandboxes, &plugin, &call, (&asked.to_string(), false));
    }
}

#[test]
fn the_shipped_extractors_are_pure() {
    let fields = r#"{"fields":{"/":[1]}}"#;
    for (name, config) in [("metadata-key", "{}"), ("message-field", fields)] {
        let plugin = Subject::new(name).config(config).load();
        assert!(plugin.extract_inputs().is_some_and(|inputs| inputs.pure), "{name}");
    }
}

#[test]
fn what_is_remembered_counts_as_answered() {
    let plugin = counting().load();
    let mut sandboxes = Sandboxes::default();
    for _ in 0..32 {
        ask(&mut sandboxes, &plugin, &Call { path: "/a/B", metadata: &COUNT, message: None });
    }
    assert_eq!(plugin.counted(), Counted { answers: 32, failures: 0 });
    let metadata = [Some(b"trap".as_slice()), None];
    sandboxes.extract(0, &plugin, &Call { path: "/a/B", metadata: &metadata, message: None }).expect_err("it traps");
    assert_eq!(plugin.counted(), Counted { answers: 32, failures: 1 });
}
