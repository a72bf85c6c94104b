//! The `file` registry: entries in a TOML file that is replaced whole at each change.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;
use tempfile::TempDir;

/// A registry file in a folder of its own.
pub struct RegistryFile {
    folder: TempDir,
    entries: Mutex<BTreeMap<String, String>>,
}

impl RegistryFile {
    /// A file without entries.
    pub fn new() -> Self {
        let file = Self { folder: TempDir::new().unwrap(), entries: Mutex::default() };
        file.write(&BTreeMap::new());
        file
    }

    /// A file in which each instance owns its symbol in the service `klineRpc`.
    pub fn of(owners: &[(&str, SocketAddr)]) -> Self {
        let file = Self::new();
        for (at, (symbol, address)) in owners.iter().enumerate() {
            file.put(&format!("klineRpc/{symbol}/{at}"), address);
        }
        file
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("instances.toml")
    }

    /// Adds or changes an entry.
    pub fn put(&self, key: &str, value: impl ToString) {
        let mut entries = self.entries.lock();
        entries.insert(key.into(), value.to_string());
        self.write(&entries);
    }

    /// Removes an entry.
    pub fn delete(&self, key: &str) {
        let mut entries = self.entries.lock();
        entries.remove(key);
        self.write(&entries);
    }

    fn write(&self, entries: &BTreeMap<String, String>) {
        replace(&self.path(), toml::to_string(entries).unwrap().as_bytes());
    }
}

impl Default for RegistryFile {
    fn default() -> Self {
        Self::new()
    }
}

/// Replaces a file by an atomic rename, as careful tools do.
pub fn replace(path: &Path, bytes: &[u8]) {
    let new = path.with_extension("new");
    std::fs::write(&new, bytes).unwrap();
    std::fs::rename(&new, path).unwrap();
}
