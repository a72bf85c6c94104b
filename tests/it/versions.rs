//! Which version of a plugin decides: pinned, taken when told, gone back from by an operator or by the gateway itself.

mod automatic;
mod command;

use std::path::Path;

use futures::FutureExt;
use rustix::fs::{Timespec, Timestamps, UTIME_NOW};
use serde_json::{Value, json};
use symgate_tests::{
    Gateway, Plugin, RegistryFile, Route, Wasm,
    client::ask,
    eventually,
    gateway::check,
    load::Load,
    stamp::{A, B, Stamped, version},
    wasm::sha256,
};

/// What `/plugins` says of the plugin.
async fn shown(gateway: &Gateway, name: &str) -> Value {
    let plugins = gateway.plugins().await;
    let plugin = plugins["plugins"].as_array().unwrap().iter().find(|plugin| plugin["name"] == name);
    plugin.expect("the plugin is listed").clone()
}

async fn loads(gateway: &Gateway, outcome: &str) -> u64 {
    counted(gateway, "symgate_plugin_loads_total", &format!("plugin=\"stamp\",outcome=\"{outcome}\"")).await
}

async fn counted(gateway: &Gateway, name: &str, labels: &str) -> u64 {
    gateway.metric(name, labels).await as u64
}

/// Says so to the gateway; what it answers.
async fn told(gateway: &Gateway, what: &str) -> (u16, String) {
    gateway.admin_post(&format!("/plugins/stamp/{what}")).await
}

/// A plugin beside the one that a test is about. What was written before it was seen to change has been looked at, too.
struct Witness(Wasm);

impl Witness {
    fn new() -> Self {
        Self(Wasm::of("least_loaded"))
    }

    fn plugin(&self) -> Plugin {
        Plugin::wasm("least-loaded", &self.0.path())
    }

    /// Waits until the files have been looked at several times since now. Its file becomes one that is refused without
    /// being compiled.
    async fn sees(&self, gateway: &Gateway) {
        let refused = async || counted(gateway, "symgate_plugin_loads_total", "plugin=\"least-loaded\"").await;
        for _ in 0..3 {
            let before = refused().await;
            self.0.write(format!("the look after {before}").as_bytes());
            eventually!(refused().await > before, "the witness is looked at");
        }
    }
}

fn touch(path: &Path) {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let file = std::fs::File::options().append(true).open(path).unwrap();
    rustix::fs::futimens(&file, &Timestamps { last_access: now, last_modification: now }).unwrap();
}

#[tokio::test]
async fn only_the_pinned_file_is_loaded() {
    let (right, wrong) = (version(A), version(B));
    let wasm = Wasm::of("stamp");
    wasm.write(&right);
    let stamped = Stamped::with(&wasm.path(), |plugin| plugin.with("sha256", sha256(&right))).await;
    let gateway = &stamped.gateway;
    let before = gateway.plugin_version("stamp").await;
    assert_eq!(shown(gateway, "stamp").await["sha256"], sha256(&right));

    wasm.write(&wrong);
    eventually!(loads(gateway, "rejected").await >= 1, "another file is rejected");
    let refused = shown(gateway, "stamp").await["refused"]["reason"].to_string();
    assert!(refused.contains(&sha256(&right)) && refused.contains(&sha256(&wrong)), "both hashes: {refused}");
    let (status, text) = told(gateway, "reload").await;
    assert!(status == 409 && text.contains(&sha256(&wrong)), "nor when an operator says so: {status} {text}");
    assert_eq!((gateway.plugin_version("stamp").await, stamped.decides().await), (before, A.into()));

    let output = check("check", &gateway.config_path()).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "no start with another file");
    assert!(said.contains("stamp.wasm") && said.contains(&sha256(&right)) && said.contains(&sha256(&wrong)), "{said}");
    wasm.write(&right);
    eventually!(shown(gateway, "stamp").await["refused"].is_null(), "the right file is there again");
}

