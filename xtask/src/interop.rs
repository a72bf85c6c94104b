//! `cargo xtask interop`: clients and servers of other makers, each with each, through the real gateway. The programs
//! and the list of cases are in `tests/interop`; this prepares their tools, runs them and counts.

mod gateway;
mod makers;
mod process;
mod report;

use std::{fs, path::PathBuf, time::Instant};

use anyhow::{Context, Result, bail};

use self::{
    gateway::{Gateway, Policies},
    makers::{Maker, Tools},
    process::{Process, Server},
    report::{Report, Run},
};
use crate::{
    cargo::{build_all, built, root},
    needs, say,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Runs this client only: python, node or go.
    #[arg(long)]
    client: Option<String>,
    /// Runs clients with this server only: python, node or go.
    #[arg(long)]
    server: Option<String>,
}

/// Where things are.
struct Places {
    /// The programs: `tests/interop`.
    programs: PathBuf,
    /// What is installed and written, below cargo's target folder.
    work: PathBuf,
    /// The gateway's binary.
    gateway: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let places = Places::find()?;
    let Tools { makers, mut notes } = Tools::prepare(&places)?;
    let cases = report::cases(&places.programs.join("cases.txt"))?;
    let servers = makers.iter().map(|maker| Server::start(maker, &places.work)).collect::<Result<Vec<_>>>()?;
    let pairs: Vec<_> = pairs(&makers, &servers, options).collect();

    let gateway = Gateway::start(&places, &Policies::BuiltIn, &servers)?;
    let one = |&(client, server), gateway: &Gateway| one(client, server, gateway, &cases, &places);
    let mut runs = pairs.iter().map(|pair| one(pair, &gateway)).collect::<Result<Vec<_>>>()?;
    drop(gateway);

    if let Some(policies) = Policies::wasm(&places.gateway) {
        let gateway = Gateway::start(&places, &policies, &servers)?;
        // What differs is who decides, which is the same for all: a pair of each maker will do.
        for pair in pairs.iter().filter(|(client, server)| client.name == server.maker.name) {
            runs.push(one(pair, &gateway)?.with_wasm());
        }
    } else {
        notes.push("the plugins as Wasm are left out: they are not built beside the gateway's binary".into());
    }
    Report { runs, cases: cases.len(), notes, logs: places.work }.finish()
}

/// Each wanted client with each wanted server.
fn pairs<'a>(
    makers: &'a [Maker],
    servers: &'a [Server<'a>],
    options: &Options,
) -> impl Iterator<Item = (&'a Maker, &'a Server<'a>)> {
    let wanted = |named: &Option<String>, maker: &Maker| named.as_ref().is_none_or(|name| name == maker.name);
    let clients = makers.iter().filter(move |maker| wanted(&options.client, maker));
    clients.flat_map(move |client| {
        let servers = servers.iter().filter(move |server| wanted(&options.server, server.maker));
        servers.map(move |server| (client, server))
    })
}

/// A client with a server, through the gateway.
fn one(client: &Maker, server: &Server, gateway: &Gateway, cases: &[String], places: &Places) -> Result<Run> {
    let log = format!("client-{}-{}-{}.log", client.name, server.maker.name, gateway.policies());
    let command = client.client(gateway.address(), &server.address(), &server.maker.symbol());
    let started = Instant::now();
    let said = Process::start(&command, &places.work.join(log))?.lines_to_end();
    let run = Run::read(client.name, server.maker.name, cases, &said);
    say(&format!("{run} in {:.1} s, policies: {}", started.elapsed().as_secs_f32(), gateway.policies()));
    Ok(run)
}

impl Places {
    /// `SYMGATE_BIN` names a gateway; without it everything is built as for the tests.
    fn find() -> Result<Self> {
        let gateway = match std::env::var_os("SYMGATE_BIN") {
            Some(named) => PathBuf::from(named),
            None => {
                needs::wasm_target()?;
                build_all()?;
                built("symgate")?
            }
        };
        if !gateway.is_file() {
            bail!("{} is no file: SYMGATE_BIN must name the gateway's binary", gateway.display());
        }
        let own = built("xtask")?;
        let target = own.ancestors().nth(2).context("this program is not in cargo's target folder")?;
        let work = target.join("interop");
        fs::create_dir_all(&work).with_context(|| format!("{} cannot be made", work.display()))?;
        say(&format!("tools and logs are in {}", work.display()));
        Ok(Self { programs: root().join("tests/interop"), work, gateway })
    }
}
