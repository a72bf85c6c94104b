//! The file source against real files.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use symgate::{
    control::{
        Reread, file,
        source::{Change, Entry},
    },
    routing::Layout,
};
use tempfile::TempDir;
use tokio::time::timeout;

use super::{SOON, Told};

const ONE: &str = "'klineRpc/BTC_USDT/1' = '10.0.0.1:1'\n";
const TWO: &str = "'klineRpc/BTC_USDT/1' = '10.0.0.2:2'\n";

/// A folder with the file in it and a source that reads it for one service.
struct File {
    folder: TempDir,
    told: Told,
}

impl File {
    /// What the file holds at the start, if it is there.
    fn new(text: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("instances.toml");
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        Self { folder, told: watch(path, &["klineRpc"]) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, text: &str) {
        fs::write(self.path("instances.toml"), text).unwrap();
    }

    async fn expect(&mut self, values: &[&str]) -> Vec<Entry> {
        let entries = self.told.listed().await.entries;
        let found: Vec<_> = entries.iter().map(|entry| str::from_utf8(&entry.value).unwrap()).collect();
        assert_eq!(found, values);
        entries
    }
}

fn watch(path: PathBuf, services: &[&str]) -> Told {
    let prefix = |service: &&str| Layout::new("", service, None).prefix().to_owned();
    let services = services.iter().map(prefix).enumerate().collect();
    Told::by(move |updates| file::watch(path, services, updates, Reread::default()))
}

#[tokio::test]
async fn every_format_arrives_as_etcd_would_hold_it() {
    let mut file = File::new(Some(
        r#"
        "klineRpc/BTC_USDT/1" = "192.168.2.159:9999"
        "klineRpc/BTC_USDT/2" = { Addr = "192.168.2.159:9998", Metadata = { symbol = "BTC_USDT" } }
        "klineRpc/3" = '{"Op":0,"Addr":"192.168.2.159:9997","Metadata":{"symbol":"ETH_USDT"}}'
        "klineRpc/4" = "192.168.2.159:20002"
        "accountRpc/1" = "192.168.2.159:20003"
        "#,
    ));
    let entries = file
        .expect(&[
            "192.168.2.159:9999",
            r#"{"Addr":"192.168.2.159:9998","Metadata":{"symbol":"BTC_USDT"}}"#,
            r#"{"Op":0,"Addr":"192.168.2.159:9997","Metadata":{"symbol":"ETH_USDT"}}"#,
            "192.168.2.159:20002",
        ])
        .await;
    let layout = Layout::new("", "klineRpc", None);
    for (entry, symbol) in entries.iter().zip(["BTC_USDT", "BTC_USDT", "ETH_USDT", ""]) {
        let registration = layout.read(&entry.key, &entry.value).unwrap();
        assert_eq!(registration.symbol, symbol.into(), "{}", entry.key);
    }
}

#[tokio::test]
async fn a_change_is_told_to_those_whom_it_touches() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("instances.toml");
    fs::write(&path, "'a/1' = 'x:1'\n'b/1' = 'x:1'\n").unwrap();
    let mut told = watch(path.clone(), &["a", "b", "c"]);
    let mut told_first: Vec<_> = Vec::new();
    for _ in 0..3 {
        let update = told.next().await;
        assert!(matches!(update.change, Change::Listed { .. }), "told was {update:?}");
        told_first.push(update.service);
    }
    assert_eq!(told_first, [0, 1, 2], "the empty service too");
    fs::write(&path, "'a/1' = 'x:1'\n'b/1' = 'x:1'\n'b/2' = 'x:1'\n").unwrap();
    let update = told.next().await;
    let Change::Listed { entries, .. } = update.change else { panic!("told was {update:?}") };
    assert_eq!(update.service, 1);
    let revisions: Vec<_> = entries.iter().map(|entry| (&*entry.key, entry.create_revision)).collect();
    assert_eq!(revisions, [("b/1", 3), ("b/2", 4)], "what stays keeps its revision");
    drop(told.updates);
    timeout(SOON, told.task).await.expect("the source ends when nobody listens").unwrap();
}

#[tokio::test]
async fn written_in_place_by_rename_and_through_a_symlink() {
    let mut file = File::new(Some(ONE));
    file.expect(&["10.0.0.1:1"]).await;
    file.write(TWO);
    file.expect(&["10.0.0.2:2"]).await;

    fs::write(file.path("new"), ONE).unwrap();
    fs::rename(file.path("new"), file.path("instances.toml")).unwrap();
    file.expect(&["10.0.0.1:1"]).await;

    fs::create_dir(file.path("v2")).unwrap();
    fs::write(file.path("v2/instances.toml"), TWO).unwrap();
    symlink("v2/instances.toml", file.path("link")).unwrap();
    fs::rename(file.path("link"), file.path("instances.toml")).unwrap();
    file.expect(&["10.0.0.2:2"]).await;
    fs::write(file.path("v2/instances.toml"), ONE).unwrap();
    file.expect(&["10.0.0.1:1"]).await;
}

#[tokio::test]
async fn a_broken_file_keeps_the_table_and_says_where() {
    let mut file = File::new(Some(ONE));
    file.expect(&["10.0.0.1:1"]).await;
    file.write("'klineRpc/BTC_USDT/1' = '10.0.0.1:1'\nklineRpc/BTC_USDT/2 = '10.0.0.2:2'\n");
    let reason = file.told.lost().await;
    assert!(reason.contains("instances.toml:2:9: "), "{reason}");
    file.write("");
    assert!(file.told.lost().await.contains("is empty"), "a file about to be written removes nothing");
    file.write(ONE);
    let entries = file.expect(&["10.0.0.1:1"]).await;
    assert_eq!(entries[0].create_revision, 2, "it was there all the time");
}

#[tokio::test]
async fn a_missing_file_is_taken_up_when_it_appears() {
    let mut file = File::new(None);
    let reason = file.told.lost().await;
    assert!(reason.contains("instances.toml: cannot be read"), "{reason}");
    file.write(ONE);
    file.expect(&["10.0.0.1:1"]).await;
    fs::remove_file(file.path("instances.toml")).unwrap();
    file.told.lost().await;
    file.write(ONE);
    file.expect(&["10.0.0.1:1"]).await;
}
