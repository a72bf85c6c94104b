//! The figures of the measurements, and what may be said of them: medians, spreads, and ratios of what was measured in
//! the same round.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use anyhow::{Context, Result};

use super::usage::Usage;

/// The figures of one measurement, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures(BTreeMap<String, f64>);

/// All measurements: by shape and proxy, each round's figures.
#[derive(Default)]
pub(super) struct Results(BTreeMap<(String, String), BTreeMap<u32, Figures>>);

/// Several values of one figure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Values(Vec<f64>);

impl Figures {
    /// Reads lines of a name and a value.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let line = |line: &str| {
            let (name, value) = line.split_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        let read = text.lines().map(|text| line(text).with_context(|| format!("{text:?} is no figure")));
        Ok(Self(read.collect::<Result<_>>()?))
    }

    pub(super) fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// One figure more.
    pub(super) fn with(mut self, name: &str, value: f64) -> Self {
        self.0.insert(name.into(), value);
        self
    }

    /// A figure of another measurement, under a name of its own.
    pub(super) fn with_from(self, name: &str, other: &Self, figure: &str) -> Self {
        match other.get(figure) {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// A figure that counts.
    pub(super) fn count(&self, name: &str) -> Option<u64> {
        Some(self.get(name)? as u64)
    }

    /// Adds the CPU time that a proxy used meanwhile, and the memory that it has; there may be no proxy.
    pub(super) fn with_cpu(mut self, before: Option<Usage>, after: Option<Usage>) -> Self {
        let (Some(before), Some(after)) = (before, after) else { return self };
        let micros = after.cpu.saturating_sub(before.cpu) as f64 / 1e3;
        self.add_each("cpu_per_call", micros, "calls");
        self.add_each("cpu_per_message", micros, "messages");
        self.0.insert("resident_kib".into(), after.resident as f64);
        if let Some(seconds) = self.get("seconds") {
            self.0.insert("core_share".into(), micros / 1e6 / seconds);
        }
        self
    }

    /// Adds the memory that a proxy took for what it holds.
    pub(super) fn with_memory(mut self, warm: Option<Usage>, held: Option<Usage>) -> Self {
        let (Some(warm), Some(held)) = (warm, held) else { return self };
        self.add_each("kib_each", held.resident as f64 - warm.resident as f64, "held");
        self
    }

    fn add_each(&mut self, name: &str, value: f64, per: &str) {
        if let Some(count) = self.get(per).filter(|count| *count > 0.0) {
            self.0.insert(name.into(), value / count);
        }
    }
}

impl Results {
    pub(super) fn add(&mut self, round: u32, shape: &str, proxy: &str, figures: Figures) {
        self.0.entry((shape.into(), proxy.into())).or_default().insert(round, figures);
    }

    /// A figure in all rounds.
    pub(super) fn values(&self, shape: &str, proxy: &str, figure: &str) -> Option<Values> {
        let rounds = self.rounds(shape, proxy)?;
        Values::new(rounds.values().filter_map(|figures| figures.get(figure)).collect())
    }

    /// A figure with one proxy over the same with another, in each round in which both were measured.
    pub(super) fn ratios(&self, shape: &str, of: &str, to: &str, figure: &str) -> Option<Values> {
        let (of, to) = (self.rounds(shape, of)?, self.rounds(shape, to)?);
        let paired = of.iter().filter_map(|(round, figures)| {
            let [over, below] = [figures, to.get(round)?].map(|figures| figures.get(figure));
            // Memory that shrank is no measure of anything.
            let positive = |value: Option<f64>| value.filter(|value| *value > 0.0);
            Some(positive(over)? / positive(below)?)
        });
        Values::new(paired.collect())
    }

    fn rounds(&self, shape: &str, proxy: &str) -> Option<&BTreeMap<u32, Figures>> {
        self.0.get(&(shape.to_owned(), proxy.to_owned()))
    }

    /// Calls made in all measurements, none of which failed.
    pub(super) fn calls(&self) -> u64 {
        self.0.values().flat_map(BTreeMap::values).filter_map(|figures| figures.count("made")).sum()
    }

    /// Writes every figure as a line.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let mut text = String::from("shape\tproxy\tround\tfigure\tvalue\n");
        for ((shape, proxy), rounds) in &self.0 {
            for (round, Figures(figures)) in rounds {
                for (name, value) in figures {
                    // Writing to a String cannot fail.
                    let _ = writeln!(text, "{shape}\t{proxy}\t{round}\t{name}\t{value}");
                }
            }
        }
        fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
    }
}

impl Values {
    fn new(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        (!values.is_empty()).then_some(Self(values))
    }

    pub(super) fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        let at = |index: usize| self.0.get(index).copied().unwrap_or(f64::NAN);
        if self.0.len().is_multiple_of(2) { f64::midpoint(at(middle.wrapping_sub(1)), at(middle)) } else { at(middle) }
    }

    /// The median and, when there are several, the least and the most.
    pub(super) fn text(&self, decimals: usize) -> String {
        let median = format!("{:.decimals$}", self.median());
        match self.0.as_slice() {
            [least, .., most] => format!("{median} [{least:.decimals$}–{most:.decimals$}]"),
            _ => median,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Figures, Results, Usage, Values};

    fn values(values: &[f64]) -> Values {
        Values::new(values.to_vec()).unwrap()
    }

    #[test]
    fn values_are_told_as_median_and_spread() {
        assert_eq!(values(&[3.0, 1.0, 2.0]).text(1), "2.0 [1.0–3.0]");
        assert_eq!(values(&[4.0, 1.0]).text(2), "2.50 [1.00–4.00]");
        assert_eq!(values(&[7.0]).text(0), "7");
        assert_eq!(Values::new(Vec::new()), None);
    }

    #[test]
    fn ratios_are_paired_by_round() {
        let mut results = Results::default();
        for (round, proxy, cpu) in [(0, "a", 10.0), (0, "b", 20.0), (1, "a", 30.0), (1, "b", 20.0), (2, "a", 1.0)] {
            results.add(round, "unary", proxy, Figures([("cpu_per_call".to_owned(), cpu)].into()));
        }
        let ratios = results.ratios("unary", "a", "b", "cpu_per_call");
        assert_eq!(ratios, Some(values(&[0.5, 1.5])), "the round without b counts for nothing");
        assert_eq!(results.ratios("unary", "a", "c", "cpu_per_call"), None);
        results.add(1, "unary", "a", Figures([("cpu_per_call".to_owned(), -1.0)].into()));
        assert_eq!(results.ratios("unary", "a", "b", "cpu_per_call"), Some(values(&[0.5])));
    }

    #[test]
    fn usage_is_told_per_call_and_per_held_connection() {
        let usage = |cpu, resident| Some(Usage { cpu, resident });
        let figures = Figures::parse("calls 10\nseconds 0.5").unwrap();
        let figures = figures.with_cpu(usage(0, 100), usage(250_000, 120));
        assert_eq!(figures.get("cpu_per_call"), Some(25.0));
        assert_eq!(figures.get("cpu_per_message"), None);

        let figures = Figures::parse("held 4").unwrap().with_memory(usage(0, 100), usage(0, 120));
        assert_eq!(figures.get("kib_each"), Some(5.0));
    }

    #[test]
    fn a_line_that_is_no_figure_is_refused() {
        assert!(Figures::parse("calls 10\nwarm").is_err());
    }
}
