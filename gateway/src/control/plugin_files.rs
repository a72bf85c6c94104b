//! Plugin files: loaded at start, then watched, or read when an operator says so; a change becomes a new version or the
//! reason why not. Publishes nothing: what it finds goes to control.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::spawn_blocking,
};

use super::{file_watch::FileWatch, gate::Gate};
use crate::{
    config::{self, Config, Reload},
    plugin::{self, Host, Plugin, Rejected},
    snapshot::Reply,
};

/// A plugin file changed, or was read because an operator said so.
pub struct PluginUpdate {
    /// The plugin's place in the configuration.
    pub at: usize,
    /// The version that the file is now; `None`: it cannot be read.
    pub version: Option<String>,
    /// The plugin, or why the running version stays.
    pub outcome: Result<Arc<Plugin>, String>,
    /// The operator who waits to hear what came of it; `None`: the file changed.
    pub told: Option<Reply>,
}

/// An operator's word to read the file of the plugin at this place.
pub struct Told {
    /// The plugin's place in the configuration.
    pub at: usize,
    /// Where the operator waits.
    pub reply: Reply,
}

/// Control's end of what the plugin files and it say to each other.
pub struct Line {
    /// What became of files.
    pub updates: UnboundedReceiver<PluginUpdate>,
    /// Which files to read.
    pub told: UnboundedSender<Told>,
}

/// The other end, for [`PluginFiles::run`].
pub struct FarEnd {
    updates: UnboundedSender<PluginUpdate>,
    told: UnboundedReceiver<Told>,
}

/// What connects plugin files and control.
pub fn line() -> (Line, FarEnd) {
    let (updates, heard) = unbounded_channel();
    let (told, asked) = unbounded_channel();
    (Line { updates: heard, told }, FarEnd { updates, told: asked })
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
    /// Which of the files each one that is watched is.
    watched: Vec<usize>,
    watch: FileWatch,
    /// What new versions must prove; `None`: nothing.
    gate: Option<Gate>,
    /// Where the configuration is.
    source: Option<PathBuf>,
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
    /// Watches the files of `plugins`, which were loaded as `loaded`, but for those that wait for an operator's word.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(host: Host, plugins: &[config::Plugin], loaded: &[Arc<Plugin>]) -> io::Result<Self> {
        let files = plugins.iter().zip(loaded).enumerate().filter_map(|(at, (plugin, loaded))| {
            let (plugin, version) = (plugin.clone(), Some(loaded.version().to_owned()));
            Some(File { at, path: plugin.path.clone()?, plugin, version })
        });
        let files: Vec<_> = files.collect();
        let (watched, paths) = files
            .iter()
            .enumerate()
            .filter(|(_, file)| file.plugin.versions.reload == Reload::Watch)
            .map(|(index, file)| (index, file.path.clone()))
            .unzip();
        let watch = FileWatch::new(paths)?;
        Ok(Self { host, files, watched, watch, gate: None, source: None })
    }

    /// New versions must pass the gate.
    #[must_use]
    pub fn behind(self, gate: Gate) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// What an operator wants to be read has the options that this configuration says then.
    #[must_use]
    pub fn configured_by(self, source: Option<PathBuf>) -> Self {
        Self { source, ..self }
    }

    /// Tells of each change once it compiled, with `sandboxes` sandboxes made, and of what an operator wants to be read;
    /// goes on until nobody wants to know.
    pub async fn run(mut self, sandboxes: usize, FarEnd { updates, mut told }: FarEnd) {
        loop {
            let update = tokio::select! {
                change = self.watch.changed() => {
                    let Some(change) = change else { break };
                    let file = self.watched.get(change.index).and_then(|index| self.files.get_mut(*index));
                    let Some(file) = file else { continue };
                    file.update(&self.host, change.content, sandboxes).await
                }
                Some(Told { at, reply }) = told.recv() => {
                    let Some(file) = self.files.iter_mut().find(|file| file.at == at) else {
                        drop(reply.send(Err("it is a built-in: there is no file to read".into())));
                        continue;
                    };
                    Some(PluginUpdate { told: Some(reply), ..file.read(&self.host, sandboxes, self.source.clone()).await })
                }
            };
            let Some(update) = update else { continue };
            if updates.send(self.judged(update).await).is_err() {
                return;
            }
        }
        tracing::error!("the watch of the plugin files broke down; restart the gateway to change a plugin");
    }

    /// The version has proven what it must, or is refused.
    async fn judged(&self, update: PluginUpdate) -> PluginUpdate {
        let outcome = match (&self.gate, update.outcome) {
            (Some(gate), Ok(new)) => gate.judge(new).await,
            (_, outcome) => outcome,
        };
        PluginUpdate { outcome, ..update }
    }
}

