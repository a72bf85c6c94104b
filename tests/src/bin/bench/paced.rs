//! The open loop: calls at a fixed rate. A proxy that is slow for a moment gets them all the same, and each late call
//! counts.

use std::{cell::RefCell, rc::Rc, time::Duration};

use anyhow::Result;
use tokio::task::JoinSet;

use crate::{
    caller::{Caller, Target, call_all},
    metronome::Metronome,
    talk::{figure, reached},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    target: Target,
    /// Calls per second.
    #[arg(long)]
    rate: u32,
    /// For how long.
    #[arg(long)]
    seconds: u32,
}

pub(crate) async fn run(options: &Options) -> Result<()> {
    let Options { target, rate, seconds } = options;
    let callers = target.callers().await?;
    call_all(&callers, 4, target.warm_up).await?;
    reached("warm").await?;
    let calls = rate * seconds;
    let latencies = at_rate(&callers, *rate, calls).await?;
    figure("calls", f64::from(calls))?;
    figure("made", target.warm_up as f64 + f64::from(calls))?;
    say_latencies(latencies)
}

/// Says how they are spread, in microseconds.
pub(crate) fn say_latencies(mut latencies: Vec<Duration>) -> Result<()> {
    latencies.sort_unstable();
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("most", 1.0)] {
        figure(name, quantile(&latencies, share).as_secs_f64() * 1e6)?;
    }
    Ok(())
}

/// The time from when each call was due to its end.
async fn at_rate(callers: &[Caller], rate: u32, calls: u32) -> Result<Vec<Duration>> {
    let latencies = Rc::new(RefCell::new(Vec::with_capacity(calls as usize)));
    let mut under_way = JoinSet::new();
    let mut metronome = Metronome::start(Duration::from_secs(1) / rate, calls);
    for caller in callers.iter().cycle() {
        let Some(due) = metronome.beat().await else { break };
        let (mut caller, latencies) = (caller.clone(), latencies.clone());
        under_way.spawn_local(async move {
            caller.call().await?;
            latencies.borrow_mut().push(due.elapsed());
            anyhow::Ok(())
        });
        while let Some(ended) = under_way.try_join_next() {
            ended??;
        }
    }
    while let Some(ended) = under_way.join_next().await {
        ended??;
    }
    Ok(latencies.take())
}

fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * share).round() as usize;
    sorted.get(at).copied().unwrap_or_default()
}
