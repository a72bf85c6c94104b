//! What a call carries from one attempt to place it to the next, and what one attempt comes to.

use std::{rc::Rc, sync::Arc};

use super::{
    counters::RouteCounters,
    status::{Code, Reject},
};
use crate::{
    config::Route,
    routing::{Instance, Live},
    tls::Names,
};

/// Attempts to place one call of a service with more instances than that.
const MAX_ATTEMPTS: usize = 64;
/// How often a call that may have been seen is sent again.
const MAX_REPEATS: u8 = 2;

/// What is known of a call that has no place yet.
#[derive(Default)]
pub(super) struct Attempt {
    /// The first message, once it was asked for.
    pub(super) message: Option<Vec<u8>>,
    /// The names in the client's certificate.
    pub(super) client: Option<Rc<Names>>,
    /// What its route counts.
    counters: Option<Rc<RouteCounters>>,
    /// Counts against the limit of its route.
    limited: bool,
    /// Nobody calls: it is only asked what would be, and counts nowhere.
    supposed: bool,
    target: Option<(Arc<Route>, Target)>,
    failed: Vec<Arc<Live>>,
    why: String,
    repeats: u8,
}

/// Whose call it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
    /// Nobody can take it now.
    Nobody(Nobody),
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
    /// How many could have.
    pub(super) known: usize,
}

/// A call of a known symbol that no instance can take.
pub(super) struct Nobody {
    /// The rule that led there.
    pub(super) route: Arc<Route>,
    /// Whose call it is.
    pub(super) target: Target,
    /// What its caller is told when the call does not wait.
    pub(super) reject: Reject,
}

impl Attempt {
    /// Of a call that nobody makes.
    pub(super) fn supposed(message: Option<Vec<u8>>, client: Option<Rc<Names>>) -> Self {
        let mut attempt = Self::default();
        (attempt.message, attempt.client, attempt.supposed) = (message, client, true);
        attempt
    }

    /// The call takes this route, if that takes one more.
    pub(super) fn enter(&mut self, route: &Route, counters: Rc<RouteCounters>) -> Result<(), Reject> {
        if self.counters.as_ref().is_some_and(|own| Rc::ptr_eq(own, &counters)) {
            return Ok(());
        }
        self.leave();
        let counters = self.counters.insert(counters);
        let Some(limit) = route.max_in_flight else { return Ok(()) };
        self.limited = !self.supposed && counters.metrics.enter(limit);
        let may = self.limited || (self.supposed && counters.metrics.has_room(limit));
        if may { Ok(()) } else { Err(Reject::route_full(&route.name, limit)) }
    }

    /// No route takes it; it is counted there.
    pub(super) fn lost(&mut self, counters: Rc<RouteCounters>) {
        self.leave();
        self.counters = Some(counters);
    }

    /// What its route counts, once it has one.
    pub(super) fn counters(&self) -> Option<&Rc<RouteCounters>> {
        self.counters.as_ref()
    }

    /// Whose call an earlier attempt on the same route found it to be.
    pub(super) fn target(&self, route: &Arc<Route>) -> Option<Target> {
        self.target.as_ref().filter(|(found_by, _)| Arc::ptr_eq(found_by, route)).map(|(_, target)| target.clone())
    }

    /// Refuses a client that the route does not allow.
    pub(super) fn check_client(&self, route: &Route) -> Result<(), Reject> {
        let names = self.client.as_deref().map_or(&[][..], |names| names);
        if route.clients.is_empty() || names.iter().any(|name| route.clients.contains(name)) {
            return Ok(());
        }
        let text = format!("route {} does not allow this client, whose certificate names {names:?}", route.name);
        Err(Reject::new(Code::PermissionDenied, "client-not-allowed", text))
    }

    /// It is found whose call it is.
    pub(super) fn found(&mut self, route: Arc<Route>, target: Target) {
        self.target = Some((route, target));
    }

    /// The place never saw the call, or may see it twice; it will not be tried again.
    pub(super) fn failed(&mut self, place: Place, why: String) -> Result<(), Reject> {
        self.failed.push(place.instance.live.clone());
        self.found(place.route, place.target);
        self.why = why;
        if self.failed.len() < MAX_ATTEMPTS { Ok(()) } else { Err(self.unreachable("its service")) }
    }

    /// After a wait, those that failed may be tried again.
    pub(super) fn start_again(&mut self) {
        self.failed.clear();
    }

    /// How many places failed since.
    pub(super) fn failures(&self) -> usize {
        self.failed.len()
    }

    /// Whether a call that may have been seen may be sent once more: its route has repetitions left.
    pub(super) fn repeat(&mut self) -> bool {
        let may = self.repeats < MAX_REPEATS && self.counters.as_ref().is_some_and(|own| own.budget.spend());
        self.repeats += u8::from(may);
        may
    }

    /// Whether the instance may get the call.
    pub(super) fn may_try(&self, instance: &Instance) -> bool {
        !instance.draining && !self.failed.iter().any(|failed| Arc::ptr_eq(failed, &instance.live))
    }

    /// Nobody of `known` instances can take the call.
    pub(super) fn nobody(&self, of: &str, known: usize) -> Reject {
        if !self.failed.is_empty() {
            return self.unreachable(of);
        }
        let text = match known {
            0 => format!("{of} is known, but 0 instances of it are registered now"),
            _ => format!("{of} has {known} instances, and all of them are draining"),
        };
        Reject::new(Code::Unavailable, "no-instance", text)
    }

    fn unreachable(&self, of: &str) -> Reject {
        let text = format!("none of {} instances of {of} can be reached; the last: {}", self.failed.len(), self.why);
        Reject::new(Code::Unavailable, "unreachable", text)
    }

    fn leave(&mut self) {
        if let Some(counters) = self.counters.take()
            && std::mem::take(&mut self.limited)
        {
            counters.metrics.leave();
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Target {
    /// As texts call it.
    pub(super) fn of(&self, service: &str) -> String {
        match self {
            Self::Symbol(symbol) if !symbol.is_empty() => format!("symbol {symbol:?} of service {service}"),
            Self::Symbol(_) | Self::Any => format!("service {service}"),
        }
    }
}
