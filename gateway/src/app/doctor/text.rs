//! The report for people, in lines of at most 100 columns where words allow it. What comes from etcd is shown without its
//! control characters: it must not speak to a terminal.

use std::collections::BTreeMap;

use super::report::{Entry, Finding, LeftOut, Report, Route, Service, Standing};

/// Columns of a line.
const WIDTH: usize = 100;
/// What is shown of a long list unless all is asked for.
const SHORT: usize = 10;

impl Report {
    /// In lines for people; `all`: nothing is cut.
    pub fn lines(&self, all: bool) -> Vec<String> {
        let mut out = Page { lines: Vec::new(), limit: if all { usize::MAX } else { SHORT }, cut: false };
        out.header(self);
        out.findings(&self.findings, 0);
        for service in self.services.iter().take(out.limit) {
            out.service(service, all);
        }
        out.more(&self.services);
        out.left_out(&self.left_out);
        out.summary(self);
        out.lines
    }
}

/// What is being written.
struct Page {
    lines: Vec<String>,
    limit: usize,
    /// Whether something was left out.
    cut: bool,
}

impl Page {
    fn header(&mut self, report: &Report) {
        let etcd = &report.etcd;
        let version = if etcd.version.is_empty() { String::new() } else { format!(" {}", etcd.version) };
        let (revision, keys) = (etcd.revision, counted(etcd.keys, "key"));
        let mut text = format!("etcd{version} at {}: {keys} at revision {revision}", etcd.endpoint);
        if let Some(config) = &report.config {
            text += &format!("; configuration {config}");
        }
        self.wrapped(0, &text);
        self.lines.push(String::new());
    }

    fn service(&mut self, service: &Service, all: bool) {
        self.wrapped(0, &format!("service {}: {}", service.name, verdict(service.count())));
        let used = service.entries.iter().filter(|entry| entry.standing == Standing::Used).count();
        let keys = counted(service.keys, "key");
        self.wrapped(2, &format!("{keys} under {}, {used} used", service.prefix));
        for (format, count) in &service.formats {
            self.wrapped(4, &format!("{count} {}: {}", format.name(), format.meaning()));
        }
        self.symbols(&service.symbols);
        self.routes(&service.routes);
        self.findings(&service.findings, 2);
        if all {
            self.entries(&service.entries);
        }
        self.blank();
    }

    /// What is left out of many services: the best ones.
    fn more(&mut self, services: &[Service]) {
        let more = services.get(self.limit..).unwrap_or_default();
        if more.is_empty() {
            return;
        }
        let wrong = more.iter().filter(|service| is_wrong(service)).count();
        self.cut = true;
        self.wrapped(
            0,
            &format!("... and {}, {wrong} of them with something wrong", counted(more.len(), "more service")),
        );
        self.blank();
    }

    /// Which symbols have how many instances, the fewest first.
    fn symbols(&mut self, symbols: &BTreeMap<String, Vec<String>>) {
        let mut by_count: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for (symbol, instances) in symbols.iter().filter(|(symbol, _)| !symbol.is_empty()) {
            by_count.entry(instances.len()).or_default().push(symbol);
        }
        if !by_count.is_empty() {
            self.wrapped(2, &counted(by_count.values().map(Vec::len).sum(), "symbol"));
        }
        for (count, symbols) in by_count {
            let names = self.some(&symbols);
            self.wrapped(4, &format!("{} with {}: {names}", symbols.len(), counted(count, "instance")));
        }
        if let Some(instances) = symbols.get("") {
            self.wrapped(2, &format!("{} without a symbol", counted(instances.len(), "instance")));
        }
    }

    fn routes(&mut self, routes: &[Route]) {
        for route in routes {
            let extract = route.extract.as_ref().map_or_else(|| "no extract".into(), |name| format!("extract {name}"));
            let select = route.select.as_deref().unwrap_or_default();
            self.wrapped(2, &format!("route {} ({extract}, select {select})", route.path));
        }
    }

    fn findings(&mut self, findings: &[Finding], indent: usize) {
        for finding in findings {
            let count = finding.cases.len();
            let (level, text) = (finding.level.name(), &finding.text);
            let text = if count == 0 {
                format!("{level}: {text}")
            } else {
                format!("{level}: {} {text}", counted(count, finding.of))
            };
            self.wrapped(indent, &text);
            for case in finding.cases.iter().take(self.limit) {
                let text = if case.text.is_empty() { case.of.clone() } else { format!("{}: {}", case.of, case.text) };
                self.wrapped(indent + 2, &text);
            }
            self.cut(count, indent + 2);
        }
        if indent == 0 && !findings.is_empty() {
            self.blank();
        }
    }

