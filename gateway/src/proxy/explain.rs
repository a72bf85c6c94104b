//! Says what would become of a call that nobody makes: the same decision as for a real one, with an observer that writes
//! down what it sees. Sends nothing, and counts nothing.

use std::{rc::Rc, sync::Arc, time::Instant};

use symgate_sdk::{Call, select};

use super::{
    attempt::{Attempt, Decision, Target},
    candidates::{self, Chosen},
    decide::Decider,
    first_message,
    head::Head,
    observer::{Asked, Observer},
    status::Reject,
};
use crate::{
    config::Route,
    http2::{Fields, Request},
    metrics::{Metrics, STATUS},
    plugin::{Extracted, Failure, Question, Ring},
    routing::{Instance, Live},
    snapshot::{
        Reader, Service,
        explanation::{Answered, Explanation, Shown, Standing, Supposed, Taken, Verdict},
    },
    tls::Names,
};

/// Plugins that are asked about one call, their built-ins included.
const ASKED: usize = 16;
/// Instances that are shown.
const SHOWN: usize = 128;

/// What a worker would decide about the call. `standing`: of an instance, for calls of a route.
pub(super) fn explain(
    decider: &mut Decider,
    call: &Supposed,
    standing: impl Fn(&Live, &Route) -> candidates::Standing,
) -> Explanation {
    let head = head(call);
    let names = (!call.clients.is_empty()).then(|| Rc::new(Names::from(call.clients.clone())));
    let mut attempt = Attempt::supposed(None, names);
    let mut trace = Trace::new();
    let mut decided = decider.decide(&head, &mut attempt, &standing, &mut trace);
    if let (Ok(Decision::NeedMessage(limit)), Some(message)) = (&decided, &call.message) {
        decided = if message.len() > *limit {
            Err(first_message::too_large(*limit))
        } else {
            attempt.message = Some(message.clone());
            decider.decide(&head, &mut attempt, &standing, &mut trace)
        };
    }
    trace.explanation(decided)
}

/// What a gateway with this snapshot would decide that has no connection yet.
pub fn explain_alone(reader: Reader, call: &Supposed) -> Explanation {
    explain(&mut Decider::new(reader, Metrics::new()), call, |_, _| candidates::Standing::Untried)
}

/// The head as HTTP/2 would have read it.
fn head(call: &Supposed) -> Head {
    let mut fields = Fields::new();
    let mut request = Request::default();
    fields.push(b":method", b"POST");
    request.path = Some(fields.len());
    fields.push(b":path", call.path.as_bytes());
    if !call.authority.is_empty() {
        request.authority = Some(fields.len());
        fields.push(b":authority", call.authority.as_bytes());
    }
    fields.push(b"content-type", b"application/grpc");
    call.metadata.iter().for_each(|(key, value)| fields.push(key.as_bytes(), &value.0));
    Head::new(fields, request)
}

/// Writes down what it sees.
struct Trace {
    route: Option<Taken>,
    waits_ms: u64,
    target: Option<Target>,
    known: usize,
    instances: Vec<Shown>,
    since: Instant,
    ring: Ring,
    /// What each decision in the ring took, and whom was not asked before it.
    asked: Vec<Part>,
}

enum Part {
    Took { us: f64, path: bool, symbol: bool },
    NotAsked { plugin: String, version: String },
}

impl Trace {
    fn new() -> Self {
        Self {
            route: None,
            waits_ms: 0,
            target: None,
            known: 0,
            instances: Vec::new(),
            since: Instant::now(),
            ring: Ring::new(ASKED, true),
            asked: Vec::new(),
        }
    }

    fn took(&mut self, path: bool, symbol: bool) {
        let us = self.since.elapsed().as_secs_f64() * 1e6;
        self.asked.push(Part::Took { us, path, symbol });
    }

