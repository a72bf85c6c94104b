//! Idle connections or streams: what a proxy keeps for each is what its memory grew by.

use std::rc::Rc;

use anyhow::Result;

use crate::{
    caller::{Caller, Open, Target, call_all},
    talk::{figure, reached},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    target: Target,
    /// Calls left open on each connection; none: each connection makes one call and is idle.
    #[arg(long, default_value_t = 0)]
    streams: usize,
}

pub(crate) async fn run(options: &Options) -> Result<()> {
    let Options { target, streams } = options;
    let plan = Rc::new(target.plan()?);
    // What a proxy needs at its first calls is not for the connections that follow.
    let first = target.caller(&plan).await?;
    call_all(&[first], 10, target.warm_up).await?;
    reached("warm").await?;

    let (mut callers, mut open) = (Vec::new(), Vec::new());
    for _ in 0..target.connections {
        let mut caller = target.caller(&plan).await?;
        open.extend(leave_open(&mut caller, *streams).await?);
        callers.push(caller);
    }
    reached("held").await?;

    let count = if *streams == 0 { callers.len() } else { open.len() };
    for stream in open {
        stream.close().await?;
    }
    figure("held", count as f64)?;
    figure("made", plan.made() as f64)
}

/// Makes calls that stay open, or one that does not when there are to be none.
pub(crate) async fn leave_open(caller: &mut Caller, streams: usize) -> Result<Vec<Open>> {
    if streams == 0 {
        caller.call().await?;
    }
    let mut open = Vec::with_capacity(streams);
    for _ in 0..streams {
        open.push(caller.open().await?);
    }
    Ok(open)
}
