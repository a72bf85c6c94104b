//! Plays a case, step by step.

pub(super) mod expect;
mod send;

use std::{fmt::Display, time::Duration};

use symgate_tests::{
    Instance,
    eventually::{Clock, pause},
};
use tokio::{net::TcpStream, time::timeout};

use super::{
    parse,
    peer::{Peer, Verdict},
    script::{Act, Answer, Case, Expect, Role, Send, Setting, Step, Stream, Who},
    stage::{SYMBOL, Site, Stage},
    wire::kind,
};

/// How long a connection from the gateway, or a look at its table, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Repeated steps between two looks at the gateway's memory.
const SAMPLED: u64 = 1000;

/// A step that went wrong: its line, and how.
pub(super) type Failure = (usize, String);

/// A case under way.
struct Play<'a> {
    stage: &'a Stage,
    case: &'a Case,
    symbol: &'a str,
    /// The connection that the script plays on.
    player: Option<Peer>,
    caller: Option<Peer>,
    /// A client that has nothing to do with it.
    neighbour: Peer,
    spare: Option<Instance>,
    memory: u64,
    most_memory: u64,
}

/// Plays a case to its end, or to the first step that goes wrong.
pub(super) async fn play(stage: &Stage, case: &Case) -> Result<(), Failure> {
    let last = case.steps.last().map_or(0, |step| step.line);
    let mut play = Play::start(stage, case).await.map_err(|what| (0, what))?;
    Box::pin(play.steps(&case.steps)).await?;
    if !ends_the_gateway(case) {
        play.others_ok().await.map_err(|what| (last, format!("at the end others are disturbed: {what}")))?;
    }
    Ok(())
}

/// Whether the script asks the gateway to end.
pub(super) fn ends_the_gateway(case: &Case) -> bool {
    case.steps.iter().any(|step| matches!(step.act, Act::Terminate))
}

impl<'a> Play<'a> {
    async fn start(stage: &'a Stage, case: &'a Case) -> Verdict<Self> {
        let mut neighbour = connect(stage).await?;
        handshake(&mut neighbour, &[]).await?;
        let player = if case.role == Role::Client { Some(connect(stage).await?) } else { None };
        let memory = stage.gateway.rss();
        Ok(Self {
            stage,
            case,
            symbol: stage.symbol(case),
            player,
            caller: None,
            neighbour,
            spare: None,
            memory,
            most_memory: memory,
        })
    }

    async fn steps(&mut self, steps: &[Step]) -> Result<(), Failure> {
        for step in steps {
            let done = match &step.act {
                Act::Repeat(times, inner) => {
                    self.repeat(*times, inner).await?;
                    Ok(())
                }
                act => Box::pin(self.act(step.who, act)).await,
            };
            done.and_then(|()| self.fair()).map_err(|what| (step.line, what))?;
        }
        Ok(())
    }

    async fn repeat(&mut self, times: u64, steps: &[Step]) -> Result<(), Failure> {
        for at in 0..times {
            for step in steps {
                match &step.act {
                    Act::Send(sends) => {
                        let symbol = self.symbol;
                        let peer = self.peer(step.who).await.map_err(|what| (step.line, what))?;
                        send::gather(peer, sends, symbol).map_err(|what| (step.line, what))?;
                        peer.flush_much().await;
                        if peer.ended() {
                            return Ok(());
                        }
                    }
                    _ => {
                        self.flush_others(step.who).await;
                        Box::pin(self.steps(std::slice::from_ref(step))).await?;
                    }
                }
            }
            if at % SAMPLED == 0 {
                self.sample();
                if self.player.as_ref().is_some_and(Peer::lost) {
                    return Ok(());
                }
            }
        }
        for peer in [&mut self.player, &mut self.caller].into_iter().flatten() {
            peer.flush().await;
        }
        self.sample();
        Ok(())
    }

    /// Sends what gathered, but for the one who waits: waiting does that when it must.
    async fn flush_others(&mut self, who: Who) {
        let other = if who == Who::Player { &mut self.caller } else { &mut self.player };
        if let Some(peer) = other {
            peer.flush().await;
        }
    }

    async fn act(&mut self, who: Who, act: &Act) -> Verdict {
        match act {
            Act::Accept => self.accept().await,
            Act::Begin(settings) => self.begin(settings).await,
            Act::Handshake(settings) => handshake(self.raw_peer(who).await?, settings).await,
            Act::Send(sends) if matches!(sends[..], [Send::Preface]) => {
                send::send(self.raw_peer(who).await?, sends, "").await
            }
            Act::Send(sends) => {
                let symbol = self.symbol;
                send::send(self.peer(who).await?, sends, symbol).await
            }
            Act::Expect(expected) => {
                expect::expect(self.peer(who).await?, expected).await.map_err(|got| format!("got {got}"))
            }
            Act::OkCall => {
                let symbol = self.symbol;
                ok_call(self.peer(who).await?, symbol).await
            }
            Act::OthersOk => self.others_ok().await,
            Act::Close => self.peer(who).await.map(Peer::close),
            Act::Terminate => {
                self.stage.gateway.terminate();
                Ok(())
            }
            Act::Pace(octets) => self.raw_peer(who).await.map(|peer| peer.pace = *octets),
            Act::Reading(open) => self.peer(who).await.map(|peer| peer.read(*open)),
            Act::Repeat(..) => Err("repeated steps cannot be repeated here".into()),
            of_all => self.act_on_stage(of_all).await,
        }
    }

