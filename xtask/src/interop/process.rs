//! Child processes that this program owns: each is killed by its own handle when it is dropped, and one whose owner died
//! otherwise ends with its standard input.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::makers::{Maker, Program};

/// What a program gets to start, and a client for all its cases.
const START: Duration = Duration::from_secs(60);
const CASES: Duration = Duration::from_secs(120);

/// A running program.
pub(super) struct Process {
    child: Child,
    lines: Receiver<String>,
    name: String,
    log: PathBuf,
}

/// An instance of some maker behind the gateway.
pub(super) struct Server<'a> {
    pub(super) maker: &'a Maker,
    port: u16,
    _process: Process,
}

impl Process {
    /// Starts it; its standard error goes to `log`.
    pub(super) fn start(program: &Program, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("{} cannot be written", log.display()))?;
        let mut command = Command::new(&program.path);
        command.args(&program.arguments).envs(program.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file);
        let name = program.to_string();
        let mut child = command.spawn().with_context(|| format!("`{name}` cannot be run"))?;
        let (sender, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                let lines = BufReader::new(stdout).lines().map_while(Result::ok);
                lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
            });
        }
        Ok(Self { child, lines, name, log: log.to_owned() })
    }

    /// The next line that it prints; `None` when it prints no more.
    fn line(&self, until: Instant) -> Result<Option<String>> {
        match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => bail!("`{}` takes too long; see {}", self.name, self.log.display()),
        }
    }

    /// All lines that it prints until it ends. What is wrong with its end is the last line.
    pub(super) fn lines_to_end(mut self) -> Vec<String> {
        let until = Instant::now() + CASES;
        let mut lines = Vec::new();
        let end = loop {
            match self.line(until) {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => break self.child.wait().map_err(Into::into),
                Err(error) => break Err(error),
            }
        };
        match end {
            Ok(status) if status.success() => {}
            Ok(status) => lines.push(format!("failed to end: {status}")),
            Err(error) => lines.push(format!("failed to end: {error:#}")),
        }
        lines
    }

    /// Whether it has ended.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("`{}` is lost", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl<'a> Server<'a> {
    /// Starts it and waits for the port that it prints.
    pub(super) fn start(maker: &'a Maker, logs: &Path) -> Result<Self> {
        let log = logs.join(format!("server-{}.log", maker.name));
        let process = Process::start(&maker.server(), &log)?;
        let said = process.line(Instant::now() + START)?.unwrap_or_default();
        let port = said.trim().parse().with_context(|| {
            format!("the server in {} prints {said:?} and not its port; see {}", maker.name, log.display())
        })?;
        Ok(Self { maker, port, _process: process })
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}
