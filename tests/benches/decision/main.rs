//! What a decision costs: nanoseconds per call of each shipped policy, as a built-in, as Wasm that is asked each time, and
//! remembered, and what it costs to record; or, where `SYMGATE_LANGUAGES` names their folder, of the example plugins in other
//! languages. Measures the CPU time of one thread that does nothing else; run it on a quiet machine, pinned to one core.

#![expect(clippy::print_stdout, reason = "its result is what it prints")]

mod languages;

use std::{fs, hint::black_box, path::Path, time::Duration, time::Instant};

use rustix::time::{ClockId, clock_gettime};
use symgate::{
    config::{self, Builtin, Limits},
    plugin::{Extracted, Host, Plugin, Question, Ring, Sandboxes},
};
use symgate_sdk::{
    Call, extract,
    select::{self, Candidates, MAX_CANDIDATES},
};

const ROUNDS: usize = 15;
const CALLS: u32 = 20_000;

/// One policy in its three forms.
struct Policy {
    /// Asked each time; its fallback is the built-in.
    wasm: Plugin,
    /// An extractor whose outcomes are remembered.
    remembered: Option<Plugin>,
}

/// Best and median.
type Figures = (u128, u128);

fn main() -> anyhow::Result<()> {
    if let Some(folder) = languages::folder() {
        return languages::print(&folder);
    }
    let host = Host::new()?;
    let by_key = Policy::load(&host, "metadata-key", Builtin::MetadataKey, "{}")?;
    let fields = r#"{"metadata":"symbol","fields":{"/pb.KlineService/GetKline":[4]}}"#;
    let by_field = Policy::load(&host, "message-field", Builtin::MessageField, fields)?;
    let least_loaded = Policy::load(&host, "least-loaded", Builtin::LeastLoaded, r#"{"skip_single":false}"#)?;
    let rendezvous = Policy::load(&host, "rendezvous-hash", Builtin::RendezvousHash, "{}")?;

    println!("ns per decision, best / median of {ROUNDS} rounds of {CALLS}");
    println!("{:<42} {:>13} {:>13} {:>13}", "", "built-in", "Wasm", "remembered");
    let value = [Some(b"BTC_USDT".as_slice())];
    let message = Some(b"\x0a\x051min\x22\x08BTC_USDT\x28\xe8\x07".as_slice());
    let path = "/pb.KlineService/GetKline";
    let extracted = by_key.extract("metadata-key", &Call { path, metadata: &value, message: None });
    by_field.extract("message-field, metadata", &Call { path, metadata: &value, message: None });
    by_field.extract("message-field, message wanted", &Call { path, metadata: &[None], message: None });
    by_field.extract("message-field, message given", &Call { path, metadata: &[None], message });
    // Of more instances the gateway shows a selector a sample.
    for count in [1, 3, 10, MAX_CANDIDATES] {
        let selected = least_loaded.select("least-loaded", count);
        rendezvous.select("rendezvous-hash", count);
        let sum = |one: Figures, other: Figures| Some((one.0 + other.0, one.1 + other.1));
        let [native, wasm, remembered] = extracted;
        let both = [sum(native, selected[0]), sum(wasm, selected[1]), sum(remembered, selected[1])];
        print(&format!("metadata-key + least-loaded, {count}"), both);
    }
    Ok(())
}

impl Policy {
    fn load(host: &Host, name: &str, builtin: Builtin, config: &str) -> anyhow::Result<Self> {
        let path = Path::new(env!("SYMGATE_WASM_DIR")).join(name.replace('-', "_")).with_extension("wasm");
        let limits = Limits { time: Duration::from_millis(5), memory: 16 << 20, ..Limits::default() };
        let bytes = fs::read(&path)?;
        let (name, config) = (name.to_owned(), config.to_owned());
        let (path, versions) = (Some(path), config::Versions::default());
        let (decides, recycle) = (Some(builtin), config::Recycle::default());
        let asked = config::Plugin { name, path, builtin: decides, config, limits, remember: false, versions, recycle };
        let start = Instant::now();
        let wasm = host.load(&asked, &bytes, 2)?;
        println!("# {}: {} KiB, loaded in {:.1?}", asked.name, bytes.len() >> 10, start.elapsed());
        let remembers = builtin.is_extractor().then_some(config::Plugin { remember: true, ..asked });
        let remembered = remembers.map(|plugin| host.load(&plugin, &bytes, 2)).transpose()?;
        Ok(Self { wasm, remembered })
    }

    fn extract(&self, what: &str, call: &Call<'_>) -> [Figures; 3] {
        let answer = Ok(Extracted { outcome: extract::Outcome::Symbol("BTC_USDT".into()), remembered: true });
        self.record(what, |ring, plugin| ring.record_extracted(0, plugin, call, &answer));
        self.compare(what, |sandboxes, plugin| black_box(sandboxes.extract(0, plugin, call)).is_ok())
    }

    fn select(&self, what: &str, count: usize) -> [Figures; 3] {
        let wanted = self.wasm.select_inputs().cloned().unwrap_or_default();
        let id = |number: u64| wanted.ids.then_some(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let numbers: Vec<_> =
            (1..=count as u64).flat_map(|number| [1, 3, 2_000].into_iter().chain(id(number))).collect();
        let candidates = Candidates::new(&wanted, &numbers, &[]);
        let call = Call { path: "/pb.KlineService/GetKline", ..Call::default() };
        let mut question = Question { call, symbol: "BTC_USDT", candidates, random: 1 };
        let answer = Ok(select::Outcome::Candidate(0));
        self.record(&format!("{what}, {count}"), |ring, plugin| ring.record_selected(0, plugin, &question, &answer));
        self.compare(&format!("{what}, {count}"), |sandboxes, plugin| {
            question.random = question.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            black_box(sandboxes.select(0, plugin, &question)).is_ok()
        })
    }

    /// What it costs to record a decision in a ring that is full.
    fn record(&self, what: &str, mut record: impl FnMut(&mut Ring, &Plugin)) {
        let mut ring = Ring::new(1_000, false);
        let (best, median) = rounds(|| record(&mut ring, black_box(&self.wasm)));
        println!("{:<42} {best:>6} / {median}", format!("{what}: recorded"));
    }

    fn compare(&self, what: &str, mut ask: impl FnMut(&mut Sandboxes, &Plugin) -> bool) -> [Figures; 3] {
        let forms = [self.wasm.fallback().map(AsRef::as_ref), Some(&self.wasm), self.remembered.as_ref()];
        let figures = forms.map(|plugin| plugin.map(|plugin| measure(plugin, &mut ask)));
        print(what, figures);
        figures.map(Option::unwrap_or_default)
    }
}

fn print(what: &str, figures: [Option<Figures>; 3]) {
    let [native, wasm, remembered] =
        figures.map(|figures| figures.map_or_else(String::new, |(best, median)| format!("{best} / {median}")));
    println!("{what:<42} {native:>13} {wasm:>13} {remembered:>13}");
}

fn measure(plugin: &Plugin, ask: &mut impl FnMut(&mut Sandboxes, &Plugin) -> bool) -> Figures {
    let mut sandboxes = Sandboxes::default();
    rounds(|| assert!(ask(&mut sandboxes, plugin), "the plugin answers"))
}

fn rounds(mut once: impl FnMut()) -> Figures {
    let mut rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let (used, ()) = timed(ClockId::ThreadCPUTime, || (0..CALLS).for_each(|_| once()));
            used.as_nanos() / u128::from(CALLS)
        })
        .collect();
    rounds.sort_unstable();
    let at = |place: usize| rounds.get(place).copied().unwrap_or_default();
    (at(0), at(ROUNDS / 2))
}

/// What this cost, and what came of it.
fn timed<T>(clock: ClockId, what: impl FnOnce() -> T) -> (Duration, T) {
    let now = || {
        let time = clock_gettime(clock);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
    };
    let start = now();
    let result = what();
    (now().saturating_sub(start), result)
}
