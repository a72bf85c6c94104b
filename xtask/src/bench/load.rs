//! The load, as a child process that says how far it is.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{ChildStdin, ChildStdout, Stdio},
};

use anyhow::{Context, Result, bail};

use super::{
    figures::Figures,
    ground::{Ground, Place},
    process::{Process, pinned},
    proxy::Proxy,
    usage::Usage,
};

/// A running load.
pub(super) struct Load {
    process: Process,
    says: BufReader<ChildStdout>,
    hears: ChildStdin,
}

impl Load {
    /// Starts a load, by its command line, on a proxy.
    pub(super) fn start(ground: &Ground, place: Place, arguments: &[String], proxy: &Proxy) -> Result<Self> {
        let mut command = pinned(&ground.program, ground.cores(place));
        command.args(arguments).args(["--address", &format!("127.0.0.1:{}", proxy.port)]);
        if proxy.is_none() {
            command.args(["--owners", "1"]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start("load", &mut command, &ground.folder)?;
        let child = process.child();
        let says = BufReader::new(child.stdout.take().context("the load has no output")?);
        let hears = child.stdin.take().context("the load has no input")?;
        Ok(Self { process, says, hears })
    }

    /// Waits until it says that a point is reached, sees what the proxy has used until then, and lets the load go on.
    pub(super) fn used_at(&mut self, point: &str, proxy: &Proxy) -> Result<Option<Usage>> {
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        if line.trim() != point {
            self.process.succeeds()?;
            bail!("the load said {line:?}, not {point:?}");
        }
        let usage = proxy.usage()?;
        self.hears.write_all(b"\n").context("the load has gone away")?;
        Ok(usage)
    }

    /// Waits for its end and its result.
    pub(super) fn figures(mut self) -> Result<Figures> {
        let mut text = String::new();
        self.says.read_to_string(&mut text)?;
        self.process.succeeds()?;
        Figures::parse(&text)
    }
}
