//! What the file holds: a line with its format and a checksum, then JSON. Anything that is not exactly that is refused.
//! Pure: knows no file and no clock.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use sha2::{Digest, Sha256};

use super::super::source::Entry;
use crate::config::{Config, Etcd};

#[cfg(test)]
mod tests;

/// What the first line begins with; the number is that of the format.
const FORMAT: &str = "symgate-table 1 ";

/// The table of one registry.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    registry: String,
    endpoints: Vec<String>,
    /// When all of it was last known to be right, in milliseconds since 1970.
    right_unix_ms: u64,
    pub(super) services: Vec<Listing>,
}

/// The entries of one service.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    pub(super) name: String,
    /// What all its keys start with.
    pub(super) prefix: String,
    pub(super) revision: u64,
    pub(super) entries: Vec<Row>,
}

/// An entry: key, value, create revision, mod revision. Shared, so that writing needs no copy.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row(pub(super) Arc<Entry>);

/// What a table must belong to.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) registry: String,
    endpoints: Vec<String>,
    /// By their places in the configuration.
    pub(super) services: BTreeMap<usize, Named>,
}

/// A service's name and what its keys start with.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) prefix: String,
}

impl Identity {
    /// Of the registry at this place.
    pub(super) fn new(config: &Config, at: usize, etcd: &Etcd) -> Self {
        let mut endpoints = etcd.endpoints.clone();
        endpoints.sort();
        let registry = config.registries.get(at);
        let services = config.services.iter().enumerate().filter(|(_, service)| service.registry == at);
        let services = services.filter_map(|(place, service)| {
            let prefix = service.layout(registry?).prefix().to_owned();
            Some((place, Named { name: service.name.clone(), prefix }))
        });
        let name = registry.map(|registry| registry.name.clone()).unwrap_or_default();
        Self { registry: name, endpoints, services: services.collect() }
    }

    /// The place of a service.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.services.iter().find(|(_, service)| service.name == name).map(|(place, _)| *place)
    }
}

impl Table {
    /// Of a registry, right at this time.
    pub(super) fn new(identity: &Identity, right: SystemTime, services: Vec<Listing>) -> Self {
        let since_1970 = right.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            registry: identity.registry.clone(),
            endpoints: identity.endpoints.clone(),
            right_unix_ms: u64::try_from(since_1970.as_millis()).unwrap_or_default(),
            services,
        }
    }

    /// When it was last known to be right.
    pub(super) fn right(&self) -> SystemTime {
        UNIX_EPOCH.checked_add(Duration::from_millis(self.right_unix_ms)).unwrap_or(UNIX_EPOCH)
    }

    /// How long ago that is; `None`: it is still to come.
    pub(super) fn age(&self, now: SystemTime) -> Option<Duration> {
        now.duration_since(self.right()).ok()
    }

    /// As bytes of a file.
    pub(super) fn encode(&self) -> Result<Vec<u8>, String> {
        let body = serde_json::to_vec(self).map_err(|error| error.to_string())?;
        let mut bytes = format!("{FORMAT}{}\n", checksum(&body)).into_bytes();
        bytes.extend(body);
        Ok(bytes)
    }

    /// From the bytes of a file, or why not.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let Some(rest) = bytes.strip_prefix(FORMAT.as_bytes()) else {
            return Err("it is no table in the format of this symgate".into());
        };
        let mut parts = rest.splitn(2, |byte| *byte == b'\n');
        let (sum, body) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if sum != checksum(body).as_bytes() {
            return Err("it is corrupt: its checksum does not fit".into());
        }
        serde_json::from_slice(body).map_err(|error| format!("it is corrupt: {error}"))
    }

    /// Whether it belongs to this registry and is young enough, or why not.
    pub(super) fn check(&self, identity: &Identity, max_age: Duration, now: SystemTime) -> Result<(), String> {
        if self.registry != identity.registry {
            return Err(format!("it is foreign: of registry {:?}, not of {:?}", self.registry, identity.registry));
        }
        if self.endpoints != identity.endpoints {
            return Err(format!("it is foreign: of etcd {:?}, not of {:?}", self.endpoints, identity.endpoints));
        }
        for Named { name, prefix } in identity.services.values() {
            match self.services.iter().find(|listing| listing.name == *name) {
                None => return Err(format!("it holds nothing of service {name:?}")),
                Some(found) if found.prefix != *prefix => {
                    return Err(format!("it is foreign: of the keys {:?}, not of {prefix:?}", found.prefix));
                }
                Some(_) => {}
            }
        }
        match self.age(now) {
            None => Err("it was right at a time to come; is the clock of this machine right?".into()),
            Some(age) if age > max_age => Err(format!("it is too old: right {age:?} ago, and max_age is {max_age:?}")),
            Some(_) => Ok(()),
        }
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Entry { key, value, create_revision, mod_revision } = &*self.0;
        // A value need not be text.
        (&**key, STANDARD.encode(value), create_revision, mod_revision).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (key, value, create_revision, mod_revision) = <(String, String, u64, u64)>::deserialize(from)?;
        let value = STANDARD.decode(value).map_err(D::Error::custom)?;
        Ok(Self(Arc::new(Entry { key: key.into(), value, create_revision, mod_revision })))
    }
}

fn checksum(bytes: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(bytes))
}
