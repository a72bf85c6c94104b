//! What it costs to find a call's route and its symbol's instances: nanoseconds for one look. Measures one thread that
//! does nothing else; run it on a quiet machine. `--quick` measures less.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "its result is what it prints")]

use std::sync::Arc;

use symgate::routing::{Condition, Found, Head, Instance, Labels, Live, Lookup, PathMatch, Routes, ServiceTable};
use symgate_tests::rounds::{Nanos, Rounds};

const LOOKS: u32 = 500_000;
/// Texts that are asked for in turn. A power of two, so that the turn costs next to nothing.
const ASKED: usize = 1 << 12;

/// The head of a call, as far as it is looked at.
struct Call(String);

impl Head for Call {
    fn path(&self) -> &str {
        &self.0
    }

    fn authority(&self) -> &str {
        "gateway:9000"
    }

    fn metadata(&self, _key: &str) -> Found<'_> {
        Found::Absent
    }
}

fn main() {
    let rounds = Rounds::from_args();
    println!("ns per look, {rounds}");
    println!("\n{:<34} {:>15} {:>15} {:>15}", "route match, no conditions", "method", "service", "/");
    for count in [1, 10, 100] {
        let [method, service, all] = [of_methods(count), of_services(count), of_all(count)]
            .map(|(routes, calls)| in_turn(&rounds, &calls, |call| routes.find(call).is_some()));
        println!("{:<34} {method:>15} {service:>15} {all:>15}", format!("{count} routes"));
    }
    println!("\n{:<34} {:>15} {:>15} {:>15}", "table lookup, 3 instances each", "one symbol", "all in turn", "unknown");
    for count in [100, 100_000] {
        let table = table(count);
        let hit = |symbol: &String| matches!(table.lookup(symbol), Lookup::Known([_, ..]));
        let one = in_turn(&rounds, &[symbol(count / 2)], hit);
        let every = in_turn(&rounds, &scattered(count).map(symbol).collect::<Vec<_>>(), hit);
        let none: Vec<_> = scattered(count).map(|number| format!("NEW{number}_USDT")).collect();
        let unknown = in_turn(&rounds, &none, |symbol| matches!(table.lookup(symbol), Lookup::Unknown));
        println!("{:<34} {one:>15} {every:>15} {unknown:>15}", format!("{count} symbols"));
    }
}

/// Asks for one after the other; each answer must be yes.
fn in_turn<T>(rounds: &Rounds, asked: &[T], yes: impl Fn(&T) -> bool) -> Nanos {
    let mut turn = asked.iter().cycle();
    rounds.time(LOOKS, || assert!(turn.next().is_some_and(&yes), "it is found where it is, and only there"))
}

/// Numbers under `count`, in an order that memory does not foresee.
fn scattered(count: usize) -> impl Iterator<Item = usize> {
    (0..ASKED).map(move |n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) % count)
}

fn path(number: usize) -> String {
    format!("/pb.Kline{number}Service/GetKline")
}

fn symbol(number: usize) -> String {
    format!("SYMBOL{number}_USDT")
}

/// Rules for methods, and calls of all of them.
fn of_methods(count: usize) -> (Routes<usize>, Vec<Call>) {
    routes((0..count).map(path), scattered(count).map(path))
}

/// Rules for services, and calls of all of them.
fn of_services(count: usize) -> (Routes<usize>, Vec<Call>) {
    let service = |number| path(number).replace("GetKline", "");
    routes((0..count).map(service), scattered(count).map(path))
}

/// One rule takes every path, behind others that never do.
fn of_all(count: usize) -> (Routes<usize>, Vec<Call>) {
    let rules = (1..count).map(path).chain(["/".to_owned()]);
    routes(rules, scattered(count).map(|number| path(number + count)))
}

fn routes(rules: impl Iterator<Item = String>, calls: impl Iterator<Item = String>) -> (Routes<usize>, Vec<Call>) {
    let rule = |text: String| PathMatch::parse(&text).expect("a match");
    let rules = rules.enumerate().map(|(at, text)| (rule(text), Condition::default(), at));
    (Routes::new(rules), calls.map(Call).collect())
}

fn table(symbols: usize) -> ServiceTable {
    let instance = |number: usize| {
        let address = format!("127.{}.{}.{}:1", 1 + number / 65_536, number / 256 % 256, number % 256);
        let live = Arc::new(Live::new(address.parse().expect("an address")));
        Arc::new(Instance { labels: Labels::default(), weight: 1, order: 1, owner: 1, draining: false, live })
    };
    let instances = |owned: usize| (0..3).map(|copy| instance(owned * 3 + copy)).collect();
    ServiceTable::default().with((0..symbols).map(|owned| (symbol(owned).as_str().into(), instances(owned))))
}
