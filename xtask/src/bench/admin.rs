//! What symgate tells operators: whether it is ready, and how often it asked its plugins.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};

/// Sums of symgate's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    calls: u64,
    extracts: u64,
    selects: u64,
    failures: u64,
}

/// How long the last calls may take to be counted.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a path of the admin listener answers with 200.
pub(super) fn answers(port: u16, path: &str) -> bool {
    get(port, path).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// The sum of a gauge.
pub(super) fn gauge(port: u16, name: &str) -> Result<u64> {
    Ok(sum(&get(port, "/metrics")?, name))
}

/// The sum over all lines that begin so.
fn sum(metrics: &str, start: &str) -> u64 {
    let values = metrics.lines().filter(|line| line.starts_with(start));
    values.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

impl Counters {
    /// As they are now.
    pub(super) fn read(port: u16) -> Result<Self> {
        Ok(Self::parse(&get(port, "/metrics")?))
    }

    fn parse(metrics: &str) -> Self {
        let decisions = |kind: &str| {
            let of_kind = |line: &&str| line.starts_with("symgate_decisions_total") && line.contains(kind);
            let values = metrics.lines().filter(of_kind);
            values.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
        };
        Self {
            calls: sum(metrics, "symgate_calls_total"),
            extracts: decisions(r#"kind="extract""#),
            selects: decisions(r#"kind="select""#),
            failures: sum(metrics, "symgate_plugin_failures_total"),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(before.calls),
            extracts: self.extracts.saturating_sub(before.extracts),
            selects: self.selects.saturating_sub(before.selects),
            failures: self.failures.saturating_sub(before.failures),
        }
    }
}

/// Fails unless each of `made` calls since `before` was decided by an extractor and a selector: what is measured as
/// the price of plugins must be paid.
pub(super) fn asked_twice_each(port: u16, before: Counters, made: u64) -> Result<()> {
    let start = Instant::now();
    loop {
        let counted = Counters::read(port)?.since(before);
        if counted == (Counters { calls: made, extracts: made, selects: made, failures: 0 }) {
            return Ok(());
        }
        // A call is counted when its end is written, which its caller may have seen by then.
        let late = counted.calls < made && counted.failures == 0;
        if !late || start.elapsed() > PATIENCE {
            bail!("the plugins were not asked twice for each of {made} calls: {counted:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn get(port: u16, path: &str) -> Result<String> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    write!(socket, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    ensure!(!answer.is_empty(), "no answer to {path}");
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::Counters;

    #[test]
    fn counters_are_summed_over_routes_and_plugins() {
        let metrics = "# TYPE symgate_calls counter\n\
                       symgate_calls_total{route=\"/\",status=\"OK\",reason=\"\"} 7\n\
                       symgate_calls_total{route=\"/\",status=\"UNAVAILABLE\",reason=\"x\"} 1\n\
                       symgate_calls_in_flight 3\n\
                       symgate_decisions_total{plugin=\"a\",kind=\"extract\"} 8\n\
                       symgate_decisions_total{plugin=\"b\",kind=\"select\"} 9\n";
        let counters = Counters::parse(metrics);
        assert_eq!(counters, Counters { calls: 8, extracts: 8, selects: 9, failures: 0 });
        let before = Counters { calls: 5, ..Counters::default() };
        assert_eq!(counters.since(before).calls, 3);
    }
}
