//! What a decision costs: nanoseconds per call of each shipped policy, as a built-in and as Wasm. Measures one thread
//! that does nothing else; run it on a quiet machine.

#![expect(clippy::print_stdout, reason = "its result is what it prints")]

use std::{fs, hint::black_box, path::Path, time::Duration, time::Instant};

use symgate::{
    config::{self, Builtin, Limits},
    plugin::{Host, Plugin, Question, Sandboxes},
};
use symgate_sdk::{Call, select::Candidates};

const ROUNDS: usize = 15;
const CALLS: u32 = 20_000;

fn main() -> anyhow::Result<()> {
    let host = Host::new()?;
    println!("ns per call, best / median of {ROUNDS} rounds");
    println!("{:<46} {:>15} {:>15}", "", "built-in", "Wasm");

    let metadata = [Some(b"BTC_USDT".as_slice())];
    let message = b"\x0a\x051min\x22\x08BTC_USDT\x28\xe8\x07";
    let path = "/pb.KlineService/GetKline";
    let by_key = plugin(&host, "metadata-key", Builtin::MetadataKey, "{}")?;
    let call = Call { path, metadata: &metadata, message: None };
    extract("metadata-key", &by_key, &call);

    let config = r#"{"fields":{"/pb.KlineService/GetKline":[4]}}"#;
    let by_field = plugin(&host, "message-field", Builtin::MessageField, config)?;
    extract("message-field, without the message", &by_field, &Call { path, ..Call::default() });
    extract("message-field, with it", &by_field, &Call { path, metadata: &[], message: Some(message) });

    let least_loaded = plugin(&host, "least-loaded", Builtin::LeastLoaded, "{}")?;
    let rendezvous = plugin(&host, "rendezvous-hash", Builtin::RendezvousHash, "{}")?;
    for count in [1, 3, 10] {
        select(&format!("least-loaded, {count} candidates"), &least_loaded, count);
        select(&format!("rendezvous-hash, {count} candidates"), &rendezvous, count);
    }
    Ok(())
}

/// The Wasm file, whose fallback is the built-in.
fn plugin(host: &Host, name: &str, builtin: Builtin, config: &str) -> anyhow::Result<Plugin> {
    let path = Path::new(env!("SYMGATE_WASM_DIR")).join(name.replace('-', "_")).with_extension("wasm");
    let limits = Limits { time: Duration::from_millis(5), memory: 16 << 20 };
    let bytes = fs::read(&path)?;
    let builtin = Some(builtin);
    let plugin = config::Plugin { name: name.into(), path: Some(path), builtin, config: config.into(), limits };
    let start = Instant::now();
    let loaded = host.load(&plugin, &bytes, 2)?;
    println!("# {name}: {} KiB, loaded in {:.1?}", bytes.len() >> 10, start.elapsed());
    Ok(loaded)
}

fn extract(what: &str, plugin: &Plugin, call: &Call<'_>) {
    compare(what, plugin, |sandboxes, plugin| black_box(sandboxes.extract(0, plugin, call)).is_ok());
}

fn select(what: &str, plugin: &Plugin, count: usize) {
    let wanted = plugin.select_inputs().is_some_and(|inputs| inputs.ids);
    let ids: Vec<u64> = (1..=count as u64).map(|id| id.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    let figures = [1, 3, 2_000].repeat(count);
    let ids = if wanted { ids.as_slice() } else { &[] };
    let candidates = Candidates { figures: &figures, ids, ..Candidates::default() };
    let call = Call { path: "/pb.KlineService/GetKline", ..Call::default() };
    let mut question = Question { call, symbol: "BTC_USDT", candidates, random: 1 };
    compare(what, plugin, |sandboxes, plugin| {
        question.random = question.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        black_box(sandboxes.select(0, plugin, &question)).is_ok()
    });
}

fn compare(what: &str, plugin: &Plugin, mut ask: impl FnMut(&mut Sandboxes, &Plugin) -> bool) {
    let wasm = measure(plugin, &mut ask);
    let native = plugin.fallback().map(|native| measure(native, &mut ask)).unwrap_or_default();
    let show = |(best, median): (u128, u128)| format!("{best} / {median}");
    println!("{what:<46} {:>15} {:>15}", show(native), show(wasm));
}

/// Best and median.
fn measure(plugin: &Plugin, ask: &mut impl FnMut(&mut Sandboxes, &Plugin) -> bool) -> (u128, u128) {
    let mut sandboxes = Sandboxes::default();
    let mut rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..CALLS {
                assert!(ask(&mut sandboxes, plugin), "the plugin answers");
            }
            start.elapsed().as_nanos() / u128::from(CALLS)
        })
        .collect();
    rounds.sort_unstable();
    let at = |place: usize| rounds.get(place).copied().unwrap_or_default();
    (at(0), at(ROUNDS / 2))
}
