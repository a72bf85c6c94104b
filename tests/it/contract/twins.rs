//! A policy that is both a shipped Wasm file and a built-in answers alike as either.

use std::{cell::RefCell, sync::Arc};

use proptest::{
    collection::vec,
    option,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use symgate::{
    config::Builtin,
    plugin::{Plugin, Question, Sandboxes},
};
use symgate_sdk::{Call, extract::Need, select::Candidates};

use super::Subject;

fn runner() -> TestRunner {
    TestRunner::new(Config { cases: 500, failure_persistence: None, ..Config::default() })
}

#[track_caller]
fn twins(name: &str, builtin: Builtin, config: &str) -> (Plugin, Arc<Plugin>) {
    let wasm = Subject::new(name).builtin(builtin).config(config).load();
    let native = wasm.fallback().expect("the built-in").clone();
    assert_eq!(wasm.extract_inputs(), native.extract_inputs());
    assert_eq!(wasm.select_inputs(), native.select_inputs());
    (wasm, native)
}

fn check_extractor(name: &str, builtin: Builtin, config: &str) {
    let (wasm, native) = twins(name, builtin, config);
    let inputs = wasm.extract_inputs().expect("an extractor");
    let calls = (
        prop_oneof!["/pb\\.KlineService/(GetKline|Watch)", "/pb\\.OrderService/Place", "/.{0,8}"],
        vec(option::of(prop_oneof![text(), vec(any::<u8>(), 0..8)]), inputs.metadata.len()),
        option::of(prop_oneof![fields(), vec(any::<u8>(), 0..40)]),
    );
    let sandboxes = RefCell::new(Sandboxes::default());
    let run = runner().run(&calls, |(path, metadata, message)| {
        let metadata: Vec<_> = metadata.iter().map(Option::as_deref).collect();
        let message = if inputs.message == Need::Never { None } else { message.as_deref() };
        let call = Call { path: &path, metadata: &metadata, message };
        let expected = Sandboxes::default().extract(0, &native, &call).expect("a native answer").outcome;
        for time in ["asked", "asked again"] {
            let extracted = sandboxes.borrow_mut().extract(0, &wasm, &call).expect("a Wasm answer");
            prop_assert_eq!(&extracted.outcome, &expected, "{}", time);
        }
        Ok(())
    });
    run.unwrap();
}

fn check_selector(name: &str, builtin: Builtin, config: &str) {
    let (wasm, native) = twins(name, builtin, config);
    let inputs = wasm.select_inputs().expect("a selector");
    let candidate = ((0..5_u32, 0..100_u32, prop_oneof![Just(0), 1..1_000_000_u32]), any::<u64>(), 0..9_u64);
    let calls = (
        vec(option::of(text()), inputs.metadata.len()),
        "[A-Z]{0,4}",
        vec(candidate, 1..=symgate_sdk::select::MAX_CANDIDATES),
        any::<u64>(),
    );
    let sandboxes = RefCell::new(Sandboxes::default());
    let run = runner().run(&calls, |(metadata, symbol, candidates, random)| {
        let metadata: Vec<_> = metadata.iter().map(Option::as_deref).collect();
        let call = Call { path: "/pb.KlineService/GetKline", metadata: &metadata, message: None };
        let row = |((weight, calls, us), id, order): &((u32, u32, u32), u64, u64)| {
            let more = [inputs.ids.then_some(*id), inputs.orders.then_some(*order)];
            [*weight, *calls, *us].into_iter().map(u64::from).chain(more.into_iter().flatten()).collect::<Vec<_>>()
        };
        let numbers: Vec<_> = candidates.iter().flat_map(row).collect();
        let candidates = Candidates::new(inputs, &numbers, &[]);
        let question = Question { call, symbol: &symbol, candidates, random };
        let expected = Sandboxes::default().select(0, &native, &question).expect("a native answer");
        prop_assert_eq!(sandboxes.borrow_mut().select(0, &wasm, &question).expect("a Wasm answer"), expected);
        Ok(())
    });
    run.unwrap();
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    "[A-Z]{1,4}_USDT".prop_map(String::into_bytes)
}

/// A message with one length-delimited field of a low number.
fn fields() -> impl Strategy<Value = Vec<u8>> {
    (1..6_u8, text()).prop_map(|(number, text)| {
        let length = u8::try_from(text.len()).expect("a short text");
        [vec![number << 3 | 2, length], text].concat()
    })
}

#[test]
fn metadata_key() {
    check_extractor("metadata-key", Builtin::MetadataKey, "{}");
    check_extractor("metadata-key", Builtin::MetadataKey, r#"{"key":"x-symbol-bin"}"#);
}

#[test]
fn message_field() {
    let config = r#"{"metadata":"symbol","fields":{"/pb.KlineService/GetKline":[4],"/pb.OrderService/":[1,2]}}"#;
    check_extractor("message-field", Builtin::MessageField, config);
}

#[test]
fn least_loaded() {
    check_selector("least-loaded", Builtin::LeastLoaded, "{}");
}

#[test]
fn rendezvous_hash() {
    check_selector("rendezvous-hash", Builtin::RendezvousHash, "{}");
    check_selector("rendezvous-hash", Builtin::RendezvousHash, r#"{"key":"user"}"#);
}

#[test]
fn weighted_random() {
    check_selector("weighted-random", Builtin::WeightedRandom, "{}");
}

#[test]
fn primary() {
    check_selector("primary", Builtin::Primary, "{}");
}