#[tokio::test]
async fn a_file_that_waits_for_an_operator_is_not_taken_before() {
    let (wasm, witness) = (Wasm::of("stamp"), Witness::new());
    let stamped = Stamped::beside(&wasm.path(), &witness.plugin(), |plugin| plugin.with("reload", "admin")).await;
    let gateway = &stamped.gateway;
    let before = gateway.plugin_version("stamp").await;
    let bytes = version(B);
    wasm.write(&bytes);
    witness.sees(gateway).await;
    assert_eq!(stamped.decides().await, A, "nobody has said so");

    let (status, text) = told(gateway, "reload").await;
    let after = gateway.plugin_version("stamp").await;
    assert_eq!((status, text), (200, format!("plugin stamp: {after} decides; before: {before}\n")));
    assert_eq!(stamped.decides().await, B, "it decides when the answer comes");
    let audit = ["plugin activated", &before, &after, &sha256(&bytes), "\"by\":\"admin\""];
    assert!(gateway.log().says(&audit), "one line says which, after which, of which file, and by whom");
    assert_eq!(told(gateway, "reload").await, (200, format!("plugin stamp: {after} decides already\n")));
    assert_eq!(loads(gateway, "activated").await, 1);

    wasm.write(b"not Wasm");
    let (status, text) = told(gateway, "reload").await;
    assert!(status == 409 && text.contains("not a WebAssembly file") && text.contains(&after), "{status} {text}");
    std::fs::remove_file(wasm.path()).unwrap();
    let (status, text) = told(gateway, "reload").await;
    assert!(status == 409 && text.contains("cannot read"), "{status} {text}");
    assert_eq!(stamped.decides().await, B);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_goes_back_and_the_file_does_not_come_again_by_itself() {
    let (wasm, witness) = (Wasm::of("stamp"), Witness::new());
    let stamped = Stamped::beside(&wasm.path(), &witness.plugin(), |plugin| plugin).await;
    let gateway = &stamped.gateway;
    let mut load = Load::start(gateway, 4, |mut client, _| {
        async move {
            client.get_kline(ask("any")).await.expect("no call fails for a rollback");
        }
        .boxed()
    });
    let (first, bytes) = (gateway.plugin_version("stamp").await, version(B));
    wasm.write(&bytes);
    eventually!(stamped.decides().await == B, "the new version decides");
    let second = gateway.plugin_version("stamp").await;
    let now = shown(gateway, "stamp").await;
    assert_eq!((&now["active_by"], &now["kept"][0]["version"]), (&json!("file"), &json!(first)));
    load.calls_more(100).await;

    let (status, text) = told(gateway, "rollback").await;
    assert_eq!((status, text), (200, format!("plugin stamp: {first} decides; before: {second}\n")));
    assert_eq!(stamped.decides().await, A, "the version before decides again");
    let now = shown(gateway, "stamp").await;
    assert_eq!((&now["version"], &now["active_by"], &now["kept"]), (&json!(first), &json!("admin"), &json!([])));
    assert_eq!(now["refused"]["version"], json!(second), "what lies on the disk does not decide");
    assert!(gateway.log().says(&["plugin activated", &first, &second, "\"by\":\"admin\""]), "one line says so");
    let labels = "plugin=\"stamp\",by=\"admin\"";
    assert_eq!(counted(gateway, "symgate_plugin_rollbacks_total", labels).await, 1);

    touch(&wasm.path());
    witness.sees(gateway).await;
    std::fs::remove_file(wasm.path()).unwrap();
    eventually!(loads(gateway, "rejected").await >= 1, "the file cannot be read");
    wasm.write(&bytes);
    eventually!(loads(gateway, "rejected").await >= 2, "the same bytes are refused");
    assert_eq!(stamped.decides().await, A, "the same bytes are not taken again");
    let (status, text) = told(gateway, "rollback").await;
    assert!(status == 409 && text.contains("no earlier version is kept"), "{status} {text}");

    let (status, text) = told(gateway, "reload").await;
    assert_eq!((status, text), (200, format!("plugin stamp: {second} decides; before: {first}\n")));
    assert_eq!(stamped.decides().await, B, "when told, they are");
    told(gateway, "rollback").await;
    wasm.write(&version(B));
    eventually!(stamped.decides().await == B, "and other bytes are by themselves");
    load.calls_more(100).await;
    load.stop().await;
}

#[tokio::test]
async fn as_many_versions_are_kept_as_the_configuration_says() {
    let wasm = Wasm::of("stamp");
    let stamped = Stamped::with(&wasm.path(), |plugin| plugin.with("keep_versions", 2)).await;
    let gateway = &stamped.gateway;
    let mut versions = vec![gateway.plugin_version("stamp").await];
    for symbol in [B, A, B] {
        let before = gateway.plugin_version("stamp").await;
        wasm.write(&version(symbol));
        eventually!(gateway.plugin_version("stamp").await != before, "the next version decides");
        versions.push(gateway.plugin_version("stamp").await);
    }
    let kept = shown(gateway, "stamp").await["kept"].clone();
    let kept: Vec<_> = kept.as_array().unwrap().iter().map(|kept| kept["version"].clone()).collect();
    assert_eq!(kept, [json!(versions[2]), json!(versions[1])], "the last first");
    for (status, decides) in [(200, &versions[2]), (200, &versions[1]), (409, &versions[1])] {
        assert_eq!(told(gateway, "rollback").await.0, status);
        assert_eq!(gateway.plugin_version("stamp").await, *decides);
    }
    assert_eq!(stamped.decides().await, B);
}

/// The registry changes hundreds of times; the plugins that decide stay the very ones.
#[tokio::test]
async fn registry_events_never_touch_a_plugin() {
    let wasm = Wasm::of("stamp");
    let registry = RegistryFile::of(&[(A, "127.0.0.1:1".parse().unwrap())]);
    let gateway = Gateway::builder()
        .file(&registry)
        .plugin(Plugin::wasm("stamp", &wasm.path()))
        .route(Route::to("klineRpc").with("extract", "stamp").with("select", "stamp"))
        .start()
        .await;
    gateway.ready().await;
    let compiled = || gateway.log().lines_from(0).iter().filter(|line| line.contains("plugin compiled")).count();
    let (before, begun) = (gateway.plugins().await, compiled());
    for round in 0..50 {
        registry.put(&format!("klineRpc/S{round}/1"), "127.0.0.1:2");
        eventually!(gateway.table().await.to_string().contains(&format!("\"S{round}\"")), "the table follows");
    }
    assert_eq!(gateway.plugins().await, before);
    let loads = counted(&gateway, "symgate_plugin_loads_total", "").await;
    assert_eq!((compiled(), loads), (begun, 0));
}
