//! Plugins in other languages, as `cargo xtask languages` builds them from `plugins/examples`: the real gateway loads each
//! while it serves, and asks it about real calls. All three decide alike, so that one test is all of theirs.

use std::{env, fs, path::Path, time::Duration};

use symgate_tests::{
    Gateway, Instance, Plugin, RegistryFile, Route, Wasm,
    client::{Client, ask, assert_owner, with_metadata},
    eventually,
    eventually::{Clock, pause},
    gateway::{Builder, check},
    wasm::with_fresh_bytes,
};
use tempfile::TempDir;
use toml::Table;

/// Compiling the largest takes half a minute of CPU time, with lowered priority.
const PATIENCE: Duration = Duration::from_secs(300);
const PLUGIN: &str = "by-prefix";

#[tokio::test]
#[ignore = "run by `cargo xtask languages`, which builds the plugin"]
async fn c() {
    decides("c").await;
}

#[tokio::test]
#[ignore = "run by `cargo xtask languages`, which builds the plugin"]
async fn javascript() {
    decides("javascript").await;
}

#[tokio::test]
#[ignore = "run by `cargo xtask languages`, which builds the plugin"]
async fn python() {
    decides("python").await;
}

/// With the default limits.
fn plugin(path: &Path, config: &str) -> Plugin {
    Plugin::wasm(PLUGIN, path).config(config)
}

/// Calls without a symbol go where those of `BTC_USDT` go.
fn gateway(registry: &RegistryFile, plugin: Plugin) -> Builder {
    let btc = Table::from_iter([("symbol".to_owned(), "BTC_USDT".into())]);
    let route = Route::to("klineRpc").with("extract", PLUGIN).with("no_symbol", btc);
    Gateway::builder().file(registry).plugin(plugin).route(route)
}

fn built(language: &str) -> Vec<u8> {
    let folder = env::var("SYMGATE_LANGUAGES").expect("SYMGATE_LANGUAGES names the folder of the built plugins");
    let path = Path::new(&folder).join(language).with_extension("wasm");
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

async fn reaches(client: &mut Client, order: &str, owner: &str) {
    let reply = client.get_kline(with_metadata(ask("an order"), "client-order-id", order)).await;
    assert_owner(reply.unwrap_or_else(|status| panic!("{order}: {status}")).get_ref(), owner);
}

/// The plugin takes over from one in Rust without a failed call, and decides.
async fn decides(language: &str) {
    let (btc, eth) = (Instance::start(&["BTC_USDT"]).await, Instance::start(&["ETH_USDT"]).await);
    let registry = RegistryFile::of(&[("BTC_USDT", btc.address()), ("ETH_USDT", eth.address())]);
    let wasm = Wasm::of("metadata_key");
    let key = "key = \"client-order-id\"";
    let gateway = gateway(&registry, plugin(&wasm.path(), key)).start().await;
    let mut client = gateway.client();
    eventually!(client.get_kline(ask("an order")).await.is_ok(), "the table is read");

    let before = gateway.plugin_version(PLUGIN).await;
    wasm.write(&with_fresh_bytes(built(language)));
    let (clock, mut calls) = (Clock::start(PATIENCE), 0);
    while gateway.plugin_version(PLUGIN).await == before {
        assert!(clock.runs(), "{language} did not take over");
        // For the one it is the symbol, for the other there is none.
        reaches(&mut client, "BTC_USDT", "BTC_USDT").await;
        calls += 1;
        pause().await;
    }
    assert!(calls > 0 && gateway.log().says(&["plugin compiled", PLUGIN, "a child process"]), "after {calls} calls");

    for order in 0..50 {
        reaches(&mut client, &format!("BTC_USDT-{order}"), "BTC_USDT").await;
        reaches(&mut client, &format!("ETH_USDT-{order}-x"), "ETH_USDT").await;
        reaches(&mut client, &format!("-ETH_USDT{order}"), "BTC_USDT").await;
    }
    assert_eq!(gateway.metric("symgate_plugin_failures_total", "").await, 0.0);
    assert!(client.get_kline(ask("an order")).await.is_ok(), "without the key there is no symbol");
    let text = "it refuses its configuration: unknown option `kee`, expected `key`";
    refuses(&registry, plugin(&wasm.path(), "kee = \"x\""), text).await;
    let small = plugin(&wasm.path(), key).with("limits", Table::from_iter([("memory".to_owned(), "64KiB".into())]));
    refuses(&registry, small, "no sandbox can be made: it wanted more than its 65536 bytes of memory").await;
}

/// `symgate check` says so about a gateway with this plugin.
async fn refuses(registry: &RegistryFile, plugin: Plugin, why: &str) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("symgate.toml");
    fs::write(&path, gateway(registry, plugin).text()).unwrap();
    let output = check("check", &path).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(why), "{said}");
}
