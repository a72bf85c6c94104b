//! Versions, built-ins and inputs; what needs a real Wasm file is in the contract suite of the integration tests.

use std::path::PathBuf;

use super::*;
use crate::config::{Builtin, Limits};

/// Limits that a starved test machine does not reach by itself.
const LIMITS: Limits = Limits { time: Duration::from_millis(50), memory: 16 << 20, table: 10_000 };

fn plugin(builtin: Builtin, config: &str) -> config::Plugin {
    config::Plugin {
        name: "policy".into(),
        path: Some(PathBuf::from("policy.wasm")),
        builtin: Some(builtin),
        config: config.into(),
        limits: LIMITS,
        remember: true,
        versions: config::Versions::default(),
        recycle: config::Recycle::default(),
    }
}

#[test]
fn a_version_is_code_configuration_and_limits() {
    let plugin = plugin(Builtin::LeastLoaded, "{}");
    let first = version(&plugin, b"code");
    assert!(first.len() == 12 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    assert_eq!(first, version(&plugin, b"code"));
    assert_ne!(first, version(&plugin, b"other code"));
    assert_ne!(first, version(&config::Plugin { config: "{ }".into(), ..plugin.clone() }, b"code"));
    let limits = Limits { memory: 32 << 20, ..LIMITS };
    assert_ne!(first, version(&config::Plugin { limits, ..plugin.clone() }, b"code"));
    let limits = Limits { table: 20_000, ..LIMITS };
    assert_ne!(first, version(&config::Plugin { limits, ..plugin }, b"code"));
}

#[test]
fn a_builtin_answers_without_a_sandbox() {
    let plugin = Host::builtin(&plugin(Builtin::LeastLoaded, "{}")).unwrap();
    assert!(plugin.version().starts_with("builtin-"), "{}", plugin.version());
    assert!(plugin.select_inputs().is_some() && plugin.extract_inputs().is_none() && plugin.fallback().is_none());

    let mut sandboxes = Sandboxes::default();
    let call = Call { path: "/pb.KlineService/GetKline", ..Call::default() };
    let candidates = select::Candidates::new(&select::Inputs::default(), &[1, 0, 0], &[]);
    let question = Question { call, symbol: "BTC_USDT", candidates, random: 7 };
    assert_eq!(sandboxes.select(0, &plugin, &question).unwrap(), select::Outcome::Candidate(0));

    let failure = sandboxes.extract(0, &plugin, &call).unwrap_err();
    assert_eq!(
        (failure.reason(), failure.to_string()),
        ("contract", "answered against the contract: it is no extractor".into())
    );
}

#[test]
fn a_builtin_refuses_its_configuration() {
    let refused = Host::builtin(&plugin(Builtin::LeastLoaded, r#"{"surprise":1}"#)).err().unwrap();
    assert!(refused.0.starts_with("it refuses its configuration: "), "{refused}");
    let nothing = config::Plugin { builtin: None, ..plugin(Builtin::LeastLoaded, "{}") };
    assert_eq!(Host::builtin(&nothing).err().unwrap().0, "it has neither a file nor a built-in");
}

#[test]
fn inputs_that_no_call_can_carry_are_refused() {
    let check = |key: &str| {
        let select = select::Inputs { metadata: vec!["symbol".into(), key.into()], ..select::Inputs::default() };
        Inputs { extract: None, select: Some(select) }.check()
    };
    assert!(check("x-symbol-bin").is_ok());
    for key in ["X-Symbol", "", ":path", "two words"] {
        let refused = check(key).unwrap_err().0;
        assert_eq!(refused, format!("it asks for metadata `{key}`; keys are HTTP header names in lower case"));
    }
}
