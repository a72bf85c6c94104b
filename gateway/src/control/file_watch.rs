//! Tells when the content of a file changed, however it was written: in place, by rename, through a symlink. Knows
//! nothing of what is in the files.
//!
//! The directories are watched, not the files: a watch on a file ends with the file. A slow look at the files' stamps
//! catches what the directories do not tell, e.g. a swapped symlink further up. All of it blocks, so it has a thread
//! of its own.

use std::{
    collections::HashSet,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant, SystemTime},
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind},
};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tracing::{debug, warn};

#[cfg(test)]
mod tests;

/// How often the files are looked at without being told.
const POLL: Duration = Duration::from_secs(1);
/// Changes that follow one another this closely are one.
const QUIET: Duration = Duration::from_millis(20);
/// How long a writer that has not closed the file is waited for.
const WRITING: Duration = Duration::from_millis(500);
/// A file that never comes to rest is read nevertheless after this long.
const LONGEST: Duration = Duration::from_secs(2);
/// A stamp younger than this says little: file times move in ticks of some milliseconds.
const TICK: Duration = Duration::from_millis(100);

/// Some files, watched until this is dropped.
#[derive(Debug)]
pub struct FileWatch {
    changes: mpsc::Receiver<FileChange>,
}

/// What a file holds now.
#[derive(Debug)]
pub struct FileChange {
    /// The place of the file in the list given to [`FileWatch::new`].
    pub index: usize,
    /// The whole content, or why it cannot be read.
    pub content: io::Result<Vec<u8>>,
}

impl FileWatch {
    /// Watches these files, which need not exist yet. Each is reported once at the start, then whenever its content,
    /// or the kind of error of reading it, differs from what was reported last.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn new(paths: Vec<PathBuf>) -> io::Result<Self> {
        let (sender, changes) = mpsc::channel(16);
        thread::Builder::new().name("file-watch".into()).spawn(move || Lookout::new(paths).run(&sender))?;
        Ok(Self { changes })
    }

    /// Waits for the next change. Nothing is lost when the wait is given up. `None`: the watch broke down.
    pub async fn changed(&mut self) -> Option<FileChange> {
        self.changes.recv().await
    }
}

/// The thread's side.
struct Lookout {
    files: Vec<File>,
    watcher: Option<RecommendedWatcher>,
    watched: HashSet<PathBuf>,
    events: Receiver<Event>,
    // Kept so that `events` never ends, even without a watcher.
    _sender: Sender<Event>,
}

/// One file and what is known of it.
struct File {
    path: PathBuf,
    stamp: Option<Stamp>,
    seen: Option<Seen>,
}

/// Changes whenever anything about a file does: unlike the modification time, nobody can set the change time.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

/// What was reported last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Content([u8; 32]),
    Error(io::ErrorKind),
}

/// What an event says of the moment to read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Signal {
    /// A writer is at work and will close the file.
    Writing,
    /// As good a moment as any.
    Settled,
}

impl Lookout {
    fn new(paths: Vec<PathBuf>) -> Self {
        let (sender, events) = channel();
        let to = sender.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| match event {
            // The receiver is gone only when the watch is over.
            Ok(event) => drop(to.send(event)),
            Err(error) => debug!(%error, "file watch"),
        });
        let watcher =
            watcher.inspect_err(|error| warn!(%error, "files cannot be watched; looking at them every {POLL:?}")).ok();
        let files = paths.into_iter().map(|path| File { path, stamp: None, seen: None }).collect();
        Self { files, watcher, watched: HashSet::new(), events, _sender: sender }
    }

    fn run(mut self, changes: &mpsc::Sender<FileChange>) {
        while !changes.is_closed() {
            self.watch_directories();
            for (index, file) in self.files.iter_mut().enumerate() {
                if let Some(content) = file.look()
                    && changes.blocking_send(FileChange { index, content }).is_err()
                {
                    return;
                }
            }
            self.wait();
        }
    }

    /// Watches the folders of the files and of what symlinks lead to; those that are gone again are watched anew.
    fn watch_directories(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted: HashSet<PathBuf> = self.files.iter().flat_map(File::directories).collect();
        for old in self.watched.difference(&wanted) {
            // It fails when the folder is gone, and the watch with it.
            drop(watcher.unwatch(old));
        }
        self.watched.retain(|path| wanted.contains(path));
        for path in wanted {
            if !self.watched.contains(&path) && watcher.watch(&path, RecursiveMode::NonRecursive).is_ok() {
                self.watched.insert(path);
            }
        }
    }

    /// Waits until it is time to look: after an event when the writer is done, else after [`POLL`].
    fn wait(&mut self) {
        let mut look_at = Instant::now() + POLL;
        let mut latest = None;
        while let Ok(event) = self.events.recv_timeout(look_at.saturating_duration_since(Instant::now())) {
            let Some(signal) = self.signal(&event) else { continue };
            let now = Instant::now();
            let rest = if signal == Signal::Writing { WRITING } else { QUIET };
            look_at = (now + rest).min(*latest.get_or_insert(now + LONGEST));
        }
    }

    fn signal(&mut self, event: &Event) -> Option<Signal> {
        let ours = event.need_rescan()
            || event.paths.iter().any(|path| self.files.iter().any(|file| path.file_name() == file.path.file_name()));
        match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Signal::Settled),
            // Our own reading is seen too.
            EventKind::Access(_) => None,
            EventKind::Modify(ModifyKind::Data(_)) => ours.then_some(Signal::Writing),
            EventKind::Remove(_) => {
                // A folder that is made again is another folder.
                self.watched.retain(|path| !event.paths.contains(path));
                Some(Signal::Settled)
            }
            _ => Some(Signal::Settled),
        }
    }
}

impl File {
    /// What to report, if anything.
    fn look(&mut self) -> Option<io::Result<Vec<u8>>> {
        let stamp = Stamp::of(&self.path);
        if stamp.is_some() && stamp == self.stamp {
            return None;
        }
        let content = fs::read(&self.path);
        let seen = match &content {
            Ok(content) => Seen::Content(Sha256::digest(content).into()),
            Err(error) => Seen::Error(error.kind()),
        };
        self.stamp = stamp.filter(|_| content.is_ok());
        (self.seen.replace(seen) != Some(seen)).then_some(content)
    }

    fn directories(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let real = fs::canonicalize(&self.path).ok();
        [directory(&self.path), real.as_deref().and_then(directory)].into_iter().flatten()
    }
}

fn directory(path: &Path) -> Option<PathBuf> {
    let parent = path.parent()?;
    fs::canonicalize(if parent.as_os_str().is_empty() { Path::new(".") } else { parent }).ok()
}

impl Stamp {
    /// `None` when it cannot be told or cannot be trusted yet.
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        let changed = (file.ctime(), file.ctime_nsec());
        let changed_at = SystemTime::UNIX_EPOCH + Duration::new(changed.0.try_into().ok()?, changed.1.try_into().ok()?);
        let age = changed_at.elapsed().ok()?;
        (age > TICK).then(|| Self { device: file.dev(), inode: file.ino(), length: file.len(), changed })
    }
}
