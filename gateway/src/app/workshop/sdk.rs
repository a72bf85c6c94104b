//! The SDK, carried along in the program because it is published nowhere: its sources, its contract, and a manifest that
//! stands without this workspace.

use anyhow::Context;
use toml::{Table, Value};

/// What the SDK's keys with `workspace = true` mean.
const WORKSPACE: &str = include_str!("../../../../Cargo.toml");
const MANIFEST: &str = include_str!("../../../../sdk/Cargo.toml");
/// What of the manifest a plugin needs; the rest is for the SDK's own tests.
const NEEDED: [&str; 4] = ["package", "features", "dependencies", "target"];

macro_rules! carried {
    ($($path:literal)*) => { &[$(($path, include_str!(concat!("../../../../sdk/", $path)))),*] };
}

/// Every file of the SDK that a plugin is built from, by its place below `sdk/`.
const FILES: &[(&str, &str)] = carried! {
    "src/call.rs"
    "src/carried.rs"
    "src/carried/fields.rs"
    "src/choice.rs"
    "src/config.rs"
    "src/extract.rs"
    "src/guest.rs"
    "src/guest/extractor.rs"
    "src/guest/selector.rs"
    "src/hash.rs"
    "src/lib.rs"
    "src/log.rs"
    "src/protobuf.rs"
    "src/protobuf/wire.rs"
    "src/select.rs"
    "src/testkit.rs"
    "wit/plugin.wit"
};

/// The files of the SDK as a crate that stands by itself: place and content.
///
/// # Errors
/// When this program was built from manifests that it cannot read.
pub(super) fn vendored() -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut files: Vec<_> = FILES.iter().map(|(place, text)| (*place, (*text).to_owned())).collect();
    files.push(("Cargo.toml", manifest()?));
    files.push(("LICENSE", include_str!("../../../../LICENSE").to_owned()));
    Ok(files)
}

/// What `[workspace.package]` says under a key, e.g. `edition`.
///
/// # Errors
/// As [`vendored`].
pub(super) fn of_package(key: &str) -> anyhow::Result<String> {
    let workspace = workspace()?;
    let value = workspace.get("package").and_then(|package| package.get(key)?.as_str());
    Ok(value.with_context(|| format!("the workspace has no package.{key}"))?.to_owned())
}

fn workspace() -> anyhow::Result<Table> {
    let mut manifest: Table = WORKSPACE.parse().context("the workspace's manifest")?;
    match manifest.remove("workspace") {
        Some(Value::Table(workspace)) => Ok(workspace),
        _ => anyhow::bail!("the workspace's manifest has no [workspace]"),
    }
}

/// The SDK's manifest with what it inherits from the workspace written out.
fn manifest() -> anyhow::Result<String> {
    let workspace = workspace()?;
    let mut manifest: Table = MANIFEST.parse().context("the SDK's manifest")?;
    manifest.retain(|key, _| NEEDED.contains(&key));
    inherit(&mut manifest, &workspace);
    Ok(toml::to_string(&manifest)?)
}

/// Puts what `workspace` says in place of every `workspace = true`, in sections of the same name.
fn inherit(section: &mut Table, workspace: &Table) {
    for (name, value) in section.iter_mut() {
        let Value::Table(inner) = value else { continue };
        match workspace.get(name) {
            Some(Value::Table(said)) => inner.iter_mut().for_each(|(key, value)| inherit_one(key, value, said)),
            // A section per target holds sections of dependencies.
            _ => inherit(inner, workspace),
        }
    }
}

fn inherit_one(key: &str, value: &mut Value, said: &Table) {
    let inherits = value.get("workspace").and_then(Value::as_bool) == Some(true);
    if inherits && let Some(said) = said.get(key) {
        *value = said.clone();
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn sdk() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk"))
    }

    #[test]
    fn no_file_of_the_sdk_is_left_out() {
        let mut there = BTreeSet::new();
        let mut folders = vec![sdk().join("src"), sdk().join("wit")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                // Its own tests need crates that plugins do not.
                let is_test = path.file_stem().is_some_and(|name| name == "tests");
                if path.is_dir() && !is_test {
                    folders.push(path);
                } else if !is_test {
                    there.insert(path.strip_prefix(sdk()).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        let carried: BTreeSet<_> = FILES.iter().map(|(place, _)| (*place).to_owned()).collect();
        assert_eq!(carried, there, "left: FILES of app/workshop/sdk.rs, right: what is in sdk/src and sdk/wit");
    }

    #[test]
    fn the_manifest_stands_by_itself() {
        let text = manifest().unwrap();
        assert!(!text.contains("workspace"), "{text}");
        let manifest: Table = text.parse().unwrap();
        let workspace = workspace().unwrap();
        for key in ["version", "edition", "rust-version", "license"] {
            assert_eq!(manifest["package"][key], workspace["package"][key], "{key}");
        }
        let here = &manifest["target"]["cfg(target_arch = \"wasm32\")"]["dependencies"];
        assert_eq!(here["wit-bindgen"], workspace["dependencies"]["wit-bindgen"]);
        for name in ["serde", "serde_json"] {
            assert_eq!(manifest["dependencies"][name], workspace["dependencies"][name], "{name}");
        }
        assert!(manifest.get("dev-dependencies").is_none(), "the SDK's tests stay here");
    }
}
