//! One decision as it was: what a plugin was given of a call, and what it said. A plain value that can be written down
//! and read back; asks nobody.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use symgate_sdk::{Rejection, StatusCode, extract, select};

use super::Failure;
use crate::metrics::STATUS;

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Who decided.
    pub plugin: String,
    /// In which version.
    pub version: String,
    /// Whether that version decides still.
    #[serde(default)]
    pub current: bool,
    /// On which worker.
    #[serde(default)]
    pub worker: usize,
    /// The path of the call, also where the plugin did not ask for it.
    pub path: String,
    /// The metadata that it asked for, in that order.
    pub metadata: Vec<Entry>,
    /// What it was asked besides.
    pub asked: Asked,
    /// What it said.
    pub outcome: Outcome,
    /// Its inputs were longer than is kept: metadata, symbol, candidates and message are left out.
    #[serde(default)]
    pub too_long: bool,
}

/// A metadata key that a plugin asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its value as the plugin was given it; `None`: the call does not carry it.
    pub value: Option<Bytes>,
}

/// Bytes that are a text more often than not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

/// What a plugin was asked, beside path and metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// Which symbol?
    Extract {
        /// The first message; `None`: it was asked without.
        message: Option<Message>,
        /// It had said so about the same inputs before and was not asked again.
        remembered: bool,
    },
    /// Which candidate?
    Select {
        /// The symbol, also where the plugin did not ask for it.
        symbol: String,
        /// The labels that it asked for.
        labels: Vec<String>,
        /// The candidates, in order.
        candidates: Vec<Row>,
        /// The random number.
        random: u64,
    },
}

/// A first message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// It was this.
    Hex(#[serde(with = "hex")] Vec<u8>),
    /// It had so many bytes and is not kept.
    WithheldBytes(usize),
}

/// A candidate as a selector was given it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Its weight.
    pub weight: u64,
    /// Calls of the gateway under way there.
    pub in_flight: u64,
    /// Moving average of the time to response headers in microseconds; 0: not known yet.
    pub latency_us: u64,
    /// The number made from its address, if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Who was there first, if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u64>,
    /// The values of the labels asked for, in that order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Option<String>>,
}

/// What a plugin said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The call belongs to this symbol.
    Symbol(String),
    /// Every instance of the service may answer.
    Any,
    /// Ask again with the first message.
    NeedMessage,
    /// The call carries no symbol, and why.
    NoSymbol(String),
    /// The candidate of this index gets the call.
    Candidate(u32),
    /// The call ends here.
    Reject {
        /// The name of the gRPC status.
        code: String,
        /// What the caller reads.
        message: String,
    },
    /// It gave no answer.
    Failed {
        /// One word, as in metrics.
        reason: String,
        /// Reads on after the plugin's name.
        text: String,
    },
}

/// The number of a gRPC status that a plugin ends a call with.
pub fn status_number(code: StatusCode) -> u8 {
    match code {
        StatusCode::Cancelled => 1,
        StatusCode::Unknown => 2,
        StatusCode::InvalidArgument => 3,
        StatusCode::DeadlineExceeded => 4,
        StatusCode::NotFound => 5,
        StatusCode::AlreadyExists => 6,
        StatusCode::PermissionDenied => 7,
        StatusCode::ResourceExhausted => 8,
        StatusCode::FailedPrecondition => 9,
        StatusCode::OutOfRange => 11,
        StatusCode::Unimplemented => 12,
        StatusCode::Internal => 13,
        StatusCode::Unavailable => 14,
        StatusCode::DataLoss => 15,
        StatusCode::Unauthenticated => 16,
    }
}

impl Decision {
    /// Whether an extractor made it.
    pub fn is_of_extractor(&self) -> bool {
        matches!(self.asked, Asked::Extract { .. })
    }

    /// One line of JSON.
    pub fn line(&self) -> String {
        // It is made of texts, numbers and lists, which always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// From a line of JSON.
    ///
    /// # Errors
    /// When it is none of ours.
    pub fn from_line(line: &str) -> Result<Self, String> {
        serde_json::from_str(line).map_err(|error| error.to_string())
    }
}

impl Outcome {
    /// Whether both say the same. Of two failures the kind counts: their texts may name addresses in memory.
    pub fn is_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Failed { reason, .. }, Self::Failed { reason: other, .. }) => reason == other,
            _ => self == other,
        }
    }

    pub(super) fn reject(rejection: &Rejection) -> Self {
        let name = STATUS.get(usize::from(status_number(rejection.code))).copied().unwrap_or_default();
        Self::Reject { code: name.to_owned(), message: rejection.message.clone() }
    }
}

