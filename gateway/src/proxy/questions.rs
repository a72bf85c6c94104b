//! Answers what a worker is asked from outside, between its calls. Sends nothing to an instance, and counts no call.

use std::rc::Rc;

use tokio::task::yield_now;

use super::{explain::explain, worker::Worker};
use crate::{
    config::Route,
    plugin::decision::Decision,
    routing::Live,
    snapshot::{
        Question, Questioned,
        explanation::{Explanation, Supposed},
    },
};

/// Recorded decisions that are written out at a time; between two times calls go on.
const AT_A_TIME: usize = 32;

/// Answers until nobody can ask any more.
pub(super) async fn answer(worker: Rc<Worker>, Questioned { number, mut questions }: Questioned) {
    while let Some(question) = questions.recv().await {
        // Who asked may be gone.
        match question {
            Question::Explain(call, tell) => drop(tell.send(Box::new(explained(&worker, number, &call)))),
            Question::Decisions(plugin, tell) => drop(tell.send(decisions(&worker, plugin.as_deref()).await)),
        }
    }
}

fn explained(worker: &Worker, number: usize, call: &Supposed) -> Explanation {
    let standing = |live: &Live, route: &Route| worker.upstreams.standing(live, route);
    let explanation = explain(&mut worker.decider.borrow_mut(), call, standing);
    Explanation { worker: Some(number), ..explanation }
}

async fn decisions(worker: &Worker, plugin: Option<&str>) -> Vec<Decision> {
    let mut all = Vec::new();
    // Those that are made meanwhile are not waited for.
    let (mut next, end) = (0, worker.ring.borrow().count());
    while next < end {
        let (found, after) = worker.ring.borrow().from(next, AT_A_TIME);
        all.extend(found.into_iter().filter(|decision| plugin.is_none_or(|name| decision.plugin == name)));
        next = after;
        yield_now().await;
    }
    all
}
