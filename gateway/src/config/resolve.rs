//! From what the file says to what it means: names become places in lists, relative paths start at the file's folder,
//! and what does not fit together is refused. Goes on after a mistake, so that one look shows them all.

use std::{collections::HashSet, ops::Range, path::Path, sync::Arc};

use toml::Spanned;

use self::{
    policies::{Kind, Policies},
    services::Services,
};
use super::{
    Admin, CodeCache, Config, Health, Listen, OnFailure, Route, defaults, environment::Lookup, error::Mistake, raw,
};
use crate::routing::{Condition, PathMatch};

mod gates;
mod policies;
mod registers;
mod registries;
mod services;
mod tls;

pub(super) use self::registries::wrong_endpoint;
pub use self::{policies::json as options_as_json, services::check_service_name};

/// The valid configuration.
pub(super) fn config(raw: raw::File, base: &Path, variable: Lookup<'_>) -> Result<Config, Vec<Mistake>> {
    let mut mistakes = Mistakes::default();
    let (listen, admin) = listeners(raw.listen, raw.admin, base, &mut mistakes);
    let registries = registries::registries(raw.registry, base, &mut mistakes);
    let mut services = Services::new(raw.service, &registries, base, &mut mistakes);
    let gates = gates::gates(&raw.plugin, raw.decisions, &mut mistakes);
    let mut policies = Policies::new(raw.plugin, base, &mut mistakes);
    if raw.route.is_empty() {
        mistakes.say(0..0, "there is no [[route]], so no call could be answered; add one with `match` and `service`");
    }
    let mut routes = Vec::new();
    let mut names = HealthNames::default();
    for mut raw in raw.route {
        let at = raw.path.span();
        tls::check_clients(&raw, &listen, &mut mistakes);
        let health = raw.health.take().map(|name| names.health(name, &at, &mut mistakes));
        let Some(mut route) = route(raw, routes.len(), &mut services, &mut policies, &mut mistakes) else { continue };
        route.health = health;
        if let Some(earlier) = routes.iter().find(|earlier| takes_all(earlier, &route)) {
            mistakes.say(at, never_taken(earlier));
        }
        routes.push(route);
    }
    let services = services.finish(&mut mistakes);
    let registers = registers::registers(raw.register, listen.address, &registries, &services, &mut mistakes);
    let (upstream, log, decisions, sandbox, plugins) =
        (raw.upstream, raw.log, raw.decisions, raw.sandbox, policies.finish());
    let folder = match raw.code_cache.folder {
        Some(named) => named.map(|folder| base.join(folder)),
        None => defaults::code_cache(variable),
    };
    let code_cache = CodeCache { folder };
    mistakes.or(Config {
        listen,
        upstream,
        admin,
        log,
        source: None,
        decisions,
        code_cache,
        sandbox,
        registries,
        services,
        plugins,
        gates,
        routes,
        registers,
    })
}

/// The mistakes found so far.
#[derive(Default)]
struct Mistakes(Vec<Mistake>);

impl Mistakes {
    fn say(&mut self, at: Range<usize>, text: impl Into<String>) {
        self.0.push(Mistake::new(at, text));
    }

    /// Says so when a name of the list was there before.
    fn unique<'a>(&mut self, what: &str, names: impl Iterator<Item = &'a Spanned<String>>) {
        let mut seen = HashSet::new();
        for name in names {
            if name.get_ref().trim().is_empty() {
                self.say(name.span(), format!("a {what} needs a name"));
            } else if !seen.insert(name.get_ref()) {
                self.say(name.span(), format!("{what} {:?} is there twice; rename or remove one", name.get_ref()));
            }
        }
    }

    fn or<T>(self, value: T) -> Result<T, Vec<Mistake>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}

/// The distinct names that instances are asked for their health under.
#[derive(Default)]
struct HealthNames(Vec<Arc<str>>);

impl HealthNames {
    fn health(&mut self, name: String, at: &Range<usize>, mistakes: &mut Mistakes) -> Health {
        let name: Arc<str> = name.into();
        let known = self.0.iter().position(|known| *known == name);
        let place = known.unwrap_or(self.0.len());
        if known.is_none() {
            self.0.push(name.clone());
            if place == Health::NAMES {
                let fix = "let routes share a name, or set health = false";
                mistakes
                    .say(at.clone(), format!("the routes name more than {} kinds of `health`; {fix}", Health::NAMES));
            }
        }
        Health { place, name }
    }
}

