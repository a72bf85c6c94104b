//! Versions that are replaced leave nothing behind.

use std::{env, fs, process::Command, sync::Arc};

use symgate::plugin::Sandboxes;

use super::{Subject, misbehave, symbol};

const VERSIONS: u64 = 50;
/// Measured: a version that is forgotten keeps 330 KiB, and one that is dropped 12.
const SLACK_KIB: u64 = VERSIONS * 80;

/// Set in the process of its own.
const ALONE: &str = "SYMGATE_TEST_ALONE";

#[test]
fn dropped_versions_leave_the_memory_as_it_was() {
    if env::var_os(ALONE).is_some() {
        return load_and_drop_versions();
    }
    // In a process of its own, because the other tests use memory meanwhile.
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "contract::leaks::dropped_versions_leave_the_memory_as_it_was", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

fn load_and_drop_versions() {
    let mut sandboxes = Sandboxes::default();
    for version in 0..10 {
        replace(&mut sandboxes, version);
    }
    let before = resident_kib();
    for version in 0..VERSIONS {
        replace(&mut sandboxes, version);
    }
    let after = resident_kib();
    assert!(after < before + SLACK_KIB, "{before} KiB before, {after} KiB after {VERSIONS} versions");
}

/// A version comes, is asked, spoils a sandbox and goes.
fn replace(sandboxes: &mut Sandboxes, version: u64) {
    // Spaces in the configuration make it another version.
    let plugin =
        Subject::new("misbehaves").config(&format!("{{{}}}", " ".repeat(usize::try_from(version).unwrap()))).load();
    let plugin = Arc::new(plugin);
    assert_eq!(misbehave(sandboxes, &plugin, None).unwrap(), symbol());
    misbehave(sandboxes, &plugin, Some("trap")).unwrap_err();
    assert_eq!(misbehave(sandboxes, &plugin, None).unwrap(), symbol());
    sandboxes.keep(&[Arc::clone(&plugin)]);
    assert_eq!(misbehave(sandboxes, &plugin, None).unwrap(), symbol());
    sandboxes.keep(&[]);
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
