//! Finding and starting the gateway's binary.

use std::{
    fs,
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

/// Where gateways keep compiled plugins, when their configuration does not say: below cargo's target folder, for all of
/// them, so that each plugin is compiled once.
fn cache() -> PathBuf {
    crate::wasm::folder().join("code-cache")
}

/// Runs the gateway on a configuration.
pub(super) fn run(config: &Path) -> (Child, Log) {
    let mut child = Command::new(path())
        .args(["run", "--config"])
        .arg(config)
        .env("CACHE_DIRECTORY", cache())
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
    command_line
        .arg(command)
        .arg("--config")
        .arg(config)
        .env("CACHE_DIRECTORY", cache())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(crate::eventually::PATIENCE, command_line.output()).await;
    output.unwrap_or_else(|_| panic!("symgate {command} did not end")).unwrap()
}

/// Runs any command of the binary to its end, in a folder.
pub async fn run_in(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command_line = tokio::process::Command::new(path());
    command_line.args(arguments).envs(environment.iter().copied()).current_dir(folder);
    command_line.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(crate::eventually::PATIENCE, command_line.output()).await;
    output.unwrap_or_else(|_| panic!("symgate {arguments:?} did not end")).unwrap()
}

/// Sends SIGTERM to a child that was not waited for yet, so that its id is still its own.
pub(super) fn terminate(child: &Child) {
    let pid = Pid::from_raw(child.id().cast_signed()).expect("a process id");
    kill_process(pid, Signal::TERM).unwrap();
}

/// Sends a signal to every compiling process of a gateway that has begun; their folders in /proc.
pub(super) fn signal_compilers(gateway: &Child, signal: Signal) -> Vec<PathBuf> {
    let threads = fs::read_dir(format!("/proc/{}/task", gateway.id())).unwrap();
    let running = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
    let running: Vec<_> =
        running.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
    let told = running.into_iter().filter(|id| {
        // One that has just ended is not there any more.
        let process = id.parse().ok().and_then(Pid::from_raw);
        stands_back(id) && process.is_some_and(|process| kill_process(process, signal).is_ok())
    });
    told.map(|id| Path::new("/proc").join(id)).collect()
}

/// Whether a process has lowered its priority: the last thing that a compiling one does before its work.
fn stands_back(id: &str) -> bool {
    const NICE: usize = 16;
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // Behind the name, which may hold anything.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    fields.split(' ').nth(NICE).is_some_and(|nice| nice != "0")
}
