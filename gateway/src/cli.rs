//! The commands: what they are called, what they take, what they exit with. What they do is one file each; what people
//! read is written by `output` alone.

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, error::ErrorKind};

mod access;
mod check;
mod compile;
mod decided;
mod doctor;
mod explain;
mod listener;
mod output;
mod plugin;
mod register;
mod run;

/// `EX_USAGE` of sysexits.h: the command line is wrong.
const USAGE: u8 = 64;
/// Of commands that give a verdict, whose exit code 1 is one: there is none.
const NOT_DONE: u8 = 2;

/// Forwards every gRPC call to the instance that owns the symbol it is about.
///
/// symgate reads registrations (service, symbol, address) from etcd or a file, keeps the table of
/// who owns which symbol, and forwards each call to the owner. Which symbol a call is about, and
/// which of several instances gets it, is decided by plugins: built in, or WebAssembly files that
/// are replaced without dropping a call.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, after_help = AFTER, after_long_help = AFTER_LONG)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER: &str = "`symgate --help` shows how to start.";

const AFTER_LONG: &str = "\
Start:
  symgate doctor --etcd URL                what do the keys in an etcd say, and what is wrong with them?
  symgate check --config symgate.toml      is the file right? what would run?
  symgate run --config symgate.toml        serve calls
  symgate explain --path /pb.K/Get         where would this call go, and why?
  curl http://127.0.0.1:9901/readyz        is it ready? see also /table, /plugins and /metrics
  symgate register --help                  announce an instance in etcd
  symgate plugin --help                    write a plugin, try it, look at one

The smallest symgate.toml, with klineRpc/BTC_USDT/1 = \"192.168.2.159:9999\" in instances.toml beside it:
  [[route]]
  match = \"/pb.KlineService/\"
  service = \"klineRpc\"
  extract = { builtin = \"metadata-key\", key = \"symbol\" }

Files:
  symgate.toml            the configuration; symgate.example.toml shows every key and its default
  instances.toml          registrations, when no etcd is configured

Environment:
  SYMGATE_LOG, RUST_LOG   replace the configured log filter, e.g. symgate=debug

Exit status: 0 done, 1 failed (the reason is on standard error), 64 wrong usage; explain, plugin, doctor
and register say their own.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves calls until it is told to stop.
    ///
    /// SIGTERM or SIGINT: no new calls, those under way go on for up to [listen] drain_timeout. A second signal ends at
    /// once.
    Run(Configured),
    /// Reads the configuration, loads the plugins, and says what would run. Serves nothing.
    Check(Configured),
    /// Says what a gateway would make of the registrations in an etcd, and what is wrong with them. Changes nothing.
    #[command(after_help = "`symgate doctor --help` has examples and exit codes.", after_long_help = doctor::AFTER)]
    Doctor(Box<doctor::Looked>),
    /// Says what would become of a call: the route, what the plugins are given and say, the candidates, the instance.
    ///
    /// A running gateway is asked, or with --config a gateway that would just have started. Nothing is sent to an instance.
    #[command(after_help = explain::AFTER)]
    Explain(Box<explain::Explained>),
    /// Announces an instance in etcd: one that runs by itself, or a command that is run as a child.
    ///
    /// The key lives as long as the instance is healthy and this process runs. Whatever happens to it meanwhile (lease
    /// or key lost, etcd restarted or not reachable), it is written again.
    #[command(after_help = "`symgate register --help` has examples, signals and exit codes.", after_long_help = register::AFTER)]
    Register(Box<register::Register>),
    /// Makes, builds and tries plugins, says what a plugin's file is and what another version would have decided, and changes
    /// which version decides.
    #[command(subcommand, after_help = "`symgate plugin --help` has exit codes.", after_long_help = plugin::AFTER)]
    Plugin(Box<plugin::Plugin>),
    /// Compiles a plugin for the gateway that runs this as its child.
    #[command(hide = true)]
    Compile {
        /// The folder of compiled code.
        folder: PathBuf,
    },
}