    fn entries(&mut self, entries: &[Entry]) {
        self.wrapped(2, "every key:");
        for entry in entries {
            let Entry { key, standing, format, symbol, address, .. } = entry;
            let standing = match standing {
                Standing::Used => "",
                Standing::Suspended => ", not believed",
                Standing::Rejected => "rejected",
            };
            let read = format.zip(symbol.as_ref()).zip(address.as_ref()).map(|((format, symbol), address)| {
                let of = if symbol.is_empty() { String::new() } else { format!("{symbol} at ") };
                format!("{}, {of}{address}", format.name())
            });
            let lease = match (entry.lease_left, entry.lease_granted, &entry.lease) {
                (Some(left), Some(granted), _) => format!(", {left} s of {granted} s left"),
                (_, _, Some(_)) => String::new(),
                (_, _, None) => ", no lease".into(),
            };
            self.wrapped(4, &format!("{key}: {}{standing}{lease}", read.unwrap_or_default()));
        }
    }

    fn left_out(&mut self, left_out: &[LeftOut]) {
        if left_out.is_empty() {
            return;
        }
        self.wrapped(
            0,
            "not looked at, because most of these keys announce nothing (--service NAME looks all the same):",
        );
        for LeftOut { prefix, keys, registrations } in left_out.iter().take(self.limit) {
            let keys = counted(*keys, "key");
            let read = if *registrations == 0 {
                String::new()
            } else {
                format!(", {} among them", counted(*registrations, "registration"))
            };
            let prefix =
                if prefix.ends_with('/') { format!("{prefix}*") } else { format!("{prefix}* without a \"/\"") };
            self.wrapped(2, &format!("{prefix}: {keys}{read}"));
        }
        self.cut(left_out.len(), 2);
        self.blank();
    }

    fn summary(&mut self, report: &Report) {
        let worse = report.services.iter().filter(|service| is_wrong(service)).count();
        let services = counted(report.services.len(), "service");
        let text = match report.count() {
            [0, 0, 0] => format!("All is well with {services}."),
            [0, 0, notes] => format!("All is well with {services}; {}.", counted(notes, "note")),
            count if worse == 0 => format!("Something is wrong: {}.", verdict(count)),
            count => format!("Something is wrong with {worse} of {services}: {}.", verdict(count)),
        };
        let more = if self.cut { " Long lists are cut; --all shows everything." } else { "" };
        self.wrapped(0, &format!("{text}{more}"));
    }

    /// The first of many, in one line.
    fn some(&mut self, names: &[&str]) -> String {
        let more = names.len().saturating_sub(self.limit);
        let shown = names.iter().take(self.limit).copied().collect::<Vec<_>>().join(", ");
        self.cut |= more > 0;
        if more == 0 { shown } else { format!("{shown}, ... and {more} more") }
    }

    fn cut(&mut self, count: usize, indent: usize) {
        let more = count.saturating_sub(self.limit);
        if more > 0 {
            self.cut = true;
            self.wrapped(indent, &format!("... and {more} more"));
        }
    }

    /// Breaks a text at spaces; what follows the first line stands further in.
    fn wrapped(&mut self, indent: usize, text: &str) {
        let mut line = " ".repeat(indent);
        let mut empty = true;
        for word in printable(text).split(' ') {
            if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.lines.push(std::mem::replace(&mut line, " ".repeat(indent + 4)));
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line += word;
            empty = false;
        }
        self.lines.push(line);
    }

    fn blank(&mut self) {
        self.lines.push(String::new());
    }
}

fn is_wrong(service: &Service) -> bool {
    service.count()[..2] != [0, 0]
}

/// Control characters as escapes.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

fn verdict([problems, warnings, notes]: [usize; 3]) -> String {
    let parts =
        [(problems, "problem"), (warnings, "warning"), (notes, "note")].into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<_> = parts.map(|(count, what)| counted(count, what)).collect();
    if parts.is_empty() { "all is well".into() } else { parts.join(", ") }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrap(text: &str) -> Vec<String> {
        let mut page = Page { lines: Vec::new(), limit: SHORT, cut: false };
        page.wrapped(2, text);
        page.lines
    }

    #[test]
    fn lines_break_at_spaces_only() {
        let lines = wrap(&"word ".repeat(30));
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH) && lines.len() == 2, "{lines:?}");
        assert!(lines[1].starts_with("      word"), "{lines:?}");
        let long = "k".repeat(150);
        assert_eq!(wrap(&format!("{long}: gone")), [format!("  {long}:"), "      gone".to_owned()]);
    }

    #[test]
    fn what_etcd_holds_cannot_speak_to_the_terminal() {
        assert_eq!(wrap("a\u{1b}[2J\r\nb\u{e9}"), ["  a\\u{1b}[2J\\r\\nb\u{e9}"]);
    }
}
