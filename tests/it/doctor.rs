//! `symgate doctor` on a real etcd: what it says of every format and every mistake, to people and to programs, and that it
//! looks and does not touch.

mod looks;

use std::{fs, path::Path};

use etcd_client::{Client, LeaseGrantOptions, Permission, PermissionType, PutOptions};
use serde_json::{Value, json};
use symgate_tests::{Etcd, gateway::run_in};
use tempfile::TempDir;

/// A lease of ten minutes, always of this number, so that keys and texts are the same in every run.
const LEASE: i64 = 0x694d_77aa_9e38_2f06;

/// What came of it.
struct Said {
    code: i32,
    text: String,
    errors: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}{}", self.text, self.errors))
    }
}

/// Runs it in a folder, where it may find a `symgate.toml`.
async fn doctor_in(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
    let output = run_in(folder, &[&["doctor"], arguments].concat(), environment).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("it ends by itself");
    Said { code, text: text(&output.stdout), errors: text(&output.stderr) }
}

/// Runs it on an etcd where there is no configuration.
async fn doctor(etcd: &Etcd, arguments: &[&str]) -> Said {
    let folder = TempDir::new().unwrap();
    doctor_in(folder.path(), &[&["--etcd", &etcd.endpoint()], arguments].concat(), &[]).await
}

/// Writes keys, each with the lease.
async fn put(client: &mut Client, entries: &[(&str, &str)]) {
    for (key, value) in entries {
        let key = key.replace("LEASE", &LEASE.to_string());
        client.put(key, *value, Some(PutOptions::new().with_lease(LEASE))).await.unwrap();
    }
}

async fn etcd() -> (Etcd, Client) {
    let etcd = Etcd::start().await;
    let mut client = etcd.client().await;
    client.lease_grant(600, Some(LeaseGrantOptions::new().with_id(LEASE))).await.unwrap();
    (etcd, client)
}

