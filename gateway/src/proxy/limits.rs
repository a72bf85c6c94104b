//! What ends a call from outside, in whichever phase it is: its deadline, and the end of the gateway.

use std::{
    cell::Cell,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, futures::Notified},
    time::{Sleep, sleep_until},
};

use super::status::Reject;

/// Tells a worker's calls that they must end now.
#[derive(Default)]
pub(super) struct Ending {
    came: Cell<bool>,
    calls: Notify,
}

/// What ends one call from outside.
pub(super) struct Limits<'a, 'w> {
    deadline: Option<Instant>,
    /// Made when the call first waits.
    timer: Option<Pin<Box<Sleep>>>,
    ending: &'w Ending,
    ended: Pin<&'a mut Notified<'w>>,
}

impl Ending {
    /// Ends every call.
    pub(super) fn come(&self) {
        self.came.set(true);
        self.calls.notify_waiters();
    }

    /// What [`Limits`] wait for.
    pub(super) fn notified(&self) -> Notified<'_> {
        self.calls.notified()
    }
}

impl<'a, 'w> Limits<'a, 'w> {
    /// Of a call that may take this long from now.
    pub(super) fn new(time: Option<Duration>, ending: &'w Ending, ended: Pin<&'a mut Notified<'w>>) -> Self {
        // A time that no clock can show is as good as none.
        let deadline = time.and_then(|time| Instant::now().checked_add(time));
        Self { deadline, timer: None, ending, ended }
    }

    /// The time that is left; `None`: the caller did not limit it.
    pub(super) fn left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Ready when the call must end.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Reject> {
        if self.ending.came.get() || self.ended.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Reject::draining());
        }
        let Some(deadline) = self.deadline else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
        timer.as_mut().poll(cx).map(|()| Reject::deadline())
    }
}
