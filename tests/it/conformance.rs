//! What RFC 9113 asks of the gateway and lets or forbids its peers, held against the real binary over real sockets.
//! The cases are data: `tests/conformance` holds one file for each, and a README that describes their language.

mod audit;
mod block;
mod inbox;
mod parse;
mod peer;
mod play;
mod script;
mod self_test;
mod stage;
mod wire;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use futures::{StreamExt, stream};

use self::{script::Case, stage::Stage};

/// Cases under way at a time; most of the time of each is spent waiting.
const AT_ONCE: usize = 16;

#[tokio::test]
async fn clients_get_what_the_rfc_says() {
    run("server", AT_ONCE).await;
}

#[tokio::test]
async fn instances_get_what_the_rfc_says() {
    run("client", AT_ONCE).await;
}

#[tokio::test]
async fn calls_pass_from_one_side_to_the_other() {
    run("relay", AT_ONCE).await;
}

#[tokio::test]
async fn hostile_peers_harm_nobody_else() {
    // One at a time: they measure the gateway's memory.
    run("hostile", 1).await;
}

/// Plays the cases of a folder. Those of one configuration share a gateway.
async fn run(folder: &str, at_once: usize) {
    let mut failures = Vec::new();
    let mut groups: BTreeMap<_, Vec<Case>> = BTreeMap::new();
    for (name, path) in files(folder) {
        match parse::parse(&name, &fs::read_to_string(&path).unwrap()) {
            // A case that ends its gateway has one of its own.
            Ok(case) => {
                let alone = play::ends_the_gateway(&case).then(|| name.clone());
                groups.entry((case.role, case.config.clone(), alone)).or_default().push(case);
            }
            Err(broken) => failures.push((name, broken)),
        }
    }
    let mut count = 0;
    for cases in groups.values() {
        let stage = Stage::start(cases).await;
        let played = stream::iter(cases).map(async |case| (case.name.clone(), play::play(&stage, case).await));
        let played: Vec<_> = played.buffer_unordered(at_once).collect().await;
        count += played.len();
        failures.extend(played.into_iter().filter_map(|(name, outcome)| Some((name, outcome.err()?))));
        if failures.is_empty() && !cases.iter().any(play::ends_the_gateway) {
            stage.nothing_left().await;
        }
    }
    failures.sort();
    let failures: Vec<_> = failures.iter().map(|(name, (line, what))| told(name, *line, what)).collect();
    assert!(failures.is_empty(), "{} of {count} cases fail:\n{}", failures.len(), failures.join("\n"));
}

/// A failure with its place in the case and what is said there.
fn told(name: &str, line: usize, what: &str) -> String {
    let text = fs::read_to_string(root().join(name).with_extension("txt")).unwrap_or_default();
    let step = text.lines().nth(line.wrapping_sub(1)).unwrap_or_default().trim();
    format!("tests/conformance/{name}.txt:{line}: {step}: {what}")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance")
}

/// The cases below a folder by name; only those that `SYMGATE_CASE` is part of, if that is set.
fn files(folder: &str) -> Vec<(String, PathBuf)> {
    let root = root();
    let wanted = std::env::var("SYMGATE_CASE").unwrap_or_default();
    let (mut found, mut folders) = (Vec::new(), vec![root.join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            let name = path.with_extension("").strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.contains(&wanted) {
                found.push((name, path));
            }
        }
    }
    found.sort();
    found
}
