//! The create revision of the registration, in a file for the process that is registered. It is the number that the
//! gateway sends as `symgate-owner`.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use tokio::sync::watch;
use tracing::warn;

use super::Standing;

/// A file that holds the number while the process is registered, and is not there while it is not.
#[derive(Debug)]
pub struct OwnerFile {
    path: PathBuf,
    /// What was made for it, and goes with it.
    folder: Option<PathBuf>,
}

impl OwnerFile {
    /// At a path of the user's choice. What an earlier process left there is removed.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn at(path: PathBuf) -> io::Result<Self> {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(Self { path, folder: None }),
        }
    }

    /// In a new folder that only this user can enter.
    ///
    /// # Errors
    /// When there is no place for temporary files.
    pub fn temporary() -> io::Result<Self> {
        let name = format!("symgate-{}-{:016x}", std::process::id(), fastrand::u64(..));
        let folder = std::env::temp_dir().join(name);
        // It fails when somebody was there first.
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self { path: folder.join("owner"), folder: Some(folder) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps it as the registration stands.
    pub async fn follow(&self, mut standing: watch::Receiver<Standing>) {
        loop {
            let now = *standing.borrow_and_update();
            let kept = match now {
                Standing::Announced(revision) => self.write(revision),
                Standing::Absent | Standing::Unsure => self.remove(),
            };
            if let Err(error) = kept {
                warn!(path = %self.path.display(), %error, "the owner file cannot be kept");
            }
            if standing.changed().await.is_err() {
                return;
            }
        }
    }

    /// Who reads it sees the old number or the new one, never half of it.
    fn write(&self, revision: u64) -> io::Result<()> {
        let mut new = self.path.clone().into_os_string();
        new.push(".new");
        fs::write(&new, format!("{revision}\n"))?;
        fs::rename(&new, &self.path)
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for OwnerFile {
    fn drop(&mut self) {
        // What cannot be removed is left behind.
        drop(self.remove());
        if let Some(folder) = &self.folder {
            drop(fs::remove_dir(folder));
        }
    }
}
