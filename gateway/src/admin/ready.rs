//! `/readyz`: whether calls can be placed. A table that is stale is still a table.

use crate::snapshot::{Service, Snapshot};

/// Why not; `None`: they can.
pub fn not_ready(snapshot: &Snapshot, leaving: bool) -> Option<String> {
    if leaving {
        return Some("draining: send no new calls".into());
    }
    if snapshot.services.is_empty() {
        return Some("starting: no snapshot was published yet".into());
    }
    let unread = |service: &&Service| !service.state.loaded;
    let unread: Vec<_> = snapshot.services.iter().filter(unread).map(named).collect();
    (!unread.is_empty()).then(|| format!("not read from the registry yet: {}", unread.join(", ")))
}

/// The service, and why it is not read where that is known.
fn named(service: &Service) -> String {
    service.lost.as_ref().map_or_else(|| service.name.to_string(), |why| format!("{} ({why})", service.name))
}
