//! `symgate plugin`: what there is to do with plugins and their files. Each command has a file of its own; this one lists
//! them.

use std::process::ExitCode;

use clap::Subcommand;

mod bench;
mod build;
mod check;
mod diff;
mod new;
mod options;
mod ring;
mod test;
mod versions;

/// Something is wrong with the plugin.
const WRONG: u8 = 1;

pub(super) const AFTER: &str = "\
From nothing to a decision:
  symgate plugin new by-order --kind extractor     a crate that builds at once, with the SDK in it
  cd by-order && cargo test                        its native tests
  symgate plugin build                             the Wasm file, and whether a gateway takes it
  symgate plugin test FILE --cases cases.toml      calls and what is expected of them, in the real sandbox
  symgate plugin bench FILE                        what a decision costs

Exit status: 0 all is well, 1 something is wrong with the plugin, 2 it could not be done or looked at: a file cannot be
read or is there already, a tool is missing, wrong usage.";

/// What is wanted.
#[derive(Debug, Subcommand)]
pub(super) enum Plugin {
    /// Makes a crate to begin a plugin with: it builds at once, and has tests, cases and a configuration.
    New(new::New),
    /// Builds a plugin's crate with cargo, and checks the file that comes of it.
    Build(build::Build),
    /// Says what a plugin's file is, what it asks for, and whether a gateway takes it.
    Check(check::Check),
    /// Asks a plugin about the calls of a file, in the real sandbox, and compares what it says with what is expected.
    Test(test::Test),
    /// Measures what a plugin's decisions cost, beside the built-in that does the like.
    Bench(bench::Bench),
    /// Writes down what a gateway decided lately: a line of JSON for each decision, to standard output.
    Ring(ring::Saved),
    /// Says what another file of a plugin would have decided otherwise.
    ///
    /// The recorded decisions of a gateway are made again by the file, in this process. A plugin is a pure function of what
    /// it is given, so that the answer is exact.
    #[command(after_help = diff::AFTER)]
    Diff(Box<diff::Compared>),
    /// Makes a running gateway go back to the version of a plugin that decided before.
    Rollback(versions::Named),
    /// Makes a running gateway read the file and the options of a plugin and take them, also what it went back from.
    Reload(versions::Named),
}

/// Does it.
pub(super) fn plugin(wanted: Plugin) -> anyhow::Result<ExitCode> {
    let done = match wanted {
        Plugin::New(new) => new::new(new),
        Plugin::Build(build) => build::build(build),
        Plugin::Check(check) => check::check(check),
        Plugin::Test(test) => test::test(test),
        Plugin::Bench(bench) => bench::bench(bench),
        Plugin::Ring(saved) => return ring::ring(&saved),
        Plugin::Diff(compared) => return diff::diff(&compared),
        Plugin::Rollback(named) => return versions::rollback(&named),
        Plugin::Reload(named) => return versions::reload(&named),
    };
    done.map_err(|error| super::NotDone(error).into())
}

/// The exit code of a verdict.
fn verdict(is_well: bool) -> ExitCode {
    if is_well { ExitCode::SUCCESS } else { WRONG.into() }
}
