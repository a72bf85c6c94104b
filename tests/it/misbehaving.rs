//! Plugins that misbehave, seen by callers: each costs its own call only, or is refused at the start.

use std::time::Duration;

use futures::FutureExt;
use symgate_tests::{
    Gateway, Instance, Plugin, RegistryFile, Route, Wasm,
    client::{Client, ask, reason, with_metadata, with_symbol},
    load::Load,
    wasm::folder,
};
use tonic::{Code, Status};

/// A gateway whose extractor misbehaves when the call's metadata says how.
async fn misbehaving(route: Route) -> (Instance, RegistryFile, Gateway) {
    let instance = Instance::start(&["BTC_USDT"]).await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    let gateway = Gateway::builder()
        .file(&registry)
        .plugin(Plugin::wasm("by-symbol", &folder().join("misbehaves.wasm")))
        .route(route)
        .start()
        .await;
    let mut client = gateway.client();
    symgate_tests::eventually!(good(&mut client).await.is_ok(), "calls that behave go through");
    (instance, registry, gateway)
}

async fn good(client: &mut Client) -> Result<(), Status> {
    client.get_kline(with_symbol(ask("BTC_USDT"), "BTC_USDT")).await.map(drop)
}

async fn bad(client: &mut Client, how: &str) -> Status {
    let mut request = with_metadata(ask("BTC_USDT"), "misbehave", how);
    request.metadata_mut().insert("symbol", "BTC_USDT".parse().unwrap());
    client.get_kline(request).await.expect_err(how)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_breaks_the_plugin_fails_alone() {
    let (_instance, _registry, gateway) = misbehaving(Route::to("klineRpc")).await;
    let mut client = gateway.client();
    for how in ["trap", "spin", "bloat", "recurse"] {
        let status = bad(&mut client, how).await;
        assert_eq!(status.code(), Code::Internal, "{how}: {status:?}");
        assert!(reason(&status).is_some(), "{how}: {status:?}");
        assert!(status.message().contains("by-symbol"), "{how}: the plugin is named: {status}");
        // A new sandbox may come after a pause, so that a call that kills does not keep the gateway busy.
        symgate_tests::eventually!(good(&mut client).await.is_ok(), "after {how} calls go on");
    }
    let failures = gateway.metric("symgate_plugin_failures_total", "plugin=\"by-symbol\"").await;
    assert!(failures >= 4.0, "{failures} failures are counted");
    let status = bad(&mut client, "reject").await;
    assert_eq!(status.code(), Code::PermissionDenied, "a plugin's own rejection is its own: {status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spinning_call_does_not_hold_up_the_others_for_long() {
    let (_instance, _registry, gateway) = misbehaving(Route::to("klineRpc")).await;
    let mut load = Load::start(&gateway, 2, |mut client, _| {
        async move {
            let call = tokio::time::timeout(Duration::from_secs(10), good(&mut client));
            // It may find that the sandbox is being replaced, but it is never held up.
            drop(call.await.expect("an innocent call ends"));
        }
        .boxed()
    });
    for _ in 0..5 {
        bad(&mut gateway.client(), "spin").await;
        load.calls_more(20).await;
    }
    load.stop().await;
}

#[tokio::test]
async fn the_built_in_decides_when_the_route_says_so() {
    let instance = Instance::start(&["BTC_USDT"]).await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    let gateway = Gateway::builder()
        .file(&registry)
        .plugin(Plugin::wasm("broken", &folder().join("wrong_index.wasm")).with("builtin", "least-loaded"))
        .plugin(Plugin::builtin("by-symbol", "metadata-key").config("key = \"symbol\""))
        .route(Route::to("klineRpc").with("select", "broken").with("on_failure", "builtin"))
        .start()
        .await;
    let mut client = gateway.client();
    symgate_tests::eventually!(good(&mut client).await.is_ok(), "the built-in chooses the instance");
    for _ in 0..20 {
        good(&mut client).await.expect("the built-in chooses the instance");
    }
}

#[tokio::test]
async fn an_index_out_of_range_is_an_internal_error() {
    let instance = Instance::start(&["BTC_USDT"]).await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    let gateway = Gateway::builder()
        .file(&registry)
        .plugin(Plugin::wasm("broken", &folder().join("wrong_index.wasm")))
        .route(Route::to("klineRpc").with("select", "broken"))
        .start()
        .await;
    let mut client = gateway.client();
    symgate_tests::eventually!(
        good(&mut client)
            .await
            .is_err_and(|status| status.code() == Code::Internal && status.message().contains("broken")),
        "the plugin is not named"
    );
    assert_eq!(instance.seen().calls(), 0);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_while_the_old_version_goes_on() {
    let wasm = Wasm::of("message_field");
    let instance = Instance::start(&["BTC_USDT"]).await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    let gateway = Gateway::builder().file(&registry).plugin(Plugin::usual("by-symbol", &wasm.path())).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    let version = gateway.plugin_version("by-symbol").await;
    // Each for another reason: a selector where an extractor is asked for, another contract, WASI, options it refuses.
    for (round, name) in ["wrong_world", "next_version", "wants_wasi", "misbehaves"].into_iter().enumerate() {
        wasm.write(&symgate_tests::wasm::bytes(name));
        let expected = f64::from(u32::try_from(round + 1).unwrap());
        let labels = "plugin=\"by-symbol\",outcome=\"rejected\"";
        symgate_tests::eventually!(
            gateway.metric("symgate_plugin_loads_total", labels).await >= expected,
            "{name} is not refused"
        );
        assert_eq!(gateway.plugin_version("by-symbol").await, version, "{name} does not decide");
        gateway.client().get_kline(ask("BTC_USDT")).await.expect("the old version decides");
    }
}

/// A plugin that fails every call is cut off: calls take the failure path at once, and it is tried again.
#[tokio::test]
async fn a_plugin_that_keeps_failing_is_cut_off_and_tried_again() {
    let instance = Instance::start(&["BTC_USDT"]).await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    let route = |on_failure: &str| Route::to("klineRpc").with("select", "broken").with("on_failure", on_failure);
    let broken = Plugin::wasm("broken", &folder().join("wrong_index.wasm")).with("builtin", "least-loaded");
    for (on_failure, fails) in [("reject", true), ("builtin", false)] {
        let builder = Gateway::builder().file(&registry).listen("workers", 1).plugin(broken.clone());
        let by_symbol = Plugin::builtin("by-symbol", "metadata-key").config("key = \"symbol\"");
        let gateway = builder.plugin(by_symbol).route(route(on_failure)).start().await;
        gateway.ready().await;
        let mut client = gateway.client();
        let cut_off = "plugin=\"broken\",reason=\"cut-off\"";
        symgate_tests::eventually!(
            {
                let answer = good(&mut client).await;
                let unusable = answer.as_ref().is_err_and(|status| status.code() == Code::Unavailable);
                assert!(unusable || answer.is_err() == fails, "{on_failure}: {answer:?}");
                gateway.metric("symgate_plugin_failures_total", cut_off).await >= 3.0
            },
            "{on_failure}: it is cut off"
        );
        let shown = gateway.plugins().await.to_string();
        assert!(shown.contains("\"cut_off_workers\":1"), "{shown}");
        assert!(gateway.metric("symgate_plugin_cut_off", "plugin=\"broken\"").await > 0.5, "it is shown");
        let asked = "plugin=\"broken\",reason=\"contract\"";
        let before = gateway.metric("symgate_plugin_failures_total", asked).await;
        symgate_tests::eventually!(
            {
                drop(good(&mut client).await);
                gateway.metric("symgate_plugin_failures_total", asked).await > before
            },
            "{on_failure}: one call tries it again"
        );
    }
}
