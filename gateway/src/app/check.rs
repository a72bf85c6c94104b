//! Says what a configuration would run, without listening anywhere.

use std::{collections::BTreeMap, path::PathBuf, time::SystemTime};

use anyhow::{Context, bail};
use tokio::runtime::LocalRuntime;

use crate::{
    config::{Config, Route},
    control::{certificate_files::CertificateFiles, plugin_files, survey},
    plugin::Plugin,
    snapshot::{Secured, Service},
};

/// Entries of a kind that are named.
const SHOWN: usize = 20;

/// What would run, in lines for people: plugins compiled, registries heard once, routes resolved.
///
/// # Errors
/// When it could not run: a plugin that cannot be loaded, a registry that cannot be heard.
pub fn check(config: &Config, program: Option<PathBuf>) -> anyhow::Result<Vec<String>> {
    let certificates = CertificateFiles::load(config)?;
    let host = super::host(config, program)?;
    let plugins = plugin_files::load_all(&host, &config.plugins, 1)?;
    let mut lines: Vec<_> = certificates.secured().iter().map(certificate_line).collect();
    lines.extend(plugins.iter().map(|plugin| plugin_line(plugin)));
    let runtime = LocalRuntime::new().context("no runtime to ask the registries with")?;
    for (service, answer) in config.services.iter().zip(runtime.block_on(survey(config))) {
        match answer {
            Ok(found) => lines.extend(service_lines(&found)),
            Err(reason) => bail!("service {}: its registry cannot be read: {reason}", service.name),
        }
    }
    lines.extend(config.routes.iter().filter_map(|route| route_line(config, route)));
    Ok(lines)
}

fn certificate_line(secured: &Secured) -> String {
    let (name, shown) = (&secured.name, secured.material.names());
    let Some(end) = secured.material.not_after() else { return format!("TLS of {name}: shows no certificate") };
    let left = end.duration_since(SystemTime::now()).unwrap_or_default();
    format!("TLS of {name}: shows a certificate of {shown:?}, good for {} days", left.as_secs() / 86_400)
}

fn plugin_line(plugin: &Plugin) -> String {
    let mut line = format!("plugin {}: version {}", plugin.name(), plugin.version());
    if let Some(inputs) = plugin.extract_inputs() {
        line += &format!(", extracts from metadata {:?} and the message {:?}", inputs.metadata, inputs.message);
    }
    if let Some(inputs) = plugin.select_inputs() {
        line += &format!(", selects by metadata {:?} and labels {:?}", inputs.metadata, inputs.labels);
    }
    line
}

fn service_lines(service: &Service) -> Vec<String> {
    let (symbols, instances) = (service.table.symbols(), service.table.instances());
    let (rejected, suspended) = (service.rejected.len(), service.suspended.len());
    let Service { name, registry, .. } = service;
    let mut lines = vec![format!(
        "service {name} in registry {registry}: {symbols} symbols, {instances} instances; entries rejected: {rejected}, \
         suspended: {suspended}"
    )];
    lines.extend(entry_lines("rejected", &service.rejected));
    lines.extend(entry_lines("suspended", &service.suspended));
    lines
}

fn entry_lines(what: &str, entries: &BTreeMap<String, String>) -> Vec<String> {
    let mut lines: Vec<_> =
        entries.iter().take(SHOWN).map(|(key, reason)| format!("  {what} {key}: {reason}")).collect();
    if let Some(more) = entries.len().checked_sub(SHOWN + 1) {
        lines.push(format!("  {what}: {} more like these; `symgate doctor --all` or /table name them", more + 1));
    }
    lines
}

fn route_line(config: &Config, route: &Route) -> Option<String> {
    let name = |at: usize| config.plugins.get(at).map(|plugin| plugin.name.as_str());
    let service = config.services.get(route.service)?;
    let extract = route.extract.and_then(name).unwrap_or("nothing: the service is not split by symbol");
    Some(format!("route {} to {}: extract {extract}, select {}", route.name, service.name, name(route.select)?))
}
