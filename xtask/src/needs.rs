//! What a bare machine lacks: the Wasm target and etcd. Added when that is possible, else one sentence says how.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::{
    cargo::{root, run, succeeds},
    say,
};

const WASM: &str = "wasm32-unknown-unknown";

/// The target that plugins are built for. `rust-toolchain.toml` names it, which adds it to a toolchain that is being
/// installed but not to one that is already there.
pub(crate) fn wasm_target() -> Result<()> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", WASM])
        .current_dir(root())
        .output()
        .context("rustc cannot be run")?;
    let folder = String::from_utf8_lossy(&output.stdout);
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    let missing = format!("the Rust target {WASM} is missing; add it with `rustup target add {WASM}`");
    if !succeeds("rustup", &["--version"]) {
        bail!("{missing}, or with the package of your distribution (Debian: libstd-rust-dev-wasm32)");
    }
    run(Command::new("rustup").args(["target", "add", WASM]).current_dir(root())).context(missing)
}

/// An etcd to run: the one that `ETCD` names, one on PATH, or Debian's package.
pub(crate) fn etcd() -> Result<()> {
    let named = std::env::var("ETCD").unwrap_or_else(|_| "etcd".into());
    if succeeds(&named, &["--version"]) {
        return Ok(());
    }
    const MISSING: &str = "etcd is missing: install it (Debian: `apt-get install etcd-server`), put it on PATH, or name \
                           the binary in ETCD";
    let Some(apt) = apt() else { bail!(MISSING) };
    say("etcd is missing; installing Debian's package etcd-server");
    let apt = |arguments: &[&str]| {
        let (program, before) = apt.split_first().context(MISSING)?;
        let mut command = Command::new(program);
        run(command.args(before).args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "-qq"]).context(MISSING)?;
    apt(&["install", "-qq", "--yes", "--no-install-recommends", "etcd-server"]).context(MISSING)?;
    if !succeeds("etcd", &["--version"]) {
        bail!(MISSING);
    }
    Ok(())
}

/// How to run apt-get with the right to install; `None`: there is no way.
fn apt() -> Option<&'static [&'static str]> {
    if !succeeds("apt-get", &["--version"]) {
        return None;
    }
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if root {
        return Some(&["apt-get"]);
    }
    succeeds("sudo", &["-n", "true"]).then_some(&["sudo", "-n", "apt-get"])
}
