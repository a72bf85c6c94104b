//! The closed loop: as many calls at a time as there are streams.

use std::time::Instant;

use anyhow::Result;

use crate::{
    caller::{Target, call_all},
    talk::{figure, reached},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    target: Target,
    /// Calls at a time on each connection.
    #[arg(long, default_value_t = 10)]
    streams: usize,
    /// Calls that are measured.
    #[arg(long, default_value_t = 20_000)]
    calls: u64,
}

pub(crate) async fn run(options: &Options) -> Result<()> {
    let Options { target, streams, calls } = options;
    let callers = target.callers().await?;
    call_all(&callers, *streams, target.warm_up).await?;
    reached("warm").await?;
    let start = Instant::now();
    call_all(&callers, *streams, *calls).await?;
    figure("seconds", start.elapsed().as_secs_f64())?;
    figure("calls", *calls as f64)?;
    figure("messages", *calls as f64 * f64::from(target.messages))?;
    figure("made", (target.warm_up + calls) as f64)
}
