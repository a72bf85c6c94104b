//! What a sandbox may use, seen by callers: what goes beyond costs its own call, and the others of that worker no more than
//! its time.

use std::time::{Duration, Instant};

use symgate_tests::{
    Gateway, Instance, Plugin, RegistryFile, Route, Wasm,
    client::{Client, ask, reason, with_metadata, with_symbol},
    eventually,
    wasm::{bytes, folder, with_contract_of},
};
use toml::Value;
use tonic::{Code, Status};

/// An extractor in the text format: what no Rust can do on purpose. It asks for the metadata `misbehave`; the first letter
/// `t` makes it grow its table for ever, `d` makes it call itself 5,000 deep. The symbol is `BTC_USDT`.
const GREEDY: &str = r#"(module
    (memory (export "memory") 1)
    (table $table 1 funcref)
    (global $free (mut i32) (i32.const 4096))
    (data (i32.const 8) "\40\00\00\00\01\00\00\00")
    (data (i32.const 36) "\60\00\00\00\08\00\00\00")
    (data (i32.const 64) "\50\00\00\00\09\00\00\00")
    (data (i32.const 80) "misbehave")
    (data (i32.const 96) "BTC_USDT")
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
        (global.set $free (i32.add (local.get $at) (local.get 3)))
        (local.get $at))
    (func (export "symgate:plugin/extract@0.1.0#init") (param i32 i32) (result i32)
        (global.set $free (i32.const 4096))
        (i32.const 0))
    (func $deep (param $depth i32) (result i32)
        (if (result i32) (i32.eqz (local.get $depth))
            (then (i32.const 0))
            (else (i32.add (i32.const 1) (call $deep (i32.sub (local.get $depth) (i32.const 1)))))))
    (func (export "symgate:plugin/extract@0.1.0#extract") (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
        (local $first i32)
        (global.set $free (i32.const 4096))
        (if (i32.load8_u (local.get 4))
            (then (local.set $first (i32.load8_u (i32.load (i32.add (local.get 4) (i32.const 4)))))))
        (if (i32.eq (local.get $first) (i32.const 116))
            (then (loop $more
                (br_if $more (i32.ne (i32.const -1) (table.grow $table (ref.null func) (i32.const 1000))))
                (unreachable))))
        (if (i32.eq (local.get $first) (i32.const 100))
            (then (drop (call $deep (i32.const 5000)))))
        (i32.const 32)))"#;

struct Limited {
    gateway: Gateway,
    _instance: Instance,
    _registry: RegistryFile,
    _wasm: Wasm,
}

impl Limited {
    async fn start(file: &[u8], limits: &str, more: &str) -> Self {
        let wasm = Wasm::of("misbehaves");
        wasm.write(file);
        let instance = Instance::start(&["BTC_USDT"]).await;
        let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
        let limits: Value = limits.parse::<toml::Table>().unwrap().into();
        let plugin = Plugin::wasm("by-symbol", &wasm.path()).with("limits", limits);
        let builder = Gateway::builder().file(&registry).listen("workers", 1).plugin(plugin).more(more);
        let limited = Self {
            gateway: builder.route(Route::to("klineRpc")).start().await,
            _instance: instance,
            _registry: registry,
            _wasm: wasm,
        };
        let mut client = limited.gateway.client();
        eventually!(good(&mut client).await.is_ok(), "calls that behave go through");
        limited
    }
}

async fn good(client: &mut Client) -> Result<(), Status> {
    client.get_kline(with_symbol(ask("BTC_USDT"), "BTC_USDT")).await.map(drop)
}

async fn bad(client: &mut Client, how: &str) -> Result<(), Status> {
    let mut request = with_metadata(ask("BTC_USDT"), "misbehave", how);
    request.metadata_mut().insert("symbol", "BTC_USDT".parse().unwrap());
    client.get_kline(request).await.map(drop)
}

