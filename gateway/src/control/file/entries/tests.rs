//! Files that are understood, and what is said of those that are not.

use super::*;

fn entries(text: &str) -> Vec<(String, String)> {
    let entries = parse(text.as_bytes()).unwrap();
    entries.into_iter().map(|(key, value)| (key, String::from_utf8(value).unwrap())).collect()
}

#[track_caller]
fn check(value: &str, expected: &str) {
    assert_eq!(entries(&format!("\"k/1\" = {value}")), [("k/1".to_owned(), expected.to_owned())]);
}

#[track_caller]
fn refused(content: impl AsRef<[u8]>, expected: &str) {
    let text = parse(content.as_ref()).unwrap_err().to_string();
    assert!(text.starts_with(expected), "{text}");
    assert!(!text.contains('\n'), "{text}");
}

#[test]
fn text_is_taken_as_it_stands() {
    check(r#""192.168.2.159:9999""#, "192.168.2.159:9999");
    check(r#"'{"Op":0,"Addr":"a:1","Metadata":null}'"#, r#"{"Op":0,"Addr":"a:1","Metadata":null}"#);
    check(r#"" ""#, " ");
}

#[test]
fn a_table_is_the_json_of_an_endpoint() {
    check(
        r#"{ Addr = "a:1", Metadata = { symbol = "BTC_USDT", weight = 2, hot = true, zones = ["x"] } }"#,
        r#"{"Addr":"a:1","Metadata":{"hot":true,"symbol":"BTC_USDT","weight":2,"zones":["x"]}}"#,
    );
    assert_eq!(entries("[\"k/1\"]\nAddr = \"a:1\"")[0].1, r#"{"Addr":"a:1"}"#);
}

#[test]
fn what_is_no_value_of_a_registration_is_left_to_its_reader() {
    check("5", "5");
    check("nan", "null");
    check("2026-01-02", "\"2026-01-02\"");
}

#[test]
fn the_order_is_that_of_the_file() {
    let keys: Vec<_> = entries("\"z/1\" = ''\n\"a/1\" = ''\n\"m/1\" = ''").into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["z/1", "a/1", "m/1"]);
}

#[test]
fn a_comment_alone_announces_nothing() {
    assert!(entries("# nobody").is_empty());
}

#[test]
fn a_broken_file_is_refused_with_the_place() {
    refused("", "1:1: the file is empty");
    refused("\n \n", "1:1: the file is empty");
    refused("\"k/1\" = 'a:1'\n\"k/2\" = 'b:", "2:12: invalid literal string");
    refused("# é\nk/1 = 'a:1'", "2:2: invalid unquoted key");
    refused("\"k/1\" = ''\n\"k/1\" = ''", "2:1: duplicate key");
    refused(b"a = 1\nb = \xff", "2:5: is not UTF-8 text");
}
