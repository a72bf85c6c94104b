//! Real files, written as tools write them.

use std::fs;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;

struct Pair {
    folder: TempDir,
    updates: UnboundedReceiver<CertificateUpdate>,
}

fn pair(name: &str) -> (String, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    (cert.pem(), signing_key.serialize_pem())
}

fn config(folder: &TempDir) -> Config {
    let text = "[listen]\ntls = { certificate = 'a.pem', key = 'a.key' }\n[[route]]\nmatch = '/'\nservice = 's'\n";
    Config::parse(text, "symgate.toml", folder.path()).expect("a configuration")
}

impl Pair {
    /// A pair of "first", watched.
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let (certificate, key) = pair("first");
        let pair = Self { folder, updates: unbounded_channel().1 };
        pair.write("a.pem", &certificate);
        pair.write("a.key", &key);
        pair
    }

    fn watched() -> Self {
        let mut pair = Self::new();
        let files = CertificateFiles::load(&config(&pair.folder)).expect("a pair");
        assert_eq!(**files.secured()[0].material.names(), ["first"]);
        let watch = files.watch().expect("a watch").expect("files to watch");
        let (sender, updates) = unbounded_channel();
        pair.updates = updates;
        tokio::spawn(files.run(watch, sender));
        pair
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.folder.path().join(name), content).expect("written");
    }

    /// The names that the next change brings, or why it was refused.
    async fn next(&mut self) -> Result<Vec<String>, String> {
        let update =
            tokio::time::timeout(Duration::from_secs(20), self.updates.recv()).await.expect("a change in time");
        let update = update.expect("the watch goes on");
        assert_eq!(update.at, 0);
        update.outcome.map(|material| material.names().to_vec())
    }
}

#[tokio::test]
async fn a_pair_written_one_after_the_other_is_one_change() {
    let mut files = Pair::watched();
    let (certificate, key) = pair("second");
    files.write("a.pem", &certificate);
    files.write("a.key", &key);
    assert_eq!(files.next().await, Ok(vec!["second".into()]));
    assert!(files.updates.try_recv().is_err(), "one change is told once");
}

#[tokio::test]
async fn half_a_pair_is_refused_until_the_other_half_comes() {
    let mut files = Pair::watched();
    let (certificate, key) = pair("second");
    files.write("a.pem", &certificate);
    let refused = files.next().await.expect_err("the key is the old one");
    assert!(refused.contains("not the key of the certificate"), "{refused}");
    files.write("a.key", &key);
    assert_eq!(files.next().await, Ok(vec!["second".into()]));
}

#[tokio::test]
async fn a_file_that_is_gone_or_cut_off_is_refused_until_it_is_back() {
    let mut files = Pair::watched();
    let key = fs::read_to_string(files.folder.path().join("a.key")).expect("the key");
    fs::remove_file(files.folder.path().join("a.key")).expect("removed");
    let refused = files.next().await.expect_err("there is no key");
    assert!(refused.contains("a.key: cannot be read"), "{refused}");
    files.write("a.key", &key[..40]);
    let refused = files.next().await.expect_err("half a key");
    assert!(refused.contains("a.key: cut off"), "{refused}");
    files.write("a.key", &key);
    assert_eq!(files.next().await, Ok(vec!["first".into()]));
}

#[test]
fn the_start_fails_with_who_and_which_file() {
    let files = Pair::new();
    files.write("a.key", "");
    let error = CertificateFiles::load(&config(&files.folder)).err().expect("an empty key").to_string();
    assert!(error.starts_with("TLS of listener: ") && error.ends_with("a.key: the file is empty"), "{error}");
}
