//! What operators, and control before it takes a new plugin, ask of workers. A worker answers between two calls, from its
//! own connections, sandboxes and record of decisions.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::explanation::{Explanation, Supposed};
use crate::plugin::decision::Decision;

/// What may wait for one worker.
const WAITING: usize = 16;

/// A question, and where the answer goes.
pub enum Question {
    /// What would become of this call?
    Explain(Box<Supposed>, oneshot::Sender<Box<Explanation>>),
    /// What was decided lately by the plugin of this name, or by all?
    Decisions(Option<Arc<str>>, oneshot::Sender<Vec<Decision>>),
}

/// Where workers are asked.
#[derive(Clone, Default)]
pub struct Questions(Arc<Mutex<Vec<mpsc::Sender<Question>>>>);

/// A worker that is asked.
pub struct Questioned {
    /// Its number.
    pub number: usize,
    /// What it is asked from now on.
    pub questions: mpsc::Receiver<Question>,
}

/// Why a worker gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// There is no such worker.
    #[error("there is no worker {0}; there are {1}, and the first is 0")]
    NoWorker(usize, usize),
    /// It has ended, or too much waits for it.
    #[error("worker {0} does not answer: it is busy, or the gateway is going away")]
    Busy(usize),
}

impl Questions {
    /// One more worker.
    pub fn answered(&self) -> Questioned {
        let (sender, questions) = mpsc::channel(WAITING);
        let mut workers = self.0.lock();
        workers.push(sender);
        Questioned { number: workers.len() - 1, questions }
    }

    /// What would become of a call, as the worker sees it that the call names.
    ///
    /// # Errors
    /// When there is no such worker, or it does not answer.
    pub async fn explain(&self, call: Supposed) -> Result<Explanation, NoAnswer> {
        let worker = call.worker;
        let (tell, answer) = oneshot::channel();
        self.ask(worker, Question::Explain(Box::new(call), tell))?;
        answer.await.map(|explanation| *explanation).map_err(|_ended| NoAnswer::Busy(worker))
    }

    /// What all workers decided lately, each from its oldest on, by the plugin of this name, or by all. Of a worker that
    /// does not answer, nothing.
    pub async fn decisions(&self, plugin: Option<Arc<str>>) -> Vec<Decision> {
        let mut all = Vec::new();
        let workers = self.0.lock().len();
        for worker in 0..workers {
            let (tell, answer) = oneshot::channel();
            if self.ask(worker, Question::Decisions(plugin.clone(), tell)).is_ok()
                && let Ok(decisions) = answer.await
            {
                all.extend(decisions.into_iter().map(|decision| Decision { worker, ..decision }));
            }
        }
        all
    }

    fn ask(&self, worker: usize, question: Question) -> Result<(), NoAnswer> {
        let workers = self.0.lock();
        let asked = workers.get(worker).ok_or(NoAnswer::NoWorker(worker, workers.len()))?;
        asked.try_send(question).map_err(|_busy| NoAnswer::Busy(worker))
    }
}
