//! What somebody does who writes a plugin for the first time, with each kind: a new crate, its native tests, the build, a
//! look at the file, its cases, and a gateway's configuration that uses it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use symgate_tests::{gateway::binary, wasm};

/// Where the crates and what cargo makes of them are, below cargo's target folder: what the second one builds is what the
/// first one has built, and so is that of the next run.
fn workplace() -> PathBuf {
    wasm::folder().join("author")
}

fn ran(command: &mut Command) -> Output {
    // The flags of this test's own build are not meant for the plugin, and all that it needs is there.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_TARGET_DIR").env("CARGO_NET_OFFLINE", "true");
    command.env("CACHE_DIRECTORY", workplace().join("code-cache"));
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs it in a folder; what it printed, on both outputs.
#[track_caller]
fn done(program: &Path, arguments: &[&str], folder: &Path) -> String {
    let output = ran(Command::new(program).args(arguments).current_dir(folder));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?} ended with {}:\n{text}", output.status);
    text
}

/// The program `cargo`.
fn cargo() -> PathBuf {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()).into()
}

#[track_caller]
fn write_one(name: &str, kind: &str) {
    let crates = workplace().join("crates");
    let folder = crates.join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&crates).unwrap();
    // As anywhere else: the one of this repository, which the folder may be in, is not for new crates.
    fs::write(crates.join("rustfmt.toml"), "").unwrap();
    fs::create_dir_all(workplace().join("target")).unwrap();

    let said = done(&binary(), &["plugin", "new", name, "--kind", kind], &crates);
    assert!(said.contains("symgate plugin build"), "it says what to do next: {said}");
    std::os::unix::fs::symlink(workplace().join("target"), folder.join("target")).unwrap();

    done(&cargo(), &["fmt", "--check"], &folder);
    let tested = done(&cargo(), &["test"], &folder);
    assert!(tested.contains("test result: ok. 3 passed"), "{tested}");
    assert!(!tested.contains("warning"), "a new crate builds without warnings:\n{tested}");

    let file = format!("target/wasm32-unknown-unknown/release/{}.wasm", name.replace('-', "_"));
    let built = done(&binary(), &["plugin", "build"], &folder);
    assert!(built.contains(&format!("{file}: ")) && built.contains("\nall is well\n"), "{built}");
    assert!(!built.contains("warning"), "{built}");

    let symgate = |arguments: &[&str]| done(&binary(), arguments, &folder);
    let checked = symgate(&["plugin", "check", &file, "--config", "symgate.toml", "--plugin", name]);
    assert!(checked.ends_with("all is well\n"), "{checked}");
    let tested = symgate(&["plugin", "test", &file, "--cases", "cases.toml"]);
    assert!(tested.ends_with("5 cases, all as expected\n"), "{tested}");
    let checked = symgate(&["check"]);
    assert!(checked.contains(&format!("plugin {name}: version ")), "{checked}");
    assert!(checked.contains("service orderRpc in registry main: 2 symbols, 3 instances"), "{checked}");
    assert!(checked.ends_with("symgate.toml: ok\n"), "{checked}");
}

#[test]
fn a_first_plugin_of_each_kind() {
    write_one("by-order", "extractor");
    write_one("near", "selector");
    write_one("by-user", "both");
    it_does_not_build();
}

/// The last one, with a mistake in it.
fn it_does_not_build() {
    let folder = workplace().join("crates/by-user");
    let code = folder.join("src/lib.rs");
    fs::write(&code, fs::read_to_string(&code).unwrap().replace("-> extract::Outcome {", "-> u8 {")).unwrap();
    let output = ran(Command::new(binary()).args(["plugin", "build"]).arg(&folder));
    assert_eq!(output.status.code(), Some(1), "it is the plugin that is wrong");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "it does not build; cargo says why\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("error[E0053]"), "cargo says why");
}
