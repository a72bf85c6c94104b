//! `cargo xtask`: the repository's own commands, which work on a fresh clone with nothing but a Rust toolchain. Light to
//! build on purpose: what needs the gateway's dependencies is a program of its own that is built and run from here.

mod bench;
mod cargo;
mod demo;
mod interop;
mod languages;
mod needs;
mod soak;
mod test;

use std::process::ExitCode;

use clap::Parser;

/// The repository's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Runs every test that CI runs: units, plugins, and end to end with a real etcd and real Wasm.
    Test(test::Options),
    /// Shows calls being routed: three instances, the gateway and its plugins on this machine.
    Demo(demo::Options),
    /// Measures what a call costs, beside the proxies that are installed: CPU, latency and memory, as paired ratios.
    Bench(bench::Options),
    /// Measures large numbers: thousands of connected instances, a table of 300,000, 10,000 streams, 1,000 clients.
    Scale(bench::scale::Options),
    /// Makes trouble at random for ten minutes, or for as long as asked, and shows that no call went wrong.
    Soak(soak::Options),
    /// Runs clients and servers of other makers through the gateway: Python, Node, and Go where it can be had.
    Interop(interop::Options),
    /// Builds the example plugins in C, JavaScript and Python, and has the real gateway load and ask them.
    Languages(languages::Options),
}

fn main() -> ExitCode {
    let outcome = match Command::parse() {
        Command::Test(options) => test::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Scale(options) => bench::scale::run(&options),
        Command::Soak(options) => soak::run(&options),
        Command::Interop(options) => interop::run(&options),
        Command::Languages(options) => languages::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A line for who ran the command.
#[expect(clippy::print_stderr, reason = "this is the program's output")]
fn say(line: &str) {
    eprintln!("xtask: {line}");
}
