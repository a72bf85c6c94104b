//! A program that was started and is ended by its own id, whatever happens.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::LazyLock,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::cargo::succeeds;

/// A running program. Dropped, it ends.
pub(super) struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

/// How long a condition is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a program may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);
/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(10);

impl Process {
    /// Starts a command. What it says goes into a file of the folder, unless the command says where it goes.
    pub(super) fn start(name: &str, command: &mut Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("{} cannot be written", log.display()))?;
        let child = command.stderr(file).spawn().with_context(|| format!("{name} cannot be run"))?;
        Ok(Self { child, name: name.into(), log })
    }

    /// Its id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The ends of its pipes.
    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits until something holds; fails when the program ends before it does.
    pub(super) fn until(&mut self, what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
        let start = Instant::now();
        while !holds() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}{}", self.name, self.last_words());
            }
            if start.elapsed() > PATIENCE {
                bail!("{}: {what} did not happen within {PATIENCE:?}{}", self.name, self.last_words());
            }
            sleep(PAUSE);
        }
        Ok(())
    }

    /// Waits for its end, which must be a success.
    pub(super) fn succeeds(&mut self) -> Result<()> {
        let status = self.child.wait()?;
        if !status.success() {
            bail!("{} ended with {status}{}", self.name, self.last_words());
        }
        Ok(())
    }

    /// The end of what it said, for a message.
    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().map(|line| format!("\n  {line}")).collect()
    }

    /// Asks it to end, so that it can end its own children, and insists when it does not.
    fn end(&mut self) -> io::Result<ExitStatus> {
        // Not waited for yet, so that the id is still its own.
        if let (None, Some(id)) = (self.child.try_wait()?, Pid::from_raw(self.child.id().cast_signed())) {
            kill_process(id, Signal::TERM)?;
        }
        let start = Instant::now();
        while start.elapsed() < GRACE {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            sleep(PAUSE);
        }
        self.child.kill()?;
        self.child.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, and there is nobody left to tell.
        drop(self.end());
    }
}

/// A command with nothing to read and nothing to show, on these cores, that ends when this program is killed.
pub(super) fn pinned(program: &Path, cores: Option<&str>) -> Command {
    static SETPRIV: LazyLock<bool> = LazyLock::new(|| succeeds("setpriv", &["--pdeathsig", "TERM", "true"]));
    // Each of these becomes the program that it starts, which keeps the id.
    let mut words: Vec<&OsStr> = Vec::new();
    if *SETPRIV {
        words.extend(["setpriv", "--pdeathsig", "TERM"].map(OsStr::new));
    }
    if let Some(cores) = cores {
        words.extend(["taskset", "--cpu-list", cores].map(OsStr::new));
    }
    let mut words = words.into_iter().chain([program.as_os_str()]);
    let mut command = Command::new(words.next().unwrap_or(program.as_os_str()));
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
    command
}
