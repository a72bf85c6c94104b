//! A call that nobody makes, and what would become of it: plain values, written and read as JSON.

use std::fmt;

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::plugin::decision::{Bytes, Decision, hex};

/// A call that nobody makes: what would become of it?
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supposed {
    /// Its `:path`.
    pub path: String,
    /// Its `:authority`.
    #[serde(default)]
    pub authority: String,
    /// Its metadata as HTTP/2 carries it: keys in lower case, `-bin` values as base64.
    #[serde(default)]
    pub metadata: Vec<(String, Bytes)>,
    /// Its first message, decompressed; `None`: there is none at hand.
    #[serde(default, with = "message", skip_serializing_if = "Option::is_none")]
    pub message: Option<Vec<u8>>,
    /// The names in the certificate of its client.
    #[serde(default)]
    pub clients: Vec<String>,
    /// The worker that is asked.
    #[serde(default)]
    pub worker: usize,
}

/// What would become of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The worker whose view it is; `None`: of a configuration, without a gateway.
    pub worker: Option<usize>,
    /// The route that it takes.
    pub route: Option<Taken>,
    /// The plugins that were asked, in order.
    pub asked: Vec<Answered>,
    /// The symbol that it belongs to, empty in a service that is not split; `None`: any, or it is not known.
    pub symbol: Option<String>,
    /// Whether any instance of the service may answer.
    pub any: bool,
    /// How many instances are known that could.
    pub known: usize,
    /// These, the candidates first; at most as many as are shown.
    pub instances: Vec<Shown>,
    /// What it comes to.
    pub comes_to: Verdict,
}

/// A route that is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The text of its `match`.
    pub route: String,
    /// Its service.
    pub service: String,
    /// The registry of that.
    pub registry: String,
    /// The registry's revision that the table shows.
    pub revision: u64,
    /// Why the registry cannot be heard.
    pub lost: Option<String>,
}

/// A plugin's part in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// It was asked.
    Asked {
        /// Microseconds that it took.
        took_us: f64,
        /// Whether it was given the path.
        given_path: bool,
        /// Whether it was given the symbol.
        given_symbol: bool,
        /// What it was given, and said.
        decision: Box<Decision>,
    },
    /// There is one candidate, and it wants not to be asked then.
    NotAsked {
        /// Its name.
        plugin: String,
        /// The version that decides.
        version: String,
    },
}

/// An instance that could answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Which candidate it is; `None`: it is none.
    pub candidate: Option<usize>,
    /// Where it listens.
    pub address: String,
    /// What is to be said for it.
    pub standing: Standing,
    /// It wants no new calls.
    pub draining: bool,
    /// Open connections of all workers.
    pub connections: u32,
    /// Its weight.
    pub weight: u32,
    /// Calls of this gateway under way there.
    pub in_flight: u32,
    /// Moving average of the time to response headers in microseconds; 0: not known yet.
    pub latency_us: u32,
}

/// How an instance stands with calls of the route, on the worker that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Connected, and nothing speaks against it.
    Ready,
    /// Not connected.
    NotConnected,
    /// Connected, but it is ejected or says that it does not serve.
    Shunned,
    /// Not connected, and ejected.
    Ejected,
}

/// What a call comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It goes to this instance.
    Instance {
        /// Where that listens.
        address: String,
        /// What `symgate-owner` would say.
        owner: u64,
    },
    /// The extractor needs the first message, which was not given.
    NeedsMessage,
    /// The gateway ends it.
    Error {
        /// The name of the gRPC status.
        status: String,
        /// What `symgate-reason` would say.
        reason: String,
        /// What its caller reads.
        text: String,
        /// For how long it would wait for an instance first, in milliseconds.
        waits_ms: u64,
    },
}

impl Supposed {
    /// Whether it could be a call.
    ///
    /// # Errors
    /// Says what could not.
    pub fn check(&self) -> Result<(), String> {
        if !self.path.starts_with('/') {
            return Err(format!("{:?} is no path of a call; it is like /package.Service/Method", self.path));
        }
        for (key, value) in &self.metadata {
            if HeaderName::from_lowercase(key.as_bytes()).is_err() {
                return Err(format!(
                    "{key:?} is no metadata key; use lower-case letters, digits, \"-\", \"_\" and \".\""
                ));
            }
            if HeaderValue::from_bytes(&value.0).is_err() {
                return Err(format!("the value of metadata {key} holds what HTTP does not carry"));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::NotConnected => "not connected",
            Self::Shunned => "ejected or not serving",
            Self::Ejected => "ejected, not connected",
        })
    }
}

/// A message as hexadecimal digits.
mod message {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::hex;

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(message: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
        match message {
            Some(bytes) => to.serialize_str(&hex::write(bytes)),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let bytes = |text: String| hex::read(&text).ok_or_else(|| D::Error::custom("message: no hexadecimal digits"));
        text.map(bytes).transpose()
    }
}