impl From<extract::Outcome> for Outcome {
    fn from(outcome: extract::Outcome) -> Self {
        match outcome {
            extract::Outcome::Symbol(symbol) => Self::Symbol(symbol),
            extract::Outcome::Any => Self::Any,
            extract::Outcome::NeedMessage => Self::NeedMessage,
            extract::Outcome::NoSymbol(why) => Self::NoSymbol(why),
            extract::Outcome::Reject(rejection) => Self::reject(&rejection),
        }
    }
}

impl From<select::Outcome> for Outcome {
    fn from(outcome: select::Outcome) -> Self {
        match outcome {
            select::Outcome::Candidate(index) => Self::Candidate(index),
            select::Outcome::Reject(rejection) => Self::reject(&rejection),
        }
    }
}

impl From<&Failure> for Outcome {
    fn from(failure: &Failure) -> Self {
        Self::Failed { reason: failure.reason().to_owned(), text: failure.to_string() }
    }
}

/// A text as it is, other bytes as `{"base64": "..."}`.
impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match str::from_utf8(&self.0) {
            Ok(text) => to.serialize_str(text),
            Err(_binary) => Written::Other { base64: BASE64_STANDARD.encode(&self.0) }.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Written::deserialize(from)? {
            Written::Text(text) => Ok(Self(text.into_bytes())),
            Written::Other { base64 } => BASE64_STANDARD.decode(base64).map(Self).map_err(D::Error::custom),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Other { base64: String },
}

/// Bytes as hexadecimal digits.
pub mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Two digits a byte.
    pub fn write(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads such digits, of either case; `None`: it is something else.
    pub fn read(text: &str) -> Option<Vec<u8>> {
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
            [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
            _ => None,
        });
        pairs.collect()
    }

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&write(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        read(&text).ok_or_else(|| D::Error::custom("no hexadecimal digits, two a byte"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(asked: Asked, outcome: Outcome) -> Decision {
        let entry =
            |key: &str, value: Option<&[u8]>| Entry { key: key.into(), value: value.map(|it| Bytes(it.into())) };
        Decision {
            plugin: "policy".into(),
            version: "3f9a12aabb01".into(),
            current: true,
            worker: 1,
            path: "/pb.K/Get".into(),
            metadata: vec![entry("symbol", Some(b"BTC")), entry("x-bin", Some(&[0xff, 0])), entry("none", None)],
            asked,
            outcome,
            too_long: false,
        }
    }

    #[track_caller]
    fn check(asked: Asked, outcome: Outcome, expected: &str) {
        let decision = decision(asked, outcome);
        let line = decision.line();
        assert!(line.contains(expected), "{line}");
        assert_eq!(Decision::from_line(&line).as_ref(), Ok(&decision), "{line}");
    }

    #[test]
    fn a_decision_is_read_back_as_it_was() {
        let ask = |message| Asked::Extract { message, remembered: false };
        let outcome = Outcome::Symbol("BTC".into());
        let metadata =
            r#"[{"key":"symbol","value":"BTC"},{"key":"x-bin","value":{"base64":"/wA="}},{"key":"none","value":null}]"#;
        check(ask(None), outcome.clone(), metadata);
        check(ask(None), Outcome::NeedMessage, r#""outcome":"need_message""#);
        check(ask(Some(Message::Hex(vec![0x22, 0xff]))), outcome, r#""message":{"hex":"22ff"}"#);
        check(ask(Some(Message::WithheldBytes(7))), Outcome::Any, r#""message":{"withheld_bytes":7}"#);
        let rejection = Rejection { code: StatusCode::PermissionDenied, message: "no".into() };
        check(ask(None), Outcome::reject(&rejection), r#"{"reject":{"code":"PERMISSION_DENIED","message":"no"}}"#);
        let row = Row { weight: 1, in_flight: 2, latency_us: 3, id: Some(u64::MAX), order: None, labels: vec![None] };
        let candidates = vec![Row { labels: vec![Some("a".into())], ..row.clone() }, row];
        let labels = vec!["zone".into()];
        let select = Asked::Select { symbol: "BTC".into(), labels, candidates, random: u64::MAX - 1 };
        check(select, Outcome::Candidate(1), r#""id":18446744073709551615,"labels":["a"]}"#);
    }

    #[test]
    fn failures_are_alike_by_their_kind() {
        let failed = |reason: &str, text: &str| Outcome::Failed { reason: reason.into(), text: text.into() };
        assert!(failed("trap", "at 1").is_as(&failed("trap", "at 2")));
        assert!(!failed("trap", "").is_as(&failed("time", "")));
        assert!(!failed("trap", "").is_as(&Outcome::Any));
    }

    #[test]
    fn hexadecimal_digits() {
        assert_eq!(hex::read("22Ff00"), Some(vec![0x22, 0xff, 0]));
        for text in ["2", "zz", "0x22", "é"] {
            assert_eq!(hex::read(text), None, "{text}");
        }
    }
}