    async fn act_on_stage(&mut self, act: &Act) -> Verdict {
        match act {
            Act::Spare => self.hire_spare().await,
            Act::SpareCalls(calls) => {
                let came = self.spare.as_ref().map_or(0, |spare| spare.seen().calls());
                same("calls of the spare instance", *calls, came)
            }
            Act::Deliveries(calls) => same("deliveries", *calls, self.site()?.deliveries()),
            Act::Memory(bytes) => {
                self.sample();
                let grown = self.most_memory.saturating_sub(self.memory);
                let text = || format!("the gateway grew by {} MiB", grown >> 20);
                if grown < *bytes { Ok(()) } else { Err(text()) }
            }
            _ => Ok(()),
        }
    }

    fn sample(&mut self) {
        self.most_memory = self.most_memory.max(self.stage.gateway.rss());
    }

    /// Nobody saw the gateway break a rule.
    fn fair(&self) -> Verdict {
        let peers = [self.player.as_ref(), self.caller.as_ref(), Some(&self.neighbour)];
        let foul = peers.into_iter().flatten().find_map(|peer| peer.shared.inbox.lock().foul.clone());
        foul.map_or(Ok(()), |foul| Err(format!("the gateway broke a rule: {foul}")))
    }

    fn site(&self) -> Verdict<&'a Site> {
        self.stage.site(self.case).ok_or_else(|| "only an instance's script can say this".into())
    }

    /// The connection of the player, or of the caller, who says hello before the first step.
    async fn peer(&mut self, who: Who) -> Verdict<&mut Peer> {
        let greets = who == Who::Caller && self.caller.is_none();
        let peer = self.raw_peer(who).await?;
        if greets {
            handshake(peer, &[]).await?;
        }
        Ok(peer)
    }

    /// The connection of the player, or of the caller.
    async fn raw_peer(&mut self, who: Who) -> Verdict<&mut Peer> {
        if who == Who::Player {
            return self
                .player
                .as_mut()
                .ok_or_else(|| "there is no connection yet; `accept` or `begin` makes it".into());
        }
        if self.caller.is_none() {
            self.caller = Some(connect(self.stage).await?);
        }
        self.caller.as_mut().ok_or_else(|| "no caller".into())
    }

    async fn accept(&mut self) -> Verdict {
        let mut connections = self.site()?.connections.lock().await;
        let next = timeout(PATIENCE, connections.recv()).await;
        self.player = next.map_err(|_late| "the gateway does not connect")?;
        Ok(())
    }

    async fn begin(&mut self, settings: &[Setting]) -> Verdict {
        let (sends, symbol) = (call()?, self.symbol);
        send::send(self.peer(Who::Caller).await?, &sends, symbol).await?;
        self.accept().await?;
        handshake(self.raw_peer(Who::Player).await?, settings).await
    }

    async fn others_ok(&mut self) -> Verdict {
        ok_call(&mut self.neighbour, SYMBOL).await
    }

    /// Registers a well-behaved instance of the same symbol, and waits until the gateway knows it.
    async fn hire_spare(&mut self) -> Verdict {
        let spare = Instance::start(&[self.symbol]).await;
        self.stage.registry.put(&format!("klineRpc/{}/2", self.symbol), spare.address());
        let address = spare.address().to_string();
        let clock = Clock::start(PATIENCE);
        while !self.stage.gateway.table().await.to_string().contains(&address) {
            if !clock.runs() {
                return Err("the spare instance is not in the table".into());
            }
            pause().await;
        }
        self.spare = Some(spare);
        Ok(())
    }
}

async fn connect(stage: &Stage) -> Verdict<Peer> {
    let socket = TcpStream::connect(stage.gateway.address()).await;
    socket.map(|socket| Peer::new(Role::Client, socket)).map_err(|error| format!("the gateway is not reached: {error}"))
}

/// Both sides' first octets, and that each took the other's settings.
async fn handshake(peer: &mut Peer, settings: &[Setting]) -> Verdict {
    if peer.role == Role::Client {
        send::send(peer, &[Send::Preface], "").await?;
    }
    send::settings(peer, settings);
    peer.flush().await;
    for ack in [false, true] {
        let settings = |got: &super::inbox::Got| got.kind == kind::SETTINGS && got.has(1) == ack;
        peer.wait(|inbox| inbox.first(settings).map(|_| Ok(()))).await?;
    }
    Ok(())
}

/// A call with all defaults, on the next stream.
fn call() -> Verdict<Vec<Send>> {
    parse::sends("call next").map_err(|(_, what)| what)
}

/// A call that must succeed.
async fn ok_call(peer: &mut Peer, symbol: &str) -> Verdict {
    send::send(peer, &call()?, symbol).await?;
    let answer = Answer { statuses: vec![0], reasons: Vec::new(), http: vec!["200".into()], length: None };
    let answered = expect::expect(peer, &Expect::Reply(Stream::Last, answer)).await;
    answered.map_err(|got| format!("a good call fails: {got}"))
}

fn same<T: PartialEq + Display>(what: &str, expected: T, got: T) -> Verdict {
    if expected == got { Ok(()) } else { Err(format!("{got} {what}")) }
}
