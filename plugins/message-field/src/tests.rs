//! The policy natively, asked as the gateway asks it.

use symgate_sdk::{Extractor, StatusCode, extract::Outcome, testkit::Request};

use crate::MessageField;

const CONFIG: &str = r#"{"metadata":"symbol","fields":{"/k.K/Get":[4],"/k.K/":[1,2]}}"#;

#[track_caller]
fn check(request: Request<'_>, config: &str, expected: &str) {
    assert_eq!(request.extract::<MessageField>(config), Outcome::Symbol(expected.into()));
}

#[track_caller]
fn check_none(request: Request<'_>, reason: &str) {
    assert_eq!(request.extract::<MessageField>(CONFIG), Outcome::NoSymbol(reason.into()));
}

#[track_caller]
fn check_refused(request: Request<'_>, reason: &str) {
    let Outcome::Reject(rejection) = request.extract::<MessageField>(CONFIG) else { panic!("accepted") };
    assert_eq!((rejection.code, &*rejection.message), (StatusCode::InvalidArgument, reason));
}

#[track_caller]
fn check_config(config: &str, error: &str) {
    assert_eq!(MessageField::new(config).unwrap_err(), error);
}

#[test]
fn metadata_comes_first() {
    check(Request::to("/k.K/Get").metadata("symbol", "ETH").message(b"\x22\x03BTC"), CONFIG, "ETH");
    check(Request::to("/k.K/Get").metadata("symbol", "").message(b"\x22\x03BTC"), CONFIG, "BTC");
    check(Request::to("/other.O/Get").metadata("symbol", "ETH"), CONFIG, "ETH");
}

#[test]
fn the_longest_match_names_the_field() {
    check(Request::to("/k.K/Get").message(b"\x22\x03BTC"), CONFIG, "BTC");
    check(Request::to("/k.K/List").message(b"\x0a\x05\x12\x03SOL"), CONFIG, "SOL");
    check(Request::to("/other.O/Get").message(b"\x0a\x03XRP"), r#"{"fields":{"/":[1],"/k.K/":[2]}}"#, "XRP");
}

#[test]
fn an_integer_becomes_its_decimal_text() {
    check(Request::to("/k.K/Get").message(b"\x20\x96\x01"), CONFIG, "150");
}

#[test]
fn calls_without_a_symbol() {
    check_none(Request::to("/other.O/Get"), "no field is configured for /other.O/Get");
    check_none(Request::to("/k.K/Get"), "field [4] of the request message is empty");
    check_none(Request::to("/k.K/Get").message(b"\x22\x00"), "field [4] of the request message is empty");
    check_none(Request::to("/k.K/Get").message(b"\x20\x00"), "field [4] of the request message is empty");
}

#[test]
fn malformed_calls_are_refused() {
    check_refused(
        Request::to("/k.K/Get").message(b"\x22\x04BTC"),
        "the request message is malformed: it ends inside a field",
    );
    check_refused(
        Request::to("/k.K/Get").message(b"\x22\x01\xff"),
        "the request message is malformed: the field is not UTF-8",
    );
    check_refused(Request::to("/k.K/Get").metadata("symbol", b"\xff"), "metadata `symbol` is not UTF-8");
}

#[test]
fn wrong_options_are_refused() {
    check_config("{}", "missing field `fields`");
    check_config(r#"{"fields":{},"x":1}"#, "unknown field `x`, expected `fields` or `metadata`");
    check_config(r#"{"fields":{"/k.K/":[]}}"#, r#"fields: "/k.K/" has no field number"#);
    check_config(
        r#"{"fields":{"/k.K/":[1,0]}}"#,
        r#"fields: "/k.K/": 0 is not a field number, those are 1 to 536870911"#,
    );
    for path in ["", "k.K/Get", "//", "//Get", "/k.K", "/k.K/Get/", "/k.K//"] {
        let error = format!(r#"fields: "{path}" is not "/service/method", "/service/" or "/""#);
        check_config(&format!(r#"{{"fields":{{"{path}":[1]}}}}"#), &error);
    }
}
