//! Streams that stay open, with a message each way now and then: what many watchers of prices are to a proxy.

use std::{collections::VecDeque, rc::Rc, time::Duration};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::{
    caller::{Open, Target, call_all},
    hold::leave_open,
    metronome::Metronome,
    paced::say_latencies,
    talk::{figure, reached},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    target: Target,
    /// Streams on each connection.
    #[arg(long)]
    streams: usize,
    /// Messages per second, over all streams in turn.
    #[arg(long)]
    rate: u32,
    /// For how long.
    #[arg(long)]
    seconds: u32,
}

pub(crate) async fn run(options: &Options) -> Result<()> {
    let Options { target, streams, rate, seconds } = options;
    let plan = Rc::new(target.plan()?);
    let first = target.caller(&plan).await?;
    call_all(&[first], 10, target.warm_up).await?;
    reached("warm").await?;

    let (mut callers, mut open) = (Vec::new(), VecDeque::new());
    for _ in 0..target.connections {
        let mut caller = target.caller(&plan).await?;
        open.extend(leave_open(&mut caller, *streams).await?);
        callers.push(caller);
    }
    reached("held").await?;

    let (held, messages) = (open.len(), rate * seconds);
    let latencies = talk(&mut open, *rate, messages).await?;
    reached("talked").await?;
    for stream in open {
        stream.close().await?;
    }
    figure("held", held as f64)?;
    figure("messages", f64::from(messages))?;
    say_latencies(latencies)
}

/// Lets one stream after the other talk; the time from when a message was due to its answer.
async fn talk(open: &mut VecDeque<Open>, rate: u32, messages: u32) -> Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(messages as usize);
    let mut metronome = Metronome::start(Duration::from_secs(1) / rate, messages);
    let mut under_way = JoinSet::new();
    while let Some(due) = metronome.beat().await {
        let mut stream = open.pop_front().context("every stream still waits for its answer")?;
        under_way.spawn_local(async move {
            stream.talk().await?;
            anyhow::Ok((stream, due.elapsed()))
        });
        while let Some(answered) = under_way.try_join_next() {
            let (stream, took) = answered??;
            open.push_back(stream);
            latencies.push(took);
        }
    }
    while let Some(answered) = under_way.join_next().await {
        let (stream, took) = answered??;
        open.push_back(stream);
        latencies.push(took);
    }
    Ok(latencies)
}
