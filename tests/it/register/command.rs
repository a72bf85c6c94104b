//! `symgate register -- command`: the command is run, signalled, ended and answered for.

use std::{path::Path, time::Duration};

use rustix::process::Signal;
use symgate_tests::{
    Etcd, Gateway, Instance,
    client::ask,
    eventually,
    eventually::{Clock, pause},
    registered::Registered,
};
use tempfile::TempDir;

use super::{EXIT, another_entry, entry, listening, no_entry, register};

/// A script that is the command, in a folder that it knows as `$1`.
fn run(etcd: &Etcd, address: &str, more: &[&str], script: &str) -> (Registered, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let command = ["--", "sh", "-c", script, "sh", folder.path().to_str().unwrap()];
    (register(&etcd.endpoint(), address, &[more, &command].concat()), folder)
}

fn text(folder: &TempDir, name: &str) -> String {
    std::fs::read_to_string(folder.path().join(name)).unwrap_or_default()
}

/// Runs until it is told to end.
const SERVES: &str = "trap 'echo told > $1/told; exit 7' TERM; echo > $1/up; while :; do sleep 0.05; done";

#[tokio::test]
async fn its_exit_code_and_the_signals_are_passed_on() {
    let etcd = Etcd::start().await;
    let (_listener, address) = listening();
    let script = "trap 'echo usr1 > $1/usr1' USR1; trap 'exit 7' TERM; echo > $1/up; while :; do sleep 0.05; done";
    let (mut registered, folder) = run(&etcd, &address, &[], script);
    entry(&etcd).await;
    eventually!(folder.path().join("up").exists(), "the command runs");
    registered.signal(Signal::USR1);
    eventually!(text(&folder, "usr1") == "usr1\n", "the signal arrives");
    registered.signal(Signal::TERM);
    assert_eq!(registered.exited(EXIT).await.code(), Some(7));
    assert_eq!(etcd.entries("klineRpc/").await, []);
}

#[tokio::test]
async fn one_that_ends_is_taken_back_at_once() {
    let etcd = Etcd::start().await;
    let (_listener, address) = listening();
    let more = ["--ttl", "10m", "--drain-pause", "1h"];
    let address = ["--address", &address];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let crash = ["--", "sh", "-c", "while [ ! -e $1/end ]; do sleep 0.02; done; kill -KILL $$", "sh", path];
    let mut registered = Registered::start(&etcd.endpoint(), &[&address[..], &more, &crash].concat());
    entry(&etcd).await;
    std::fs::write(folder.path().join("end"), "").unwrap();
    assert_eq!(registered.exited(EXIT).await.code(), Some(128 + 9));
    assert_eq!(etcd.entries("klineRpc/").await, []);
}

#[tokio::test]
async fn the_key_goes_first_and_the_command_after_the_pause() {
    let etcd = Etcd::start().await;
    let (_listener, address) = listening();
    let more = ["--address", &address, "--drain-pause", "1h", "--ttl", "10m"];
    let folder = tempfile::tempdir().unwrap();
    let command = ["--", "sh", "-c", SERVES, "sh", folder.path().to_str().unwrap()];
    let mut registered = Registered::start(&etcd.endpoint(), &[&more[..], &command].concat());
    entry(&etcd).await;
    eventually!(folder.path().join("up").exists(), "the command runs");
    registered.signal(Signal::TERM);
    no_entry(&etcd).await;
    let clock = Clock::start(Duration::from_millis(500));
    while clock.runs() {
        assert!(registered.runs() && text(&folder, "told").is_empty(), "the command serves while callers learn of it");
        pause().await;
    }
    registered.signal(Signal::TERM);
    assert_eq!(registered.exited(EXIT).await.code(), Some(7), "a second signal ends the pause");
}

#[tokio::test]
async fn one_that_does_not_end_is_killed() {
    let etcd = Etcd::start().await;
    let (_listener, address) = listening();
    let deaf = "trap '' TERM; echo > $1/up; while :; do sleep 0.05; done";
    let (mut registered, folder) = run(&etcd, &address, &["--stop-timeout", "200ms"], deaf);
    eventually!(folder.path().join("up").exists(), "the command runs");
    registered.signal(Signal::TERM);
    assert_eq!(registered.exited(EXIT).await.code(), Some(128 + 9));
}

#[tokio::test]
async fn one_that_cannot_be_run_is_told_by_the_exit_code() {
    let etcd = Etcd::start().await;
    let (_listener, address) = listening();
    for (command, code) in [("no-such-command", 127), ("/", 126)] {
        let mut registered = register(&etcd.endpoint(), &address, &["--", command]);
        assert_eq!(registered.exited(EXIT).await.code(), Some(code), "{command}");
        assert!(registered.log().says(&["cannot be run", command]));
    }
    assert_eq!(etcd.entries("klineRpc/").await, []);
}

#[tokio::test]
async fn the_owner_file_holds_the_number_that_calls_carry() {
    let etcd = Etcd::start().await;
    let instance = Instance::start(&["BTC_USDT"]).await;
    let gateway = Gateway::builder().etcd(&etcd).start().await;
    let tell = "echo $SYMGATE_OWNER_FILE > $1/path; while :; do sleep 0.05; done";
    let (mut registered, folder) = run(&etcd, &instance.address().to_string(), &[], tell);
    let first = entry(&etcd).await;
    gateway.serving(&["BTC_USDT"]).await;
    let path = text(&folder, "path");
    let file = Path::new(path.trim());
    let owner = || std::fs::read_to_string(file).unwrap_or_default().trim().to_owned();
    eventually!(owner() == first.create_revision.to_string(), "the file says {:?}", owner());
    assert_eq!(instance.seen().last().metadata("symgate-owner"), Some(&*owner()));

    etcd.client().await.lease_revoke(first.lease).await.unwrap();
    let second = another_entry(&etcd, |entry| entry.lease != first.lease).await;
    eventually!(owner() == second.create_revision.to_string(), "the file says {:?}", owner());
    eventually!(
        gateway.client().get_kline(ask("BTC_USDT")).await.is_ok()
            && instance.seen().last().metadata("symgate-owner") == Some(&*owner()),
        "calls carry {:?}",
        instance.seen().last().metadata("symgate-owner")
    );
    registered.signal(Signal::TERM);
    assert_eq!(registered.exited(EXIT).await.code(), Some(128 + 15));
    assert!(!file.parent().unwrap().exists(), "nothing is left behind");
}
