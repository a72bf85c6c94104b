//! The two sides of `cargo xtask bench`: backends that own symbols, and the load that calls them through a proxy. Checks
//! every reply and fails at the first that is wrong; knows nothing of the proxy and does not read its CPU time.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what it prints is read by who started it")]

mod backends;
mod caller;
mod chat;
mod closed;
mod hold;
mod message;
mod metronome;
mod paced;
mod talk;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::Parser;
use tokio::{runtime, task::LocalSet, time::timeout};

#[derive(Parser)]
enum Command {
    /// Serves as this many backends until standard input ends; prints their ports first.
    Backends { count: u16 },
    /// Calls without pause: each stream makes its next call when the last one ended.
    Closed(closed::Options),
    /// Calls at a fixed rate, however long each takes; latency counts from when a call was due.
    Paced(paced::Options),
    /// Opens connections, or streams, and leaves them idle.
    Hold(hold::Options),
    /// Opens streams that stay open, with a message each way now and then.
    Chat(chat::Options),
}

/// So that a proxy that swallows a call ends the measurement, not the patience.
const LONGEST: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = LocalSet::new().block_on(&runtime, async {
        match command {
            Command::Backends { count } => backends::serve(count).await,
            Command::Closed(options) => bounded(closed::run(&options)).await,
            Command::Paced(options) => bounded(paced::run(&options)).await,
            Command::Hold(options) => bounded(hold::run(&options)).await,
            Command::Chat(options) => bounded(chat::run(&options)).await,
        }
    });
    // A thread that still waits for a line must not keep the process.
    runtime.shutdown_background();
    outcome
}

async fn bounded(load: impl Future<Output = Result<()>>) -> Result<()> {
    timeout(LONGEST, load).await.with_context(|| format!("the load did not end within {LONGEST:?}"))?
}
