//! A plugin file that is replaced becomes a new version; one that is wrong does not.

use std::{fs, sync::Arc, time::Duration};

use symgate::{
    control::plugin_files::{self, Line, PluginFiles, PluginUpdate},
    plugin::Sandboxes,
};
use tokio::time::timeout;

use super::{HOST, Subject, misbehave, symbol};

async fn next(line: &mut Line) -> PluginUpdate {
    timeout(Duration::from_secs(30), line.updates.recv()).await.expect("an update in time").expect("the watch goes on")
}

#[tokio::test]
async fn a_replaced_file_is_a_new_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plugin.wasm");
    let (first, second) = (Subject::new("metadata-key"), Subject::new("misbehaves"));
    fs::copy(first.path(), &path).unwrap();
    let mut config = first.0.clone();
    config.path = Some(path.clone());

    let loaded = plugin_files::load_all(&HOST, &[config.clone()], 1).unwrap();
    let (mut line, far_end) = plugin_files::line();
    let files = PluginFiles::new(HOST.clone(), &[config], &loaded).unwrap();
    let _watch = tokio::spawn(files.run(1, far_end));

    fs::write(&path, b"not yet").unwrap();
    let refused = next(&mut line).await;
    assert!(refused.outcome.err().expect("no plugin").starts_with("not a WebAssembly file"));

    fs::write(&path, second.bytes()).unwrap();
    let update = next(&mut line).await;
    let plugin: Arc<_> = update.outcome.expect("a plugin");
    assert_eq!((update.at, update.version.as_deref()), (0, Some(plugin.version())));
    assert_ne!(plugin.version(), loaded[0].version());
    assert_eq!(misbehave(&mut Sandboxes::default(), &plugin, None).unwrap(), symbol());
}
