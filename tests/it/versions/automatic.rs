//! The gateway goes back by itself from a version that fails in its first minute, and from no other.

use std::time::Duration;

use symgate_tests::{
    Gateway, Instance, Plugin, RegistryFile, Route, Wasm,
    client::{ask, with_metadata},
    eventually,
    wasm::{bytes, with_fresh_bytes},
};
use tonic::{Code, Status};

use super::shown;

/// A gateway whose extractor goes by the metadata `symbol`, until its file is replaced by one that also does what the
/// metadata `misbehave` says.
struct Trial {
    gateway: Gateway,
    wasm: Wasm,
    _instance: Instance,
    _registry: RegistryFile,
}

impl Trial {
    async fn start(keep: i64) -> Self {
        let wasm = Wasm::of("metadata_key");
        let instance = Instance::start(&["BTC_USDT"]).await;
        let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
        let plugin = Plugin::wasm("by-symbol", &wasm.path()).with("keep_versions", keep);
        let gateway = Gateway::builder().file(&registry).plugin(plugin).route(Route::to("klineRpc")).start().await;
        let trial = Self { gateway, wasm, _instance: instance, _registry: registry };
        eventually!(trial.call("").await.is_ok(), "calls go through");
        trial
    }

    async fn call(&self, misbehave: &str) -> Result<(), Status> {
        let mut request = with_metadata(ask("BTC_USDT"), "symbol", "BTC_USDT");
        if !misbehave.is_empty() {
            request.metadata_mut().insert("misbehave", misbehave.parse().unwrap());
        }
        self.gateway.client().get_kline(request).await.map(drop)
    }

    async fn version(&self) -> String {
        self.gateway.plugin_version("by-symbol").await
    }

    /// The file is one that misbehaves; which version that is.
    async fn goes_wrong(&self, bytes: &[u8]) -> String {
        let before = self.version().await;
        self.wasm.write(bytes);
        // It is compiled, if no test before has done so, which takes its time on a busy machine.
        eventually!(in Duration::from_secs(60), self.version().await != before, "the new version decides");
        self.version().await
    }
}

#[tokio::test]
async fn from_a_version_that_fails_and_not_to_it_again() {
    for how in ["trap", "spin", "bloat"] {
        let trial = Trial::start(3).await;
        let (gateway, first, bad) = (&trial.gateway, trial.version().await, bytes("misbehaves"));
        let second = trial.goes_wrong(&bad).await;
        eventually!(
            {
                drop(trial.call(how).await);
                trial.version().await == first
            },
            "{how}: the version before decides again"
        );
        trial.call(how).await.expect("it does not misbehave");
        let now = shown(gateway, "by-symbol").await;
        assert_eq!((&now["active_by"], &now["refused"]["version"]), (&"automatic".into(), &second.clone().into()));
        let why = now["refused"]["reason"].as_str().unwrap();
        assert!(why.contains("it failed ") && why.contains(" times in its first "), "the count that decided: {why}");
        let line = ["plugin activated", &first, &second, "\"by\":\"automatic\""];
        assert!(gateway.log().says(&line), "the log says so");
        let labels = "plugin=\"by-symbol\",by=\"automatic\"";
        eventually!(gateway.metric("symgate_plugin_rollbacks_total", labels).await >= 1.0, "it is counted");

        trial.wasm.write(b"something else");
        let rejected = "plugin=\"by-symbol\",outcome=\"rejected\"";
        eventually!(gateway.metric("symgate_plugin_loads_total", rejected).await >= 1.0, "something else is rejected");
        trial.wasm.write(&bad);
        eventually!(gateway.metric("symgate_plugin_loads_total", rejected).await >= 2.0, "the same bytes are, too");
        assert_eq!(trial.version().await, first);
        let (status, text) = gateway.admin_post("/plugins/by-symbol/reload").await;
        assert_eq!((status, trial.version().await), (200, second), "unless an operator says so: {text}");
    }
}

#[tokio::test]
async fn not_for_a_few_failures_nor_where_nothing_is_kept() {
    let trial = Trial::start(3).await;
    let second = trial.goes_wrong(&bytes("misbehaves")).await;
    for _ in 0..5 {
        assert_eq!(trial.call("trap").await.expect_err("it traps").code(), Code::Internal);
        eventually!(trial.call("").await.is_ok(), "it answers");
    }
    let failures = || async { shown(&trial.gateway, "by-symbol").await["failures"].as_u64().unwrap() };
    assert!((1..10).contains(&failures().await), "too few");

    let nothing = Trial::start(0).await;
    let only = nothing.goes_wrong(&bytes("misbehaves")).await;
    eventually!(
        {
            drop(nothing.call("trap").await);
            // Seconds after the tenth: the pauses between them grow, and control looks meanwhile.
            shown(&nothing.gateway, "by-symbol").await["failures"].as_u64().unwrap() >= 12
        },
        "it fails often"
    );
    assert_eq!((nothing.version().await, trial.version().await), (only, second));
}

#[tokio::test]
async fn past_one_that_never_lasted_its_minute() {
    let trial = Trial::start(3).await;
    let first = trial.version().await;
    trial.goes_wrong(&bytes("misbehaves")).await;
    trial.goes_wrong(&with_fresh_bytes(bytes("misbehaves"))).await;
    eventually!(
        {
            drop(trial.call("trap").await);
            trial.version().await == first
        },
        "the version that did its work decides again"
    );
    trial.call("trap").await.expect("it does not misbehave");
    let labels = "plugin=\"by-symbol\",by=\"automatic\"";
    eventually!(trial.gateway.metric("symgate_plugin_rollbacks_total", labels).await >= 2.0, "it went back twice");
}
