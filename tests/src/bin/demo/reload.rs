//! Stays up: builds a plugin whose source was changed and shows each reload.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use serde_json::Value;
use symgate_tests::Gateway;
use tokio::process::Command;

use crate::calls;

/// The plugins of the demo: the package, and what the gateway calls it.
const PLUGINS: [(&str, &str); 2] = [("message-field", "by-symbol"), ("least-loaded", "least-loaded")];

fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Builds a plugin into the folder that it runs from, as the tests' build script did first.
fn build(package: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["rustc", "--quiet", "--package", package, "--crate-type", "cdylib", "--profile", "plugin"]);
    cargo.args(["--target", "wasm32-unknown-unknown", "--target-dir"]).arg(root().join("target/plugins"));
    cargo.current_dir(root()).kill_on_drop(true);
    cargo
}

/// Shows each reload until Ctrl-C.
///
/// # Errors
/// When Ctrl-C cannot be listened for.
pub(crate) async fn show(gateway: &Gateway) -> Result<()> {
    println!("\nThe gateway stays up. Edit plugins/message-field/src/lib.rs or plugins/least-loaded/src/lib.rs: it is");
    println!("built when you save it, and the gateway takes it without dropping a call. Ctrl-C ends the demo.\n");
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended.context("Ctrl-C cannot be listened for"),
        never = tokio::spawn(build_on_change()) => never.context("the builds ended")?,
        never = follow(gateway) => never,
    }
}

async fn build_on_change() -> Result<()> {
    let mut built = newest_source();
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let newest = newest_source();
        if newest > built {
            built = newest;
            println!("a plugin's source changed; building it");
            for (package, _) in PLUGINS {
                // The compiler says by itself what is wrong; the next save tries again.
                let _ = build(package).status().await;
            }
        }
    }
}

/// When a plugin's source was last written.
fn newest_source() -> Option<SystemTime> {
    let written = |path: PathBuf| path.metadata().ok()?.modified().ok();
    PLUGINS
        .iter()
        .filter_map(|(package, _)| std::fs::read_dir(root().join("plugins").join(package).join("src")).ok())
        .flatten()
        .filter_map(|entry| written(entry.ok()?.path()))
        .max()
}

/// Prints what the gateway says of its plugins, new versions and refused ones, and what calls come to then.
async fn follow(gateway: &Gateway) -> Result<()> {
    let mut shown = gateway.log().len();
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let lines = gateway.log().lines_from(shown);
        shown += lines.len();
        let about_plugins: Vec<_> = lines.iter().filter_map(|line| describe(line)).collect();
        for line in &about_plugins {
            println!("{line}");
        }
        if !about_plugins.is_empty()
            && let Err(surprise) = calls::show(gateway).await
        {
            println!("{surprise:#}");
        }
    }
}

/// A line of the log, if it is about a plugin.
fn describe(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let field = |name: &str| line.get(name).and_then(Value::as_str);
    let more =
        ["version", "before", "kept", "reason"].iter().filter_map(|name| Some(format!("{name} {}", field(name)?)));
    let more: Vec<_> = more.collect();
    Some(format!("{}: {} {}", field("plugin")?, field("message")?, more.join(", ")))
}
