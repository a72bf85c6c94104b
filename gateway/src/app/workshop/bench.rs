//! What a plugin's decisions cost, on one thread that does nothing else, beside the built-in that does the like. Whatever
//! else the machine does is in the figures.

use std::{
    collections::BTreeMap,
    fs,
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::Context;

use super::{
    Cases, Subject,
    asked::{Asked, Instance},
    figures,
};
use crate::{
    config::{self, Builtin},
    plugin::{Failure, Host, Plugin, Rejected, Sandboxes},
};

const ROUNDS: usize = 15;
/// About how long a round takes.
const ROUND: Duration = Duration::from_millis(10);
/// Sandboxes that are made to see what one takes.
const MANY: usize = 200;
/// Width of the columns.
const FIRST: usize = 34;
const OTHERS: usize = 24;

/// Best and median in nanoseconds, or why there is none.
type Cost = Result<(u128, u128), Failure>;

/// What is compared: the file asked each time, remembered, and a built-in.
struct Forms {
    asked: Plugin,
    remembered: Option<Plugin>,
    extracts: Option<Plugin>,
    selects: Option<Plugin>,
}

/// One line of the table.
struct Row {
    what: String,
    costs: [Option<Cost>; 3],
}

impl Subject {
    /// Measures, and shows it in lines: with the calls of `cases`, or with one made up.
    ///
    /// # Errors
    /// When the file is refused.
    pub fn bench(&self, cases: Option<&Cases>) -> anyhow::Result<Vec<String>> {
        let kept = tempfile::tempdir().context("there is no folder to compile in")?;
        let host = Host::with_compiler(Some(kept.path()), None, config::Sandbox::default())?;
        let took = || host.examine(&self.plugin, &self.bytes).compiled.unwrap_or_default().as_micros();
        let (compiled, loaded) = (figures::time(took()), figures::time(took()));
        let forms = Forms::new(&host, self)?;
        let mut lines = vec![
            format!("{}: {}", self.file.display(), figures::size(self.bytes.len())),
            format!("  compiled in {compiled}, read from the cache in {loaded}"),
        ];
        lines.extend(self.resident(&host)?.map(|size| format!("  a sandbox takes {size} of this machine's memory")));
        lines.push(String::new());
        lines.push(format!("ns per decision, best / median of {ROUNDS} rounds"));
        let of = |builtin: &Option<Plugin>| builtin.as_ref().map(|plugin| plugin.name().to_owned());
        let builtins: Vec<_> = [of(&forms.extracts), of(&forms.selects)].into_iter().flatten().collect();
        let heads = ["this file".into(), "remembered".into(), format!("built-in {}", builtins.join(", "))];
        lines.push(line("", &heads));
        lines.extend(forms.rows(cases).iter().map(Row::line));
        Ok(lines)
    }

    /// What a sandbox takes of the machine's memory; `None` where the system does not tell.
    fn resident(&self, host: &Host) -> anyhow::Result<Option<String>> {
        let Some(before) = resident() else { return Ok(None) };
        let plugin = host.load(&self.plugin, &self.bytes, MANY)?;
        let taken = resident().map(|after| after.saturating_sub(before) / MANY);
        drop(plugin);
        Ok(taken.map(figures::size))
    }
}

impl Forms {
    fn new(host: &Host, subject: &Subject) -> Result<Self, Rejected> {
        let with = |remember| config::Plugin { remember, builtin: None, ..subject.plugin.clone() };
        let asked = host.load(&with(false), &subject.bytes, 1)?;
        let pure = asked.extract_inputs().is_some_and(|inputs| inputs.pure);
        let remembered = pure.then(|| host.load(&with(true), &subject.bytes, 1)).transpose()?;
        let beside = |is_wanted: bool, otherwise| is_wanted.then(|| builtin(&subject.plugin, otherwise)).transpose();
        let extracts = beside(asked.extract_inputs().is_some(), Builtin::MetadataKey)?;
        let selects = beside(asked.select_inputs().is_some(), Builtin::LeastLoaded)?;
        Ok(Self { asked, remembered, extracts, selects })
    }

    fn rows(&self, cases: Option<&Cases>) -> Vec<Row> {
        let Some(cases) = cases else {
            let asked = made_up(&self.asked);
            let extract = self.asked.extract_inputs().map(|_| self.extract("which symbol", &asked));
            let select = self.asked.select_inputs().map(|_| self.select("which of 3 instances", &asked));
            return extract.into_iter().chain(select).collect();
        };
        let row = |(name, asked, selects): (&str, &Asked, bool)| {
            if selects { self.select(name, asked) } else { self.extract(name, asked) }
        };
        cases.asked().map(row).collect()
    }

    fn extract(&self, what: &str, asked: &Asked) -> Row {
        let cost = |plugin: &Plugin| {
            let given = asked.to_extract(plugin.extract_inputs()?);
            Some(measure(|sandboxes, _| given.ask(sandboxes, plugin).map(|outcome| drop(black_box(outcome)))))
        };
        let forms = [Some(&self.asked), self.remembered.as_ref(), self.extracts.as_ref()];
        Row { what: what.into(), costs: forms.map(|form| form.and_then(cost)) }
    }

    fn select(&self, what: &str, asked: &Asked) -> Row {
        let cost = |plugin: &Plugin| {
            let given = asked.to_select(plugin.select_inputs()?);
            Some(measure(|sandboxes, draw| given.ask(sandboxes, plugin, draw).map(|outcome| drop(black_box(outcome)))))
        };
        let forms = [Some(&self.asked), None, self.selects.as_ref()];
        Row { what: what.into(), costs: forms.map(|form| form.and_then(cost)) }
    }
}

impl Row {
    fn line(&self) -> String {
        let shown = self.costs.each_ref().map(|cost| match cost {
            None => String::new(),
            Some(Ok((best, median))) => format!("{best} / {median}"),
            Some(Err(failure)) => format!("it {failure}"),
        });
        line(&self.what, &shown)
    }
}

fn line(what: &str, [one, two, three]: &[String; 3]) -> String {
    format!("{what:<FIRST$} {one:>OTHERS$} {two:>OTHERS$} {three:>OTHERS$}").trim_end().to_owned()
}

/// The built-in to compare with: the same policy where the file is a shipped one, with the same options; else another.
fn builtin(plugin: &config::Plugin, otherwise: Builtin) -> Result<Plugin, Rejected> {
    let name = plugin.name.replace('_', "-");
    let same = Builtin::ALL.into_iter().find(|builtin| builtin.name() == name || plugin.builtin == Some(*builtin));
    let same = same.filter(|builtin| builtin.is_extractor() == otherwise.is_extractor());
    let config = same.map_or("{}", |_same| &*plugin.config).to_owned();
    let builtin = same.unwrap_or(otherwise);
    let name = builtin.name().to_owned();
    Host::builtin(&config::Plugin { name, builtin: Some(builtin), path: None, config, ..plugin.clone() })
}

/// A call that carries everything that a plugin asks for.
fn made_up(plugin: &Plugin) -> Asked {
    const SYMBOL: &str = "BTC_USDT";
    let of_extract = plugin.extract_inputs().into_iter().flat_map(|inputs| inputs.metadata.clone());
    let of_select = plugin.select_inputs().into_iter().flat_map(|inputs| inputs.metadata.clone());
    let of_builtin = std::iter::once("symbol".to_owned());
    let keys = of_extract.chain(of_select).chain(of_builtin);
    let labels = plugin.select_inputs().into_iter().flat_map(|inputs| inputs.labels.clone());
    let labels: BTreeMap<_, _> = labels.map(|label| (label, "a".to_owned())).collect();
    let instance =
        |id: u64| Instance { weight: 1, in_flight: 3, latency_us: 2_000, id, order: id, labels: labels.clone() };
    Asked {
        path: "/pb.KlineService/GetKline".into(),
        metadata: keys.map(|key| (key, SYMBOL.into())).collect(),
        // Field 1 of a protobuf message.
        message: Some([b"\x0a\x08".as_slice(), SYMBOL.as_bytes()].concat()),
        symbol: SYMBOL.into(),
        instances: (1..=3_u64).map(|number| instance(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect(),
        random: 1,
    }
}

/// What one decision costs.
fn measure(mut ask: impl FnMut(&mut Sandboxes, u64) -> Result<(), Failure>) -> Cost {
    let mut sandboxes = Sandboxes::default();
    let mut draw = 0_u64;
    let mut round = |calls: u32| {
        let start = Instant::now();
        for _ in 0..calls {
            draw = draw.wrapping_add(0x9e37_79b9_7f4a_7c15);
            ask(&mut sandboxes, draw)?;
        }
        Ok(start.elapsed())
    };
    // The first call makes the sandbox.
    round(1)?;
    let mut calls = 100;
    loop {
        let took = round(calls)?;
        if took * 4 >= ROUND {
            let fitting = u128::from(calls) * ROUND.as_nanos() / took.as_nanos().max(1);
            calls = u32::try_from(fitting.max(1)).unwrap_or(u32::MAX);
            break;
        }
        calls *= 4;
    }
    let mut rounds = (0..ROUNDS).map(|_| round(calls)).collect::<Result<Vec<_>, _>>()?;
    rounds.sort_unstable();
    let at = |place: usize| rounds.get(place).map_or(0, |took| took.as_nanos() / u128::from(calls));
    Ok((at(0), at(ROUNDS / 2)))
}

/// Bytes of memory that the process has, where the system tells.
fn resident() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))?;
    Some(kib.parse::<usize>().ok()? << 10)
}