/// Services in every format, and one of each mistake.
async fn patient() -> (Etcd, Client) {
    let (etcd, mut client) = etcd().await;
    let endpoint = |address: &str, metadata: &str| format!(r#"{{"Op":0,"Addr":"{address}","Metadata":{metadata}}}"#);
    put(
        &mut client,
        &[
            ("klineRpc/BTC_USDT/1", "10.0.0.1:9000"),
            ("klineRpc/BTC_USDT/2", "10.0.0.2:9000"),
            ("klineRpc/ETH_USDT/LEASE", &endpoint("10.0.0.3:9000", r#"{"symbol":"ETH_USDT"}"#)),
            ("klineRpc/ADA_USDT/LEASE", &endpoint("10.0.0.4:9000", "null")),
            ("klineRpc/LEASE", &endpoint("10.0.0.5:9000", r#"{"symbol":"SOL_USDT","zone":"a"}"#)),
            ("accountRpc/LEASE", "10.0.1.1:20002"),
            ("orderRpcDtm_BTC_USDT/LEASE", "10.0.2.1:9000"),
            // The same instance again, as after a restart before the old lease ran out.
            ("klineRpc/BTC_USDT/3", "10.0.0.2:9000"),
            // Mistakes.
            ("klineRpc/BTC_USDT/blank", ""),
            ("klineRpc/ETH_USDT/half", r#"{"Op":0,"Addr":"#),
            ("klineRpc/ETH_USDT/port", "10.0.0.6"),
            ("klineRpc/XRP_USDT/4", "10.0.0.1:9000"),
            ("klineRpc/LTC_USDT/5", &endpoint("10.0.0.7:9000", r#"{"symbol":"LTC"}"#)),
            ("klineRpc/sol-usdt/6", "10.0.0.8:9000"),
            ("klineRpc/7", "10.0.0.9:9000"),
            ("settings/level", "info"),
            ("settings/cache", "cache:6379"),
            ("settings/size", "3"),
        ],
    )
    .await;
    client.put("klineRpc/ADA_USDT/8", "10.0.0.10:9000", None).await.unwrap();
    for symbol in ["ADA_USDT", "BTC_USDT", "DOGE_USDT", "ETH_USDT", "SOL_USDT", "XRP_USDT"] {
        client.put(format!("Symbol/{symbol}"), "", None).await.unwrap();
    }
    (etcd, client)
}

const CONFIG: &str = r#"
[[registry]]
name = "main"
etcd = { endpoints = ["ENDPOINT"] }
networks = ["10.0.0.0/24"]

[[service]]
name = "klineRpc"
expected_symbols = { prefix = "Symbol/" }

[[service]]
name = "orderRpcDtm"
key = "orderRpcDtm_{symbol}/{id}"

[[route]]
match = "/pb.KlineService/"
service = "klineRpc"
extract = { builtin = "metadata-key", key = "symbol" }

[[route]]
match = "/pb.OrderService/"
service = "orderRpcDtm"

[[route]]
match = "/account.AccountService/"
service = "accountRpc"
"#;

/// A folder with the configuration in it.
fn configured(etcd: &Etcd) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("symgate.toml"), CONFIG.replace("ENDPOINT", &etcd.endpoint())).unwrap();
    folder
}

/// A text without what differs from run to run: where etcd is, its version and its revision.
fn stable(text: &str, etcd: &Etcd) -> String {
    let (first, rest) = text.split_once('\n').unwrap();
    let words = first.replace(&etcd.endpoint(), "ENDPOINT");
    let mut words: Vec<_> = words.split(' ').collect();
    words[1] = "VERSION";
    format!("{}\n{rest}", words.join(" "))
}

#[track_caller]
fn assert_golden(said: &Said, etcd: &Etcd, name: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/doctor").join(name);
    let golden = fs::read_to_string(golden).unwrap_or_default();
    let found = stable(&said.text, etcd);
    assert_eq!(found, golden, "tests/it/doctor/{name} says something else than this:\n{found}{}", said.errors);
    assert!(found.lines().all(|line| line.chars().count() <= 100), "a line is too long");
}

#[tokio::test]
async fn of_an_etcd_alone() {
    let (etcd, _) = Box::pin(patient()).await;
    let said = doctor(&etcd, &["--expected", "Symbol/"]).await;
    assert_golden(&said, &etcd, "alone.txt");
    assert_eq!((said.code, &*said.errors), (1, ""));
}

#[tokio::test]
async fn with_a_configuration_at_hand() {
    let (etcd, _) = Box::pin(patient()).await;
    let folder = configured(&etcd);
    let said = doctor_in(folder.path(), &[], &[]).await;
    assert_golden(&said, &etcd, "configured.txt");
    assert_eq!((said.code, &*said.errors), (1, ""));
}

#[tokio::test]
async fn for_programs() {
    let (etcd, mut client) = Box::pin(patient()).await;
    let before = client.get("any", None).await.unwrap().header().unwrap().revision();
    let folder = configured(&etcd);
    let said = doctor_in(folder.path(), &["--json", "--config", "symgate.toml"], &[]).await;
    let report = said.json();
    assert_eq!(said.code, 1);
    assert_eq!(
        (&report["shape"], &report["well"], &report["config"]),
        (&json!(1), &json!(false), &json!("symgate.toml"))
    );
    assert_eq!((&report["etcd"]["endpoint"], &report["etcd"]["revision"]), (&json!(etcd.endpoint()), &json!(before)));

    let service = |name: &str| report["services"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
    let kline = service("klineRpc");
    let formats = json!({"endpoints": 3, "flat": 1, "go-zero": 1, "three-level": 6});
    assert_eq!((&kline["keys"], &kline["formats"]), (&json!(14), &formats));
    assert_eq!(kline["symbols"]["XRP_USDT"], json!(["10.0.0.1:9000"]));
    assert_eq!(kline["symbols"]["ADA_USDT"], json!(["10.0.0.4:9000", "10.0.0.10:9000"]));
    assert_eq!(kline["routes"][0]["match"], "/pb.KlineService/");
    let finding = |service: &Value, kind: &str| {
        let findings = service["findings"].as_array().unwrap().iter().find(|finding| finding["kind"] == kind).cloned();
        findings.unwrap_or_else(|| panic!("nothing of kind {kind} in {service:#}"))
    };
    let of = |kind: &str| {
        let finding = finding(kline, kind);
        let of = finding["cases"].as_array().unwrap().iter().map(|case| case["of"].as_str().unwrap().to_owned());
        (finding["level"].as_str().unwrap().to_owned(), of.collect::<Vec<_>>().join(" "))
    };
    let is = |level: &str, of: &str| (level.to_owned(), of.to_owned());
    let rejected = "klineRpc/BTC_USDT/blank klineRpc/ETH_USDT/half klineRpc/ETH_USDT/port";
    assert_eq!(of("rejected"), is("problem", rejected));
    assert_eq!(of("two-symbols"), is("problem", "klineRpc/BTC_USDT/1"));
    assert_eq!(of("missing"), is("problem", "DOGE_USDT"));
    assert_eq!(of("odd"), is("warning", "klineRpc/LTC_USDT/5"));
    assert_eq!(of("look-alike"), is("warning", "SOL_USDT"));
    assert_eq!(of("no-symbol"), is("warning", "klineRpc/7"));
    assert_eq!(of("no-lease"), is("warning", "klineRpc/ADA_USDT/8"));
    assert_eq!(of("registered-twice"), is("note", "10.0.0.2:9000"));
    assert_eq!(of("unexpected"), is("note", "LTC sol-usdt"));

    let entry = |key: &str| kline["entries"].as_array().unwrap().iter().find(|entry| entry["key"] == key).unwrap();
    let first = entry("klineRpc/BTC_USDT/1");
    assert_eq!((&first["standing"], &first["format"]), (&json!("suspended"), &json!("three-level")));
    assert_eq!((&first["lease"], &first["lease_granted"]), (&json!(format!("{LEASE:x}")), &json!(600)));
    assert!(first["lease_left"].as_i64().unwrap() > 500);
    assert_eq!(entry("klineRpc/BTC_USDT/blank")["standing"], "rejected");
    assert!(entry("klineRpc/ADA_USDT/8")["lease"].is_null());

    assert_eq!(
        finding(service("orderRpcDtm"), "rejected")["cases"][0]["text"],
        "10.0.2.1:9000 is outside the `networks` of its [[registry]]"
    );
    assert_eq!(finding(service("accountRpc"), "route-to-nothing")["cases"][0]["of"], "/account.AccountService/");
    assert_eq!(report["left_out"], json!([{"prefix": "settings/", "keys": 3, "registrations": 1}]));
    let after = client.get("any", None).await.unwrap().header().unwrap().revision();
    assert_eq!(before, after, "it wrote nothing");
}
