//! The services that routes lead to, and what `[[service]]` says of them.

use std::{ops::Range, path::Path};

use toml::Spanned;

use super::{Mistakes, tls};
use crate::config::{ExpectedSymbols, Guard, Registry, Service, defaults, error::suggestion, raw};

/// All services: those with a `[[service]]` of their own first.
pub(super) struct Services {
    services: Vec<Service>,
    /// For each `[[service]]` its place in the file until a route named it.
    unused: Vec<Option<Range<usize>>>,
}

impl Services {
    pub(super) fn new(raw: Vec<raw::Service>, registries: &[Registry], base: &Path, mistakes: &mut Mistakes) -> Self {
        mistakes.unique("service", raw.iter().map(|service| &service.name));
        let unused = raw.iter().map(|service| Some(service.name.span())).collect();
        let services = raw.into_iter().map(|service| {
            let registry = registry(service.registry, service.name.get_ref(), registries, mistakes);
            let name = service.name.into_inner();
            let tls = service.tls.map(|tls| tls::peer(tls, &format!("service {name:?}"), base, mistakes));
            let expected = service.expected_symbols.and_then(|list| expected(list, &name, base, mistakes));
            let raw::Service { key, exclusive, end_streams, guard, .. } = service;
            Service { name, registry, key, exclusive, end_streams, guard, tls, expected }
        });
        Self { services: services.collect(), unused }
    }

    /// The place of the service that a route names; it needs no `[[service]]`.
    pub(super) fn place(&mut self, name: &Spanned<String>, mistakes: &mut Mistakes) -> usize {
        let text = name.get_ref();
        if let Err(reason) = check_service_name(text) {
            mistakes.say(name.span(), reason);
        }
        let place = self.services.iter().position(|service| service.name == *text).unwrap_or_else(|| {
            let name = text.clone();
            let exclusive = defaults::exclusive();
            let (guard, end_streams, tls, expected) = (Guard::default(), false, None, None);
            self.services.push(Service { name, registry: 0, key: None, exclusive, end_streams, guard, tls, expected });
            self.services.len() - 1
        });
        if let Some(unused) = self.unused.get_mut(place) {
            *unused = None;
        }
        place
    }

    /// All services. One that no route names is a misspelt one.
    pub(super) fn finish(self, mistakes: &mut Mistakes) -> Vec<Service> {
        let routed =
            || self.services.iter().enumerate().filter(|(place, _)| !matches!(self.unused.get(*place), Some(Some(_))));
        for (service, at) in self.services.iter().zip(&self.unused) {
            let namesakes = self.services.iter().filter(|other| other.name == service.name).count();
            if let (Some(at), 1) = (at, namesakes) {
                let near = suggestion(&service.name, routed().map(|(_, service)| &*service.name));
                mistakes.say(at.clone(), format!("service {:?} is named by no route{near}", service.name));
            }
        }
        self.services
    }
}

fn expected(
    raw: Spanned<raw::ExpectedSymbols>,
    service: &str,
    base: &Path,
    mistakes: &mut Mistakes,
) -> Option<ExpectedSymbols> {
    let at = raw.span();
    match raw.into_inner() {
        raw::ExpectedSymbols { prefix: Some(prefix), file: None } if !prefix.is_empty() => {
            Some(ExpectedSymbols::Prefix(prefix))
        }
        raw::ExpectedSymbols { prefix: None, file: Some(file) } => Some(ExpectedSymbols::File(base.join(file))),
        _ => {
            let fix = "write what comes before the symbol in its keys, `{ prefix = \"Symbol/\" }`, or `{ file = \"symbols.txt\" }`";
            mistakes.say(at, format!("expected_symbols of service {service:?} needs one place to be read from; {fix}"));
            None
        }
    }
}

/// Whether a text can be what comes before the "/" of a service's keys.
///
/// # Errors
/// When it cannot.
pub fn check_service_name(text: &str) -> Result<(), String> {
    if text.is_empty() || text.starts_with('/') || text.ends_with('/') {
        let fix = "write what comes before the \"/\" of its keys, such as \"klineRpc\"";
        return Err(format!("{text:?} is no service name; {fix}"));
    }
    Ok(())
}

fn registry(name: Option<Spanned<String>>, service: &str, registries: &[Registry], mistakes: &mut Mistakes) -> usize {
    let Some(name) = name else { return 0 };
    registries.iter().position(|registry| registry.name == *name.get_ref()).unwrap_or_else(|| {
        let near = suggestion(name.get_ref(), registries.iter().map(|registry| &*registry.name));
        mistakes.say(
            name.span(),
            format!("service {service:?} reads {:?}, which is no [[registry]]{near}", name.get_ref()),
        );
        0
    })
}
