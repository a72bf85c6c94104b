//! Reads a list of expected symbols once.

use std::{collections::BTreeSet, fs};

use super::reader::{Reader, Unread};
use crate::{config::ExpectedSymbols, control::symbols_file, routing::Symbol};

/// The symbols of a list, or why there are none to be read.
pub(super) async fn read(list: &ExpectedSymbols, root: &str, reader: &mut Reader) -> Result<BTreeSet<Symbol>, String> {
    match list {
        ExpectedSymbols::File(path) => {
            let content = fs::read(path).map_err(|error| error.to_string());
            let symbols = content.and_then(|content| symbols_file::parse(&content));
            let symbols = symbols.map_err(|reason| format!("{}: {reason}", path.display()))?;
            Ok(symbols.iter().map(|symbol| Symbol::from(&**symbol)).collect())
        }
        ExpectedSymbols::Prefix(prefix) => {
            let prefix = format!("{root}{prefix}");
            let range = reader
                .read(&prefix)
                .await
                .map_err(|unread| format!("the keys {prefix}*: {}", Unread::reason(unread)))?;
            let symbols = range.found.iter().filter_map(|found| found.entry.key.strip_prefix(&prefix));
            let symbols: BTreeSet<_> = symbols.filter(|symbol| !symbol.is_empty()).map(Symbol::from).collect();
            if symbols.is_empty() { Err(format!("there is no key {prefix}*")) } else { Ok(symbols) }
        }
    }
}
