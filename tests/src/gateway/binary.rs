//! Finding and starting the gateway's binary.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use super::Log;

/// The binary: what `SYMGATE_BIN` names, else the one that was built beside the running executable.
///
/// # Panics
/// When it is not built.
pub fn path() -> PathBuf {
    let path = std::env::var_os("SYMGATE_BIN").map_or_else(beside, PathBuf::from);
    assert!(path.is_file(), "{} is not built; run the tests with `cargo xtask test`", path.display());
    path
}

/// Tests run in `target/debug/deps`, the demo in `target/debug`.
fn beside() -> PathBuf {
    let running = std::env::current_exe().unwrap();
    let folder = running.parent().unwrap();
    let folder = if folder.ends_with("deps") { folder.parent().unwrap() } else { folder };
    folder.join(format!("symgate{}", std::env::consts::EXE_SUFFIX))
}

/// Runs the gateway on a configuration.
pub(super) fn run(config: &Path) -> (Child, Log) {
    let mut child = Command::new(path())
        .args(["run", "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = Log::read(child.stderr.take().unwrap());
    (child, log)
}

/// Runs a command of the gateway on a configuration to its end: `run` on one that must be refused, or `check`.
pub async fn check(command: &str, config: &Path) -> Output {
    let mut command_line = tokio::process::Command::new(path());
    command_line.arg(command).arg("--config").arg(config).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(crate::eventually::PATIENCE, command_line.output()).await;
    output.unwrap_or_else(|_| panic!("symgate {command} did not end")).unwrap()
}

/// Sends SIGTERM to a child that was not waited for yet, so that its id is still its own.
pub(super) fn terminate(child: &Child) {
    let pid = Pid::from_raw(child.id().cast_signed()).expect("a process id");
    kill_process(pid, Signal::TERM).unwrap();
}
