//! The architecture, read from the source: floors, sizes, what opens a file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use symgate::config::Config;

/// The floors of the gateway, lowest first. Imports go down; rooms of one floor never import one another, except on the
/// lowest, whose rooms are small foundations.
const FLOORS: [&[&str]; 7] = [
    &["routing", "metrics", "telemetry", "shutdown", "interfaces"],
    &["config"],
    &["plugin", "http2", "tls"],
    &["snapshot", "etcd"],
    &["proxy", "control", "admin", "register"],
    &["app"],
    &["cli", "main", "lib"],
];

/// Lines of a file before its tests.
const LONGEST_FILE: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All Rust files below a folder of the repository.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no sources");
    found
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// The room that a file of the gateway belongs to.
fn room(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("gateway/src")).unwrap();
    let first = inside.components().next().unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// Every room that a piece of code names after `crate::`, also in braces.
fn imports(text: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for (_, rest) in text.match_indices("crate::").map(|(at, found)| text.split_at(at + found.len())) {
        match rest.strip_prefix('{') {
            None => found.push(word(rest)),
            Some(list) => {
                let mut depth = 0;
                let mut item = String::new();
                for c in list.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => found.push(word(std::mem::take(&mut item).trim())),
                        _ if depth == 0 => item.push(c),
                        _ => {}
                    }
                }
                found.push(word(item.trim()));
            }
        }
    }
    found
}

#[test]
fn imports_are_read_from_lists_too() {
    assert_eq!(imports("use crate::config::Route;"), ["config"]);
    assert_eq!(imports("use crate::{\n config::{A, B},\n routing::C,\n};"), ["config", "routing", ""]);
    assert_eq!(imports("crate::metrics::Metrics::new()"), ["metrics"]);
}

#[test]
fn imports_go_down() {
    let mut wrong = Vec::new();
    for (path, text) in sources("gateway/src") {
        let room = room(&path);
        let own = floor(&room).unwrap_or_else(|| panic!("{}: the room {room} has no floor", path.display()));
        for other in imports(&text) {
            let Some(below) = floor(&other) else { continue };
            if other != room && below >= own && own != 0 {
                wrong.push(format!("{}: {room} (floor {own}) imports {other} (floor {below})", path.display()));
            }
            if own == 0 && below > 0 {
                wrong.push(format!("{}: {room} (floor 0) imports {other} (floor {below})", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn routing_is_pure() {
    for (path, text) in sources("gateway/src/routing") {
        for absent in ["tokio", "wasmtime", "std::net::Tcp", "std::fs", "Instant::now", "SystemTime", "hyper"] {
            assert!(!text.contains(absent), "{}: routing knows no {absent}", path.display());
        }
    }
}

#[test]
fn files_are_short_open_with_their_purpose_and_are_not_called_mod() {
    let mut wrong = Vec::new();
    for folder in ["gateway/src", "sdk/src", "plugins", "proto/src", "tests", "xtask/src"] {
        for (path, text) in sources(folder) {
            let lines = text.split("\n#[cfg(test)]").next().unwrap_or(&text).lines().count();
            if lines > LONGEST_FILE {
                wrong.push(format!("{}: {lines} lines before its tests, {LONGEST_FILE} are allowed", path.display()));
            }
            if !text.starts_with("//!") {
                wrong.push(format!("{}: does not open with //!", path.display()));
            }
            if path.ends_with("mod.rs") {
                wrong.push(format!("{}: belongs beside its folder under the folder's name", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_example_configuration_is_valid() {
    let path = root().join("symgate.example.toml");
    Config::read(&path).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_readme_shows_what_works() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let plugin = fs::read_to_string(root().join("sdk/examples/by_order_prefix.rs")).unwrap();
    assert!(readme.contains(plugin.trim_end()), "README.md shows another plugin than sdk/examples/by_order_prefix.rs");

    let (_, from_config) = readme.split_once("```toml\n   [listen]").expect("the configuration of the README");
    let (config, _) = from_config.split_once("```").unwrap();
    let config = format!("[listen]{}", config.replace("\n   ", "\n"));
    Config::parse(&config, "README.md", Path::new("")).unwrap();
}

#[test]
fn the_readme_s_table_has_every_shipped_plugin_with_its_options() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (mut plugins, mut wrong) = (0, Vec::new());
    for (path, text) in sources("plugins").into_iter().filter(|(path, _)| path.ends_with("src/lib.rs")) {
        let link = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let row = readme.lines().find(|line| line.starts_with("| [`") && line.contains(&link)).unwrap_or_default();
        let options = text.lines().filter_map(|line| line.strip_prefix("//! | `")?.split_once('`'));
        wrong.extend(row.is_empty().then(|| format!("README.md has no row with {link}")));
        wrong.extend(
            options
                .filter(|(option, _)| !row.contains(&format!("`{option}`")))
                .map(|(option, _)| format!("{link}: the row does not name the option {option}")),
        );
        plugins += 1;
    }
    assert!(plugins > 0 && wrong.is_empty(), "{plugins} plugins: {}", wrong.join("\n"));
}
