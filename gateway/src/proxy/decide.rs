//! Route, extract, look up, select: one look at one snapshot that says where a call goes. Waits for nothing and knows
//! no sockets; what it needs and does not have it asks for.

use std::sync::Arc;

use symgate_sdk::{
    Call,
    extract::{self, Need},
    select::{self, Candidates, MAX_CANDIDATES},
};

use super::{
    attempt::{Attempt, Decision, Nobody, Place, Target},
    candidates::{Chosen, Standing},
    counters::{Counters, RouteCounters},
    inputs::{self, Decoded},
    observer::{Asked, Observer},
    status::{Code, Reject},
};
use crate::{
    config::{NoSymbol, OnFailure, Route},
    metrics::Metrics,
    plugin::{Failure, Question, Sandboxes},
    routing::{Head, Instance, Live, Lookup},
    snapshot::{Reader, Service, Snapshot},
};

/// What one worker decides with.
pub(super) struct Decider {
    reader: Reader,
    sandboxes: Sandboxes,
    counters: Counters,
    chosen: Chosen,
}

/// One look at one snapshot.
struct Look<'a, H, O> {
    head: &'a H,
    observer: &'a mut O,
    attempt: &'a Attempt,
    snapshot: &'a Snapshot,
    counters: &'a Counters,
    sandboxes: &'a mut Sandboxes,
    route: &'a Arc<Route>,
    service: &'a Service,
}

impl Decider {
    /// That looks at what `reader` shows.
    pub(super) fn new(reader: Reader, metrics: Metrics) -> Self {
        Self { reader, sandboxes: Sandboxes::default(), counters: Counters::new(metrics), chosen: Chosen::default() }
    }

    /// Follows the newest snapshot while no call comes.
    pub(super) fn refresh(&mut self) -> &Arc<Snapshot> {
        let snapshot = self.reader.snapshot();
        self.sandboxes.keep(&snapshot.plugins);
        self.counters.follow(snapshot);
        snapshot
    }

    /// Where calls are counted that no route takes.
    pub(super) fn no_route(&self) -> &RouteCounters {
        self.counters.no_route()
    }

    /// Says where the call goes, as the newest snapshot has it. `standing`: of an instance, for calls of a route.
    pub(super) fn decide(
        &mut self,
        head: &impl Head,
        attempt: &mut Attempt,
        standing: impl Fn(&Live, &Route) -> Standing,
        observer: &mut impl Observer,
    ) -> Result<Decision, Reject> {
        let snapshot = &**self.reader.snapshot();
        self.counters.follow(snapshot);
        let found = snapshot.routes.find(head);
        let Some((route, service)) = found.and_then(|route| Some((route, snapshot.services.get(route.service)?)))
        else {
            attempt.lost(self.counters.no_route().clone());
            let text = format!("no route takes {}", head.path());
            return Err(Reject::new(Code::Unimplemented, "no-route", text));
        };
        observer.routed(route, service);
        attempt.enter(route, self.counters.route(route, &service.name))?;
        attempt.check_client(route)?;
        let (counters, sandboxes) = (&self.counters, &mut self.sandboxes);
        let mut look = Look { head, observer, attempt, snapshot, counters, sandboxes, route, service };
        look.loaded()?;
        let standing = |live: &Live| standing(live, route);
        let Some(target) = look.target()? else {
            return Ok(Decision::NeedMessage(route.max_first_message));
        };
        look.observer.found(&target);
        let any;
        let (symbol, known) = match &target {
            Target::Symbol(symbol) => (&**symbol, look.known(symbol)?),
            Target::Any => {
                any = look.service.table.any(fastrand::u64(..), MAX_CANDIDATES);
                ("", &*any)
            }
        };
        self.chosen.among(known, |instance| look.attempt.may_try(instance), standing);
        look.observer.chosen(known, &self.chosen, standing);
        if self.chosen.is_empty() {
            let reject = look.attempt.nobody(&target.of(&service.name), known.len());
            return Ok(Decision::Nobody(Nobody { route: route.clone(), target, reject }));
        }
        let instance = look.select(symbol, known, &self.chosen)?;
        Ok(Decision::Place(Place { route: route.clone(), known: known.len(), target, instance }))
    }
}

impl<'a, H: Head, O: Observer> Look<'a, H, O> {
    fn loaded(&self) -> Result<(), Reject> {
        if self.service.state.loaded {
            return Ok(());
        }
        let text = format!("the registry of service {} was not read yet", self.service.name);
        Err(Reject::new(Code::Unavailable, "table-not-loaded", text))
    }

    /// Whose call it is; `None`: the extractor needs the first message to say.
    fn target(&mut self) -> Result<Option<Target>, Reject> {
        if let Some(target) = self.attempt.target(self.route) {
            return Ok(Some(target));
        }
        let Some(at) = self.route.extract else { return Ok(Some(Target::Symbol(String::new()))) };
        let asked = self.plugin(at)?;
        let message = self.attempt.message.is_some();
        if !message && asked.plugin.extract_inputs().is_some_and(|inputs| inputs.message == Need::Always) {
            return Ok(None);
        }
        match self.decided(asked, Self::extract)? {
            extract::Outcome::Symbol(symbol) => Ok(Some(Target::Symbol(symbol))),
            extract::Outcome::Any => Ok(Some(Target::Any)),
            extract::Outcome::NeedMessage => Ok(None),
            extract::Outcome::NoSymbol(why) => self.no_symbol(asked, &why).map(Some),
            extract::Outcome::Reject(rejection) => Err(Reject::from_plugin(rejection)),
        }
    }

