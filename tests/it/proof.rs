//! What was decided is recorded and can be decided again: exactly alike by the same file, and otherwise by another one
//! only where that one answers otherwise.

use std::{fs, path::Path, process::Output};

use serde_json::Value;
use symgate_tests::{
    Gateway, Instance, Plugin, RegistryFile, Route, Wasm,
    client::{Client, ask, with_metadata, with_symbol},
    eventually,
    gateway::{Builder, run_in},
    stamp::{A, B, Stamped, version},
    wasm::{bytes, folder},
};

const SYMBOL: &str = "ETH_USDT";
const MESSAGES: &str = "[decisions]\nmessages = true";

/// A gateway in front of three instances that own the symbol, all connected.
async fn gateway(builder: Builder) -> (Vec<Instance>, RegistryFile, Gateway) {
    let mut instances = Vec::new();
    for _ in 0..3 {
        instances.push(Instance::start(&[SYMBOL]).await);
    }
    let owners: Vec<_> = instances.iter().map(|instance| (SYMBOL, instance.address())).collect();
    let registry = RegistryFile::of(&owners);
    let gateway = builder.file(&registry).listen("workers", 2).start().await;
    gateway.ready().await;
    eventually!(gateway.metric("symgate_upstream_connections", "").await == 6.0, "both workers know all instances");
    (instances, registry, gateway)
}

/// Compares a file with what the gateway recorded; `config`: where the plugin is configured.
async fn diff(gateway: &Gateway, file: &Path, plugin: &str, config: &Path, more: &[&str]) -> Output {
    let admin = gateway.admin_address().to_string();
    let (file, config) = (file.to_str().unwrap(), config.to_str().unwrap());
    let from = if more.contains(&"--ring") { vec![] } else { vec!["--admin", &*admin] };
    let line = [&["plugin", "diff", file, "--plugin", plugin, "--config", config], &from[..], more].concat();
    let cache = folder().join("code-cache");
    run_in(&std::env::temp_dir(), &line, &[("CACHE_DIRECTORY", cache.to_str().unwrap())]).await
}

/// Exit code; decisions, changed, unknown.
fn counts(output: &Output) -> (Option<i32>, [u64; 3]) {
    let told: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), ["decisions", "changed", "unknown"].map(|name| told[name].as_u64().expect(name)))
}

/// The configuration of a gateway with another text in it.
fn reconfigured(gateway: &Gateway, old: &str, new: &str) -> tempfile::NamedTempFile {
    let text = fs::read_to_string(gateway.config_path()).unwrap();
    assert!(text.contains(old), "{old:?} is not in {text}");
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    fs::write(file.path(), text.replace(old, new)).unwrap();
    file
}

