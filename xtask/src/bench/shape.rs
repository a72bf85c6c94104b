//! The shapes of load: what is called, how often at a time, and what is looked at.

use anyhow::{Result, bail};

use super::proxy::Proxy;

/// One shape.
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) about: Subject,
    pub(super) setting: Setting,
    /// The command line of the load.
    pub(super) arguments: Vec<String>,
}

/// What a shape tells something about. Each has a table of its own in the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Unary,
    Stream,
    Latency,
    Workers,
    Memory,
}

/// How the proxies stand while a shape is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// All at once, idle but for one, with one worker on a core of their own.
    OneWorker,
    /// Each twice, with one worker and with two, on all cores that are used, beside the load.
    TwoWorkers,
    /// Each started anew, for what others left behind would be used first.
    Fresh,
}

impl Subject {
    /// The figure that ratios are made of.
    pub(super) fn figure(self) -> &'static str {
        match self {
            Self::Unary | Self::Latency | Self::Workers => "cpu_per_call",
            Self::Stream => "cpu_per_message",
            Self::Memory => "kib_each",
        }
    }
}

impl Shape {
    /// Whether it is measured with this proxy: without any, only latency means something.
    pub(super) fn is_for(&self, proxy: &Proxy) -> bool {
        !proxy.is_none() || self.about == Subject::Latency
    }
}

/// Those whose names contain one of the words; all, where there are none.
pub(super) fn chosen(words: &[String], quick: bool) -> Result<Vec<Shape>> {
    let mut shapes = all(quick);
    let names: Vec<_> = shapes.iter().map(|shape| shape.name).collect();
    if let Some(unknown) = words.iter().find(|word| !names.iter().any(|name| name.contains(word.as_str()))) {
        bail!("no shape's name contains {unknown:?}; there are {}", names.join(", "));
    }
    shapes.retain(|shape| words.is_empty() || words.iter().any(|word| shape.name.contains(word)));
    Ok(shapes)
}

fn all(quick: bool) -> Vec<Shape> {
    let calls = |full: u32| if quick { full / 10 } else { full };
    let seconds = if quick { 1 } else { 5 };
    let warm = calls(1000);
    let unary = |name, connections: u32, streams: u32, reply: u32| {
        let load = format!("--connections {connections} --streams {streams} --reply {reply}");
        let calls = calls(20_000);
        shape(name, Subject::Unary, &format!("closed {load} --calls {calls} --warm-up {warm}"))
    };
    let stream = |name, connections: u32, streams: u32, size: u32, messages: u32, count: u32| {
        let load = format!("--connections {connections} --streams {streams} --reply {size} --messages {messages}");
        let (calls, warm) = (calls(count), 4);
        shape(name, Subject::Stream, &format!("closed {load} --calls {calls} --warm-up {warm}"))
    };
    let open = |name, rate: u32| {
        let load = format!("--connections 10 --rate {rate} --seconds {seconds}");
        shape(name, Subject::Latency, &format!("paced {load} --warm-up {warm}"))
    };
    let memory = |name, connections: u32, streams: u32| {
        let load = format!("--connections {connections} --streams {streams}");
        shape(name, Subject::Memory, &format!("hold {load} --warm-up 1000"))
    };
    let mut workers = unary("workers", 10, 10, 60);
    workers.about = Subject::Workers;
    workers.setting = Setting::TwoWorkers;
    vec![
        unary("unary-10x10", 10, 10, 60),
        unary("unary-1x100", 1, 100, 60),
        unary("unary-100x1", 100, 1, 60),
        unary("unary-1KiB", 10, 10, 1024),
        stream("stream-1KiB", 10, 4, 1024, 1000, 120),
        stream("stream-200B", 1, 10, 200, 1000, 240),
        stream("stream-64KiB", 10, 1, 65536, 200, 40),
        open("open-2000", 2000),
        open("open-5000", 5000),
        workers,
        memory("idle-connections", 2000, 0),
        memory("idle-streams", 10, 300),
    ]
}

fn shape(name: &'static str, about: Subject, arguments: &str) -> Shape {
    let setting = if about == Subject::Memory { Setting::Fresh } else { Setting::OneWorker };
    Shape { name, about, setting, arguments: arguments.split(' ').map(str::to_owned).collect() }
}

#[cfg(test)]
mod tests {
    use super::chosen;

    fn check(words: &[&str], expected: &[&str]) {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        let names: Vec<_> = chosen(&words, true).unwrap().iter().map(|shape| shape.name).collect();
        assert_eq!(names, expected, "{words:?}");
    }

    #[test]
    fn shapes_are_chosen_by_a_part_of_their_name() {
        check(&["open"], &["open-2000", "open-5000"]);
        check(&["1KiB", "workers"], &["unary-1KiB", "stream-1KiB", "workers"]);
        assert_eq!(chosen(&[], true).unwrap().len(), 12);
    }

    #[test]
    fn a_word_that_no_shape_has_is_refused() {
        assert!(chosen(&["unary".into(), "uniary".into()], true).is_err());
    }
}
