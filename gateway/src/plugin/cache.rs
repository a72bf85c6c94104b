//! The folder of compiled code: whether it can be trusted, and wasmtime's cache in it. What is read from there runs as
//! machine code, so that nobody else may ever have written to it.

use std::{
    fs::{self, DirBuilder, Metadata},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::process::geteuid;
use wasmtime::{Cache, CacheConfig};

/// Ours alone.
const MODE: u32 = 0o700;
/// The write permissions of group and others.
const OTHERS_WRITE: u32 = 0o022;
/// What the compiled code of all plugins may take on disk before the least used goes; one plugin's is 100 KiB.
const SOFT_LIMIT: u64 = 64 << 20;
const SOFT_LIMIT_FILES: u64 = 1_000;
/// Hits after which wasmtime would compress an entry anew with much time and memory. These are small; never.
const NEVER: u64 = u64::MAX;

/// Compiled code that outlives the process.
#[derive(Clone, Debug)]
pub(super) struct CodeCache {
    folder: PathBuf,
    cache: Cache,
}

impl CodeCache {
    /// Opens the cache in a folder, which is made when it is not there.
    ///
    /// # Errors
    /// Says why the folder cannot be used or trusted, and what to do.
    pub(super) fn open(folder: &Path) -> Result<Self, String> {
        // Without the slash at its end, behind which a link would not be seen.
        let folder: PathBuf = folder.components().collect();
        own(&folder)?;
        let folder = fs::canonicalize(&folder).map_err(|error| unusable(&folder, &error))?;
        // What wasmtime makes inside has the permissions that the process's umask leaves; here they end with us.
        own(&folder.join("modules"))?;
        let mut config = CacheConfig::new();
        config
            .with_directory(&folder)
            .with_optimized_compression_usage_counter_threshold(NEVER)
            .with_files_total_size_soft_limit(SOFT_LIMIT)
            .with_file_count_soft_limit(SOFT_LIMIT_FILES);
        let cache = Cache::new(config).map_err(|error| format!("{}: {error:#}", folder.display()))?;
        Ok(Self { folder, cache })
    }

    /// Where it is: absolute, without links.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// For an engine's configuration.
    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// How often something was found.
    pub(super) fn hits(&self) -> usize {
        self.cache.cache_hits()
    }
}

/// Makes sure that a folder is there, is ours, and is written by nobody else.
fn own(folder: &Path) -> Result<(), String> {
    DirBuilder::new()
        .recursive(true)
        .mode(MODE)
        .create(folder)
        .and_then(|()| fs::symlink_metadata(folder))
        .map_err(|error| unusable(folder, &error))
        .and_then(|found| trust(folder, &found))
}

fn trust(folder: &Path, found: &Metadata) -> Result<(), String> {
    let (shown, us) = (folder.display(), geteuid().as_raw());
    if found.is_symlink() {
        Err(format!("{shown} is a symbolic link; name the folder that it leads to"))
    } else if found.uid() != us {
        Err(format!("{shown} belongs to user {}, not to {us} whom symgate runs as; name one of its own", found.uid()))
    } else if found.mode() & OTHERS_WRITE != 0 {
        Err(format!("{shown} can be written by others (mode {:04o}); chmod 700 it", found.mode() & 0o7777))
    } else {
        Ok(())
    }
}

fn unusable(folder: &Path, error: &io::Error) -> String {
    format!("{} cannot be used: {error}; name another folder", folder.display())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[track_caller]
    fn refused(folder: &Path, expected: &str) {
        let reason = CodeCache::open(folder).expect_err("it must be refused");
        assert!(reason.contains(expected), "{reason:?} does not say {expected:?}");
    }

    #[test]
    fn a_folder_is_made_for_us_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        let cache = CodeCache::open(&folder).unwrap();
        assert_eq!(cache.hits(), 0);
        for made in [folder.clone(), folder.join("modules")] {
            assert_eq!(fs::metadata(&made).unwrap().mode() & 0o7777, MODE, "{}", made.display());
        }
        CodeCache::open(&folder).expect("it is found again");
    }

    #[test]
    fn a_folder_that_others_may_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o770, 0o777, 0o1777] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            refused(folder.path(), "can be written by others (mode ");
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        CodeCache::open(folder.path()).expect("others may read");
        fs::set_permissions(folder.path().join("modules"), fs::Permissions::from_mode(0o777)).unwrap();
        refused(folder.path(), "modules can be written by others");
    }

    #[test]
    fn a_link_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        refused(&link, "is a symbolic link");
        refused(&link.join(""), "is a symbolic link");
    }

    #[test]
    fn another_user_s_folder_is_refused() {
        // One of the two is not ours, whoever runs the tests.
        let (root, mine) = (Path::new("/"), tempfile::tempdir().unwrap());
        let found = fs::metadata(if geteuid().is_root() { mine.path() } else { root }).unwrap();
        if geteuid().is_root() {
            std::os::unix::fs::chown(mine.path(), Some(12_345), None).unwrap();
            refused(mine.path(), "belongs to user 12345, not to 0");
        } else {
            let reason = trust(root, &found).expect_err("it is root's");
            assert!(reason.contains("belongs to user 0"), "{reason}");
        }
    }

    #[test]
    fn what_is_no_folder_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        refused(file.path(), "cannot be used: ");
    }
}
