//! Says what a gateway with a configuration would do with a call, without listening anywhere: its plugins are loaded, its
//! registries heard once, and the data plane decides as it would.

use std::path::PathBuf;

use anyhow::Context;
use tokio::runtime::LocalRuntime;

use crate::{
    config::Config,
    control::{self, plugin_files, survey},
    proxy,
    snapshot::{
        self, Service, Snapshot,
        explanation::{Explanation, Supposed},
    },
};

/// What would become of the call.
///
/// # Errors
/// When the gateway could not start: a plugin that cannot be loaded.
pub fn explain(config: &Config, program: Option<PathBuf>, call: &Supposed) -> anyhow::Result<Explanation> {
    let host = super::host(config, program)?;
    let plugins = plugin_files::load_all(&host, &config.plugins, 0)?;
    let runtime = LocalRuntime::new().context("no runtime to ask the registries with")?;
    let heard = runtime.block_on(survey(config)).into_iter().zip(&config.services);
    // One that cannot be heard matters to its own calls only.
    let service = |(answer, service): (Result<Service, String>, &crate::config::Service)| {
        answer.unwrap_or_else(|why| Service {
            name: service.name.as_str().into(),
            lost: Some(why.into()),
            ..Service::default()
        })
    };
    let services = heard.map(service).collect();
    let routes = control::routes(config).into();
    let first = Snapshot { routes, services, plugins: plugins.into(), ..Snapshot::default() };
    let (_writer, readers) = snapshot::channel(first);
    Ok(proxy::explain_alone(readers.reader(), call))
}