impl File {
    /// What the content means; `None`: it is what was told last.
    async fn update(&mut self, host: &Host, content: io::Result<Vec<u8>>, sandboxes: usize) -> Option<PluginUpdate> {
        let before = self.version.take();
        match content {
            Ok(bytes) => {
                self.version = Some(plugin::version(&self.plugin, &bytes));
                if self.version == before {
                    return None;
                }
                Some(self.load(host, bytes, sandboxes).await)
            }
            Err(error) => Some(self.unreadable(&error)),
        }
    }

    /// What the file and its options are now, whatever was told last. Options of a version that is refused do not stay.
    async fn read(&mut self, host: &Host, sandboxes: usize, source: Option<PathBuf>) -> PluginUpdate {
        let (path, plugin) = (self.path.clone(), self.plugin.clone());
        let read = spawn_blocking(move || {
            Ok((source.map_or(Ok(None), |it| options(&it, &plugin).map(Some))?, fs::read(path)))
        });
        let (options, content) = match read.await.unwrap_or_else(|panic| Err(panic.to_string())) {
            Ok(read) => read,
            Err(reason) => return PluginUpdate { at: self.at, version: None, outcome: Err(reason), told: None },
        };
        let bytes = match content {
            Ok(bytes) => bytes,
            Err(error) => return self.unreadable(&error),
        };
        let before = options.map(|options| std::mem::replace(&mut self.plugin, options));
        self.version = Some(plugin::version(&self.plugin, &bytes));
        let update = self.load(host, bytes, sandboxes).await;
        if let (Some(before), Err(_)) = (before, &update.outcome) {
            self.plugin = before;
        }
        update
    }

    /// One plugin at a time compiles, on a thread apart.
    async fn load(&self, host: &Host, bytes: Vec<u8>, sandboxes: usize) -> PluginUpdate {
        let (host, plugin) = (host.clone(), self.plugin.clone());
        let loaded = spawn_blocking(move || host.load(&plugin, &bytes, sandboxes)).await;
        let outcome = match loaded {
            Ok(loaded) => loaded.map(Arc::new).map_err(|rejected| rejected.0),
            Err(panic) => Err(format!("loading it broke down: {panic}")),
        };
        PluginUpdate { at: self.at, version: self.version.clone(), outcome, told: None }
    }

    fn unreadable(&self, error: &io::Error) -> PluginUpdate {
        let reason = format!("cannot read {}: {error}", self.path.display());
        PluginUpdate { at: self.at, version: None, outcome: Err(reason), told: None }
    }
}

/// What the configuration says of the plugin now.
fn options(source: &Path, plugin: &config::Plugin) -> Result<config::Plugin, String> {
    let config = Config::read(source).map_err(|error| error.to_string())?;
    match config.plugins.into_iter().find(|now| now.name == plugin.name) {
        Some(now) if now.path == plugin.path => Ok(now),
        Some(_) => Err(format!("its `path` in {} is another now, which takes a restart", source.display())),
        None => Err(format!("it is not in {} any more, which takes a restart", source.display())),
    }
}

#[cfg(test)]
mod tests;
