//! What a gateway keeps while nothing happens: memory, files, threads, tasks, connections, calls. Two such levels show a
//! leak.

use std::{fmt, time::Duration};

use symgate_tests::{
    Gateway,
    eventually::{Clock, pause},
};

/// How long a gateway may take to come back to its level. Connections of calls that were cut, an allocator's memory and
/// threads that wait for work go by timers of their own.
const PATIENCE: Duration = Duration::from_secs(45);

/// What may differ for no fault: memory's shape, a task or a thread that has just begun.
const RSS_PART: u64 = 4;
const RSS_MORE: u64 = 16 << 20;
const FILES_MORE: usize = 4;
const THREADS_MORE: u64 = 2;
const TASKS_MORE: u64 = 4;
/// Tasks of a connection to an instance.
const TASKS_EACH: u64 = 1;

/// What a gateway has.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    rss: u64,
    files: usize,
    threads: u64,
    tasks: u64,
    clients: u64,
    instances: u64,
    calls: u64,
    queued: u64,
}

impl Level {
    /// As it is now.
    async fn read(gateway: &Gateway) -> Self {
        let metric = async |name| gateway.metric(name, "").await as u64;
        Self {
            clients: metric("symgate_downstream_connections").await,
            instances: metric("symgate_upstream_connections").await,
            calls: metric("symgate_calls_in_flight").await,
            queued: metric("symgate_queued_bytes").await,
            tasks: metric("symgate_tasks").await,
            rss: gateway.rss(),
            files: gateway.open_files(),
            threads: gateway.threads(),
        }
    }

    /// The level of a gateway with no calls, which needs and may have so many connections to instances; with what is wrong, when it
    /// does not come down to `before` in time.
    pub(crate) async fn settled(
        gateway: &Gateway,
        connections: (u64, u64),
        before: Option<&Self>,
    ) -> (Self, Vec<String>) {
        let clock = Clock::start(PATIENCE);
        loop {
            let level = Self::read(gateway).await;
            let wrong = level.excess(connections, before);
            if wrong.is_empty() || !clock.runs() {
                return (level, wrong);
            }
            pause().await;
        }
    }

    /// Connections to instances.
    pub(crate) fn instances(&self) -> u64 {
        self.instances
    }

    fn excess(&self, connections: (u64, u64), before: Option<&Self>) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut hold = |right: bool, text: String| {
            if !right {
                wrong.push(text);
            }
        };
        let Self { rss, files, threads, tasks, clients, instances, calls, queued } = *self;
        hold(calls == 0, format!("{calls} calls in flight"));
        hold(clients == 0, format!("{clients} client connections"));
        hold(queued == 0, format!("{queued} bytes queued"));
        let (least, most) = connections;
        let range = (least..=most).contains(&instances);
        hold(range, format!("{instances} connections to instances, not {least} to {most}"));
        if let Some(before) = before {
            let more = instances.saturating_sub(before.instances);
            let most = before.rss + before.rss / RSS_PART + RSS_MORE;
            hold(rss <= most, format!("{} MiB resident, {} before", rss >> 20, before.rss >> 20));
            let most = before.files + more as usize + FILES_MORE;
            hold(files <= most, format!("{files} open files, {} before", before.files));
            hold(threads <= before.threads + THREADS_MORE, format!("{threads} threads, {} before", before.threads));
            let most = before.tasks + more * TASKS_EACH + TASKS_MORE;
            hold(tasks <= most, format!("{tasks} tasks, {} before", before.tasks));
        }
        wrong
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rss, files, threads, tasks, clients, instances, calls, queued } = self;
        let mib = *rss as f64 / f64::from(1 << 20);
        write!(f, "{mib:.1} MiB, {files} files, {threads} threads, {tasks} tasks, {clients} client connections, ")?;
        write!(f, "{instances} to instances, {calls} calls, {queued} bytes queued")
    }
}
