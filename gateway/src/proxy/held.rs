//! Calls that wait until their symbol has an instance that can take them: who waits for what, and when to look again.

use std::{cell::RefCell, time::Duration};

use rustc_hash::FxHashMap;
use tokio::{sync::Notify, time};

use super::attempt::Target;
use crate::{http2::Token, routing::Lookup, snapshot::Service};

/// Between two looks while the registry says nothing: an instance that is known may have begun to listen.
const LOOK: Duration = Duration::from_millis(100);

/// The calls of one worker that wait, by service and symbol. One that has ended is forgotten at the next look.
#[derive(Default)]
pub(super) struct Held {
    calls: RefCell<FxHashMap<(usize, Target), Vec<Token>>>,
    some: Notify,
}

impl Held {
    /// A call waits for an instance of this service and symbol.
    pub(super) fn add(&self, service: usize, target: Target, call: Token) {
        self.calls.borrow_mut().entry((service, target)).or_default().push(call);
        self.some.notify_one();
    }

    /// Takes out those whose instances are others now than they were before.
    pub(super) fn take_changed(&self, before: &[Service], now: &[Service]) -> Vec<Token> {
        let changed = |service: usize, target: &Target| match (before.get(service), now.get(service)) {
            (Some(before), Some(now)) => is_other(before, now, target),
            (before, now) => before.is_some() != now.is_some(),
        };
        let mut calls = self.calls.borrow_mut();
        calls.extract_if(|(service, target), _| changed(*service, target)).flat_map(|(_, calls)| calls).collect()
    }

    /// Waits until some wait and it is time to look again; takes out all.
    pub(super) async fn next_look(&self) -> Vec<Token> {
        if self.calls.borrow().is_empty() {
            self.some.notified().await;
        }
        time::sleep(LOOK).await;
        self.calls.take().into_values().flatten().collect()
    }
}

fn is_other(before: &Service, now: &Service, target: &Target) -> bool {
    match target {
        Target::Any => !std::sync::Arc::ptr_eq(&before.table, &now.table),
        Target::Symbol(symbol) => match (before.table.lookup(symbol), now.table.lookup(symbol)) {
            // A list is made anew when anything in it changes, and only then.
            (Lookup::Known(before), Lookup::Known(now)) => !std::ptr::eq(before, now),
            (Lookup::Unknown, Lookup::Unknown) => false,
            (Lookup::Unknown, Lookup::Known(_)) | (Lookup::Known(_), Lookup::Unknown) => true,
        },
    }
}
