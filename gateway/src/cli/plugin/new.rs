//! `symgate plugin new`: its command line, and what to do next.

use std::{path::PathBuf, process::ExitCode};

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};

use crate::{
    app::workshop::{Kind, Scaffold},
    cli::output,
};

/// What is to be made.
#[derive(Debug, Args)]
pub(in crate::cli) struct New {
    /// What the crate is called, e.g. by-order
    name: String,
    /// What it decides: which symbol (extractor), which instance (selector), or both
    #[arg(long, value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::name)).map(|name| kind(&name)))]
    kind: Kind,
    /// The folder in which its own is made
    #[arg(long, value_name = "DIR", default_value = ".")]
    into: PathBuf,
}

fn kind(name: &str) -> Kind {
    Kind::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or(Kind::Extractor)
}

pub(super) fn new(New { name, kind, into }: New) -> anyhow::Result<ExitCode> {
    let scaffold = Scaffold { name, kind, into };
    let folder = scaffold.make()?;
    let (shown, file) = (folder.strip_prefix(".").unwrap_or(&folder).display(), scaffold.file());
    output::line(&format!("{shown}: {}, with tests, cases, a configuration and the SDK", kind.noun()));
    output::line("next:");
    output::line(&format!("  cd {shown}"));
    output::line("  cargo test");
    output::line("  symgate plugin build");
    output::line(&format!("  symgate plugin test target/wasm32-unknown-unknown/release/{file} --cases cases.toml"));
    output::line("  symgate check");
    Ok(ExitCode::SUCCESS)
}
