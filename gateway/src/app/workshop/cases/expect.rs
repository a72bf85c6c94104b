//! What is expected of a case: how a file says it, and whether it holds.

use std::fmt;

use serde::Deserialize;
use symgate_sdk::{StatusCode, extract, select};
use toml::{Table, Value};

use super::decision::{Decision, STATUSES, status};

/// What is expected. A reason is a part of what is said.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(super) enum Expect {
    Symbol(String),
    Any,
    NeedMessage,
    NoSymbol(String),
    /// One of these.
    Candidate(Vec<u32>),
    Reject(Status, String),
    /// The word of metrics for the failure.
    Fails(String, String),
    Refused(String),
}

/// A status, which has an order and names here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status(StatusCode);

/// The words for failures.
const FAILURES: [&str; 4] = ["trap", "time", "memory", "contract"];
const FORMS: &str = "`expect` is \"any\", \"need-message\", \"no-symbol\", or a table with one of: symbol, no_symbol, \
                     candidate, reject, fails, refused";

impl Expect {
    /// Whether this came.
    pub(super) fn holds(&self, decision: &Decision) -> bool {
        match (self, decision) {
            (Self::Symbol(expected), Decision::Extract(extract::Outcome::Symbol(symbol))) => expected == symbol,
            (Self::Any, Decision::Extract(extract::Outcome::Any))
            | (Self::NeedMessage, Decision::Extract(extract::Outcome::NeedMessage)) => true,
            (Self::NoSymbol(part), Decision::Extract(extract::Outcome::NoSymbol(reason))) => reason.contains(part),
            (Self::Candidate(expected), Decision::Select(select::Outcome::Candidate(index))) => {
                expected.contains(index)
            }
            (
                Self::Reject(Status(code), part),
                Decision::Extract(extract::Outcome::Reject(rejection))
                | Decision::Select(select::Outcome::Reject(rejection)),
            ) => rejection.code == *code && rejection.message.contains(part),
            (Self::Fails(kind, part), Decision::Fails(failure)) => {
                failure.reason() == kind && failure.to_string().contains(part)
            }
            (Self::Refused(part), Decision::Refused(reason)) => reason.contains(part),
            _ => false,
        }
    }
}

impl TryFrom<Value> for Expect {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::String(word) => match &*word {
                "any" => Ok(Self::Any),
                "need-message" => Ok(Self::NeedMessage),
                "no-symbol" => Ok(Self::NoSymbol(String::new())),
                _ => Err(FORMS.into()),
            },
            Value::Table(table) => Self::from_table(table),
            _ => Err(FORMS.into()),
        }
    }
}

impl Expect {
    fn from_table(mut table: Table) -> Result<Self, String> {
        let with_part = table.contains_key("reject") || table.contains_key("fails");
        let part = if with_part { table.remove("text") } else { None };
        let part = part.map_or_else(|| Ok(String::new()), |part| text(part, "text"))?;
        let mut keys = table.into_iter();
        let (Some((key, value)), None) = (keys.next(), keys.next()) else { return Err(FORMS.into()) };
        match &*key {
            "symbol" => text(value, &key).map(Self::Symbol),
            "no_symbol" => text(value, &key).map(Self::NoSymbol),
            "refused" => text(value, &key).map(Self::Refused),
            "candidate" => indices(value).map(Self::Candidate),
            "reject" => Ok(Self::Reject(Status::named(&text(value, &key)?)?, part)),
            "fails" => match text(value, &key)? {
                kind if FAILURES.contains(&&*kind) => Ok(Self::Fails(kind, part)),
                kind => Err(format!("`fails` is one of {}, not {kind:?}", FAILURES.join(", "))),
            },
            _ => Err(FORMS.into()),
        }
    }
}

impl Status {
    fn named(name: &str) -> Result<Self, String> {
        let found = STATUSES.into_iter().find(|(_, known)| *known == name).map(|(code, _)| Self(code));
        found.ok_or_else(|| {
            format!("`reject` is a gRPC status other than OK and ABORTED, such as NOT_FOUND, not {name:?}")
        })
    }
}

fn text(value: Value, key: &str) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(format!("`{key}` is a text, not {}", other.type_str())),
    }
}

