//! When calls must end: one ordered set and one timer per worker, not a timer per call.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    time::Instant,
};

use tokio::{sync::Notify, time};

use crate::http2::Token;

/// The deadlines of a worker's calls.
#[derive(Default)]
pub(super) struct Deadlines {
    all: RefCell<BTreeSet<(Instant, Token)>>,
    /// When the timer will look again.
    looks: Cell<Option<Instant>>,
    sooner: Notify,
}

impl Deadlines {
    /// A call must end then.
    pub(super) fn add(&self, deadline: Instant, call: Token) {
        self.all.borrow_mut().insert((deadline, call));
        if self.looks.get().is_none_or(|looks| deadline < looks) {
            self.looks.set(Some(deadline));
            self.sooner.notify_one();
        }
    }

    /// A call has ended.
    pub(super) fn remove(&self, deadline: Instant, call: Token) {
        self.all.borrow_mut().remove(&(deadline, call));
    }

    /// Waits for the next call whose deadline has passed.
    pub(super) async fn next(&self) -> Token {
        loop {
            let next = self.all.borrow().first().copied();
            self.looks.set(next.map(|(deadline, _)| deadline));
            let Some((deadline, call)) = next else {
                self.sooner.notified().await;
                continue;
            };
            if deadline <= Instant::now() {
                self.all.borrow_mut().remove(&(deadline, call));
                return call;
            }
            tokio::select! {
                () = time::sleep_until(deadline.into()) => {}
                () = self.sooner.notified() => {}
            }
        }
    }
}