#[tokio::test]
async fn each_limit_ends_its_call_and_the_next_one_is_fine() {
    let greedy = with_contract_of("misbehaves", &wat::parse_str(GREEDY).unwrap());
    let limits = "time = '5ms'\nmemory = '2MiB'\ntable = 5000";
    let by_text = Limited::start(&greedy, limits, "").await;
    let by_rust = Limited::start(&bytes("misbehaves"), limits, "").await;
    for (limited, how, kind, says) in [
        (&by_text, "table", "table", "wanted more than its 5000 table elements"),
        (&by_rust, "spin", "time", "used more than its 5ms of CPU time"),
        (&by_rust, "bloat", "memory", "wanted more than its 2 MiB of memory"),
        (&by_rust, "recurse", "trap", "trapped: call stack exhausted"),
    ] {
        let mut client = limited.gateway.client();
        for round in 0..2 {
            let status = bad(&mut client, how).await.expect_err(how);
            assert_eq!((status.code(), reason(&status)), (Code::Internal, Some("plugin-failed")), "{how}: {status:?}");
            assert!(status.message().contains(says), "{how}: {status:?}");
            good(&mut client).await.unwrap_or_else(|status| panic!("after {how} {round}: {status:?}"));
        }
        let labels = format!("plugin=\"by-symbol\",reason=\"{kind}\"");
        let counted = limited.gateway.metric("symgate_plugin_failures_total", &labels).await;
        assert!(counted >= 2.0, "{how} is counted as {kind}: {counted}");
    }
}

#[tokio::test]
async fn the_stack_is_as_large_as_the_configuration_says() {
    let greedy = with_contract_of("misbehaves", &wat::parse_str(GREEDY).unwrap());
    for (stack, deep_enough) in [("64KiB", false), ("1MiB", true)] {
        let limited = Limited::start(&greedy, "time = '5ms'", &format!("[sandbox]\nstack = '{stack}'")).await;
        let mut client = limited.gateway.client();
        let answer = bad(&mut client, "deep").await;
        assert_eq!(answer.is_ok(), deep_enough, "{stack}: {answer:?}");
        good(&mut client).await.expect("the next call is fine");
        let by_itself = limited.gateway.log().says(&["compiled by the gateway itself"]);
        assert!(!by_itself, "the compiler apart makes code for this engine, too");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_call_holds_up_its_worker_no_longer_than_its_limit() {
    let limited = Limited::start(&bytes("misbehaves"), "time = '5ms'", "").await;
    let (mut client, mut other) = (limited.gateway.client(), limited.gateway.client());
    let mut delays = Vec::new();
    for _ in 0..30 {
        eventually!(good(&mut other).await.is_ok(), "the plugin is asked");
        let endless = tokio::spawn({
            let mut client = client.clone();
            async move { bad(&mut client, "spin").await }
        });
        let mut longest = Duration::ZERO;
        while !endless.is_finished() {
            let start = Instant::now();
            // It may find that the plugin is cut off, but it is never held up.
            drop(good(&mut other).await);
            longest = longest.max(start.elapsed());
        }
        assert!(endless.await.unwrap().is_err());
        delays.push(longest);
    }
    delays.sort_unstable();
    let (median, worst) = (delays[delays.len() / 2], delays[delays.len() - 1]);
    println!("a call beside an endless one (limit 5 ms) took {median:?} at the median, {worst:?} at most");
    // Far more than the limit: on a starved machine any call takes long.
    assert!(median < Duration::from_secs(1), "held up for {median:?} at the median: {delays:?}");
    eventually!(good(&mut client).await.is_ok(), "the plugin is asked");
}

#[tokio::test]
async fn sandboxes_are_recycled_under_calls_and_made_beforehand() {
    let plugin = Plugin::wasm("by-symbol", &folder().join("misbehaves.wasm"));
    let recycle: Value = "calls = 5".parse::<toml::Table>().unwrap().into();
    let instance = Instance::start(&["BTC_USDT"]).await;
    let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
    let builder = Gateway::builder().file(&registry).listen("workers", 1).plugin(plugin.with("recycle", recycle));
    let gateway = builder.route(Route::to("klineRpc")).start().await;
    let mut client = gateway.client();
    eventually!(good(&mut client).await.is_ok(), "calls go through");
    for call in 0..100 {
        good(&mut client).await.unwrap_or_else(|status| panic!("call {call}: {status:?}"));
    }
    let shown = async || {
        let plugins = gateway.plugins().await;
        let all = plugins["plugins"].as_array().unwrap();
        let plugin = all.iter().find(|plugin| plugin["name"] == "by-symbol").unwrap();
        (plugin["recycled"].as_u64().unwrap(), plugin["spare_sandboxes"].as_u64().unwrap())
    };
    assert!(shown().await.0 >= 20, "one in five calls ends a sandbox");
    // One for the worker, and two to spare.
    eventually!(shown().await.1 == 3, "those that were taken are made again");
}
