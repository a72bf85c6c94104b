//! What is announced: the key and the value of a registry entry. Writes nothing.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{config::Format, routing::Address};

/// An instance, as a registry entry says it.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// What every key of the registry starts with.
    pub prefix: String,
    /// The service, e.g. `klineRpc`.
    pub service: String,
    /// The symbol that the instance owns; `None` for a service that is not split.
    pub symbol: Option<String>,
    /// Where calls reach the instance.
    pub address: Address,
    /// How the value is written.
    pub format: Format,
    /// Its share among the instances of the symbol.
    pub weight: Option<u32>,
    /// What selectors may choose by.
    pub labels: BTreeMap<String, String>,
}

/// The value of etcd's Go `naming/endpoints` manager.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint<'a> {
    op: u8,
    addr: &'a str,
    /// Null where there is nothing to say: some releases of grpc-go panic on an address whose metadata is a map.
    metadata: Option<Map<String, Value>>,
}

impl Announcement {
    /// The key of the entry that this lease holds; the lease makes it one of a kind.
    pub fn key(&self, lease: i64) -> String {
        let Self { prefix, service, .. } = self;
        match &self.symbol {
            Some(symbol) => format!("{prefix}{service}/{symbol}/{lease}"),
            None => format!("{prefix}{service}/{lease}"),
        }
    }

    /// The value of the entry.
    pub fn value(&self) -> String {
        if self.format == Format::GoZero {
            return self.address.to_string();
        }
        let labels = self.labels.iter().map(|(name, value)| (name.clone(), value.clone().into()));
        let symbol = self.symbol.iter().map(|symbol| ("symbol".to_owned(), symbol.clone().into()));
        let weight = self.weight.iter().map(|weight| ("weight".to_owned(), (*weight).into()));
        let metadata: Map<_, _> = labels.chain(symbol).chain(weight).collect();
        let metadata = Some(metadata).filter(|metadata| !metadata.is_empty());
        // Texts and numbers always serialize.
        serde_json::to_string(&Endpoint { op: 0, addr: self.address.as_str(), metadata }).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::Layout;

    fn announcement(symbol: Option<&str>, format: Format) -> Announcement {
        let address = "10.0.0.1:9000".parse().expect("an address");
        let (symbol, labels) = (symbol.map(str::to_owned), BTreeMap::new());
        Announcement {
            prefix: "/prod/".into(),
            service: "klineRpc".into(),
            symbol,
            address,
            format,
            weight: None,
            labels,
        }
    }

    #[test]
    fn keys_and_values_are_those_of_other_makers() {
        let check = |symbol, format, key: &str, value: &str| {
            let announcement = announcement(symbol, format);
            assert_eq!((&*announcement.key(7), &*announcement.value()), (key, value));
        };
        check(None, Format::GoZero, "/prod/klineRpc/7", "10.0.0.1:9000");
        check(Some("BTC"), Format::GoZero, "/prod/klineRpc/BTC/7", "10.0.0.1:9000");
        check(None, Format::Endpoints, "/prod/klineRpc/7", r#"{"Op":0,"Addr":"10.0.0.1:9000","Metadata":null}"#);
        check(
            Some("BTC"),
            Format::Endpoints,
            "/prod/klineRpc/BTC/7",
            r#"{"Op":0,"Addr":"10.0.0.1:9000","Metadata":{"symbol":"BTC"}}"#,
        );
    }

    #[test]
    fn the_gateway_reads_what_is_written() {
        let mut written = announcement(Some("BTC/USDT"), Format::Endpoints);
        written.weight = Some(3);
        written.labels.insert("zone".into(), "a\"b".into());
        let layout = Layout::new("/prod/", "klineRpc", None);
        let read = layout.read(&written.key(7), written.value().as_bytes()).expect("a registration");
        assert_eq!((read.symbol.as_str(), read.weight, read.labels.get("zone")), ("BTC/USDT", 3, Some("a\"b")));
        assert_eq!((read.address, read.warnings), (written.address, Vec::new()));
    }
}
