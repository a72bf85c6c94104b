//! `[[register]]`: where the gateway announces itself. Never as an instance of what it routes.

use std::net::SocketAddr;

use toml::Spanned;

use super::{Mistakes, check_service_name};
use crate::config::{Register, Registry, Service, Source, error::suggestion, raw, register::with_port};

pub(super) fn registers(
    raw: Vec<raw::Register>,
    listener: SocketAddr,
    registries: &[Registry],
    services: &[Service],
    mistakes: &mut Mistakes,
) -> Vec<Register> {
    let mut registers: Vec<Register> = Vec::new();
    for raw in raw {
        let at = raw.service.span();
        let Some(register) = one(raw, listener, registries, mistakes) else { continue };
        let key = key(&register, registries);
        if let Some(routed) = services.iter().find(|service| holds(service, &register, &key, registries)) {
            let text = format!(
                "the gateway routes calls to service {:?} and would become an instance of it; register under another name",
                routed.name
            );
            mistakes.say(at, text);
        } else if registers
            .iter()
            .any(|other| (&other.registry, &other.service) == (&register.registry, &register.service))
        {
            let fix = "one service is read in one format; register under another name for the other";
            mistakes.say(at, format!("register {:?} is there twice; {fix}", register.service));
        }
        registers.push(register);
    }
    registers
}

fn one(raw: raw::Register, listener: SocketAddr, registries: &[Registry], mistakes: &mut Mistakes) -> Option<Register> {
    let (at, service) = (raw.service.span(), raw.service.get_ref());
    if let Err(reason) = check_service_name(service) {
        mistakes.say(at.clone(), reason);
    }
    if let Some(symbol) = raw.symbol.as_ref().filter(|symbol| symbol.get_ref().is_empty()) {
        mistakes.say(symbol.span(), "a symbol has at least one character; leave `symbol` out for none");
    }
    match &raw.address {
        // Port 0 becomes one of the system's choice when it is listened on.
        Some(address) => {
            if let Err(error) = with_port(address.get_ref(), listener.port().max(1)) {
                mistakes.say(address.span(), error.to_string());
            }
        }
        None if listener.ip().is_loopback() => mistakes.say(
            at,
            format!("the gateway listens on {listener} only, where nobody else reaches it; set [listen] address or `address`"),
        ),
        None => {}
    }
    Some(Register {
        registry: registry(raw.registry, &raw.service, registries, mistakes)?,
        service: raw.service.into_inner(),
        symbol: raw.symbol.map(Spanned::into_inner),
        format: raw.format,
        address: raw.address.map(Spanned::into_inner),
        ttl: raw.ttl,
    })
}

/// The place of the registry, by default the first; only an etcd one can be written to.
fn registry(
    name: Option<Spanned<String>>,
    service: &Spanned<String>,
    registries: &[Registry],
    mistakes: &mut Mistakes,
) -> Option<usize> {
    let at = name.as_ref().map_or_else(|| service.span(), Spanned::span);
    let place =
        name.as_ref().map_or(Some(0), |name| registries.iter().position(|registry| registry.name == *name.get_ref()));
    let (service, found) = (service.get_ref(), place.and_then(|place| registries.get(place)));
    match (found, name) {
        (Some(Registry { source: Source::Etcd(_), .. }), _) => return place,
        (Some(Registry { name, .. }), _) => mistakes
            .say(at, format!("register {service:?} needs etcd and registry {name:?} is a file; name one with `etcd`")),
        (None, name) => {
            let name = name.map(Spanned::into_inner).unwrap_or_default();
            let near = suggestion(&name, registries.iter().map(|registry| &*registry.name));
            mistakes.say(at, format!("register {service:?} names {name:?}, which is no [[registry]]{near}"));
        }
    }
    None
}

/// The key without the id.
fn key(register: &Register, registries: &[Registry]) -> String {
    let prefix = registries.get(register.registry).map_or("", |registry| &*registry.prefix);
    let symbol = register.symbol.as_ref().map(|symbol| format!("{symbol}/")).unwrap_or_default();
    format!("{prefix}{}/{symbol}", register.service)
}

/// Whether an entry under the key would be read as one of the service. The same etcd may be there as two registries.
fn holds(service: &Service, register: &Register, key: &str, registries: &[Registry]) -> bool {
    let source = |place: usize| registries.get(place).map(|registry| &registry.source);
    let layout = registries.get(service.registry).map(|registry| service.layout(registry));
    source(service.registry) == source(register.registry)
        && layout.is_some_and(|layout| key.starts_with(layout.prefix()))
}
