//! Builds the shipped plugins and the fixtures to Wasm, and tells the tests where the files are: `SYMGATE_WASM_DIR`.
//! Writes only below cargo's target folder.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "plugin";

fn main() {
    for input in ["../sdk", "../plugins", "fixtures", "../Cargo.toml", "../Cargo.lock"] {
        println!("cargo::rerun-if-changed={input}");
    }
    match build() {
        Ok(folder) => println!("cargo::rustc-env=SYMGATE_WASM_DIR={}", folder.display()),
        Err(error) => println!("cargo::error={error}"),
    }
}

fn build() -> Result<PathBuf, String> {
    if !has_target().map_err(|error| format!("cannot ask rustc for its targets: {error}"))? {
        return Err(format!("the tests' plugins need a target: rustup target add {TARGET}"));
    }
    let target_dir = target_dir()?;
    for name in [folders("../plugins")?, folders("fixtures")?].concat() {
        build_one(&name, &target_dir)?;
    }
    Ok(target_dir.join(TARGET).join(PROFILE))
}

/// As a Wasm file alone: a crate that is built as a Rust library too gets no link-time optimisation.
fn build_one(name: &str, target_dir: &Path) -> Result<(), String> {
    let mut cargo = Command::new(var("CARGO")?);
    cargo.args(["rustc", "--quiet", "--package", name, "--crate-type", "cdylib"]);
    cargo.args(["--profile", PROFILE, "--target", TARGET, "--target-dir"]).arg(target_dir);
    // Flags and wrappers (clippy's, a sanitizer's, a coverage run's) are meant for the tests, not for the plugins.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("RUSTC") || name.contains("RUSTFLAGS")) {
            cargo.env_remove(name);
        }
    }
    let output = cargo.output().map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        // One directive is one line.
        let lines = String::from_utf8_lossy(&output.stderr).replace('\n', "\ncargo::error=");
        return Err(format!("plugin {name} does not build:\ncargo::error={lines}"));
    }
    Ok(())
}

fn has_target() -> io::Result<bool> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output()?;
    Ok(Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

/// A target folder of its own, or cargo would wait for the lock that the cargo running this holds; beside the others
/// instead of in `OUT_DIR`, so that it outlives a change of flags or profile.
fn target_dir() -> Result<PathBuf, String> {
    let out = PathBuf::from(var("OUT_DIR")?);
    // target/<profile>/build/<package>/out
    out.ancestors()
        .nth(4)
        .map(|target| target.join("plugins"))
        .ok_or_else(|| format!("{} is no OUT_DIR", out.display()))
}

/// The crates in a folder; each has its folder's name.
fn folders(parent: &str) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(parent).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(|error| format!("cannot list {parent}: {error}"))?;
    let crates = entries.into_iter().filter(|entry| entry.path().join("Cargo.toml").is_file());
    let mut names: Vec<_> = crates.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

fn var(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
