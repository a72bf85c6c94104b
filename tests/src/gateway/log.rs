//! The gateway's log as it is written: JSON lines on standard error.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::ChildStderr,
    sync::Arc,
};

use parking_lot::Mutex;
use serde_json::Value;

/// All lines so far; a clone sees the same.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Reads on a thread of its own until the child ends.
    pub(crate) fn read(stderr: ChildStderr) -> Self {
        let log = Self::default();
        let writer = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                writer.0.lock().push(line);
            }
        });
        log
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Whether nothing was logged.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The lines from `start` on.
    pub fn lines_from(&self, start: usize) -> Vec<String> {
        self.0.lock().iter().skip(start).cloned().collect()
    }

    /// Whether one line holds all of these texts.
    pub fn says(&self, texts: &[&str]) -> bool {
        self.0.lock().iter().any(|line| texts.iter().all(|text| line.contains(text)))
    }

    /// The address of the listener of that name, once it listens.
    pub fn listener(&self, name: &str) -> Option<SocketAddr> {
        self.0.lock().iter().find_map(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            let fields = line.get("fields").unwrap_or(&line);
            let found = fields["message"] == "listening" && fields["listener"] == name;
            found.then(|| fields["address"].as_str()?.parse().ok())?
        })
    }

    /// Shows the newest lines to who reads why a test failed.
    pub fn print(&self) {
        const NEWEST: usize = 200;
        let lines = self.0.lock();
        let skipped = lines.len().saturating_sub(NEWEST);
        eprintln!("--- log of the gateway ({skipped} older lines left out)");
        for line in lines.iter().skip(skipped) {
            eprintln!("{line}");
        }
        eprintln!("---");
    }
}
