//! What the clients say, compared with the list of cases and added up.

use std::{
    fmt::{Display, Formatter},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// One client with one server.
#[derive(Debug, PartialEq)]
pub(super) struct Run {
    client: &'static str,
    server: &'static str,
    wasm: bool,
    passed: usize,
    /// Cases and why.
    failed: Vec<(String, String)>,
    left_out: Vec<(String, String)>,
}

/// All that was run.
pub(super) struct Report {
    pub(super) runs: Vec<Run>,
    /// How many there are.
    pub(super) cases: usize,
    pub(super) notes: Vec<String>,
    pub(super) logs: PathBuf,
}

/// The names in the list of cases.
pub(super) fn cases(list: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(list).with_context(|| format!("{} cannot be read", list.display()))?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

impl Run {
    /// Reads a client's lines: `passed CASE`, `failed CASE: why` or `left out CASE: why`, once for each case.
    pub(super) fn read(client: &'static str, server: &'static str, cases: &[String], lines: &[String]) -> Self {
        let mut run = Self { client, server, wasm: false, passed: 0, failed: Vec::new(), left_out: Vec::new() };
        let mut awaited: Vec<_> = cases.iter().map(String::as_str).collect();
        for line in lines {
            let (verb, rest) = ["passed ", "failed ", "left out "]
                .iter()
                .find_map(|verb| Some((*verb, line.strip_prefix(verb)?)))
                .unwrap_or(("", line));
            let (case, why) = rest.split_once(": ").unwrap_or((rest, ""));
            let known = awaited.iter().position(|name| *name == case).map(|at| awaited.remove(at)).is_some();
            let because = (case.to_owned(), why.to_owned());
            match verb {
                "passed " if known => run.passed += 1,
                "left out " if known => run.left_out.push(because),
                "failed " => run.failed.push(because),
                _ => run.failed.push((line.clone(), "is no case of the list".to_owned())),
            }
        }
        run.failed.extend(awaited.iter().map(|case| ((*case).to_owned(), "the client does not say".to_owned())));
        run
    }

    /// The same with plugins as Wasm.
    pub(super) fn with_wasm(self) -> Self {
        Self { wasm: true, ..self }
    }

    /// What the column of the table is called.
    fn column(&self) -> &'static str {
        if self.wasm { "own, Wasm" } else { self.server }
    }

    fn name(&self) -> String {
        format!("{} with {}{}", self.client, self.server, if self.wasm { ", Wasm" } else { "" })
    }
}

impl Display for Run {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {} passed, {} failed", self.name(), self.passed, self.failed.len())
    }
}

impl Report {
    /// Shows all of it; the numbers are the last line. An error when a case failed.
    pub(super) fn finish(self) -> Result<()> {
        let mut lines = vec![String::new(), format!("cases that passed, of {}", self.cases)];
        lines.extend(self.table());
        lines.push(String::new());
        for run in &self.runs {
            let line = |verb: &str, (case, why): &(String, String)| format!("{verb}: {}: {case}: {why}", run.name());
            lines.extend(run.left_out.iter().map(|because| line("left out", because)));
            lines.extend(run.failed.iter().map(|because| line("FAILED", because)));
        }
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        let (passed, failed) = self.sums();
        lines.push(format!("{passed} passed, {failed} failed"));
        print(&lines.join("\n"));
        if failed > 0 {
            bail!("{failed} cases failed; what the programs say of them is in {}", self.logs.display());
        }
        if passed == 0 {
            bail!("nothing was run: the makers are python, node and go");
        }
        Ok(())
    }

    fn sums(&self) -> (usize, usize) {
        self.runs.iter().fold((0, 0), |(passed, failed), run| (passed + run.passed, failed + run.failed.len()))
    }

    /// A line for each client, a column for each server.
    fn table(&self) -> Vec<String> {
        let mut columns: Vec<&str> = Vec::new();
        let mut clients: Vec<&str> = Vec::new();
        for run in &self.runs {
            if !columns.contains(&run.column()) {
                columns.push(run.column());
            }
            if !clients.contains(&run.client) {
                clients.push(run.client);
            }
        }
        let line = |head: &str, cells: Vec<String>| {
            let cells: String = cells.iter().map(|cell| format!("{cell:<12}")).collect();
            format!("{head:<18}{cells}").trim_end().to_owned()
        };
        let mut lines = vec![line("client \\ server", columns.iter().map(|&column| column.to_owned()).collect())];
        for client in clients {
            let cell = |column: &&str| {
                let run = self.runs.iter().find(|run| run.client == client && run.column() == *column);
                run.map_or_else(|| "-".to_owned(), |run| run.passed.to_string())
            };
            lines.push(line(client, columns.iter().map(cell).collect()));
        }
        lines
    }
}

#[expect(clippy::print_stdout, reason = "this is the program's output")]
fn print(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::{Report, Run};

    fn read(lines: &[&str]) -> Run {
        let cases = ["unary", "cancel", "large"].map(str::to_owned);
        let lines: Vec<_> = lines.iter().map(|&line| line.to_owned()).collect();
        Run::read("python", "go", &cases, &lines)
    }

    fn check(lines: &[&str], passed: usize, failed: &[&str], left_out: &[&str]) {
        let run = read(lines);
        let text =
            |list: &[(String, String)]| list.iter().map(|(case, why)| format!("{case}: {why}")).collect::<Vec<_>>();
        assert_eq!((run.passed, text(&run.failed), text(&run.left_out)), (passed, owned(failed), owned(left_out)));
    }

    fn owned(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn every_case_of_the_list_is_said_once() {
        check(&["passed unary", "passed cancel", "passed large"], 3, &[], &[]);
        check(
            &["passed unary", "left out cancel: not: there", "failed large: a: b"],
            1,
            &["large: a: b"],
            &["cancel: not: there"],
        );
        check(&["passed unary", "passed cancel"], 2, &["large: the client does not say"], &[]);
        check(
            &["passed unary", "passed unary", "passed cancel", "passed large"],
            3,
            &["passed unary: is no case of the list"],
            &[],
        );
        check(
            &["passed unary", "passed cancel", "passed large", "failed to end: signal 9"],
            3,
            &["to end: signal 9"],
            &[],
        );
    }

    #[test]
    fn the_table_has_a_line_for_each_client_and_a_column_for_each_server() {
        let runs = vec![read(&["passed unary"]), read(&["passed unary", "passed large"]).with_wasm()];
        let report = Report { runs, cases: 3, notes: Vec::new(), logs: "logs".into() };
        assert_eq!(report.table(), ["client \\ server   go          own, Wasm", "python            1           2"]);
        assert_eq!(report.sums(), (3, 3));
    }
}
