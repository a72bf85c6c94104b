//! Compiled plugins outlive the process, and compiling happens outside of it: what that saves, and what happens when the
//! folder, what lies in it, or the compiling process goes wrong.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use symgate::{
    config::{self, Limits},
    plugin::{Host, Rejected},
};
use symgate_tests::{
    Gateway, Wasm, eventually,
    gateway::{Builder, binary},
    stamp::{A, B, Stamped, version},
    wasm::bytes,
};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

/// A usual gateway that keeps compiled plugins in `folder`.
fn keeping_in(folder: &Path) -> Builder {
    Gateway::builder().more(&format!("[code_cache]\nfolder = {:?}", folder.to_str().unwrap()))
}

/// Whether the log has it that the usual plugins were compiled by that one.
fn compiled_by(gateway: &Gateway, whom: &str) -> bool {
    ["by-symbol", "least-loaded"].iter().all(|plugin| gateway.log().says(&["plugin compiled", plugin, whom]))
}

/// The entries of a cache.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let within = |folder: PathBuf| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found = within(folder.join("modules")).flat_map(within);
    found.filter(|path| path.extension().is_none()).collect()
}

#[tokio::test]
async fn a_second_start_finds_what_the_first_one_compiled_and_both_stay_small() {
    let folder = TempDir::new().unwrap();
    for whom in ["a child process", "the cache"] {
        let (_instance, _registry, gateway) = keeping_in(folder.path()).over_one().await;
        assert!(compiled_by(&gateway, whom), "not by {whom}");
        // A build without optimisation takes 24 MiB; with the compiler's leavings it was 94.
        let mib = gateway.rss() / MIB;
        assert!(mib < 40, "{mib} MiB after plugins were compiled by {whom}");
    }
    assert_eq!(entries(folder.path()).len(), 2, "one entry per plugin");
}

#[tokio::test]
async fn a_damaged_entry_is_compiled_again() {
    let folder = TempDir::new().unwrap();
    drop(keeping_in(folder.path()).over_one().await);
    for damage in ["empty", "half", "noise"] {
        for entry in entries(folder.path()) {
            let whole = fs::read(&entry).unwrap();
            let damaged = match damage {
                "empty" => Vec::new(),
                "half" => whole[..whole.len() / 2].to_vec(),
                _ => vec![0xa5; whole.len()],
            };
            fs::write(&entry, damaged).unwrap();
        }
        let (_instance, _registry, gateway) = keeping_in(folder.path()).over_one().await;
        assert!(compiled_by(&gateway, "a child process"), "{damage}");
    }
}

#[tokio::test]
async fn a_folder_that_others_may_write_is_not_used() {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let (_instance, _registry, gateway) = keeping_in(folder.path()).over_one().await;
    assert!(gateway.log().says(&["compiled plugins are not kept", "can be written by others (mode 0777)"]));
    assert!(compiled_by(&gateway, "this process"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left in it");
}

#[tokio::test]
async fn nothing_is_kept_when_the_configuration_says_so() {
    let gateway = Gateway::builder().more("[code_cache]\nfolder = false");
    let (_instance, _registry, gateway) = gateway.over_one().await;
    assert!(compiled_by(&gateway, "this process"));
    assert!(!gateway.log().says(&["not kept"]), "what was asked for is no warning");
}

#[tokio::test]
async fn a_compiler_that_is_killed_is_stood_in_for() {
    let wasm = Wasm::of("stamp");
    let stamped = Stamped::start(&wasm.path()).await;
    let gateway = &stamped.gateway;
    let mut symbol = A;
    // A compilation may be over before it is killed.
    eventually!(in Duration::from_secs(60), {
        symbol = if symbol == A { B } else { A };
        wasm.write(&version(symbol));
        eventually!(gateway.kill_compilers() > 0 || stamped.decides().await == symbol, "nobody compiles {symbol}");
        eventually!(stamped.decides().await == symbol, "the new version decides");
        gateway.log().says(&["the compiler's process was ended by signal 9"])
    }, "no compilation could be killed");
    assert!(gateway.log().says(&["plugin compiled", "stamp", "this process"]));
}

#[tokio::test]
async fn a_compiler_ends_with_its_gateway() {
    let wasm = Wasm::of("stamp");
    let stamped = Stamped::start(&wasm.path()).await;
    let gateway = &stamped.gateway;
    let mut stopped = Vec::new();
    // A compilation may be over before it is stopped.
    eventually!(in Duration::from_secs(60), {
        wasm.write(&version(B));
        let before = gateway.log().len();
        eventually!({
            // A process that stands still cannot see that its input has ended.
            stopped.extend(gateway.stop_compilers());
            !stopped.is_empty() || gateway.log().lines_from(before).iter().any(|line| line.contains("plugin compiled"))
        }, "nobody compiles");
        !stopped.is_empty()
    }, "no compilation could be stopped");
    drop(stamped);
    let gone =
        |process: &PathBuf| !fs::read_to_string(process.join("cmdline")).is_ok_and(|line| line.contains("compile"));
    eventually!(stopped.iter().all(gone), "{stopped:?} is still there");
}

/// Loads the bytes of a file as a plugin.
fn load(host: &Host, bytes: &[u8]) -> Result<(), Rejected> {
    let limits = Limits { time: Duration::from_millis(50), memory: 16 << 20, ..Limits::default() };
    let (name, config) = ("policy".into(), "{}".into());
    let (path, versions, recycle) = (None, config::Versions::default(), config::Recycle::default());
    let plugin = config::Plugin { name, path, builtin: None, config, limits, remember: true, versions, recycle };
    host.load(&plugin, bytes, 0).map(drop)
}

#[test]
fn what_is_refused_is_refused_with_the_same_words_by_both() {
    let folder = TempDir::new().unwrap();
    let (here, apart) = (
        Host::new().unwrap(),
        Host::with_compiler(Some(folder.path()), Some(binary()), config::Sandbox::default()).unwrap(),
    );
    let whole = bytes("metadata_key");
    let files = ["wrong_world", "next_version", "wants_wasi"].map(bytes);
    let broken = [&b""[..], b"(module)", &whole[..1000], b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0\x01"];
    for file in files.iter().map(Vec::as_slice).chain(broken) {
        let reason = |host| load(host, file).expect_err("it is no plugin").0;
        assert_eq!(reason(&apart), reason(&here));
    }
    load(&apart, &whole).expect("a plugin");
    assert!(!entries(folder.path()).is_empty(), "it was compiled apart");
}

#[test]
fn a_program_that_cannot_compile_is_stood_in_for() {
    for program in ["/bin/false", "/bin/true", "/no/such/program"] {
        let folder = TempDir::new().unwrap();
        let host = Host::with_compiler(Some(folder.path()), Some(program.into()), config::Sandbox::default()).unwrap();
        load(&host, &bytes("metadata_key")).unwrap_or_else(|rejected| panic!("{program}: {rejected}"));
    }
}
