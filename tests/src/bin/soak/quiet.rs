//! When nothing happens any more: every symbol is served, and nothing is kept.

use symgate_tests::{
    Gateway,
    eventually::{Clock, PATIENCE, pause},
};

use super::{
    GATEWAYS, WORKERS,
    book::Book,
    call::{End, Kind, Plan},
    faults::Ground,
    levels::Level,
    traffic::Connection,
};

/// Calls of each kind about each symbol that must succeed one after the other.
const ROUNDS: usize = 3;

/// Waits until each gateway serves every symbol; from then on no call may fail.
pub(crate) async fn served(ground: &Ground, gateways: &[Gateway]) {
    let book = &ground.fleet.book;
    let symbols = ground.fleet.symbols();
    for gateway in gateways {
        let mut connection = match Connection::open(gateway.address()).await {
            Ok(connection) => connection,
            Err(error) => return book.violation("no connection", &format!("in the quiet: {error:#}")),
        };
        for symbol in &symbols {
            wait_for(book, &mut connection, symbol).await;
        }
        for symbol in symbols.iter().cycle().take(symbols.len() * ROUNDS) {
            for kind in Kind::ALL {
                let end = call(book, &mut connection, kind, symbol).await;
                if !is_ok(&end) {
                    book.violation("failed in the quiet", &format!("{kind:?} about {symbol}: {end:?}"));
                }
            }
        }
    }
}

/// Calls until it succeeds.
async fn wait_for(book: &Book, connection: &mut Connection, symbol: &str) {
    let clock = Clock::start(PATIENCE);
    loop {
        let end = call(book, connection, Kind::Get, symbol).await;
        if is_ok(&end) {
            return;
        }
        if !clock.runs() {
            return book.violation("not served", &format!("{symbol}, {PATIENCE:?} after the last fault: {end:?}"));
        }
        pause().await;
    }
}

async fn call(book: &Book, connection: &mut Connection, kind: Kind, symbol: &str) -> End {
    let plan = Plan::small(book.begin(), kind, symbol);
    let end = connection.call(&plan).await;
    book.ended(&plan, &end);
    end
}

fn is_ok(end: &End) -> bool {
    matches!(end, End::Status { code: 0, .. })
}

/// The level of each gateway; what it does not come down to is a violation. Gateways and instances must agree.
pub(crate) async fn levels(ground: &Ground, gateways: &[Gateway], before: Option<&[Level]>) -> Vec<Level> {
    let book = &ground.fleet.book;
    let (least, most) = ground.fleet.connections();
    let connections = (least * u64::from(WORKERS), most * u64::from(WORKERS));
    let mut levels = Vec::with_capacity(GATEWAYS);
    for (at, gateway) in gateways.iter().enumerate() {
        let before = before.and_then(|before| before.get(at));
        let (level, wrong) = Level::settled(gateway, connections, before).await;
        book.note(&format!("gateway {at}: {level}"));
        for wrong in wrong {
            book.violation("not back to level", &format!("gateway {at}: {wrong}"));
        }
        levels.push(level);
    }
    let sum: u64 = levels.iter().map(Level::instances).sum();
    let clock = Clock::start(PATIENCE);
    loop {
        let (open, calls) = ground.fleet.busy().await;
        if open.unsigned_abs() == sum && calls == 0 {
            return levels;
        }
        if !clock.runs() {
            let text = format!("instances have {open} connections and {calls} calls; the gateways say {sum} and none");
            book.violation("not back to level", &text);
            return levels;
        }
        pause().await;
    }
}
