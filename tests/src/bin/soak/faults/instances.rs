//! What befalls one instance. An instance has one fault at a time; while it has one, another that is drawn for it is left
//! out. Other faults go on beside it.

use std::time::Duration;

use anyhow::Result;
use symgate_tests::eventually::{Clock, pause};
use tokio::time::sleep;

use super::{Fault, Kind};
use crate::{
    fleet::{Fleet, Slot},
    instance::{Mood, Order},
};

/// The shortest lease that etcd grants on its short election timeout, in seconds.
const LEASE: i64 = 1;
/// What the longest call and a registry that was down may take before nothing connects to what left.
const FORGOTTEN: Duration = Duration::from_secs(45);

/// Lets a fault befall the instance that it was drawn for.
pub(super) async fn befall(fault: &Fault, fleet: &Fleet) -> Result<()> {
    let Some(Ok(mut slot)) = fleet.slots.get(fault.slot).map(tokio::sync::Mutex::try_lock) else { return Ok(()) };
    let slot = &mut *slot;
    let (length, name) = (fault.length, slot.name());
    let tell = |kind, text: &str| fleet.book.fault(kind, &format!("{name} {text}"));
    match fault.kind {
        Kind::Restart => {
            tell("kill", &format!("is killed, and back in {length:.1?}"));
            slot.kill().await;
            sleep(length).await;
            fleet.revive(slot).await?;
        }
        Kind::Relocate => {
            tell("relocate", &format!("is killed, and elsewhere in {length:.1?}"));
            slot.kill().await;
            sleep(length).await;
            fleet.revive_elsewhere(slot).await?;
        }
        Kind::Stall | Kind::Freeze | Kind::Reset | Kind::Refuse => {
            misbehave(fault.kind, slot, tell, length).await;
        }
        Kind::Cut => order(slot, tell, "cut", "drops its connections", Order::Drop),
        Kind::GoAway => order(slot, tell, "goaway", "ends its connections after their calls", Order::GoAway),
        Kind::Abort => order(slot, tell, "abort", "ends its connections at once with a GOAWAY", Order::Abort),
        _ => registered(fault, slot, tell, fleet).await?,
    }
    Ok(())
}

fn order(slot: &Slot, tell: impl Fn(&'static str, &str), kind: &'static str, text: &str, order: Order) {
    tell(kind, text);
    if let Some(process) = &slot.process {
        process.order(order);
    }
}

async fn misbehave(kind: Kind, slot: &Slot, tell: impl Fn(&'static str, &str), length: Duration) {
    let Some(process) = &slot.process else { return };
    match kind {
        Kind::Stall => {
            tell("stall", &format!("answers no call for {length:.1?}"));
            process.feel(Mood::Stalls);
        }
        Kind::Freeze => {
            tell("freeze", &format!("stands still for {length:.1?}"));
            process.feel(Mood::Frozen);
        }
        Kind::Reset => {
            tell("resets", &format!("resets a third of its calls for {length:.1?}"));
            process.break_calls(333, 0);
        }
        _ => {
            tell("refusals", &format!("refuses a third of its calls for {length:.1?}"));
            process.break_calls(0, 333);
        }
    }
    sleep(length).await;
    process.feel(Mood::Serves);
    process.break_calls(0, 0);
}

/// What changes the registry.
async fn registered(fault: &Fault, slot: &mut Slot, tell: impl Fn(&'static str, &str), fleet: &Fleet) -> Result<()> {
    let length = fault.length;
    let symbol = &fleet.destination(slot, fault.symbol);
    match fault.kind {
        Kind::Move => {
            tell("move", &format!("owns {symbol} from now on; its old key stays for {length:.1?}"));
            fleet.move_to(slot, symbol, length).await;
        }
        Kind::Reuse => {
            tell("reuse", &format!("is killed; an owner of {symbol} takes its address; its key stays {length:.1?}"));
            reuse(slot, symbol, length, fleet).await?;
        }
        Kind::Again => {
            tell("again", &format!("registers once more and takes the old key back after {length:.1?}"));
            fleet.register(slot, None).await;
            sleep(length).await;
            fleet.unregister(slot, 1).await;
        }
        Kind::Expire => {
            tell("expire", &format!("lets its lease run out, and registers again after {length:.1?}"));
            expire(slot, length, fleet).await;
        }
        _ => {
            tell("leave", &format!("is registered no more, and again in {length:.1?}"));
            fleet.unregister(slot, 0).await;
            sleep(length).await;
            fleet.register(slot, None).await;
        }
    }
    Ok(())
}

/// The address of a dead process gets a process that owns another symbol, before the old key is gone.
async fn reuse(slot: &mut Slot, symbol: &str, length: Duration, fleet: &Fleet) -> Result<()> {
    slot.kill().await;
    sleep(length / 2).await;
    let old = std::mem::replace(&mut slot.symbol, symbol.to_owned());
    fleet.register(slot, None).await;
    if old != symbol {
        fleet.lost(slot.port, &old);
    }
    fleet.revive(slot).await?;
    sleep(length / 2).await;
    fleet.unregister(slot, 1).await;
    Ok(())
}

async fn expire(slot: &mut Slot, length: Duration, fleet: &Fleet) {
    let lease = fleet.registrar.lease(LEASE).await;
    fleet.register(slot, Some(lease)).await;
    fleet.unregister(slot, 1).await;
    for key in std::mem::take(&mut slot.keys) {
        fleet.registrar.gone(&key).await;
    }
    fleet.lost(slot.port, &slot.symbol);
    sleep(length).await;
    fleet.register(slot, None).await;
}

/// A symbol that was never there comes with an instance, and goes.
pub(super) async fn newcomer(fleet: &Fleet, number: usize, length: Duration) -> Result<()> {
    let symbol = format!("NEW{number}_USDT");
    let mut slot = fleet.slot(1000 + number, &symbol).await?;
    fleet.book.fault("newcomer", &format!("{} is there for {length:.1?}", slot.name()));
    fleet.list(&symbol);
    sleep(length).await;
    fleet.unregister(&mut slot, 0).await;
    // Callers ask for a while what nobody owns any more; the process goes on meanwhile, so that it would be noticed.
    sleep(length).await;
    fleet.delist(&symbol);
    forgotten(&slot, fleet).await;
    slot.kill().await;
    Ok(())
}

/// Gateways close their connections to what is registered no more, once the calls there have ended.
async fn forgotten(slot: &Slot, fleet: &Fleet) {
    let clock = Clock::start(FORGOTTEN);
    while let Some(process) = slot.process.as_ref().filter(|process| process.busy() != (0, 0)) {
        if !clock.runs() {
            let (connections, calls) = process.busy();
            let text = format!("{}: {connections} connections and {calls} calls {FORGOTTEN:?} later", slot.name());
            return fleet.book.violation("not forgotten", &text);
        }
        pause().await;
    }
}
