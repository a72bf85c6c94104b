//! `symgate register`: announces one instance, with its process as a child or beside it, and ends both in order.

use std::{convert::Infallible, ffi::OsString, path::PathBuf, time::Duration};

use anyhow::Context;
use rustix::process::Signal;
use tokio::{
    runtime::LocalRuntime,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::spawn_local,
    time::{Instant, sleep, timeout_at},
};
use tracing::{error, info, warn};

use crate::{
    config::Etcd,
    register::{Announcement, Command, Health, OwnerFile, Registrar},
};

/// Signals that end a registration.
const END: [(SignalKind, Signal); 2] =
    [(SignalKind::terminate(), Signal::TERM), (SignalKind::interrupt(), Signal::INT)];
/// Signals that are the command's own matter.
const PASSED_ON: [(SignalKind, Signal); 5] = [
    (SignalKind::hangup(), Signal::HUP),
    (SignalKind::quit(), Signal::QUIT),
    (SignalKind::user_defined1(), Signal::USR1),
    (SignalKind::user_defined2(), Signal::USR2),
    (SignalKind::window_change(), Signal::WINCH),
];

/// An instance to be announced.
#[derive(Debug)]
pub struct Sidecar {
    /// Where.
    pub etcd: Etcd,
    /// What.
    pub announcement: Announcement,
    /// How long the entry outlives this process.
    pub ttl: Duration,
    /// When.
    pub health: Health,
    /// How long the instance goes on after its entry was removed.
    pub drain_pause: Duration,
    /// How long the command may take to end after it was told to.
    pub stop_timeout: Duration,
    /// Where the create revision is written.
    pub owner_file: Option<PathBuf>,
    /// Program and arguments of the instance; nothing: it runs by itself.
    pub command: Vec<OsString>,
}

/// What is announced, as far as it can be seen from here.
struct Watched {
    command: Option<Command>,
    signals: mpsc::UnboundedReceiver<Signal>,
}

/// What matters to a registration.
enum Event {
    /// The command has ended, with this exit code.
    Ended(u8),
    /// A signal says that it is time.
    Told(Signal),
}

impl Sidecar {
    /// Runs until it is told to end or its command ends; what to exit with.
    ///
    /// # Errors
    /// When it cannot start.
    pub fn run(self) -> anyhow::Result<u8> {
        let runtime = LocalRuntime::new().context("there is no runtime")?;
        let code = runtime.block_on(self.announce());
        // A name that is being resolved must not keep the process.
        runtime.shutdown_background();
        code
    }

    async fn announce(self) -> anyhow::Result<u8> {
        let owner_file = self.owner_file()?;
        let mut watched = match self.start(owner_file.as_ref())? {
            Ok(watched) => watched,
            Err(code) => return Ok(code),
        };
        let mut registrar = Registrar::start(self.etcd.clone(), self.announcement.clone(), self.ttl);
        let (switch, standing) = (registrar.switch(), registrar.standing());
        let follow = async {
            if let Some(file) = &owner_file {
                file.follow(standing).await;
            }
            std::future::pending::<Infallible>().await
        };
        let event = tokio::select! {
            never = self.health.guard(&self.announcement.address, &switch) => match never {},
            // Until the end begins: while it drains, the instance still takes the calls that are its own.
            never = follow => match never {},
            event = watched.event() => event,
        };
        Ok(self.end(event, &mut registrar, &mut watched).await)
    }

    fn owner_file(&self) -> anyhow::Result<Option<OwnerFile>> {
        let file = match &self.owner_file {
            Some(path) => OwnerFile::at(path.clone())
                .with_context(|| format!("the owner file {} cannot be written", path.display()))?,
            None if self.command.is_empty() => return Ok(None),
            None => {
                OwnerFile::temporary().context("there is no folder for the owner file; name one with --owner-file")?
            }
        };
        Ok(Some(file))
    }

    /// Starts what is to be watched; an exit code when the command cannot be run.
    fn start(&self, owner_file: Option<&OwnerFile>) -> anyhow::Result<Result<Watched, u8>> {
        let (signals, heard) = mpsc::unbounded_channel();
        // First, so that none can end us and leave the command behind.
        hear(&END, &signals)?;
        let Some(((program, arguments), owner_file)) = self.command.split_first().zip(owner_file) else {
            return Ok(Ok(Watched { command: None, signals: heard }));
        };
        hear(&PASSED_ON, &signals)?;
        Ok(match Command::start(program, arguments, owner_file.path()) {
            Ok(command) => Ok(Watched { command: Some(command), signals: heard }),
            Err(error) => {
                error!(command = ?program, %error, "the command cannot be run");
                Err(Command::exit_code_of(&error))
            }
        })
    }

    async fn end(&self, event: Event, registrar: &mut Registrar, watched: &mut Watched) -> u8 {
        match event {
            Event::Ended(code) => bereaved(code, registrar, watched).await,
            Event::Told(signal) => self.leave(signal, registrar, watched).await,
        }
    }

    /// The registration first, then a pause for those who have not heard of it, then the command.
    async fn leave(&self, signal: Signal, registrar: &mut Registrar, watched: &mut Watched) -> u8 {
        info!(pause = ?self.drain_pause, "deregistering");
        let leaving = async {
            registrar.withdraw().await;
            sleep(self.drain_pause).await;
            Event::Told(signal)
        };
        let event = tokio::select! {
            event = leaving => event,
            event = watched.event() => event,
        };
        match event {
            Event::Told(signal) => watched.stop(signal, self.stop_timeout).await,
            Event::Ended(code) => bereaved(code, registrar, watched).await,
        }
    }
}

/// Without its command a registration is worth nothing.
async fn bereaved(code: u8, registrar: &mut Registrar, watched: &mut Watched) -> u8 {
    warn!(code, "the command has ended");
    tokio::select! {
        () = registrar.withdraw() => {}
        Some(_) = watched.signals.recv() => {}
    }
    code
}

impl Watched {
    /// The next thing that matters. Other signals are passed on.
    async fn event(&mut self) -> Event {
        loop {
            let ended = async {
                match &mut self.command {
                    Some(command) => command.ended().await,
                    None => std::future::pending().await,
                }
            };
            let signal = tokio::select! {
                code = ended => return Event::Ended(code),
                Some(signal) = self.signals.recv() => signal,
            };
            if END.iter().any(|(_, end)| *end == signal) {
                return Event::Told(signal);
            }
            self.signal(signal);
        }
    }

    /// Ends the command, if there is one; what to exit with.
    async fn stop(&mut self, signal: Signal, limit: Duration) -> u8 {
        if self.command.is_none() {
            return 0;
        }
        self.signal(signal);
        let deadline = Instant::now() + limit;
        loop {
            match timeout_at(deadline, self.event()).await {
                Ok(Event::Ended(code)) => return code,
                Ok(Event::Told(again)) => self.signal(again),
                Err(_elapsed) => break,
            }
        }
        warn!(?limit, "the command did not end in time and is killed");
        match &mut self.command {
            Some(command) => command.kill().await,
            None => 0,
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(command) = &self.command {
            command.signal(signal);
        }
    }
}

/// Sends each of these signals to the channel from now on.
fn hear(signals: &[(SignalKind, Signal)], channel: &mpsc::UnboundedSender<Signal>) -> anyhow::Result<()> {
    for (kind, name) in signals.iter().copied() {
        let mut heard = signal(kind).context("signals cannot be heard")?;
        let channel = channel.clone();
        spawn_local(async move { while heard.recv().await.is_some() && channel.send(name).is_ok() {} });
    }
    Ok(())
}
