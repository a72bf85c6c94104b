//! `/certificates`: who is spoken to with TLS, what is shown to them, and what was refused after it.

use serde::Serialize;

use super::unix_seconds;
use crate::snapshot::{Secured, Snapshot};

#[derive(Serialize)]
pub(super) struct View<'a> {
    certificates: Vec<One<'a>>,
}

#[derive(Serialize)]
struct One<'a> {
    of: &'a str,
    /// The names in the certificate that is shown, if one is.
    names: &'a [String],
    not_after_unix: Option<u64>,
    loaded_unix: u64,
    refused: Option<LastRefused<'a>>,
}

#[derive(Serialize)]
struct LastRefused<'a> {
    at_unix: u64,
    reason: &'a str,
}

pub(super) fn view(snapshot: &Snapshot) -> View<'_> {
    View { certificates: snapshot.secured.iter().map(one).collect() }
}

fn one(secured: &Secured) -> One<'_> {
    let refused = secured.refused.as_ref();
    One {
        of: &secured.name,
        names: secured.material.names(),
        not_after_unix: secured.material.not_after().map(unix_seconds),
        loaded_unix: unix_seconds(secured.loaded),
        refused: refused.map(|refused| LastRefused { at_unix: unix_seconds(refused.at), reason: &refused.reason }),
    }
}
