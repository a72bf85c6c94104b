//! Every way in which a file is replaced. None of the files is a plugin: each change comes back as the reason why not.

use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use tokio::task::JoinHandle;

use super::*;
use crate::config::{Builtin, Limits};

/// One watched file.
struct Watched {
    plugin: config::Plugin,
    line: Line,
    watch: JoinHandle<()>,
}

impl Watched {
    async fn new(path: &Path, content: &str) -> Self {
        let plugin = config::Plugin {
            name: "policy".into(),
            path: Some(path.to_owned()),
            builtin: Some(Builtin::LeastLoaded),
            config: "{}".into(),
            limits: Limits { time: Duration::from_millis(50), memory: 16 << 20, ..Limits::default() },
            remember: true,
            versions: config::Versions::default(),
            recycle: config::Recycle::default(),
        };
        let loaded = [Arc::new(Host::builtin(&plugin).unwrap())];
        let (line, far_end) = line();
        let files = PluginFiles::new(Host::new().unwrap(), std::slice::from_ref(&plugin), &loaded).unwrap();
        let watch = tokio::spawn(files.run(0, far_end));
        let mut watched = Self { plugin, line, watch };
        // What is active is another version, so that the first look tells that the watch stands.
        watched.expect(content).await;
        watched
    }

    async fn next(&mut self) -> PluginUpdate {
        let next = tokio::time::timeout(Duration::from_secs(20), self.line.updates.recv()).await;
        next.expect("an update in time").expect("the watch goes on")
    }

    /// The next update is about this content.
    #[track_caller]
    fn expect(&mut self, content: &str) -> impl Future<Output = ()> {
        let version = plugin::version(&self.plugin, content.as_bytes());
        async move {
            let update = self.next().await;
            let reason = update.outcome.err().expect("no plugin");
            assert_eq!(update.version, Some(version), "{content}: {reason}");
            assert!(reason.starts_with("not a WebAssembly file"), "{reason}");
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

#[tokio::test]
async fn a_file_is_replaced_in_place_and_by_rename() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.wasm");
    fs::write(&path, "first").unwrap();
    let mut watched = Watched::new(&path, "first").await;

    fs::write(&path, "first").unwrap();
    fs::write(&path, "second").unwrap();
    watched.expect("second").await;

    let other = folder.path().join("policy.wasm.new");
    fs::write(&other, "third").unwrap();
    fs::rename(&other, &path).unwrap();
    watched.expect("third").await;
}

#[tokio::test]
async fn a_file_that_goes_is_reported_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.wasm");
    fs::write(&path, "first").unwrap();
    let mut watched = Watched::new(&path, "first").await;

    fs::remove_file(&path).unwrap();
    let update = watched.next().await;
    let reason = update.outcome.err().unwrap();
    assert!(update.version.is_none() && reason.starts_with("cannot read "), "{reason}");
    // An unrelated change makes it look again.
    fs::write(folder.path().join("notes.txt"), "still gone").unwrap();
    fs::write(&path, "second").unwrap();
    watched.expect("second").await;
}

#[tokio::test]
async fn a_file_behind_links_is_replaced() {
    // As Kubernetes mounts a ConfigMap: `policy.wasm -> ..data/policy.wasm`, `..data -> ..1/`.
    let folder = tempfile::tempdir().unwrap();
    let in_folder = |name: &str| folder.path().join(name);
    let version = |name: &str, content: &str| {
        fs::create_dir(in_folder(name)).unwrap();
        fs::write(in_folder(name).join("policy.wasm"), content).unwrap();
        symlink(name, in_folder("..data_tmp")).unwrap();
        fs::rename(in_folder("..data_tmp"), in_folder("..data")).unwrap();
    };
    version("..1", "first");
    symlink("..data/policy.wasm", in_folder("policy.wasm")).unwrap();
    let mut watched = Watched::new(&in_folder("policy.wasm"), "first").await;

    version("..2", "second");
    watched.expect("second").await;
    fs::remove_dir_all(in_folder("..1")).unwrap();
    version("..3", "third");
    watched.expect("third").await;
    fs::write(in_folder("..3/policy.wasm"), "edited").unwrap();
    watched.expect("edited").await;
}

#[tokio::test]
async fn a_file_in_a_swapped_folder_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let in_folder = |name: &str| folder.path().join(name);
    let version = |name: &str, content: &str| {
        fs::create_dir(in_folder(name)).unwrap();
        fs::write(in_folder(name).join("policy.wasm"), content).unwrap();
        symlink(name, in_folder("tmp")).unwrap();
        fs::rename(in_folder("tmp"), in_folder("current")).unwrap();
    };
    version("1", "first");
    let path = in_folder("current/policy.wasm");
    let mut watched = Watched::new(&path, "first").await;

    version("2", "second");
    watched.expect("second").await;
    fs::write(&path, "edited").unwrap();
    watched.expect("edited").await;
}

#[test]
fn a_plugin_that_cannot_be_used_says_what_to_do() {
    let host = Host::new().unwrap();
    let plugin = config::Plugin {
        name: "by-symbol".into(),
        path: Some("missing/policy.wasm".into()),
        builtin: None,
        config: "{}".into(),
        limits: Limits { time: Duration::from_millis(5), memory: 16 << 20, ..Limits::default() },
        remember: true,
        versions: config::Versions::default(),
        recycle: config::Recycle::default(),
    };
    let check = |plugin: config::Plugin, expected: &str| {
        let error = load_all(&host, &[plugin], 1).err().expect("it cannot be used").to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    check(plugin.clone(), "plugin by-symbol: cannot read missing/policy.wasm: No such file or directory");

    let file = tempfile::NamedTempFile::new().unwrap();
    let path = Some(file.path().to_owned());
    let expected = format!("plugin by-symbol: {}: not a WebAssembly file: it is empty", file.path().display());
    check(config::Plugin { path, ..plugin.clone() }, &expected);

    let builtin = Some(Builtin::LeastLoaded);
    let refused = config::Plugin { path: None, builtin, config: r#"{"surprise":1}"#.into(), ..plugin };
    check(refused, "plugin by-symbol: it refuses its configuration: ");
}
