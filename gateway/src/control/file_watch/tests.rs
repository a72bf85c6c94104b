//! Every way in which a file is replaced.

use std::{fs, os::unix::fs::symlink, path::Path};

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;

struct Watched {
    folder: TempDir,
    watch: FileWatch,
}

impl Watched {
    /// The file `file` in a folder that `prepare` filled; what it holds at the start is `first`.
    async fn new(prepare: impl FnOnce(&Path), first: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let watch = FileWatch::new(vec![folder.path().join("file")]).unwrap();
        let mut watched = Self { folder, watch };
        assert_eq!(watched.next().await.as_deref(), first);
        watched
    }

    async fn next(&mut self) -> Option<String> {
        let change = timeout(Duration::from_secs(20), self.watch.changed()).await;
        let change = change.expect("the change was not told").expect("the watch goes on");
        assert_eq!(change.index, 0);
        change.content.ok().map(|content| String::from_utf8(content).unwrap())
    }

    async fn expect(&mut self, content: &str) {
        assert_eq!(self.next().await.as_deref(), Some(content));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn one(folder: &Path) {
    fs::write(folder.join("file"), "one").unwrap();
}

#[tokio::test]
async fn a_file_written_in_place() {
    let mut watched = Watched::new(one, Some("one")).await;
    fs::write(watched.path("file"), "two").unwrap();
    watched.expect("two").await;
    fs::write(watched.path("file"), "owt").unwrap();
    watched.expect("owt").await;
}

#[tokio::test]
async fn a_writer_that_pauses_is_waited_for() {
    use std::io::Write as _;
    let mut watched = Watched::new(one, Some("one")).await;
    let path = watched.path("file");
    let writer = thread::spawn(move || {
        let mut file = fs::File::create(path).unwrap();
        for part in ["two ", "and ", "three"] {
            file.write_all(part.as_bytes()).unwrap();
            thread::sleep(QUIET * 3);
        }
    });
    watched.expect("two and three").await;
    writer.join().unwrap();
}

#[tokio::test]
async fn a_file_renamed_into_place() {
    let mut watched = Watched::new(one, Some("one")).await;
    for content in ["two", "six"] {
        fs::write(watched.path("new"), content).unwrap();
        fs::rename(watched.path("new"), watched.path("file")).unwrap();
        watched.expect(content).await;
    }
}

#[tokio::test]
async fn a_symlink_swapped_as_a_mounted_config_map_is() {
    let prepare = |folder: &Path| {
        for (version, content) in [("v1", "one"), ("v2", "two")] {
            fs::create_dir(folder.join(version)).unwrap();
            fs::write(folder.join(version).join("file"), content).unwrap();
        }
        symlink("v1", folder.join("..data")).unwrap();
        symlink("..data/file", folder.join("file")).unwrap();
    };
    let mut watched = Watched::new(prepare, Some("one")).await;
    symlink("v2", watched.path("..new")).unwrap();
    fs::rename(watched.path("..new"), watched.path("..data")).unwrap();
    watched.expect("two").await;
    fs::write(watched.path("v2").join("file"), "owt").unwrap();
    watched.expect("owt").await;
}

#[tokio::test]
async fn a_folder_swapped_above_the_watched_one() {
    let folder = tempfile::tempdir().unwrap();
    for (version, content) in [("v1", "one"), ("v2", "two")] {
        fs::create_dir(folder.path().join(version)).unwrap();
        fs::write(folder.path().join(version).join("file"), content).unwrap();
    }
    symlink("v1", folder.path().join("live")).unwrap();
    let watch = FileWatch::new(vec![folder.path().join("live/file")]).unwrap();
    let mut watched = Watched { folder, watch };
    watched.expect("one").await;
    symlink("v2", watched.path("new")).unwrap();
    fs::rename(watched.path("new"), watched.path("live")).unwrap();
    watched.expect("two").await;
}

#[tokio::test]
async fn a_file_that_appears_goes_and_comes_back() {
    let mut watched = Watched::new(|_| (), None).await;
    fs::write(watched.path("file"), "one").unwrap();
    watched.expect("one").await;
    fs::remove_file(watched.path("file")).unwrap();
    assert_eq!(watched.next().await, None, "a removed file is an error");
    fs::write(watched.path("file"), "one").unwrap();
    watched.expect("one").await;
}

#[tokio::test]
async fn the_same_content_again_is_no_change() {
    let mut watched = Watched::new(one, Some("one")).await;
    fs::write(watched.path("file"), "one").unwrap();
    fs::write(watched.path("other"), "x").unwrap();
    assert!(timeout(QUIET * 5, watched.watch.changed()).await.is_err());
    fs::write(watched.path("file"), "two").unwrap();
    watched.expect("two").await;
}

#[tokio::test]
async fn a_folder_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let watch = FileWatch::new(vec![folder.path().join("sub/file")]).unwrap();
    let mut watched = Watched { folder, watch };
    assert_eq!(watched.next().await, None, "nothing is there");
    for content in ["one", "two"] {
        fs::create_dir(watched.path("sub")).unwrap();
        fs::write(watched.path("sub/file"), content).unwrap();
        watched.expect(content).await;
        fs::remove_dir_all(watched.path("sub")).unwrap();
        assert_eq!(watched.next().await, None, "the folder is gone");
    }
}
