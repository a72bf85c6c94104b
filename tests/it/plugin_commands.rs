//! `symgate plugin check`, `test` and `bench` on real Wasm files, and what `new` and `build` refuse: what they say, and
//! what they exit with.

use std::{fs, path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use symgate_tests::{gateway::binary, wasm};
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

/// Far more than one takes: each compiles, here without optimisation, while the tests beside it do, too.
const PATIENCE: Duration = Duration::from_secs(120);

/// What came of it.
struct Said {
    code: i32,
    text: String,
    errors: String,
}

async fn plugin_in(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
    let mut command = Command::new(binary());
    command.arg("plugin").args(arguments).envs(environment.iter().copied()).current_dir(folder);
    let output = timeout(PATIENCE, command.stdin(Stdio::null()).kill_on_drop(true).output()).await;
    let output = output.unwrap_or_else(|_| panic!("symgate plugin {arguments:?} did not end")).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("it ends by itself");
    Said { code, text: text(&output.stdout), errors: text(&output.stderr) }
}

async fn plugin(arguments: &[&str]) -> Said {
    plugin_in(&std::env::temp_dir(), arguments, &[]).await
}

/// A built plugin or fixture.
fn file(name: &str) -> String {
    wasm::folder().join(format!("{name}.wasm")).to_str().unwrap().to_owned()
}

/// A folder with one file in it; the file's path.
fn written(name: &str, content: impl AsRef<[u8]>) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[track_caller]
fn assert_golden(found: &str, name: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/plugin_commands").join(name);
    let golden = fs::read_to_string(golden).unwrap_or_default();
    assert_eq!(found, golden, "tests/it/plugin_commands/{name} says something else than this:\n{found}");
}

/// A text of `check` without what differs between machines and builds.
fn stable(text: &str) -> String {
    let line = |line: &str| {
        let mut words: Vec<_> = line.split(' ').collect();
        let start = line.trim_start();
        if line.contains(".wasm: ") {
            let (_, kind) = line.split_once(", ").unwrap();
            return format!("FILE: SIZE, {kind}\n");
        }
        if start.starts_with("version ") {
            words[3] = "VERSION";
        } else if start.starts_with("compiled in ") {
            words.splice(4.., ["TIME"]);
        } else if start.starts_with("a sandbox has ") {
            words.splice(5..7, ["SIZE"]);
        }
        words.join(" ") + "\n"
    };
    text.lines().map(line).collect()
}

async fn golden_check(name: &str, arguments: &[&str], golden: &str) {
    let said = plugin(&[&["check", &file(name)], arguments].concat()).await;
    assert_eq!((said.code, &*said.errors), (0, ""), "{}", said.text);
    assert_golden(&stable(&said.text), golden);
}

#[tokio::test]
async fn check_says_what_a_file_is() {
    golden_check("metadata_key", &["--config", r#"{"key":"X-Symbol"}"#], "extractor.txt").await;
    golden_check("primary", &[], "selector.txt").await;
    golden_check("both", &[], "both.txt").await;
}

#[tokio::test]
async fn check_says_why_a_file_is_refused() {
    let refused = async |file: &str, options: &[&str], expected: &str| {
        let said = plugin(&[&["check", file], options].concat()).await;
        let last = said.text.lines().last().unwrap_or_default().to_owned();
        assert_eq!((said.code, &*said.errors), (1, ""), "{}", said.text);
        assert!(last.starts_with(&format!("a gateway would refuse it: {expected}")), "{last}");
        said.text
    };
    let wasi = "it imports wasi_snapshot_preview1; symgate gives plugins no WASI: build it for wasm32-unknown-unknown";
    refused(&file("wants_wasi"), &[], wasi).await;
    let foreign = "it exports somebody:other/greeting@1.0.0, which symgate does not know; expected symgate:plugin/";
    refused(&file("wrong_world"), &[], foreign).await;
    let next = "it exports symgate:plugin/extract@0.2.0, this gateway speaks 0.1.0";
    let text = refused(&file("next_version"), &[], next).await;
    assert!(
        text.contains("\n  exports symgate:plugin/extract@0.2.0\n"),
        "what it exports is shown all the same: {text}"
    );
    let options = "it refuses its configuration: unknown field `kee`, expected `key`";
    refused(&file("metadata_key"), &["--config", r#"{"kee":"x"}"#], options).await;
    let (_folder, text) = written("text.wasm", "(module)");
    refused(&text, &[], "not a WebAssembly file: it looks like the text format").await;
    let spins = r#"{"init":"spin"}"#;
    refused(&file("misbehaves"), &["--config", spins], "its init used more than its 5ms of CPU time").await;
}

#[tokio::test]
async fn check_is_for_programs_too() {
    let said = plugin(&["check", &file("both"), "--json"]).await;
    let found: Value = serde_json::from_str(&said.text).unwrap();
    assert_eq!((said.code, &found["shape"], &found["well"]), (0, &json!(1), &json!(true)));
    assert_eq!((&found["kind"], &found["contract"]), (&json!("module"), &json!("0.1.0")));
    assert_eq!(found["exports"], json!(["symgate:plugin/extract@0.1.0", "symgate:plugin/select@0.1.0"]));
    let extract = json!({"path": true, "metadata": ["symbol"], "message": "on-demand", "pure": true});
    assert_eq!(found["extract"], extract);
    assert_eq!((&found["select"]["labels"], &found["select"]["orders"]), (&json!(["zone"]), &json!(true)));
    assert_eq!(found["limits"], json!({"time_us": 5_000, "memory": 16 << 20}));
    assert!(found["size"].as_u64().unwrap() > 1_000 && found["compile_us"].as_u64().unwrap() > 0, "{found:#}");
    assert!(found["sandbox_memory"].as_u64().unwrap() > 1 << 16, "{found:#}");
    assert_eq!((&found["refused"], &found["empty_call"]), (&Value::Null, &Value::Null));

    let traps = plugin(&["check", &file("misbehaves"), "--json", "--config", r#"{"extract":"trap"}"#]).await;
    let found: Value = serde_json::from_str(&traps.text).unwrap();
    assert_eq!((traps.code, &found["well"]), (0, &json!(true)), "it is not refused for what a real call may not show");
    let failure = found["empty_call"].as_str().unwrap();
    assert!(failure.starts_with("trapped: ") && failure.ends_with("trapped as told"), "{failure}");
}

#[tokio::test]
async fn options_come_from_a_configuration() {
    let config = r#"
        [[plugin]]
        name = "by-symbol"
        path = "elsewhere.wasm"
        limits = { time = "20ms", memory = "2MiB" }
        config = { key = "pair" }

        [[route]]
        match = "/pb.KlineService/"
        service = "klineRpc"
        extract = "by-symbol"
    "#;
    let (_folder, config) = written("symgate.toml", config);
    let said = plugin(&["check", &file("metadata_key"), "--config", &config, "--plugin", "by-symbol"]).await;
    assert_eq!(said.code, 0, "{}{}", said.text, said.errors);
    assert!(said.text.contains("asks for metadata pair\n"), "{}", said.text);
    assert!(said.text.contains(" of at most 2 MiB; a call may take 20 ms of CPU\n"), "{}", said.text);

    let other = plugin(&["check", &file("metadata_key"), "--config", &config, "--plugin", "by-pair"]).await;
    assert_eq!((other.code, &*other.text), (2, ""));
    assert!(other.errors.contains("has no plugin \"by-pair\"; there are by-symbol"), "{}", other.errors);
    let which = plugin(&["check", &file("metadata_key"), "--config", &config]).await;
    assert!(which.code == 2 && which.errors.contains("say with --plugin NAME"), "{}", which.errors);
}

#[tokio::test]
async fn what_cannot_be_done_has_an_exit_code_of_its_own() {
    let refused = async |arguments: &[&str], expected: &str| {
        let said = plugin(arguments).await;
        assert_eq!((said.code, &*said.text), (2, ""), "{}", said.errors);
        assert!(said.errors.contains(expected), "{:?} does not say {expected:?}", said.errors);
    };
    refused(&["check", "no/such.wasm"], "no/such.wasm cannot be read: ").await;
    refused(&["check"], "required arguments were not provided").await;
    refused(&["test", &file("primary"), "--cases", "no/such.toml"], "no/such.toml cannot be read: ").await;
    refused(&["new", "by-order", "--kind", "chooser"], "[possible values: extractor, selector, both]").await;
    refused(&["new", "By_Order", "--kind", "both"], "is no name for a plugin: lower-case letters").await;
    refused(&["new", "x", "--kind", "both", "--into", "no/such"], "the folder no/such is not there").await;
    refused(&["build", "no/such"], "no/such/Cargo.toml is not there; name a crate's folder").await;

    let (folder, manifest) = written("Cargo.toml", "");
    let absent = [("CARGO", "/no/cargo"), ("RUSTC", "/no/rustc")];
    let said = plugin_in(folder.path(), &["build"], &absent).await;
    assert_eq!((said.code, &*said.text), (2, ""));
    assert!(said.errors.starts_with("building a plugin needs more:\n  cargo is not there; "), "{}", said.errors);
    assert!(said.errors.contains("sh.rustup.rs"), "{}", said.errors);

    fs::create_dir(folder.path().join("by-order")).unwrap();
    let said = plugin_in(folder.path(), &["new", "by-order", "--kind", "extractor"], &[]).await;
    assert_eq!((said.code, &*said.text), (2, ""), "{manifest}");
    assert!(said.errors.contains("by-order is there already; choose another name"), "{}", said.errors);
}

const CASES: &str = r#"
    [config]
    metadata = "symbol"
    fields = { "/pb.KlineService/GetKline" = [4], "/pb.OrderService/" = [1, 2] }

    [[case]]
    name = "metadata goes first"
    path = "/pb.KlineService/GetKline"
    metadata = { symbol = "BTC_USDT" }
    expect = { symbol = "BTC_USDT" }

    [[case]]
    name = "a message as fields"
    path = "/pb.KlineService/GetKline"
    message = { 1 = "1min", 4 = "ETH_USDT" }
    expect = { symbol = "ETH_USDT" }

    [[case]]
    name = "a nested one, as bytes"
    path = "/pb.OrderService/Place"
    message = "0a 05 12 03 42 54 43"
    expect = { symbol = "BTC" }

    [[case]]
    name = "without a message"
    path = "/pb.OrderService/Place"
    expect = "need-message"

    [[case]]
    name = "a broken message"
    path = "/pb.OrderService/Place"
    message = "ff"
    expect = { reject = "INVALID_ARGUMENT", text = "malformed" }

    [[case]]
    name = "bytes that are no text"
    path = "/pb.KlineService/GetKline"
    metadata = { symbol = { hex = "ff" } }
    expect = { reject = "INVALID_ARGUMENT" }

    [[case]]
    name = "this is not what it says"
    path = "/pb.KlineService/GetKline"
    message = { 4 = "ETH_USDT" }
    expect = { symbol = "BTC_USDT" }

    [[case]]
    name = "neither is this"
    path = "/pb.AccountService/Get"
    expect = { no_symbol = "no such text" }

    [[case]]
    name = "options of its own"
    config = { fields = {} }
    path = "/pb.KlineService/GetKline"
    expect = { no_symbol = "no field is configured" }

    [[case]]
    name = "options that are refused"
    config = { field = {} }
    expect = { refused = "unknown field `field`" }
"#;

#[tokio::test]
async fn cases_are_asked_and_compared() {
    let (_folder, cases) = written("cases.toml", CASES);
    let said = plugin(&["test", &file("message_field"), "--cases", &cases]).await;
    assert_eq!((said.code, &*said.errors), (1, ""));
    assert_golden(&said.text, "cases.txt");
}

/// Of a fixture that does what it is told; each failure spoils only the sandbox of its own case.
const FAILURES: &str = r#"
    limits = { time = "20ms", memory = "4MiB" }

    [[case]]
    name = "it panics"
    metadata = { misbehave = "trap" }
    expect = { fails = "trap", text = "trapped as told" }

    [[case]]
    name = "it never ends"
    metadata = { misbehave = "spin" }
    expect = { fails = "time", text = "20ms" }

    [[case]]
    name = "it wants too much"
    metadata = { misbehave = "bloat" }
    expect = { fails = "memory", text = "4 MiB" }

    [[case]]
    name = "it answers"
    metadata = { misbehave = "count" }
    expect = { symbol = "1" }

    [[case]]
    name = "it answers for the first time again"
    metadata = { misbehave = "count" }
    expect = { symbol = "1" }
"#;

#[tokio::test]
async fn cases_run_within_the_limits_each_in_its_own_sandbox() {
    let (_folder, cases) = written("cases.toml", FAILURES);
    let said = plugin(&["test", &file("misbehaves"), "--cases", &cases]).await;
    assert_eq!(said.code, 0, "{}{}", said.text, said.errors);
    assert!(said.text.ends_with("5 cases, all as expected\n"), "{}", said.text);
}

#[tokio::test]
async fn what_a_plugin_logs_is_shown_on_request() {
    let cases =
        "[[case]]\nname = 'logs'\nmetadata = { misbehave = 'log', symbol = 'BTC' }\nexpect = { symbol = 'BTC' }\n";
    let (folder, cases) = written("cases.toml", cases);
    let arguments = ["test", &file("misbehaves"), "--cases", &cases];
    let silent = plugin_in(folder.path(), &arguments, &[("SYMGATE_LOG", ""), ("RUST_LOG", "")]).await;
    assert_eq!((silent.code, &*silent.errors), (0, ""), "{}", silent.text);
    let told = plugin_in(folder.path(), &arguments, &[("SYMGATE_LOG", "symgate::plugin::lines=debug")]).await;
    assert!(told.code == 0 && told.errors.contains("one line per call, as told"), "{}", told.errors);
}

#[tokio::test]
async fn selectors_have_cases_too() {
    let cases = r#"
        [[case]]
        name = "who registered first"
        candidates = [{ order = 7 }, { order = 3, in_flight = 9 }]
        expect = { candidate = 1 }

        [[case]]
        name = "one of them"
        candidates = [{}, {}]
        expect = { candidate = [0, 1] }
    "#;
    let (_folder, cases) = written("cases.toml", cases);
    let said = plugin(&["test", &file("primary"), "--cases", &cases]).await;
    let expected =
        "ok      who registered first: candidate 1\nok      one of them: candidate 0\n2 cases, all as expected\n";
    assert_eq!((said.code, &*said.text), (0, expected), "{}", said.errors);
}

#[tokio::test]
async fn cases_that_make_no_sense_are_refused_with_their_place() {
    let refused = async |name: &str, cases: &str, expected: &str| {
        let (_folder, cases) = written("cases.toml", cases);
        let said = plugin(&["test", &file(name), "--cases", &cases]).await;
        assert_eq!((said.code, &*said.text), (2, ""), "{}", said.errors);
        assert!(said.errors.contains(expected), "{:?} does not say {expected:?}", said.errors);
    };
    refused("primary", "[[case]]\nname = 'x'\nexpect = 'some'\n", "cases.toml:3:10: `expect` is \"any\", ").await;
    refused("primary", "", "cases.toml has no [[case]]").await;
    let asks = "[[case]]\nname = 'x'\nexpect = 'any'\n";
    refused("primary", asks, "case \"x\" asks for a symbol, and the file finds none; add `candidates`").await;
    let chooses = "[[case]]\nname = 'x'\ncandidates = [{}]\nexpect = { candidate = 0 }\n";
    refused("metadata_key", chooses, "case \"x\" has `candidates`, but the file chooses no instance").await;
    let nobody = "[[case]]\nname = 'x'\ncandidates = []\nexpect = { candidate = 0 }\n";
    refused("primary", nobody, "has 0 candidates; a selector is given 1 to 64").await;
}

/// The columns of figures in a line of the table: nanoseconds, best and median.
fn figures(line: &str) -> Vec<(u64, u64)> {
    let words: Vec<_> = line.split_whitespace().collect();
    let figures = words.windows(3).filter(|words| words[1] == "/");
    figures.filter_map(|words| Some((words[0].parse().ok()?, words[2].parse().ok()?))).collect()
}

#[tokio::test]
async fn bench_measures_what_the_file_decides() {
    let said = plugin(&["bench", &file("both")]).await;
    assert_eq!((said.code, &*said.errors), (0, ""), "{}", said.text);
    let line = |start: &str| {
        let line = said.text.lines().find(|line| line.trim_start().starts_with(start));
        line.unwrap_or_else(|| panic!("no line {start:?} in {}", said.text)).to_owned()
    };
    assert!(line("compiled in ").contains(", read from the cache in "), "{}", said.text);
    assert!(line("a sandbox takes ").ends_with(" of this machine's memory"), "{}", said.text);
    assert!(line("this file").ends_with("built-in metadata-key, least-loaded"), "{}", said.text);
    assert_eq!(figures(&line("which symbol")).len(), 3, "asked, remembered, built-in: {}", said.text);
    assert_eq!(figures(&line("which of 3 instances")).len(), 2, "asked, built-in: {}", said.text);
    assert!(figures(&line("which symbol")).iter().all(|(best, median)| best <= median), "{}", said.text);
}

#[tokio::test]
async fn bench_measures_the_calls_of_cases() {
    let cases = "[[case]]\nname = 'good'\nmetadata = { symbol = 'BTC' }\nexpect = { symbol = 'BTC' }\n\
                 [[case]]\nname = 'bad'\nmetadata = { misbehave = 'trap' }\nexpect = { fails = 'trap' }\n";
    let (_folder, cases) = written("cases.toml", cases);
    let said = plugin(&["bench", &file("misbehaves"), "--cases", &cases]).await;
    assert_eq!((said.code, &*said.errors), (0, ""), "{}", said.text);
    let line = |start: &str| said.text.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
    assert_eq!(figures(&line("good")).len(), 2, "it is not pure, so that nothing is remembered: {}", said.text);
    assert!(line("bad").contains("it trapped: "), "{}", said.text);

    let refused = plugin(&["bench", &file("next_version")]).await;
    assert_eq!(refused.code, 1, "{}", refused.text);
    assert!(refused.text.contains("a gateway would refuse it: "), "{}", refused.text);
}
