//! The conversation with who started this program: it says how far it is and waits, so that the other side can look at
//! the proxy at that moment.

use std::io::{Read, Write, stdin, stdout};

use anyhow::{Result, ensure};
use tokio::task::spawn_blocking;

/// Says a line.
pub(crate) fn say(line: &str) -> Result<()> {
    println!("{line}");
    Ok(stdout().flush()?)
}

/// Says that a point is reached and waits for the word to go on. Connections stay alive meanwhile.
pub(crate) async fn reached(point: &str) -> Result<()> {
    say(point)?;
    let read = spawn_blocking(|| stdin().read_line(&mut String::new())).await??;
    ensure!(read > 0, "nobody waits for the result any more");
    Ok(())
}

/// Waits until who started this program closes its standard input, or has ended.
pub(crate) async fn abandoned() -> Result<()> {
    spawn_blocking(|| stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}

/// Says a figure of the result.
pub(crate) fn figure(name: &str, value: f64) -> Result<()> {
    say(&format!("{name} {value}"))
}