fn listeners(
    listen: Option<Spanned<Listen>>,
    admin: Option<Spanned<Admin>>,
    base: &Path,
    mistakes: &mut Mistakes,
) -> (Listen, Admin) {
    let at = admin.as_ref().map(Spanned::span).or_else(|| listen.as_ref().map(Spanned::span)).unwrap_or_default();
    let mut listen = listen.map(Spanned::into_inner).unwrap_or_default();
    listen.tls = listen.tls.map(|tls| tls.based(base));
    let admin = admin.map(Spanned::into_inner).unwrap_or_default();
    let (a, b) = (admin.address, listen.address);
    let same_host = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    if a.port() == b.port() && a.port() != 0 && same_host {
        mistakes
            .say(at, format!("[admin] address {a} and [listen] address {b} overlap; give one of them another port"));
    }
    (listen, admin)
}

fn route(
    raw: raw::Route,
    index: usize,
    services: &mut Services,
    policies: &mut Policies,
    mistakes: &mut Mistakes,
) -> Option<Route> {
    let name = raw.path.get_ref().clone();
    let path = PathMatch::parse(&name);
    if path.is_none() {
        let text = format!(
            "route {name:?} matches no path; write \"/package.Service/Method\", \"/package.Service/\" or \"/\""
        );
        mistakes.say(raw.path.span(), text);
    }
    let service = services.place(&raw.service, mistakes);
    let extract = raw.extract.map(|policy| policies.find(&policy, Kind::Extractor, &name, mistakes));
    let select = policies.selector(raw.select, &name, mistakes);
    let on_failure = on_failure(raw.on_failure, &name, [extract.flatten(), select], policies, mistakes);
    let path = path?;
    let idempotent = idempotent(raw.idempotent, &path, &name, mistakes);
    Some(Route {
        index,
        name,
        path,
        condition: Condition { authority: raw.authority, metadata: raw.metadata },
        clients: raw.clients.map(Spanned::into_inner).unwrap_or_default(),
        service,
        extract: match extract {
            None => None,
            Some(place) => Some(place?),
        },
        select: select?,
        no_symbol: raw.no_symbol,
        unknown_symbol: raw.unknown_symbol,
        on_failure,
        max_first_message: raw.max_first_message,
        reply_instance: raw.reply_instance,
        wait_for_symbol: raw.wait_for_symbol,
        max_waiting: raw.max_waiting,
        max_in_flight: raw.max_in_flight,
        max_in_flight_per_symbol: raw.max_in_flight_per_symbol,
        idempotent,
        retry_budget: raw.retry_budget,
        health: None,
    })
}

fn idempotent(raw: Vec<Spanned<String>>, path: &PathMatch, route: &str, mistakes: &mut Mistakes) -> Vec<String> {
    for method in &raw {
        if !path.takes(method.get_ref()) {
            let text = format!(
                "route {route:?} takes no call of {:?}; write the whole path of a method that it takes, such as \
                 \"/package.Service/Method\"",
                method.get_ref()
            );
            mistakes.say(method.span(), text);
        }
    }
    raw.into_iter().map(Spanned::into_inner).collect()
}

fn on_failure(
    raw: Option<Spanned<OnFailure>>,
    route: &str,
    places: [Option<usize>; 2],
    policies: &Policies,
    mistakes: &mut Mistakes,
) -> OnFailure {
    let Some(raw) = raw else { return OnFailure::default() };
    if *raw.get_ref() == OnFailure::Builtin {
        for plugin in policies.without_builtin(places) {
            let text = format!(
                "route {route:?} falls back to a built-in, but plugin {plugin:?} names none; add `builtin = \"...\"` to it"
            );
            mistakes.say(raw.span(), text);
        }
    }
    raw.into_inner()
}

/// Whether `earlier` takes every call that `later` is about.
fn takes_all(earlier: &Route, later: &Route) -> bool {
    let (earlier_if, later_if) = (&earlier.condition, &later.condition);
    earlier.path == later.path
        && (earlier_if.authority.is_none() || earlier_if.authority == later_if.authority)
        && earlier_if.metadata.iter().all(|entry| later_if.metadata.contains(entry))
}

fn never_taken(earlier: &Route) -> String {
    format!(
        "no call would take this route: an earlier one for {:?} takes them all; put the one with more conditions first",
        earlier.name
    )
}
