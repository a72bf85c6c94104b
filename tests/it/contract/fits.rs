//! What the gateway accepts as a plugin, and what it says about the rest.

use symgate::plugin::Sandboxes;
use symgate_sdk::{
    Call,
    extract::{Need, Outcome},
    select::{self, Candidates},
};

use super::{HOST, Subject};

#[track_caller]
fn check(subject: &Subject, expected: &str) {
    let refused = subject.try_load().err().expect("it must be refused").0;
    assert!(refused.contains(expected), "{refused:?} does not say {expected:?}");
}

#[test]
fn foreign_files_are_refused_with_what_was_expected() {
    check(
        &Subject::new("wrong-world"),
        "it exports somebody:other/greeting@1.0.0, which symgate does not know; expected symgate:plugin/extract@0.1.0, \
         symgate:plugin/select@0.1.0 or both",
    );
    check(&Subject::new("next-version"), "it exports symgate:plugin/extract@0.2.0, this gateway speaks 0.1.0");
    check(
        &Subject::new("wants-wasi"),
        "it imports wasi_snapshot_preview1; symgate gives plugins no WASI: build it for wasm32-unknown-unknown",
    );
    check(
        &Subject::new("registers-nothing"),
        "it exports nothing; expected symgate:plugin/extract@0.1.0, symgate:plugin/select@0.1.0 or both: \
         register_extractor!(..) of symgate-sdk",
    );
    let subject = Subject::new("metadata-key");
    let half = &subject.bytes()[..1000];
    let refused = HOST.load(&subject.0, half, 0).err().expect("half a file").0;
    assert!(refused.starts_with("not a valid WebAssembly module: "), "{refused}");
}

#[test]
fn an_init_that_fails_is_refused_with_the_reason() {
    let misbehaves = |config: &str| Subject::new("misbehaves").config(config);
    check(&misbehaves(r#"{"refuse":"no such venue"}"#), "it refuses its configuration: no such venue");
    check(&misbehaves(r#"{"surprise":1}"#), "it refuses its configuration: unknown field `surprise`");
    check(&misbehaves(r#"{"init":"spin"}"#), "its init used more than its 50ms of CPU time");
    check(&misbehaves(r#"{"init":"trap"}"#), "its init trapped: panicked at ");
    check(&misbehaves(r#"{"init":"trap"}"#), ": trapped as told");
    check(&misbehaves(r#"{"init":"bloat"}"#), "its init wanted more than its 16 MiB of memory");
}

#[test]
fn a_configuration_that_could_choose_a_wrong_owner_is_refused() {
    let twice = r#"{"metadata":"order-id","symbols":{"1":"BTC_USDT","65":"ETH_USDT"}}"#;
    check(
        &Subject::new("order-id").config(twice),
        "it refuses its configuration: symbols: the numbers of BTC_USDT and ETH_USDT are both 1 modulo 64",
    );
}

#[test]
fn a_file_may_decide_both() {
    let plugin = Subject::new("both").load();
    let inputs = plugin.extract_inputs().expect("it extracts");
    assert_eq!((inputs.metadata.as_slice(), inputs.message), (&["symbol".to_owned()][..], Need::OnDemand));
    let wanted = plugin.select_inputs().expect("it selects");
    assert!(wanted.ids && wanted.orders, "it wants all numbers");

    let mut sandboxes = Sandboxes::default();
    let mut call = Call { path: "/a/B", metadata: &[None], message: None };
    assert_eq!(sandboxes.extract(0, &plugin, &call).unwrap().outcome, Outcome::NeedMessage);
    call.message = Some(b"ETH_USDT");
    assert_eq!(sandboxes.extract(0, &plugin, &call).unwrap().outcome, Outcome::Symbol("ETH_USDT".into()));

    let numbers = [[1, 0, 0, 10, 9], [1, 0, 0, 11, 8], [1, 0, 0, 12, 7]].concat();
    let candidates = Candidates::new(wanted, &numbers, &[Some("east"), Some("west"), None]);
    for (zone, chosen) in [(Some("west"), 1), (Some("north"), 2), (None, 2)] {
        let metadata = [zone.map(str::as_bytes)];
        let call = Call { path: "/a/B", metadata: &metadata, message: None };
        let question = symgate::plugin::Question { call, symbol: "ETH_USDT", candidates, random: 1 };
        let outcome = sandboxes.select(0, &plugin, &question).unwrap();
        assert_eq!(outcome, select::Outcome::Candidate(chosen), "zone {zone:?}");
    }
}
