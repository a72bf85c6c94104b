//! What a call carries from one attempt to place it to the next, and what one attempt comes to.

use std::{rc::Rc, sync::Arc};

use super::status::{Code, Reject};
use crate::{
    config::Route,
    metrics::RouteMetrics,
    routing::{Instance, Live},
};

/// Attempts to place one call of a service with more instances than that.
const MAX_ATTEMPTS: usize = 64;

/// What is known of a call that has no place yet.
#[derive(Default)]
pub(super) struct Attempt {
    /// The first message, once it was asked for.
    pub(super) message: Option<Vec<u8>>,
    /// Where its end is counted.
    pub(super) metrics: Option<Rc<RouteMetrics>>,
    target: Option<(Arc<Route>, Target)>,
    failed: Vec<Arc<Live>>,
    why: String,
}

/// Whose call it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// That of the symbol's instances; the symbol of a service that is not split is empty.
    Symbol(String),
    /// That of any instance of the service.
    Any,
}

/// What one attempt came to.
pub(super) enum Decision {
    /// The extractor needs the first message, of at most so many bytes.
    NeedMessage(usize),
    /// The call goes there.
    Place(Place),
}

/// Where a call goes.
#[derive(Clone)]
pub(super) struct Place {
    /// The rule that led there.
    pub(super) route: Arc<Route>,
    /// Whose call it is.
    pub(super) target: Target,
    /// Who answers it.
    pub(super) instance: Arc<Instance>,
}

impl Attempt {
    /// Whose call an earlier attempt on the same route found it to be.
    pub(super) fn target(&self, route: &Arc<Route>) -> Option<Target> {
        self.target.as_ref().filter(|(found_by, _)| Arc::ptr_eq(found_by, route)).map(|(_, target)| target.clone())
    }

    /// The place never saw the call; it will not be tried again.
    pub(super) fn failed(&mut self, place: Place, why: String) -> Result<(), Reject> {
        self.failed.push(place.instance.live.clone());
        self.target = Some((place.route, place.target));
        self.why = why;
        if self.failed.len() < MAX_ATTEMPTS { Ok(()) } else { Err(self.unreachable("its service")) }
    }

    /// Whether the instance may get the call.
    pub(super) fn may_try(&self, live: &Arc<Live>) -> bool {
        !self.failed.iter().any(|failed| Arc::ptr_eq(failed, live))
    }

    /// Every candidate failed.
    pub(super) fn unreachable(&self, of: &str) -> Reject {
        let text = format!("none of {} instances of {of} can be reached; the last: {}", self.failed.len(), self.why);
        Reject::new(Code::Unavailable, "unreachable", text)
    }
}
