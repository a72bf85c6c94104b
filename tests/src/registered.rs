//! The real `symgate register` as a child process: an instance announced from outside.

use std::{
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use etcd_client::GetOptions;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Etcd,
    eventually::{Clock, POLL, pause},
    gateway::{self, Log},
};

/// What it gets to end when a test is over.
const GRACE: Duration = Duration::from_secs(5);

/// A running `symgate register`.
pub struct Registered {
    child: Child,
    log: Log,
}

/// A key as etcd has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The whole key.
    pub key: String,
    /// The value.
    pub value: String,
    /// The lease that it lives by.
    pub lease: i64,
    /// Since when it has been there.
    pub create_revision: i64,
}

impl Registered {
    /// Announces an instance of `klineRpc` in the etcd at a URL, with more arguments.
    ///
    /// # Panics
    /// When the binary cannot be run.
    pub fn start(etcd: &str, arguments: &[&str]) -> Self {
        Self::start_with(etcd, arguments, &[])
    }

    /// The same, with more environment variables.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn start_with(etcd: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(gateway::binary())
            .args(["register", "--log-format", "json", "--service", "klineRpc", "--etcd", etcd])
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Log::read(child.stderr.take().unwrap());
        Self { child, log }
    }

    /// What it and its command have logged so far.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it was waited for already.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), signal).unwrap();
    }

    /// Whether it has not ended.
    ///
    /// # Panics
    /// Never on a child of our own.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it still runs after the deadline.
    pub async fn exited(&mut self, deadline: Duration) -> ExitStatus {
        let clock = Clock::start(deadline);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(clock.runs(), "symgate register still runs {deadline:?} later");
            pause().await;
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // Told, not killed, so that its command does not outlive it; over and over, so that it waits for nothing.
        let clock = Clock::start(GRACE);
        while self.runs() && clock.runs() {
            self.signal(Signal::TERM);
            std::thread::sleep(POLL);
        }
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            self.log.print();
        }
    }
}

impl Etcd {
    /// Everything that starts with `prefix`.
    ///
    /// # Panics
    /// When etcd refuses.
    pub async fn entries(&self, prefix: &str) -> Vec<Entry> {
        let answer = self.client().await.get(prefix, Some(GetOptions::new().with_prefix())).await.expect("a get");
        let entry = |pair: &etcd_client::KeyValue| Entry {
            key: pair.key_str().expect("text").into(),
            value: pair.value_str().expect("text").into(),
            lease: pair.lease(),
            create_revision: pair.create_revision(),
        };
        answer.kvs().iter().map(entry).collect()
    }
}