    fn explanation(self, decided: Result<Decision, Reject>) -> Explanation {
        let comes_to = match decided {
            Ok(Decision::Place(place)) => {
                Verdict::Instance { address: place.instance.live.address().to_string(), owner: place.instance.owner }
            }
            Ok(Decision::NeedMessage(_)) => Verdict::NeedsMessage,
            Ok(Decision::Nobody(nobody)) => error(&nobody.reject, self.waits_ms),
            Err(reject) => error(&reject, 0),
        };
        let mut decisions = self.ring.from(0, ASKED).0.into_iter();
        let answered = |part| match part {
            Part::Took { us, path, symbol } => decisions.next().map(|decision| Answered::Asked {
                took_us: us,
                given_path: path,
                given_symbol: symbol,
                decision: Box::new(decision),
            }),
            Part::NotAsked { plugin, version } => Some(Answered::NotAsked { plugin, version }),
        };
        let asked = self.asked.into_iter().filter_map(answered).collect();
        let any = self.target == Some(Target::Any);
        let symbol = self.target.and_then(|target| match target {
            Target::Symbol(symbol) => Some(symbol),
            Target::Any => None,
        });
        let Self { route, known, instances, .. } = self;
        Explanation { worker: None, route, asked, symbol, any, known, instances, comes_to }
    }
}

impl Observer for Trace {
    fn routed(&mut self, route: &Route, service: &Service) {
        self.waits_ms = u64::try_from(route.wait_for_symbol.as_millis()).unwrap_or(u64::MAX);
        self.route = Some(Taken {
            route: route.name.clone(),
            service: service.name.to_string(),
            registry: service.registry.to_string(),
            revision: service.state.revision,
            lost: service.lost.as_deref().map(str::to_owned),
        });
    }

    fn found(&mut self, target: &Target) {
        self.target = Some(target.clone());
    }

    fn chosen(&mut self, known: &[Arc<Instance>], chosen: &Chosen, standing: impl Fn(&Live) -> candidates::Standing) {
        self.known = known.len();
        let candidates = (0..chosen.len()).filter_map(|at| Some((Some(at), chosen.get(known, at)?)));
        let is_candidate = |instance: &Arc<Instance>| {
            (0..chosen.len()).any(|at| chosen.get(known, at).is_some_and(|other| Arc::ptr_eq(other, instance)))
        };
        let others = known.iter().filter(|instance| !is_candidate(instance)).map(|instance| (None, instance));
        let all = candidates.chain(others).take(SHOWN);
        self.instances = all.map(|(at, instance)| shown(at, instance, standing(&instance.live))).collect();
    }

    fn asks(&mut self) {
        self.since = Instant::now();
    }

    fn skipped(&mut self, asked: Asked<'_>) {
        let (plugin, version) = (asked.plugin.name().to_owned(), asked.plugin.version().to_owned());
        self.asked.push(Part::NotAsked { plugin, version });
    }

    fn extracted(&mut self, asked: Asked<'_>, call: &Call<'_>, answer: &Result<Extracted, Failure>) {
        self.took(asked.plugin.extract_inputs().is_some_and(|inputs| inputs.path), false);
        self.ring.record_extracted(asked.at, asked.plugin, call, answer);
    }

    fn selected(&mut self, asked: Asked<'_>, question: &Question<'_>, answer: &Result<select::Outcome, Failure>) {
        let wanted = asked.plugin.select_inputs();
        self.took(wanted.is_some_and(|inputs| inputs.path), wanted.is_some_and(|inputs| inputs.symbol));
        self.ring.record_selected(asked.at, asked.plugin, question, answer);
    }
}

fn shown(candidate: Option<usize>, instance: &Instance, standing: candidates::Standing) -> Shown {
    Shown {
        candidate,
        address: instance.live.address().to_string(),
        standing: match standing {
            candidates::Standing::Ready => Standing::Ready,
            candidates::Standing::Untried => Standing::NotConnected,
            candidates::Standing::Shunned => Standing::Shunned,
            candidates::Standing::Last => Standing::Ejected,
        },
        draining: instance.draining,
        connections: instance.live.connections(),
        weight: instance.weight,
        in_flight: instance.live.in_flight(),
        latency_us: instance.live.latency_us(),
    }
}

fn error(reject: &Reject, waits_ms: u64) -> Verdict {
    let status = STATUS.get(usize::from(reject.status)).copied().unwrap_or("UNKNOWN");
    Verdict::Error { status: status.to_owned(), reason: reject.reason.to_owned(), text: reject.to_string(), waits_ms }
}