/// The decisions that are recorded.
async fn recorded(gateway: &Gateway) -> Vec<Value> {
    let (status, lines) = gateway.admin_get("/decisions").await;
    assert_eq!(status, 200, "{lines}");
    lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_shipped_plugin_decides_alike_when_it_is_asked_again() {
    const POLICIES: [(&str, &str); 4] = [
        ("metadata-key", "least-loaded"),
        ("message-field", "rendezvous-hash"),
        ("message-field", "weighted-random"),
        ("metadata-key", "primary"),
    ];
    const CALLS: u64 = 20;
    let fields = "metadata = \"symbol\"\n[fields]\n\"/pb.KlineService/GetKline\" = [4]\n";
    let file = |name: &str| folder().join(format!("{}.wasm", name.replace('-', "_")));
    let mut builder = Gateway::builder().more(MESSAGES);
    for name in ["metadata-key", "message-field", "least-loaded", "rendezvous-hash", "weighted-random", "primary"] {
        let plugin = Plugin::wasm(name, &file(name));
        builder = builder.plugin(if name == "message-field" { plugin.config(fields) } else { plugin });
    }
    for (extract, select) in POLICIES {
        let of = toml::Table::from_iter([("policy".to_owned(), select.into())]);
        builder =
            builder.route(Route::to("klineRpc").with("metadata", of).with("extract", extract).with("select", select));
    }
    let (_instances, _registry, gateway) = gateway(builder).await;
    let calls = POLICIES.iter().flat_map(|(_, select)| (0..CALLS).map(move |call| (select, call)));
    let calls = calls.map(|(select, call)| {
        let mut client = gateway.client();
        async move {
            let mut request = with_metadata(ask(SYMBOL), "policy", select);
            // Without it the symbol is in the message; metadata-key needs it.
            if call % 2 == 0 || ["least-loaded", "primary"].contains(select) {
                request.metadata_mut().insert("symbol", SYMBOL.parse().unwrap());
            }
            client.get_kline(request).await.expect("an instance answers");
        }
    });
    // At once, so that the figures of the candidates differ.
    futures::future::join_all(calls).await;
    let config = gateway.config_path();
    for (name, expected) in [
        ("metadata-key", 2 * CALLS),
        // Half of the calls had to be asked about twice.
        ("message-field", 3 * CALLS),
        ("least-loaded", CALLS),
        ("rendezvous-hash", CALLS),
        ("weighted-random", CALLS),
        ("primary", CALLS),
    ] {
        let output = diff(&gateway, &file(name), name, &config, &["--json"]).await;
        assert_eq!(counts(&output), (Some(0), [expected, 0, 0]), "{name}");
    }
    // By the draw of another policy: not all the same, and in no way unknown.
    let output = diff(&gateway, &file("primary"), "weighted-random", &config, &["--json"]).await;
    let (code, [decisions, _, unknown]) = counts(&output);
    assert_eq!((code, decisions, unknown), (Some(1), CALLS, CALLS), "it asks for orders");
}

async fn by_metadata(client: &mut Client) {
    client.get_kline(with_symbol(ask(SYMBOL), SYMBOL)).await.expect("an instance answers");
}

async fn by_message(client: &mut Client) {
    client.get_kline(ask(SYMBOL)).await.expect("an instance answers");
}

#[tokio::test]
async fn exactly_the_decisions_change_that_must() {
    let (_instances, _registry, gateway) = gateway(Gateway::builder().more(MESSAGES)).await;
    let mut client = gateway.client();
    for _ in 0..7 {
        by_metadata(&mut client).await;
    }
    for _ in 0..5 {
        by_message(&mut client).await;
    }
    let file = folder().join("message_field.wasm");
    // The interval of the k-line, where the symbol was read.
    let other = reconfigured(&gateway, "GetKline\" = [4]", "GetKline\" = [3]");
    let output = diff(&gateway, &file, "by-symbol", other.path(), &["--json"]).await;
    assert_eq!(counts(&output), (Some(1), [7 + 2 * 5, 5, 0]), "those that were read from the message, and no other");
    let told =
        String::from_utf8_lossy(&diff(&gateway, &file, "by-symbol", other.path(), &[]).await.stdout).into_owned();
    for expected in [
        "17 decisions, 5 change (29.4%), 0 unknown (0.0%)",
        "metadata symbol: not there",
        "message hex 1a02316d2208",
        "before  symbol \"ETH_USDT\"",
        "after   symbol \"1m\"",
    ] {
        assert!(told.contains(expected), "{expected:?} is not in\n{told}");
    }

    // What it asks for and nobody recorded is not guessed.
    let other = reconfigured(&gateway, "metadata = \"symbol\"", "metadata = \"pair\"");
    let output = diff(&gateway, &file, "by-symbol", other.path(), &["--json"]).await;
    assert_eq!(counts(&output), (Some(1), [17, 0, 17]));
    let told =
        String::from_utf8_lossy(&diff(&gateway, &file, "by-symbol", other.path(), &[]).await.stdout).into_owned();
    assert!(told.contains("unknown, 17 times: it asks for metadata \"pair\", which was not recorded"), "{told}");
}

#[tokio::test]
async fn what_was_written_down_is_compared_without_a_gateway() {
    let wasm = Wasm::of("stamp");
    let stamped = Stamped::start(&wasm.path()).await;
    for _ in 0..3 {
        stamped.decides().await;
    }
    let gateway = &stamped.gateway;
    let admin = gateway.admin_address().to_string();
    let saved = run_in(&std::env::temp_dir(), &["plugin", "ring", "--admin", &admin], &[]).await;
    let ring = tempfile::NamedTempFile::new().unwrap();
    fs::write(ring.path(), &saved.stdout).unwrap();
    let config = tempfile::NamedTempFile::new().unwrap();
    fs::copy(gateway.config_path(), config.path()).unwrap();
    let lines = String::from_utf8(saved.stdout).unwrap();
    let of = |text: &str| lines.lines().filter(|line| line.contains(text)).count() as u64;
    let (count, with_message, selects) = (of("{"), of("withheld_bytes"), of("\"select\""));
    assert!(with_message >= 3 && selects >= 3 && count == 2 * with_message + selects, "{lines}");

    // It goes on by itself: the file is all that is needed.
    wasm.write(&version(B));
    eventually!(stamped.decides().await == B, "the new version decides");
    let later = recorded(gateway).await;
    assert!(later.iter().any(|decision| decision["current"] == false), "the old version's are there, and marked");
    let other = Wasm::of("stamp");
    other.write(&version(B));
    let output = diff(gateway, &other.path(), "stamp", config.path(), &["--json"]).await;
    let (code, [_, changed, unknown]) = counts(&output);
    assert_eq!((code, changed), (Some(1), 0), "its own decisions are as they were");
    assert!(unknown > 0, "messages were not recorded");
    drop(stamped);

    let path = ring.path().to_str().unwrap().to_owned();
    let config = config.path().to_str().unwrap().to_owned();
    let run = async |wasm: &Wasm| {
        let file = wasm.path();
        let line = ["plugin", "diff", file.to_str().unwrap(), "--ring", &path, "--json", "--config", &config];
        counts(&run_in(&std::env::temp_dir(), &[&line[..], &["--plugin", "stamp"]].concat(), &[]).await)
    };
    let told = [count, selects, with_message];
    assert_eq!(run(&other).await, (Some(1), told), "the selector says another thing each time");
    let same = Wasm::of("stamp");
    same.write(&version(A));
    assert_eq!(run(&same).await, (Some(1), [count, 0, with_message]));
    let wrong = Wasm::of("stamp");
    wrong.write(&bytes("wrong_index"));
    assert_eq!(run(&wrong).await, (Some(1), [count, count, 0]), "it is no extractor, and chooses nobody that is there");
}

#[tokio::test]
async fn a_failure_is_a_change() {
    let plugin = Plugin::wasm("by-symbol", &folder().join("misbehaves.wasm")).config(&format!("symbol = \"{SYMBOL}\""));
    let (_instances, _registry, gateway) = gateway(Gateway::builder().plugin(plugin)).await;
    for _ in 0..3 {
        by_message(&mut gateway.client()).await;
    }
    let file = folder().join("misbehaves.wasm");
    for (word, why) in
        [("trap", "no answer: it trapped: "), ("spin", "no answer: it used more than its 5ms of CPU time")]
    {
        let option = format!("symbol = \"{SYMBOL}\"");
        let other = reconfigured(&gateway, &option, &format!("{option}\nextract = \"{word}\""));
        let output = diff(&gateway, &file, "by-symbol", other.path(), &["--json"]).await;
        assert_eq!(counts(&output), (Some(1), [3, 3, 0]), "{word}");
        let told = diff(&gateway, &file, "by-symbol", other.path(), &[]).await.stdout;
        let told = String::from_utf8_lossy(&told);
        assert!(told.contains("before  symbol \"ETH_USDT\"") && told.contains(why), "{told}");
    }
}

#[tokio::test]
async fn the_record_is_bounded_and_holds_no_message_unless_told_so() {
    let small = Gateway::builder().more("[decisions]\nring = 4");
    let (_instances, _registry, gateway) = gateway(small).await;
    for _ in 0..10 {
        by_message(&mut gateway.client()).await;
    }
    let (_, lines) = gateway.admin_get("/decisions").await;
    assert!(
        [4, 8].contains(&lines.lines().count()) && !lines.contains("\"hex\""),
        "four on each worker that was called: {lines}"
    );
    assert!(lines.contains(r#""message":{"withheld_bytes":"#), "{lines}");
    let last = recorded(&gateway).await.pop().expect("a decision");
    assert_eq!(last["asked"]["select"]["symbol"], SYMBOL);
    assert_eq!(last["asked"]["select"]["candidates"].as_array().map(Vec::len), Some(3));
    let output =
        diff(&gateway, &folder().join("message_field.wasm"), "by-symbol", &gateway.config_path(), &["--json"]).await;
    let (code, [_, changed, unknown]) = counts(&output);
    assert!(code == Some(1) && changed == 0 && unknown > 0, "what was not recorded is not known to stay");
}

#[tokio::test]
async fn nothing_is_recorded_where_nothing_is_to_be() {
    let (_instance, _registry, gateway) = Gateway::builder().more("[decisions]\nring = 0").over_one().await;
    assert_eq!(recorded(&gateway).await, [] as [Value; 0]);
    let output = diff(&gateway, &folder().join("message_field.wasm"), "by-symbol", &gateway.config_path(), &[]).await;
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(2) && why.contains("there is no recorded decision of plugin by-symbol"),
        "{why}"
    );
}

/// Why the newest file was refused.
async fn refused(gateway: &Gateway) -> String {
    eventually!(gateway.plugins().await["plugins"][0]["refused"]["reason"].is_string(), "the new version is refused");
    gateway.plugins().await["plugins"][0]["refused"]["reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_version_that_changes_too_much_never_decides() {
    let wasm = Wasm::of("stamp");
    let plugin = Plugin::wasm("stamp", &wasm.path()).with("max_changed", "0%");
    let stamped = Stamped::of(Gateway::builder().more(MESSAGES), plugin).await;
    for _ in 0..3 {
        assert_eq!(stamped.decides().await, A);
    }
    let before = stamped.gateway.plugin_version("stamp").await;
    wasm.write(&version(B));
    let why = refused(&stamped.gateway).await;
    for expected in
        [" recorded decisions it would change ", "%, and max_changed is 0%; for example {", "withheld_bytes"]
    {
        assert!(why.contains(expected), "{expected:?} is not in {why}");
    }
    assert!(
        why.contains(&format!("\"symbol\":\"{A}\"")) && why.contains(&format!("and now {{\"symbol\":\"{B}\"}}")),
        "{why}"
    );
    assert_eq!(stamped.gateway.plugin_version("stamp").await, before);
    assert_eq!(stamped.decides().await, A, "the old version decides");

    wasm.write(&version(A));
    eventually!(stamped.gateway.plugin_version("stamp").await != before, "a version that says the same is taken");
    assert!(stamped.gateway.log().says(&["recorded decisions made again"]));
    assert_eq!(stamped.decides().await, A);
}

#[tokio::test]
async fn what_cannot_be_proven_does_not_pass() {
    let wasm = Wasm::of("stamp");
    let plugin = Plugin::wasm("stamp", &wasm.path()).with("max_changed", "10%");
    let stamped = Stamped::of(Gateway::builder(), plugin).await;
    stamped.decides().await;
    wasm.write(&version(A));
    let why = refused(&stamped.gateway).await;
    assert!(why.contains("the first message was not recorded; `messages = true` of [decisions] does"), "{why}");
    assert!(why.contains(" it would change 0, and "), "{why}");
}