fn indices(value: Value) -> Result<Vec<u32>, String> {
    let values = match value {
        Value::Array(values) => values,
        one => vec![one],
    };
    let index = |value: Value| value.as_integer().and_then(|index| u32::try_from(index).ok());
    let indices = values.into_iter().map(index).collect::<Option<Vec<_>>>().filter(|indices| !indices.is_empty());
    indices.ok_or_else(|| "`candidate` is the index of one, the first is 0; or several of which one is chosen".into())
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, part) = match self {
            Self::Symbol(symbol) => return write!(f, "symbol {symbol:?}"),
            Self::Any => return f.write_str("any"),
            Self::NeedMessage => return f.write_str("need-message"),
            Self::Candidate(indices) => {
                let indices: Vec<_> = indices.iter().map(u32::to_string).collect();
                return write!(f, "candidate {}", indices.join(" or "));
            }
            Self::NoSymbol(part) => ("no symbol".to_owned(), part),
            Self::Reject(Status(code), part) => (format!("reject {}", status(*code)), part),
            Self::Fails(kind, part) => (format!("fails ({kind})"), part),
            Self::Refused(part) => ("refused".to_owned(), part),
        };
        if part.is_empty() { f.write_str(&what) } else { write!(f, "{what}: ...{part}...") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Case {
        expect: Expect,
    }

    fn read(text: &str) -> Result<Expect, String> {
        let case = toml::from_str::<Case>(&format!("expect = {text}"));
        case.map(|case| case.expect).map_err(|error| error.message().to_owned())
    }

    #[track_caller]
    fn check(text: &str, shown: &str) {
        assert_eq!(read(text).unwrap().to_string(), shown);
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = read(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error:?} does not say {expected:?}");
    }

    #[test]
    fn every_form_is_read() {
        check(r#"{ symbol = "BTC" }"#, r#"symbol "BTC""#);
        check(r#""any""#, "any");
        check(r#""need-message""#, "need-message");
        check(r#""no-symbol""#, "no symbol");
        check(r#"{ no_symbol = "key" }"#, "no symbol: ...key...");
        check("{ candidate = 2 }", "candidate 2");
        check("{ candidate = [0, 2] }", "candidate 0 or 2");
        check(r#"{ reject = "NOT_FOUND" }"#, "reject NOT_FOUND");
        check(r#"{ reject = "NOT_FOUND", text = "gone" }"#, "reject NOT_FOUND: ...gone...");
        check(r#"{ fails = "trap", text = "panicked" }"#, "fails (trap): ...panicked...");
        check(r#"{ refused = "unknown field" }"#, "refused: ...unknown field...");
    }

    #[test]
    fn other_forms_are_refused() {
        refused(r#""some""#, "`expect` is \"any\"");
        refused("7", "`expect` is \"any\"");
        refused("{}", "`expect` is \"any\"");
        refused(r#"{ symbol = "A", candidate = 1 }"#, "a table with one of");
        refused(r#"{ symbol = "A", text = "B" }"#, "a table with one of");
        refused("{ symbol = 1 }", "`symbol` is a text, not integer");
        refused("{ candidate = -1 }", "the first is 0");
        refused("{ candidate = [] }", "the first is 0");
        refused(r#"{ reject = "OK" }"#, "other than OK and ABORTED");
        refused(r#"{ fails = "slow" }"#, "`fails` is one of trap, time, memory, contract");
    }

    #[test]
    fn it_holds_for_nothing_else() {
        let symbol = || Decision::Extract(extract::Outcome::Symbol("BTC".into()));
        assert!(Expect::Symbol("BTC".into()).holds(&symbol()));
        assert!(!Expect::Symbol("BTC_USDT".into()).holds(&symbol()));
        assert!(!Expect::Any.holds(&symbol()) && !Expect::NoSymbol(String::new()).holds(&symbol()));
        let chosen = Decision::Select(select::Outcome::Candidate(1));
        assert!(Expect::Candidate(vec![0, 1]).holds(&chosen) && !Expect::Candidate(vec![0, 2]).holds(&chosen));
        let gone = symgate_sdk::Rejection::new(StatusCode::NotFound, "it is gone");
        let rejected = Decision::Extract(extract::Outcome::Reject(gone));
        let expect = |code, part: &str| Expect::Reject(Status(code), part.into());
        assert!(expect(StatusCode::NotFound, "gone").holds(&rejected));
        assert!(!expect(StatusCode::NotFound, "here").holds(&rejected));
        assert!(!expect(StatusCode::Unavailable, "").holds(&rejected));
    }
}
