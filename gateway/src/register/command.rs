//! The command that a registration is made for, as a child. Knows no registry.

use std::{
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{self, ExitStatus},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::Child;

/// What a shell says of a command that is there and cannot be run, and of one that is not there.
const NOT_RUNNABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// A child that runs.
#[derive(Debug)]
pub struct Command {
    child: Child,
}

impl Command {
    /// Starts it, with the path of its owner file in the environment. It leads a process group of its own, so that a
    /// Ctrl-C at the terminal reaches us alone and the order of ending stays ours.
    ///
    /// # Errors
    /// When it cannot be run; [`Self::exit_code_of`] says what to exit with.
    pub fn start(program: &OsString, arguments: &[OsString], owner_file: &Path) -> io::Result<Self> {
        let mut command = process::Command::new(program);
        command.args(arguments).env("SYMGATE_OWNER_FILE", owner_file);
        let mut command = tokio::process::Command::from(command);
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        Ok(Self { child })
    }

    /// What to exit with when it could not be run.
    pub fn exit_code_of(error: &io::Error) -> u8 {
        if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUNNABLE }
    }

    /// Waits until it has ended; what to exit with, as a shell would.
    pub async fn ended(&mut self) -> u8 {
        self.child.wait().await.map_or(1, exit_code)
    }

    /// Passes a signal on.
    pub fn signal(&self, signal: Signal) {
        if let Some(id) = self.id() {
            // It may have ended just now.
            let _ = kill_process(id, signal);
        }
    }

    /// Ends it and what it has started, whether they want or not; what to exit with.
    pub async fn kill(&mut self) -> u8 {
        if let Some(id) = self.id() {
            let _ = kill_process_group(id, Signal::KILL);
        }
        self.ended().await
    }

    /// Nothing once it has ended: the number may belong to somebody else by now.
    fn id(&self) -> Option<Pid> {
        Pid::from_raw(self.child.id()?.cast_signed())
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        assert_eq!(exit_code(ExitStatus::from_raw(0)), 0);
        assert_eq!(exit_code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(exit_code(ExitStatus::from_raw(9)), 137);
    }
}
