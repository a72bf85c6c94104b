//! What one registry entry says.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::{Address, BadAddress, Symbol};

#[cfg(test)]
mod tests;

/// Labels of an instance, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(Arc<[(Box<str>, Box<str>)]>);

/// How a service's keys are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    prefix: String,
    template: Option<KeyTemplate>,
}

/// A key with `{symbol}` and `{id}` in it, e.g. `orderRpcDtm_{symbol}/{id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTemplate {
    before: String,
    between: String,
    after: String,
}

/// One entry, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The symbol that the instance owns; empty for a service that is not split.
    pub symbol: Symbol,
    /// Where it listens.
    pub address: Address,
    /// Its share among the instances of the symbol; 1 unless the entry says otherwise.
    pub weight: u32,
    /// Every other entry of `Metadata`.
    pub labels: Labels,
    /// What is odd about the entry without making it useless.
    pub warnings: Vec<String>,
}

/// Why an entry announces nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRegistration {
    /// The key is not of the service's layout.
    #[error("the key does not fit the layout {0}")]
    Key(String),
    /// The value is neither an address nor the JSON of etcd's endpoint manager.
    #[error("the value is not UTF-8 text")]
    Text,
    /// It starts like JSON and is not.
    #[error("the value is not the JSON of an endpoint: {0}")]
    Json(String),
    /// The address cannot be dialled.
    #[error(transparent)]
    Address(#[from] BadAddress),
}

/// The value that etcd's Go `naming/endpoints` manager writes.
#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "Addr")]
    address: String,
    #[serde(rename = "Metadata", default)]
    metadata: Value,
}

impl Labels {
    /// The value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(key, _)| (**key).cmp(name)).ok()?;
        self.0.get(at).map(|(_, value)| &**value)
    }

    /// All labels, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl FromIterator<(String, String)> for Labels {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(labels: I) -> Self {
        let mut labels: Vec<_> = labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        labels.sort_unstable();
        Self(labels.into())
    }
}

impl KeyTemplate {
    /// Reads a template; `None` unless it holds `{symbol}` and then `{id}`, once each and with text between them.
    pub fn parse(text: &str) -> Option<Self> {
        let (before, rest) = text.split_once("{symbol}")?;
        let (between, after) = rest.split_once("{id}")?;
        let literal = |text: &str| !text.contains(['{', '}']);
        (literal(before) && literal(between) && literal(after) && !between.is_empty() && !before.is_empty())
            .then(|| Self { before: before.into(), between: between.into(), after: after.into() })
    }

    fn symbol<'a>(&self, key: &'a str) -> Option<&'a str> {
        let rest = key.strip_prefix(&self.before)?.strip_suffix(&self.after)?;
        let (symbol, id) = rest.rsplit_once(&self.between)?;
        (!symbol.is_empty() && !id.is_empty()).then_some(symbol)
    }
}

impl Layout {
    /// The layout of a service whose keys follow `root`, by a template or as `service/symbol/id` and `service/id`.
    pub fn new(root: &str, service: &str, template: Option<KeyTemplate>) -> Self {
        match template {
            None => Self { prefix: format!("{root}{service}/"), template: None },
            Some(template) => {
                let before = format!("{root}{}", template.before);
                Self { prefix: before.clone(), template: Some(KeyTemplate { before, ..template }) }
            }
        }
    }

    /// What every key of the service starts with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether a template makes them.
    pub fn is_template(&self) -> bool {
        self.template.is_some()
    }

    /// Reads one entry.
    ///
    /// # Errors
    /// When it announces no instance; the text says why and does not name the key.
    pub fn read(&self, key: &str, value: &[u8]) -> Result<Registration, BadRegistration> {
        let by_key = self.symbol(key).ok_or_else(|| BadRegistration::Key(self.describe()))?;
        let text = std::str::from_utf8(value).map_err(|_utf8| BadRegistration::Text)?.trim();
        if !text.starts_with('{') {
            return Ok(Registration {
                symbol: by_key.into(),
                address: text.parse()?,
                weight: 1,
                labels: Labels::default(),
                warnings: Vec::new(),
            });
        }
        let endpoint: Endpoint =
            serde_json::from_str(text).map_err(|error| BadRegistration::Json(error.to_string()))?;
        let address = endpoint.address.parse()?;
        Ok(with_metadata(by_key, address, endpoint.metadata))
    }

    /// What a key alone says of the symbol: nothing where its place is empty. `None` when it does not fit.
    pub fn symbol<'a>(&self, key: &'a str) -> Option<&'a str> {
        match &self.template {
            Some(template) => template.symbol(key),
            None => {
                let rest = key.strip_prefix(&self.prefix)?;
                let (symbol, id) = rest.rsplit_once('/').unwrap_or(("", rest));
                (!id.is_empty()).then_some(symbol)
            }
        }
    }

    fn describe(&self) -> String {
        match &self.template {
            Some(KeyTemplate { before, between, after }) => format!("{before}{{symbol}}{between}{{id}}{after}"),
            None => format!("{0}{{symbol}}/{{id}} or {0}{{id}}", self.prefix),
        }
    }
}

/// `Metadata` may be anything; an object's entries become labels, `symbol` and `weight` are understood.
fn with_metadata(by_key: &str, address: Address, metadata: Value) -> Registration {
    let mut entries = match metadata {
        Value::Object(entries) => entries,
        _ => serde_json::Map::new(),
    };
    let mut warnings = Vec::new();
    let symbol = entries.remove("symbol").map(text_of).filter(|symbol| !symbol.is_empty());
    if let Some(symbol) = symbol.as_deref().filter(|symbol| !by_key.is_empty() && *symbol != by_key) {
        warnings.push(format!("the key says symbol {by_key}, Metadata.symbol says {symbol}; Metadata wins"));
    }
    let weight = entries.remove("weight").map_or(1, |weight| {
        text_of(weight.clone()).parse().ok().filter(|weight| *weight > 0).unwrap_or_else(|| {
            warnings.push(format!("weight {weight} is not a whole number from 1 to {}; taken as 1", u32::MAX));
            1
        })
    });
    Registration {
        symbol: symbol.as_deref().unwrap_or(by_key).into(),
        address,
        weight,
        labels: entries.into_iter().map(|(name, value)| (name, text_of(value))).collect(),
        warnings,
    }
}

fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
