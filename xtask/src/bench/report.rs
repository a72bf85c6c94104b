//! The report: tables of medians, then the ratios, as Markdown for a document.

#![expect(clippy::print_stdout, reason = "the report is what the command prints")]

use super::{
    figures::Results,
    proxy::{Kind, NONE},
    shape::{Shape, Subject},
};

/// Prints everything that was measured.
pub(super) fn print(results: &Results, shapes: &[Shape], kinds: &[Kind]) {
    let of = |subject| shapes.iter().filter(|shape| shape.about == subject).map(|shape| shape.name).collect::<Vec<_>>();
    let report = Report { results, kinds };
    for kind in kinds.iter().filter(|kind| !kind.is_symgate()) {
        println!("{}: {}", kind.name(), kind.version().unwrap_or_default());
    }
    println!("{} calls, every reply checked; median [least–most] of the rounds\n", results.calls());
    report.costs("CPU µs per call", &of(Subject::Unary), Subject::Unary, 1);
    of(Subject::Unary).last().iter().for_each(|shape| report.resident(shape));
    report.costs("CPU µs per message", &of(Subject::Stream), Subject::Stream, 2);
    of(Subject::Latency).iter().for_each(|shape| report.latency(shape));
    of(Subject::Workers).iter().for_each(|shape| report.workers(shape));
    report.costs("KiB for each", &of(Subject::Memory), Subject::Memory, 1);
    for kind in kinds.iter().filter(|kind| kind.is_symgate()) {
        report.ratios(*kind, shapes);
    }
}

struct Report<'a> {
    results: &'a Results,
    kinds: &'a [Kind],
}

impl Report<'_> {
    fn cell(&self, shape: &str, proxy: &str, figure: &str, decimals: usize) -> String {
        self.results.values(shape, proxy, figure).map_or_else(|| "-".into(), |values| values.text(decimals))
    }

    /// One figure of several shapes.
    fn costs(&self, title: &str, shapes: &[&str], subject: Subject, decimals: usize) {
        if shapes.is_empty() {
            return;
        }
        head(title, shapes);
        for kind in self.kinds {
            let cell = |shape: &&str| self.cell(shape, kind.name(), subject.figure(), decimals);
            row(kind.name(), shapes.iter().map(cell));
        }
        println!();
    }

    fn latency(&self, shape: &str) {
        let figures = ["p50", "p99", "p999", "cpu_per_call"];
        head(&format!("{shape}: µs from when a call was due"), &["p50", "p99", "p99.9", "CPU µs per call"]);
        for name in self.kinds.iter().map(|kind| kind.name()).chain([NONE]) {
            row(name, figures.iter().map(|figure| self.cell(shape, name, figure, 0)));
        }
        println!();
    }

    fn workers(&self, shape: &str) {
        head("CPU µs per call, one worker and two on the same cores", &["one", "two", "two / one"]);
        for name in self.kinds.iter().map(|kind| kind.name()) {
            let two = format!("{name}@2");
            let figure = Subject::Workers.figure();
            let ratio = self.results.ratios(shape, &two, name, figure);
            let ratio = ratio.map_or_else(|| "-".into(), |values| values.text(2));
            row(name, [self.cell(shape, name, figure, 1), self.cell(shape, &two, figure, 1), ratio]);
        }
        println!();
    }

    fn resident(&self, shape: &str) {
        head(&format!("KiB resident after {shape}"), &["all processes"]);
        for kind in self.kinds {
            row(kind.name(), [self.cell(shape, kind.name(), "resident_kib", 0)]);
        }
        println!();
    }

    /// One of symgate's kinds over each of the others.
    fn ratios(&self, kind: Kind, shapes: &[Shape]) {
        let others: Vec<_> = self.kinds.iter().filter(|other| **other != kind).map(|other| other.name()).collect();
        if others.is_empty() {
            return;
        }
        let over: Vec<_> = others.iter().map(|other| format!("/ {other}")).collect();
        head(&format!("{}, paired in each round", kind.name()), &over);
        for shape in shapes {
            let figure = shape.about.figure();
            let ratio = |other: &&str| self.results.ratios(shape.name, kind.name(), other, figure);
            let text = |other| ratio(other).map_or_else(|| "-".into(), |values| values.text(2));
            row(shape.name, others.iter().map(text));
        }
        println!();
    }
}

fn head<S: AsRef<str>>(title: &str, columns: &[S]) {
    row(title, columns.iter().map(|column| column.as_ref().to_owned()));
    println!("|---|{}", "---|".repeat(columns.len()));
}

fn row(name: &str, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<_> = cells.into_iter().collect();
    println!("| {name} | {} |", cells.join(" | "));
}
