//! Has cargo build a plugin's crate: says first which tools are missing and what installs them, then finds what was made.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail};
use serde::Deserialize;

use super::sdk;

/// What plugins are built for.
const TARGET: &str = "wasm32-unknown-unknown";
const RUSTUP: &str = "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh";

/// What a crate is built with.
struct Tools {
    cargo: OsString,
    rustc: OsString,
}

/// The part of cargo's messages that is read.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Builds the crate in a folder; the Wasm files that came of it, or `None` when it does not compile, which cargo said on
/// standard error.
///
/// # Errors
/// When there is no crate, a tool is missing or too old, or the crate makes no Wasm file.
pub fn build(folder: &Path) -> anyhow::Result<Option<Vec<PathBuf>>> {
    let manifest = folder.join("Cargo.toml");
    if !manifest.is_file() {
        bail!("{} is not there; name a crate's folder, or make one with `symgate plugin new`", manifest.display());
    }
    let variable = |name: &str, otherwise: &str| env::var_os(name).unwrap_or_else(|| otherwise.into());
    let tools = Tools { cargo: variable("CARGO", "cargo"), rustc: variable("RUSTC", "rustc") };
    tools.check(folder)?;
    let output = Command::new(&tools.cargo)
        .args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo does not run")?;
    if !output.status.success() {
        return Ok(None);
    }
    let files = made(&String::from_utf8_lossy(&output.stdout), &manifest);
    if files.is_empty() {
        bail!("{} makes no Wasm file; it needs [lib] with crate-type = [\"cdylib\"]", manifest.display());
    }
    Ok(Some(files))
}

impl Tools {
    /// Whether all is there, as seen from a folder, which may have a toolchain of its own.
    fn check(&self, folder: &Path) -> anyhow::Result<()> {
        let mut missing = Vec::new();
        if said(&self.cargo, &["--version"], folder).is_none() {
            missing.push(format!("cargo is not there; with rustc and all else: {RUSTUP}"));
        }
        match said(&self.rustc, &["--version", "--verbose"], folder) {
            None => missing.push(format!("rustc is not there; with cargo and all else: {RUSTUP}")),
            Some(version) => missing.extend(self.lacking(&version, folder)?),
        }
        if missing.is_empty() { Ok(()) } else { bail!("building a plugin needs more:\n  {}", missing.join("\n  ")) }
    }

    /// What a rustc that says this of itself lacks.
    fn lacking(&self, version: &str, folder: &Path) -> anyhow::Result<Vec<String>> {
        let mut lacking = Vec::new();
        let needed = sdk::of_package("rust-version")?;
        let release = version.lines().find_map(|line| line.strip_prefix("release: ")).unwrap_or_default();
        if numbers(release) < numbers(&needed) {
            lacking.push(format!("rustc is {release}, and the SDK needs {needed} or newer: rustup update stable"));
        }
        let library = said(&self.rustc, &["--print", "target-libdir", "--target", TARGET], folder);
        if !library.is_some_and(|library| Path::new(library.trim()).is_dir()) {
            lacking.push(format!("the target {TARGET} is not there: rustup target add {TARGET}"));
        }
        Ok(lacking)
    }
}

/// What a program says; `None` when it cannot be run or fails.
fn said(program: &OsString, arguments: &[&str], folder: &Path) -> Option<String> {
    let output = Command::new(program).args(arguments).current_dir(folder).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first two numbers of a version.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The Wasm files that cargo made: of the crate itself where it is one, else of every crate of the workspace.
fn made(messages: &str, manifest: &Path) -> Vec<PathBuf> {
    let is_wasm = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "wasm");
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let artifacts: Vec<_> = artifacts.filter(|message| message.reason == "compiler-artifact").collect();
    let real = |path: &Path| fs::canonicalize(path).ok();
    let own = |message: &&Message| real(&message.manifest_path) == real(manifest);
    let is_crate = artifacts.iter().any(|message| own(&message));
    let counted = artifacts.iter().filter(|message| !is_crate || own(message));
    counted.flat_map(|message| &message.filenames).filter(|file| is_wasm(file)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program that does what a shell script says.
    fn program(folder: &Path, name: &str, script: &str) -> OsString {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.into()
    }

    #[test]
    fn what_is_missing_is_said_with_what_installs_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let nothing = || OsString::from("/no/such/program");
        let none = Tools { cargo: nothing(), rustc: nothing() }.check(folder).unwrap_err().to_string();
        assert!(none.contains("cargo is not there") && none.contains("rustc is not there"), "{none}");
        assert!(none.contains("https://sh.rustup.rs"), "{none}");

        let cargo = program(folder, "cargo", "exit 0");
        let old = program(folder, "old", "[ $1 = --version ] && echo 'release: 1.80.1' || echo /no/such/folder");
        let both = Tools { cargo: cargo.clone(), rustc: old }.check(folder).unwrap_err().to_string();
        assert!(both.contains("rustc is 1.80.1, and the SDK needs 1.95 or newer: rustup update stable"), "{both}");
        assert!(both.contains("rustup target add wasm32-unknown-unknown"), "{both}");

        let new = program(folder, "new", "[ $1 = --version ] && echo 'release: 1.200.0-nightly' || echo /");
        Tools { cargo, rustc: new }.check(folder).expect("nothing is missing");
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(numbers("1.100.0") > numbers("1.95") && numbers("2.0.0-beta.1") > numbers("1.95"));
        assert!(numbers("1.9.0") < numbers("1.95") && numbers("") < numbers("1.95"));
    }

    #[test]
    fn the_file_of_the_crate_itself_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("Cargo.toml");
        fs::write(&manifest, "").unwrap();
        let artifact = |manifest: &str, file: &str| {
            format!(r#"{{"reason":"compiler-artifact","manifest_path":"{manifest}","filenames":["{file}"]}}"#)
        };
        let own = artifact(manifest.to_str().unwrap(), "/t/own.wasm");
        let other = artifact("/elsewhere/Cargo.toml", "/t/other.wasm");
        let library = artifact("/elsewhere/Cargo.toml", "/t/lib.rlib");
        let noise = r#"{"reason":"build-finished","success":true}"#;
        let messages = [library.as_str(), &other, &own, noise, "no JSON"].join("\n");
        assert_eq!(made(&messages, &manifest), [PathBuf::from("/t/own.wasm")]);
        assert_eq!(made(&[library, other].join("\n"), &manifest), [PathBuf::from("/t/other.wasm")]);
    }
}
