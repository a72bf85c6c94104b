//! `/release`: takes it that the instances of a service that left the registry and serve on are gone.

use std::collections::HashMap;

use http::StatusCode;

use crate::snapshot::{Doubts, Snapshot};

pub(super) fn release(snapshot: &Snapshot, query: &HashMap<String, String>, control: &Doubts) -> (StatusCode, String) {
    let (Some(name), 1) = (query.get("service"), query.len()) else {
        return (StatusCode::BAD_REQUEST, "say which service, as /release?service=klineRpc, and no more\n".into());
    };
    let found = snapshot.services.iter().enumerate().find(|(_, service)| *service.name == **name);
    let Some((at, service)) = found else {
        return (StatusCode::NOT_FOUND, format!("there is no service {name:?}; /table lists them\n"));
    };
    if service.spared == 0 {
        return (StatusCode::OK, format!("no instance of {name} is spared: there is nothing to release\n"));
    }
    if !control.release(at) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the control plane is busy; try again\n".into());
    }
    (StatusCode::ACCEPTED, format!("{} instances of {name} are released; see /table\n", service.spared))
}
