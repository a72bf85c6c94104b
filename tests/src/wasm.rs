//! Plugin files: the shipped plugins and the fixtures, built to Wasm by the build script of this crate.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::registry_file::replace;

/// A plugin file in a folder of its own, which a test may change.
pub struct Wasm {
    folder: TempDir,
    file: String,
}

impl Wasm {
    /// A copy of a built plugin, e.g. `message_field`.
    pub fn of(name: &str) -> Self {
        let wasm = Self { folder: TempDir::new().unwrap(), file: format!("{name}.wasm") };
        wasm.write(&bytes(name));
        wasm
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(&self.file)
    }

    /// Replaces the file by an atomic rename.
    pub fn write(&self, bytes: &[u8]) {
        replace(&self.path(), bytes);
    }

    /// Cuts the file to nothing, then writes the bytes in two pieces, as editors and copies do.
    pub fn write_in_place(&self, bytes: &[u8]) {
        use std::io::Write;
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let mut file = std::fs::File::create(self.path()).unwrap();
        file.write_all(first).unwrap();
        file.flush().unwrap();
        file.write_all(second).unwrap();
    }
}

/// Where the built plugins are.
///
/// # Panics
/// When the crate was built without its build script's plugins.
pub fn folder() -> &'static Path {
    let Some(folder) = option_env!("SYMGATE_WASM_DIR") else {
        panic!("the plugins were not built; run the tests with `cargo xtask test`");
    };
    Path::new(folder)
}

/// The bytes of a built plugin.
///
/// # Panics
/// When there is none of that name.
pub fn bytes(name: &str) -> Vec<u8> {
    let path = folder().join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The SHA-256 of a file's bytes, as `sha256sum` prints it.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The same plugin in bytes that no cache has seen: with a custom section that differs each time.
pub fn with_fresh_bytes(mut wasm: Vec<u8>) -> Vec<u8> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mark = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
    let mut section = vec![u8::try_from("fresh".len()).unwrap()];
    section.extend_from_slice(b"fresh");
    section.extend_from_slice(mark.as_bytes());
    wasm.push(0);
    wasm.push(u8::try_from(section.len()).unwrap());
    wasm.extend(section);
    wasm
}

/// The same plugin with another text of the same length in its place: the smallest change that shows.
///
/// # Panics
/// When the lengths differ or the plugin does not hold the text.
pub fn with_text(mut wasm: Vec<u8>, old: &str, new: &str) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let at: Vec<_> = (0..wasm.len()).filter(|at| wasm[*at..].starts_with(old.as_bytes())).collect();
    assert!(!at.is_empty(), "the plugin does not hold {old:?}");
    for at in at {
        wasm[at..at + new.len()].copy_from_slice(new.as_bytes());
    }
    wasm
}

/// A core module that has the contract of a built plugin: its custom sections `component-type`.
///
/// # Panics
/// When there is no such plugin.
pub fn with_contract_of(name: &str, module: &[u8]) -> Vec<u8> {
    let plugin = bytes(name);
    let mut made = module.to_vec();
    let mut at = 8;
    while at < plugin.len() {
        let (length, body) = leb(&plugin, at + 1);
        let end = body + length;
        let is_contract = plugin[at] == 0 && {
            let (name_length, name) = leb(&plugin, body);
            plugin[name..name + name_length].starts_with(b"component-type")
        };
        if is_contract {
            made.extend_from_slice(&plugin[at..end]);
        }
        at = end;
    }
    made
}

/// The number at a place of a module, and the place after it.
fn leb(module: &[u8], mut at: usize) -> (usize, usize) {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = module[at];
        at += 1;
        number |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return (number, at);
        }
    }
}