    fn no_symbol(&self, asked: Asked<'_>, why: &str) -> Result<Target, Reject> {
        match &self.route.no_symbol {
            NoSymbol::Any => Ok(Target::Any),
            NoSymbol::Symbol(symbol) => Ok(Target::Symbol(symbol.clone())),
            NoSymbol::Reject => {
                let text = format!("the call carries no symbol, says {}: {why}", asked.plugin.name());
                Err(Reject::new(Code::InvalidArgument, "no-symbol", text))
            }
        }
    }

    /// The instances of a symbol, if they take one more call.
    fn known(&self, symbol: &str) -> Result<&'a [Arc<Instance>], Reject> {
        let service = &self.service.name;
        match self.service.table.lookup(symbol) {
            Lookup::Unknown => {
                let text = format!("symbol {symbol:?} was never registered in service {service}");
                Err(Reject::with_status(self.route.unknown_symbol, "unknown-symbol", text))
            }
            Lookup::Known(known) => match self.route.max_in_flight_per_symbol {
                Some(limit) if in_flight(known) >= u64::from(limit) => {
                    let of = Target::Symbol(symbol.into()).of(service);
                    Err(Reject::symbol_full(&of, limit, known.len(), &self.route.name))
                }
                _ => Ok(known),
            },
        }
    }

    /// The one that gets the call.
    fn select(&mut self, symbol: &str, known: &[Arc<Instance>], chosen: &Chosen) -> Result<Arc<Instance>, Reject> {
        let asked = self.plugin(self.route.select)?;
        let alone = chosen.len() == 1 && asked.plugin.select_inputs().is_some_and(|inputs| inputs.skip_single);
        let index = if alone {
            self.observer.skipped(asked);
            0
        } else {
            match self.decided(asked, |look, asked| look.ask_selector(asked, symbol, known, chosen))? {
                select::Outcome::Candidate(index) => index as usize,
                select::Outcome::Reject(rejection) => return Err(Reject::from_plugin(rejection)),
            }
        };
        chosen.get(known, index).cloned().ok_or_else(|| {
            let failure = Failure::Contract(format!("candidate {index} of {}", chosen.len()));
            self.plugin_failed(asked, &failure)
        })
    }

    fn extract(&mut self, asked: Asked<'_>) -> Result<Result<extract::Outcome, Failure>, Reject> {
        let keys = asked.plugin.extract_inputs().map_or(&[][..], |inputs| &inputs.metadata);
        let decoded = Decoded::new(self.head, keys)?;
        let metadata = inputs::values(self.head, keys, &decoded)?;
        let call = Call { path: self.head.path(), metadata: &metadata, message: self.attempt.message.as_deref() };
        self.observer.asks();
        let answer = self.sandboxes.extract(asked.at, asked.plugin, &call);
        self.observer.extracted(asked, &call, &answer);
        Ok(answer.map(|extracted| extracted.outcome))
    }

    fn ask_selector(
        &mut self,
        asked: Asked<'_>,
        symbol: &str,
        known: &[Arc<Instance>],
        chosen: &Chosen,
    ) -> Result<Result<select::Outcome, Failure>, Reject> {
        let none = select::Inputs::default();
        let wanted = asked.plugin.select_inputs().unwrap_or(&none);
        let decoded = Decoded::new(self.head, &wanted.metadata)?;
        let metadata = inputs::values(self.head, &wanted.metadata, &decoded)?;
        let numbers = chosen.numbers(known, wanted);
        let labels = chosen.labels(known, &wanted.labels);
        let question = Question {
            call: Call { path: self.head.path(), metadata: &metadata, message: None },
            symbol,
            candidates: Candidates::new(wanted, &numbers, &labels),
            random: fastrand::u64(..),
        };
        self.observer.asks();
        let answer = self.sandboxes.select(asked.at, asked.plugin, &question);
        self.observer.selected(asked, &question, &answer);
        Ok(answer)
    }

    /// Asks the plugin; when it gives no answer, the built-in where the route says so.
    fn decided<T>(
        &mut self,
        asked: Asked<'_>,
        mut ask: impl FnMut(&mut Self, Asked<'_>) -> Result<Result<T, Failure>, Reject>,
    ) -> Result<T, Reject> {
        let failure = match ask(self, asked)? {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let reject = self.plugin_failed(asked, &failure);
        match asked.plugin.fallback() {
            Some(fallback) if self.route.on_failure == OnFailure::Builtin => {
                ask(self, Asked { plugin: fallback, ..asked })?.map_err(|failure| self.plugin_failed(asked, &failure))
            }
            _ => Err(reject),
        }
    }

    fn plugin(&self, at: usize) -> Result<Asked<'a>, Reject> {
        let none = || Reject::new(Code::Internal, "plugin-failed", "the route's plugin is not loaded");
        let plugin = self.snapshot.plugins.get(at).ok_or_else(none)?;
        Ok(Asked { at, plugin, counters: self.counters.plugin(at) })
    }

    fn plugin_failed(&mut self, asked: Asked<'_>, failure: &Failure) -> Reject {
        self.observer.failed(asked, failure);
        tracing::debug!(plugin = asked.plugin.name(), %failure, "plugin gave no answer");
        Reject::new(Code::Internal, "plugin-failed", format!("plugin {} {failure}", asked.plugin.name()))
    }
}

/// Calls of this gateway that these instances have now.
fn in_flight(instances: &[Arc<Instance>]) -> u64 {
    instances.iter().map(|instance| u64::from(instance.live.in_flight())).sum()
}
