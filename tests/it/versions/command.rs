//! `symgate plugin rollback` and `symgate plugin reload`.

use std::fs;

use symgate_tests::{
    Gateway, Instance, Plugin, RegistryFile, Route, Wasm,
    client::ask,
    eventually,
    gateway::run_in,
    stamp::{A, B, Stamped, version},
    wasm::{bytes, with_fresh_bytes},
};

#[tokio::test]
async fn commands_go_back_and_read_the_file() {
    let wasm = Wasm::of("stamp");
    let stamped = Stamped::start(&wasm.path()).await;
    let gateway = &stamped.gateway;
    let folder = tempfile::tempdir().unwrap();
    let admin = gateway.admin_address().to_string();
    let run = async |what: &str, name: &str| {
        let output = run_in(folder.path(), &["plugin", what, name, "--admin", &admin], &[]).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let first = gateway.plugin_version("stamp").await;
    wasm.write(&version(B));
    eventually!(stamped.decides().await == B, "the new version decides");
    let second = gateway.plugin_version("stamp").await;

    let back = format!("plugin stamp: {first} decides; before: {second}\n");
    assert_eq!(run("rollback", "stamp").await, (Some(0), back));
    assert_eq!(stamped.decides().await, A);
    let (code, said) = run("rollback", "stamp").await;
    assert!(code == Some(1) && said.contains("no earlier version is kept"), "{code:?} {said}");
    let again = format!("plugin stamp: {second} decides; before: {first}\n");
    assert_eq!(run("reload", "stamp").await, (Some(0), again));
    assert_eq!(stamped.decides().await, B);
    let (code, said) = run("reload", "stemp").await;
    assert!(code == Some(1) && said.contains("there is no plugin \"stemp\"; /plugins lists them"), "{code:?} {said}");
    let (code, said) = run("reload", "beside").await;
    assert!(code == Some(1) && said.contains("it is a built-in: there is no file to read"), "{code:?} {said}");
}

#[tokio::test]
async fn what_is_reloaded_has_the_options_of_now() {
    let wasm = Wasm::of("misbehaves");
    let owners = [Instance::start(&["OLD"]).await, Instance::start(&["NEW"]).await];
    let registry = RegistryFile::of(&[("OLD", owners[0].address()), ("NEW", owners[1].address())]);
    let plugin = Plugin::wasm("by-option", &wasm.path()).config("symbol = 'OLD'");
    let route = Route::to("klineRpc").with("extract", "by-option");
    let gateway = Gateway::builder().file(&registry).plugin(plugin).route(route).start().await;
    gateway.serving(&["any"]).await;
    let owner = async || gateway.client().get_kline(ask("any")).await.expect("a call").into_inner().owns.remove(0);
    let now_with = |symbol: &str| {
        let before = fs::read_to_string(gateway.config_path()).unwrap();
        let after = before.lines().map(|line| if line.starts_with("symbol = ") { symbol } else { line });
        fs::write(gateway.config_path(), after.collect::<Vec<_>>().join("\n")).unwrap();
    };
    assert_eq!(owner().await, "OLD");
    let old = gateway.plugin_version("by-option").await;

    now_with("symbol = 'NEW'");
    assert_eq!(owner().await, "OLD", "nothing is read before somebody says so");
    let (status, said) = gateway.admin_post("/plugins/by-option/reload").await;
    let new = gateway.plugin_version("by-option").await;
    assert_eq!((status, said), (200, format!("plugin by-option: {new} decides; before: {old}\n")));
    assert_eq!(owner().await, "NEW");

    now_with("symbol = 5");
    let (status, said) = gateway.admin_post("/plugins/by-option/reload").await;
    assert!(status == 409 && said.contains("it refuses its configuration"), "{status} {said}");
    now_with("symbol = 'NEW");
    let (status, said) = gateway.admin_post("/plugins/by-option/reload").await;
    assert!(status == 409 && said.contains("symgate.toml"), "{status} {said}");
    assert_eq!((owner().await, gateway.plugin_version("by-option").await), ("NEW".into(), new.clone()));

    wasm.write(&with_fresh_bytes(bytes("misbehaves")));
    eventually!(gateway.plugin_version("by-option").await != new, "the file changed");
    assert_eq!(owner().await, "NEW", "it has the options that were read last");
    let (status, said) = gateway.admin_post("/plugins/by-option/rollback").await;
    assert_eq!((status, gateway.plugin_version("by-option").await), (200, new), "{said}");
}
