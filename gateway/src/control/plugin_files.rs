//! Plugin files: loaded at start, then watched; a change becomes a new version or the reason why not. Publishes
//! nothing: what it finds goes to control.

use std::{fs, io, path::PathBuf, sync::Arc};

use tokio::{sync::mpsc::UnboundedSender, task::spawn_blocking};

use super::file_watch::FileWatch;
use crate::{
    config,
    plugin::{self, Host, Plugin, Rejected},
};

/// A plugin file changed.
pub struct PluginUpdate {
    /// The plugin's place in the configuration.
    pub at: usize,
    /// The version that the file is now; `None`: it cannot be read.
    pub version: Option<String>,
    /// The plugin, or why the running version stays.
    pub outcome: Result<Arc<Plugin>, String>,
}

/// Why the gateway cannot start with a plugin.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// There is no such file, or it cannot be read.
    #[error("plugin {name}: cannot read {}: {source}; build the file or correct `path` of this [[plugin]]", path.display())]
    Unreadable {
        /// The plugin.
        name: String,
        /// Its file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file or the configuration is wrong.
    #[error("plugin {name}: {}{reason}", path.as_ref().map(|path| format!("{}: ", path.display())).unwrap_or_default())]
    Rejected {
        /// The plugin.
        name: String,
        /// Its file; `None`: it is a built-in.
        path: Option<PathBuf>,
        /// What is wrong.
        reason: Rejected,
    },
}

/// Loads every plugin, with `sandboxes` sandboxes each, in the order of the configuration. Blocks while it compiles.
///
/// # Errors
/// Names the first plugin that cannot be used, its file, and what to do.
pub fn load_all(host: &Host, plugins: &[config::Plugin], sandboxes: usize) -> Result<Vec<Arc<Plugin>>, Unusable> {
    plugins.iter().map(|plugin| load(host, plugin, sandboxes).map(Arc::new)).collect()
}

fn load(host: &Host, plugin: &config::Plugin, sandboxes: usize) -> Result<Plugin, Unusable> {
    let loaded = match &plugin.path {
        None => Host::builtin(plugin),
        Some(path) => {
            let bytes = fs::read(path).map_err(|source| Unusable::Unreadable {
                name: plugin.name.clone(),
                path: path.clone(),
                source,
            })?;
            host.load(plugin, &bytes, sandboxes)
        }
    };
    loaded.map_err(|reason| Unusable::Rejected { name: plugin.name.clone(), path: plugin.path.clone(), reason })
}

/// All plugin files, watched until this is dropped.
pub struct PluginFiles {
    host: Host,
    files: Vec<File>,
    watch: FileWatch,
}

/// A plugin's file as it was last told.
struct File {
    at: usize,
    plugin: config::Plugin,
    path: PathBuf,
    /// `None`: it could not be read.
    version: Option<String>,
}

impl PluginFiles {
    /// Watches the files of `plugins`, which were loaded as `loaded`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(host: Host, plugins: &[config::Plugin], loaded: &[Arc<Plugin>]) -> io::Result<Self> {
        let files = plugins.iter().zip(loaded).enumerate().filter_map(|(at, (plugin, loaded))| {
            let (plugin, version) = (plugin.clone(), Some(loaded.version().to_owned()));
            Some(File { at, path: plugin.path.clone()?, plugin, version })
        });
        let files: Vec<_> = files.collect();
        let watch = FileWatch::new(files.iter().map(|file| file.path.clone()).collect())?;
        Ok(Self { host, files, watch })
    }

    /// Sends each change to `updates` once it compiled, with `sandboxes` sandboxes made; goes on until nobody wants
    /// to know.
    pub async fn run(mut self, sandboxes: usize, updates: UnboundedSender<PluginUpdate>) {
        while let Some(change) = self.watch.changed().await {
            let Some(file) = self.files.get_mut(change.index) else { continue };
            if let Some(update) = file.update(&self.host, change.content, sandboxes).await
                && updates.send(update).is_err()
            {
                return;
            }
        }
        tracing::error!("the watch of the plugin files broke down; restart the gateway to change a plugin");
    }
}

impl File {
    /// What the content means; `None`: it is what was told last. One plugin at a time compiles, on a thread apart.
    async fn update(&mut self, host: &Host, content: io::Result<Vec<u8>>, sandboxes: usize) -> Option<PluginUpdate> {
        let bytes = match content {
            Ok(bytes) => bytes,
            Err(error) => {
                self.version = None;
                let reason = format!("cannot read {}: {error}", self.path.display());
                return Some(PluginUpdate { at: self.at, version: None, outcome: Err(reason) });
            }
        };
        let version = plugin::version(&self.plugin, &bytes);
        if self.version.replace(version.clone()).as_ref() == Some(&version) {
            return None;
        }
        let (host, plugin) = (host.clone(), self.plugin.clone());
        let loaded = spawn_blocking(move || host.load(&plugin, &bytes, sandboxes)).await;
        let outcome = match loaded {
            Ok(loaded) => loaded.map(Arc::new).map_err(|rejected| rejected.0),
            Err(panic) => Err(format!("loading it broke down: {panic}")),
        };
        Some(PluginUpdate { at: self.at, version: Some(version), outcome })
    }
}

#[cfg(test)]
mod tests;