/// Of commands that read the configuration.
#[derive(Debug, clap::Args)]
struct Configured {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = "symgate.toml")]
    config: PathBuf,
}

impl Arguments {
    /// Reads the process's command line.
    ///
    /// # Errors
    /// When it is wrong, or asks for help: [`failed`] knows which.
    pub fn read() -> anyhow::Result<Self> {
        Self::try_parse().map_err(|usage| wrong_usage(usage, std::env::args_os()))
    }

    /// Does what the command line says. `program` is the one that read it, to be run again with other arguments; without
    /// it nothing is run. The exit code is that of what was run in turn.
    ///
    /// # Errors
    /// Says what failed and what to do.
    pub fn run(self, program: Option<PathBuf>) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(Configured { config }) => run::run(&config, program)?,
            Command::Check(Configured { config }) => check::check(&config, program)?,
            Command::Doctor(looked) => return doctor::doctor(*looked),
            Command::Explain(asked) => return explain::explain(*asked, program),
            Command::Register(arguments) => return register::register(*arguments),
            Command::Plugin(wanted) => return plugin::plugin(*wanted),
            Command::Compile { folder } => compile::compile(&folder)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Why a command that gives a verdict has none.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
struct NotDone(anyhow::Error);

/// An error of reading a command line, which has an exit code of its own when it asks for a verdict.
fn wrong_usage(usage: clap::Error, line: impl IntoIterator<Item = OsString>) -> anyhow::Error {
    let verdict = line.into_iter().nth(1).is_some_and(|command| command == "doctor" || command == "plugin");
    if verdict { NotDone(usage.into()).into() } else { usage.into() }
}

/// Says why a command failed; the exit code for it.
pub fn failed(error: &anyhow::Error) -> ExitCode {
    if let Some(NotDone(error)) = error.downcast_ref() {
        let code = failed(error);
        // Help comes as an error, too.
        return if code == ExitCode::SUCCESS { code } else { NOT_DONE.into() };
    }
    match error.downcast_ref::<clap::Error>() {
        Some(usage) => {
            output::usage(usage);
            // Help and the version come as errors, too.
            if usage.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS }
        }
        None => {
            output::error(error);
            ExitCode::FAILURE
        }
    }
}

/// A mistake that only shows when the arguments are seen together.
fn usage(text: &str) -> anyhow::Error {
    clap::Error::raw(ErrorKind::ValueValidation, format!("{text}\n")).into()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_configuration_has_a_name_by_default() {
        let path = |line: &[&str]| match Arguments::try_parse_from(line).expect("a command line").command {
            Command::Run(Configured { config }) | Command::Check(Configured { config }) => config,
            Command::Compile { folder } => folder,
            Command::Register(_) | Command::Doctor(_) | Command::Explain(_) | Command::Plugin(_) => PathBuf::new(),
        };
        assert_eq!(path(&["symgate", "run"]), PathBuf::from("symgate.toml"));
        assert_eq!(path(&["symgate", "check", "--config", "a.toml"]), PathBuf::from("a.toml"));
    }

    #[test]
    fn wrong_usage_has_its_own_exit_code() {
        let code = |line: &[&str]| failed(&Arguments::try_parse_from(line).expect_err("no command").into());
        assert_eq!(code(&["symgate", "rnu"]), ExitCode::from(64));
        assert_eq!(code(&["symgate", "run", "--confg", "x"]), ExitCode::from(64));
        assert_eq!(code(&["symgate"]), ExitCode::from(64));
        assert_eq!(code(&["symgate", "--version"]), ExitCode::SUCCESS);
        assert_eq!(failed(&anyhow::anyhow!("the tests say so")), ExitCode::FAILURE);
    }

    #[test]
    fn a_configuration_that_is_not_there_fails_with_its_name() {
        let arguments = Arguments::try_parse_from(["symgate", "check", "-c", "no/such.toml"]).expect("a command line");
        let error = arguments.run(None).expect_err("there is none");
        assert!(format!("{error:#}").starts_with("no/such.toml: cannot be read"), "{error:#}");
    }
}
