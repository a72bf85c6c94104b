//! The file itself: never half, and only believed when nobody else may have written it.

use std::{fs, io::Write, os::unix::fs::MetadataExt, path::Path};

use rustix::process::geteuid;
use tempfile::NamedTempFile;

/// Writable by the group or by all.
const BY_OTHERS: u32 = 0o022;

/// Replaces the file at once. Only its user may read it.
pub(super) fn write(file: &Path, bytes: &[u8]) -> Result<(), String> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Its mode is 0600, and it is removed when it does not get the name.
    let mut new = NamedTempFile::new_in(folder).map_err(|error| error.to_string())?;
    new.write_all(bytes).and_then(|()| new.as_file().sync_all()).map_err(|error| error.to_string())?;
    new.persist(file).map(drop).map_err(|error| error.to_string())
}

/// What the file holds.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, String> {
    let found = fs::metadata(file).map_err(|error| format!("it cannot be read: {error}"))?;
    if !found.is_file() {
        return Err("it is no file".into());
    }
    if found.uid() != geteuid().as_raw() || found.mode() & BY_OTHERS != 0 {
        return Err("it is foreign: others than the user of this symgate may have written it".into());
    }
    fs::read(file).map_err(|error| format!("it cannot be read: {error}"))
}
