//! `[[registry]]`: where registrations come from. Connects to nothing; reads password files.

use std::{collections::HashSet, fs, path::Path};

use http::Uri;
use toml::Spanned;

use super::{Mistakes, tls};
use crate::{
    config::{Etcd, Keep, Registry, Source, defaults, raw},
    routing::Networks,
};

pub(super) fn registries(raw: Vec<raw::Registry>, base: &Path, mistakes: &mut Mistakes) -> Vec<Registry> {
    mistakes.unique("registry", raw.iter().map(|registry| &registry.name));
    if raw.is_empty() {
        return vec![defaults::registry(base)];
    }
    let kept_in: Vec<_> = raw
        .iter()
        .map(|registry| registry.keep.as_ref().map(|keep| (keep.span(), keep.get_ref().file.clone())))
        .collect();
    let mut seen = HashSet::new();
    for (at, file) in kept_in.into_iter().flatten() {
        if !seen.insert(file.clone()) {
            let text = format!("two registries keep their table in {}; give each a file of its own", file.display());
            mistakes.say(at, text);
        }
    }
    raw.into_iter().map(|registry| one(registry, base, mistakes)).collect()
}

fn one(raw: raw::Registry, base: &Path, mistakes: &mut Mistakes) -> Registry {
    let (at, name) = (raw.name.span(), raw.name.into_inner());
    let source = match (raw.file, raw.etcd) {
        (Some(file), None) => Source::File(base.join(file)),
        (None, Some(raw)) => Source::Etcd(etcd(raw, base, mistakes)),
        (None, None) => {
            let fix = "add `file = \"...\"` or `etcd = { endpoints = [...] }`";
            mistakes.say(at, format!("registry {name:?} has no source; {fix}"));
            defaults::registry(base).source
        }
        (Some(file), Some(_)) => {
            mistakes.say(at, format!("registry {name:?} has two sources; keep `file` or `etcd`"));
            Source::File(file)
        }
    };
    let keep = keep(raw.keep, &source, base, mistakes);
    let networks = raw.networks.map(|list| networks(&list, mistakes).into());
    Registry { name, prefix: raw.prefix, source, keep, networks }
}

fn networks(raw: &Spanned<Vec<Spanned<String>>>, mistakes: &mut Mistakes) -> Networks {
    let mut networks = Networks::default();
    if raw.get_ref().is_empty() {
        mistakes.say(
            raw.span(),
            "an empty list would allow no instance; write networks, or remove `networks` to allow all",
        );
    }
    for text in raw.get_ref() {
        if let Err(wrong) = networks.add(text.get_ref()) {
            mistakes.say(text.span(), format!("networks: {wrong}"));
        }
    }
    networks
}

fn keep(raw: Option<Spanned<Keep>>, source: &Source, base: &Path, mistakes: &mut Mistakes) -> Option<Keep> {
    let raw = raw?;
    if let Source::File(_) = source {
        mistakes.say(raw.span(), "only the table of an etcd can be kept; a `file` is on disk already; remove `keep`");
    }
    let Keep { file, max_age } = raw.into_inner();
    Some(Keep { file: base.join(file), max_age })
}

fn etcd(raw: Spanned<raw::Etcd>, base: &Path, mistakes: &mut Mistakes) -> Etcd {
    let at = raw.span();
    if raw.get_ref().endpoints.is_empty() {
        mistakes.say(at, "etcd has no endpoints; write at least one, such as \"http://127.0.0.1:2379\"");
    }
    for endpoint in &raw.get_ref().endpoints {
        if let Some(text) = wrong_endpoint(endpoint.get_ref(), raw.get_ref().tls.is_some()) {
            mistakes.say(endpoint.span(), text);
        }
    }
    let login = login(&raw, base, mistakes);
    let raw = raw.into_inner();
    let endpoints = raw.endpoints.into_iter().map(Spanned::into_inner).collect();
    let tls = raw.tls.map(|tls| tls::peer(tls, "etcd", base, mistakes));
    Etcd { endpoints, login, tls, timeout: raw.timeout, watchdog: raw.watchdog, audit: raw.audit }
}

/// What is wrong with an endpoint of an etcd that is spoken to with TLS or without: all members are spoken to alike.
pub(in crate::config) fn wrong_endpoint(endpoint: &str, tls: bool) -> Option<String> {
    let uri: Option<Uri> = endpoint.parse().ok();
    let text = match (uri.as_ref().and_then(Uri::scheme_str), tls) {
        (Some("http"), false) | (Some("https"), true) => return None,
        (Some("https"), false) => {
            "needs to be told whom to believe: name the file of its authorities as `ca` of its tls"
        }
        (Some("http"), true) => "would be spoken to without TLS, though tls is there: write https:// or remove tls",
        _ => "is no URL; write \"http://host:port\", or with TLS \"https://host:port\"",
    };
    Some(format!("etcd endpoint {endpoint:?} {text}"))
}

fn login(raw: &Spanned<raw::Etcd>, base: &Path, mistakes: &mut Mistakes) -> Option<(String, String)> {
    let at = raw.span();
    let raw = raw.get_ref();
    match (&raw.user, &raw.password, &raw.password_file) {
        (None, None, None) => return None,
        (Some(user), Some(password), None) => return Some((user.clone(), password.clone())),
        (Some(user), None, Some(file)) => {
            let path = base.join(file.get_ref());
            match fs::read_to_string(&path) {
                Ok(password) => return Some((user.clone(), password.trim_end_matches(['\r', '\n']).to_owned())),
                Err(error) => {
                    let text = format!("password_file {} cannot be read: {error}", path.display());
                    mistakes.say(file.span(), text);
                }
            }
        }
        (Some(user), None, None) => mistakes
            .say(at, format!("etcd user {user:?} has no password; add `password_file` or `password = \"${{ENV}}\"`")),
        (Some(_), Some(_), Some(_)) => mistakes.say(at, "etcd has both `password` and `password_file`; keep one"),
        (None, ..) => mistakes.say(at, "etcd has a password and no user; add `user`"),
    }
    None
}
