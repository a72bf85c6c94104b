//! The plugin that a command is about: its file, and the options that it gets. Loads nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use toml::{Table, Value};

use crate::config::{self, Config};

/// A plugin's file with what a `[[plugin]]` would say of it.
pub struct Subject {
    /// The file, as it was named.
    pub(super) file: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) plugin: config::Plugin,
}

impl Subject {
    /// Reads the file. Its options are JSON text, a file of JSON (`.json`) or of TOML, or those of the `[[plugin]]` of a
    /// symgate.toml that has the name `plugin`, together with its limits and its built-in.
    ///
    /// # Errors
    /// When a file cannot be read, or the options are none.
    pub fn read(file: &Path, options: Option<&str>, plugin: Option<&str>) -> anyhow::Result<Self> {
        let bytes = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let plugin = match (options, plugin) {
            (Some(config), Some(name)) => configured(file, Path::new(config), name)?,
            (Some(options), None) => config::Plugin::of_file(file, json(options)?),
            (None, _) => config::Plugin::of_file(file, "{}".into()),
        };
        Ok(Self { file: file.into(), bytes, plugin })
    }
}

/// What a symgate.toml says of a plugin, with this file in place of its own.
fn configured(file: &Path, config: &Path, name: &str) -> anyhow::Result<config::Plugin> {
    let plugins = Config::read(config)?.plugins;
    let names: Vec<_> = plugins.iter().map(|plugin| plugin.name.clone()).collect();
    match plugins.into_iter().find(|plugin| plugin.name == name) {
        Some(plugin) => Ok(config::Plugin { path: Some(file.into()), ..plugin }),
        None => bail!("{} has no plugin {name:?}; there are {}", config.display(), names.join(", ")),
    }
}

/// Options as the JSON text that `init` gets.
fn json(options: &str) -> anyhow::Result<String> {
    let object = |text: &str| match serde_json::from_str(text)? {
        serde_json::Value::Object(object) => Ok(serde_json::Value::Object(object).to_string()),
        _ => bail!("options are a JSON object, such as {{\"key\": \"symbol\"}}"),
    };
    if options.trim_start().starts_with('{') {
        return object(options).context("--config is no JSON");
    }
    let text = fs::read_to_string(options).with_context(|| format!("--config {options} cannot be read"))?;
    if Path::new(options).extension().is_some_and(|extension| extension == "json") {
        return object(&text).with_context(|| options.to_owned());
    }
    let table: Table = text.parse().with_context(|| options.to_owned())?;
    if table.get("plugin").is_some_and(Value::is_array) {
        bail!("{options} is a symgate.toml; say with --plugin NAME which [[plugin]] of it is meant");
    }
    Ok(config::options_as_json(&table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_as_text_or_in_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let key = r#"{"key":"symbol"}"#;
        assert_eq!(json(r#" { "key" : "symbol" }"#).unwrap(), key);
        assert_eq!(json(&file("a.json", r#"{"key": "symbol"}"#)).unwrap(), key);
        assert_eq!(json(&file("a.toml", "key = \"symbol\"\n")).unwrap(), key);
        let refused = |options: &str| format!("{:#}", json(options).unwrap_err());
        assert!(refused("{key}").starts_with("--config is no JSON: "));
        assert!(refused(&file("b.json", "[]")).contains("options are a JSON object"));
        assert!(refused("no/such.toml").starts_with("--config no/such.toml cannot be read: "));
        assert!(refused(&file("symgate.toml", "[[plugin]]\nname = \"a\"\n")).contains("say with --plugin NAME"));
    }
}
