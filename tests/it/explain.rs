//! `symgate explain`: what would become of a call, told by a running gateway and by a configuration. It is the decision of
//! a real call, and no call: nothing is sent, nothing is counted.

use std::process::Output;

use serde_json::Value;
use symgate_tests::{
    Gateway, Instance, RegistryFile, Route,
    client::{ask, reason},
    eventually,
    gateway::run_in,
};

const SYMBOL: &str = "BTC_USDT";
const PATH: &str = "/pb.KlineService/GetKline";

/// Two instances of the symbol, behind one worker that is connected to both.
async fn gateway(route: Route) -> ([Instance; 2], RegistryFile, Gateway) {
    let instances = [Instance::start(&[SYMBOL]).await, Instance::start(&[SYMBOL]).await];
    let registry = RegistryFile::of(&[(SYMBOL, instances[0].address()), (SYMBOL, instances[1].address())]);
    let gateway = Gateway::builder().file(&registry).route(route).listen("workers", 1).start().await;
    gateway.serving(&[SYMBOL]).await;
    eventually!(gateway.metric("symgate_upstream_connections", "").await == 2.0, "both are connected");
    (instances, registry, gateway)
}

async fn explain(gateway: &Gateway, arguments: &[&str]) -> Output {
    let admin = gateway.admin_address().to_string();
    let line = [&["explain", "--admin", &admin, "--path", PATH], arguments].concat();
    run_in(&std::env::temp_dir(), &line, &[]).await
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What must stay as it is.
async fn counted(gateway: &Gateway, instances: &[Instance]) -> (Vec<f64>, Vec<u64>) {
    let mut counts = Vec::new();
    for name in
        ["calls_total", "decisions_total", "decisions_remembered_total", "retries_total", "route_calls_in_flight"]
    {
        counts.push(gateway.metric(&format!("symgate_{name}"), "").await);
    }
    (counts, instances.iter().map(|instance| instance.seen().calls()).collect())
}

#[tokio::test]
async fn a_call_is_explained_from_its_route_to_its_instance() {
    let (instances, _registry, gateway) = gateway(Route::to("klineRpc").with("max_in_flight", 7)).await;
    let before = counted(&gateway, &instances).await;
    let output = explain(&gateway, &["-H", "symbol=BTC_USDT"]).await;
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let (extractor, selector) =
        (gateway.plugin_version("by-symbol").await, gateway.plugin_version("least-loaded").await);
    let [one, other] = [instances[0].address(), instances[1].address()];
    for expected in [
        "as worker 0 sees it now",
        "route /pb.KlineService/ to service klineRpc, registry main",
        &format!("extractor by-symbol, version {extractor}: asked, answered in "),
        &format!("given  path {PATH}"),
        "given  metadata symbol: \"BTC_USDT\"",
        "says   symbol \"BTC_USDT\"",
        "the call belongs to symbol \"BTC_USDT\"",
        "2 instances known",
        &format!(": {one}, ready, connections 1, weight 1, in flight 0, latency "),
        &format!(": {other}, ready, connections 1, weight 1, in flight 0, latency "),
        &format!("selector least-loaded, version {selector}: asked, answered in "),
        "given  candidate 1: weight 1, in flight 0, latency ",
        "the call would go to 127.0.0.1:",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    // The selector did not ask for the symbol, so that it is not given it.
    assert!(!text.contains("given  symbol"), "{text}");
    assert_eq!(counted(&gateway, &instances).await, before, "an explanation is no call");
    assert!(self::text(&explain(&gateway, &["-H", "symbol=BTC_USDT"]).await).contains("remembered, found in"));
}

#[tokio::test]
async fn the_first_message_is_given_where_it_is_needed() {
    let (_instances, _registry, gateway) = gateway(Route::to("klineRpc")).await;
    let without = explain(&gateway, &[]).await;
    assert_eq!(without.status.code(), Some(1), "{}", text(&without));
    assert!(text(&without).contains("it needs the first message") && text(&without).contains("give it with --message"));

    let message = format!("2208{}", SYMBOL.bytes().map(|byte| format!("{byte:02x}")).collect::<String>());
    let output = explain(&gateway, &["--message", &message, "--json"]).await;
    let told: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let asked = told["asked"].as_array().expect("who was asked");
    let outcome = |at: usize| &asked[at]["asked"]["decision"]["outcome"];
    assert_eq!((asked.len(), outcome(0)["symbol"].as_str(), outcome(1)["symbol"].as_str()), (3, None, Some(SYMBOL)));
    assert_eq!(asked[1]["asked"]["decision"]["asked"]["extract"]["message"]["hex"], *message);
    let place = outcome(2)["candidate"].as_u64().expect("a candidate");
    let goes = told["comes_to"]["instance"]["address"].as_str().expect("an instance");
    assert_eq!(told["instances"][place as usize]["address"], goes);
}

#[tokio::test]
async fn a_call_without_a_place_is_explained_as_it_would_end() {
    let (_instances, _registry, gateway) = gateway(Route::to("klineRpc")).await;
    let check = async |arguments: &[&str], expected: &str| {
        let output = explain(&gateway, arguments).await;
        assert!(output.status.code() == Some(1) && text(&output).contains(expected), "{}", text(&output));
    };
    check(&["-H", "symbol=DOGE"], "would end with NOT_FOUND (unknown-symbol): symbol \"DOGE\" was never registered")
        .await;
    check(&["-H", "symbol=A", "-H", "symbol=B"], "would end with INVALID_ARGUMENT (ambiguous-metadata): ").await;
    // As a real call is told.
    let ended = gateway.client().get_kline(ask("DOGE")).await.expect_err("nobody owns it");
    assert_eq!(reason(&ended), Some("unknown-symbol"));
    let output = run_in(
        &std::env::temp_dir(),
        &["explain", "--path", "/no.Service/Method", "--admin", &gateway.admin_address().to_string()],
        &[],
    )
    .await;
    assert!(text(&output).contains("would end with UNIMPLEMENTED (no-route)"), "{}", text(&output));
}

#[tokio::test]
async fn an_instance_that_is_lost_is_no_candidate() {
    let ([mut lost, stays], _registry, gateway) = gateway(Route::to("klineRpc")).await;
    let address = lost.address();
    lost.stop();
    eventually!(gateway.metric("symgate_upstream_connections", "").await == 1.0, "one is lost");
    let told = text(&explain(&gateway, &["-H", "symbol=BTC_USDT"]).await);
    assert!(told.contains(&format!("candidate 0: {}, ready", stays.address())), "{told}");
    assert!(told.contains(&format!("no candidate: {address}, ")), "{told}");
    assert!(
        told.contains("selector least-loaded, version ") && told.contains("not asked, there is one candidate"),
        "{told}"
    );
}

#[tokio::test]
async fn a_configuration_is_asked_without_a_gateway() {
    let (instances, _registry, gateway) = gateway(Route::to("klineRpc")).await;
    let config = gateway.config_path();
    let line = ["explain", "--config", config.to_str().unwrap(), "--path", PATH, "-H", "symbol=BTC_USDT"];
    let cache = symgate_tests::wasm::folder().join("code-cache");
    let output = run_in(&std::env::temp_dir(), &line, &[("CACHE_DIRECTORY", cache.to_str().unwrap())]).await;
    let told = text(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("has just started and is connected to nobody"), "{told}");
    for instance in &instances {
        assert!(told.contains(&format!(": {}, not connected, connections 0", instance.address())), "{told}");
    }
    let version = gateway.plugin_version("by-symbol").await;
    assert!(told.contains(&format!("extractor by-symbol, version {version}")), "{told}");
}

#[tokio::test]
async fn the_authority_and_the_worker_count_as_they_do_for_calls() {
    let instances = [Instance::start(&[SYMBOL]).await, Instance::start(&[SYMBOL]).await];
    let registry = RegistryFile::of(&[(SYMBOL, instances[0].address()), (SYMBOL, instances[1].address())]);
    let special = Route::to("orderRpc").with("authority", "orders.internal");
    let builder = Gateway::builder().file(&registry).route(special).route(Route::to("klineRpc"));
    let gateway = builder.listen("workers", 2).start().await;
    eventually!(gateway.metric("symgate_upstream_connections", "").await == 4.0, "both workers know both");
    let call = ["-H", "symbol=BTC_USDT", "--worker", "1"];
    let told = text(&explain(&gateway, &call).await);
    assert!(told.contains("as worker 1 sees it now") && told.contains("to service klineRpc"), "{told}");
    assert!(told.matches(", ready, connections 2, ").count() == 2, "{told}");
    let told = text(&explain(&gateway, &[&call[..], &["--authority", "orders.internal"]].concat()).await);
    assert!(told.contains("to service orderRpc") && told.contains("(unknown-symbol)"), "{told}");
}

#[tokio::test]
async fn what_cannot_be_told_says_why() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = run_in(&std::env::temp_dir(), &["explain", "--path", PATH, "--admin", &nobody], &[]).await;
    assert!(output.status.code() == Some(2), "{}", text(&output));
    assert!(text(&output).starts_with(&format!("no gateway answers at {nobody}: ")), "{}", text(&output));
    let (_instance, _registry, gateway) = Gateway::builder().listen("workers", 1).over_one().await;
    let output = explain(&gateway, &["--worker", "9"]).await;
    assert!(
        output.status.code() == Some(2) && text(&output).contains("there is no worker 9; there are 1"),
        "{}",
        text(&output)
    );
    let output = explain(&gateway, &["-H", "no key=x"]).await;
    assert!(text(&output).contains("is no metadata key"), "{}", text(&output));
}
