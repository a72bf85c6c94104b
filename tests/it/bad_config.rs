//! A gateway that cannot start as configured says what, where and what to do, and ends with an error.

use std::{net::TcpListener, path::Path};

use symgate_tests::{
    Gateway, Instance, Plugin, RegistryFile, Route,
    client::ask,
    eventually,
    gateway::{Builder, check},
};

/// `symgate COMMAND` on this text fails, and says all of these.
async fn refused(command: &str, config: &str, says: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("symgate.toml");
    std::fs::write(&path, config).unwrap();
    let output = check(command, &path).await;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "symgate {command} accepted it:\n{config}\n{text}");
    for expected in says {
        assert!(text.contains(expected), "symgate {command} does not say {expected:?}:\n{text}");
    }
}

fn usual(registry: &RegistryFile) -> Builder {
    Gateway::builder().file(registry)
}

#[tokio::test]
async fn an_unknown_key_is_named_with_its_line() {
    let config = "[listen]\naddress = \"127.0.0.1:0\"\nworker = 2\n";
    for command in ["run", "check"] {
        refused(command, config, &["symgate.toml", "3", "worker", "workers"]).await;
    }
}

#[tokio::test]
async fn a_route_to_a_plugin_that_is_not_there() {
    let config = usual(&RegistryFile::new()).route(Route::to("klineRpc").with("extract", "by-symbl")).text();
    refused("run", &config, &["symgate.toml", "by-symbl"]).await;
}

#[tokio::test]
async fn a_file_that_is_not_there() {
    let output = check("run", Path::new("no-such-symgate.toml")).await;
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-symgate.toml"), "{output:?}");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = usual(&RegistryFile::new()).listen("address", address.clone()).text();
    refused("run", &config, &["[listen]", &address, "in use"]).await;
}

#[tokio::test]
async fn an_admin_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = usual(&RegistryFile::new()).admin("address", address.clone()).text();
    refused("run", &config, &["[admin]", &address, "in use"]).await;
}

#[tokio::test]
async fn a_plugin_file_that_is_missing_at_start() {
    let plugin = Plugin::wasm("by-symbol", Path::new("missing.wasm"));
    let config = usual(&RegistryFile::new()).plugin(plugin).text();
    for command in ["run", "check"] {
        refused(command, &config, &["by-symbol", "missing.wasm"]).await;
    }
}

#[tokio::test]
async fn a_plugin_that_is_not_wasm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("words.wasm");
    std::fs::write(&path, "not Wasm at all").unwrap();
    let config = usual(&RegistryFile::new()).plugin(Plugin::wasm("by-symbol", &path)).text();
    for command in ["run", "check"] {
        refused(command, &config, &["by-symbol", "words.wasm"]).await;
    }
}

#[tokio::test]
async fn check_accepts_what_runs_and_prints_what_it_found() {
    let instance = Instance::start(&["BTC_USDT"]).await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("symgate.toml");
    std::fs::write(&path, usual(&registry).text()).unwrap();
    let output = check("check", &path).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    for expected in ["by-symbol", "least-loaded", "klineRpc"] {
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn a_broken_registry_file_keeps_the_last_table() {
    let instance = Instance::start(&["BTC_USDT"]).await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    let gateway = usual(&registry).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    std::fs::write(registry.path(), "this is = = not TOML").unwrap();
    eventually!(gateway.log().says(&["instances.toml"]), "the log names the file");
    gateway.client().get_kline(ask("BTC_USDT")).await.expect("the last table serves");
    registry.put("klineRpc/ETH_USDT/1", instance.address());
    registry.delete("klineRpc/BTC_USDT/0");
    gateway.serving(&["ETH_USDT"]).await;
}
