//! The makers of gRPC libraries: how their tools are installed, and how their programs are run.

use std::{
    ffi::OsString,
    fmt::{Display, Formatter},
    path::PathBuf,
    process::Command,
};

use anyhow::{Context, Result};

use super::Places;
use crate::{
    cargo::{run, succeeds},
    needs, say,
};

/// What Debian calls Go and grpc-go, and where it puts the sources of its packages.
const GO_PACKAGES: [&str; 2] = ["golang-go", "golang-google-grpc-dev"];
const GO_SOURCES: &str = "/usr/share/gocode";

/// The makers whose tools are there, and what is to be said of the others.
pub(super) struct Tools {
    pub(super) makers: Vec<Maker>,
    pub(super) notes: Vec<String>,
}

/// A library's maker: its client and its server.
pub(super) struct Maker {
    pub(super) name: &'static str,
    /// Without the arguments that say which side it is.
    run: Program,
    server: Vec<OsString>,
    client: Vec<OsString>,
}

/// A program to run.
#[derive(Clone)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(&'static str, OsString)>,
}

impl Tools {
    /// Installs what is missing. Go may be left out.
    pub(super) fn prepare(places: &Places) -> Result<Self> {
        let mut tools = Self { makers: vec![python(places)?, node(places)?], notes: Vec::new() };
        match go(places) {
            Ok(go) => tools.makers.push(go),
            Err(why) => tools.notes.push(format!("Go is left out: {why:#}")),
        }
        for note in &tools.notes {
            say(note);
        }
        Ok(tools)
    }
}

impl Maker {
    /// The symbol that its instance owns.
    pub(super) fn symbol(&self) -> String {
        format!("{}_USDT", self.name.to_uppercase())
    }

    pub(super) fn server(&self) -> Program {
        self.run.with(&self.server)
    }

    /// The client for one instance, through the gateway and past it.
    pub(super) fn client(&self, gateway: &str, server: &str, symbol: &str) -> Program {
        self.run.with(&self.client).with(&[gateway.into(), server.into(), symbol.into()])
    }
}

impl Program {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), arguments: Vec::new(), environment: Vec::new() }
    }

    /// The same with more arguments.
    pub(super) fn with(&self, more: &[OsString]) -> Self {
        let mut program = self.clone();
        program.arguments.extend_from_slice(more);
        program
    }

    fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }
}

impl Display for Program {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.path.display())?;
        self.arguments.iter().try_for_each(|argument| write!(formatter, " {}", argument.display()))
    }
}

/// grpcio in a virtual environment.
fn python(places: &Places) -> Result<Maker> {
    needs::python()?;
    let (programs, folder) = (places.programs.join("python"), places.work.join("python"));
    let interpreter = folder.join("bin/python");
    needs::environment(&programs.join("requirements.txt"), &folder)?;
    Ok(Maker {
        name: "python",
        // The source folder stays clean.
        run: Program::new(interpreter).env("PYTHONDONTWRITEBYTECODE", "1"),
        server: vec![programs.join("server.py").into()],
        client: vec![programs.join("client.py").into()],
    })
}

/// grpc-js, at the versions of its lock file.
fn node(places: &Places) -> Result<Maker> {
    needs::node()?;
    let (programs, folder) = (places.programs.join("node"), places.work.join("node"));
    needs::modules(&programs, &folder)?;
    Ok(Maker {
        name: "node",
        run: Program::new("node").env("NODE_PATH", folder.join("node_modules")),
        server: vec![programs.join("server.js").into()],
        client: vec![programs.join("client.js").into()],
    })
}

/// grpc-go, from the packages of the distribution.
fn go(places: &Places) -> Result<Maker> {
    let (programs, folder) = (places.programs.join("go"), places.work.join("go"));
    if !grpc_go() {
        needs::install(&GO_PACKAGES)
            .with_context(|| format!("it needs Debian's packages {}", GO_PACKAGES.join(" and ")))?;
    }
    let program = folder.join("probe");
    run(go_tool().arg("build").arg("-o").arg(&program).current_dir(&programs).env("GOCACHE", folder.join("cache")))?;
    Ok(Maker { name: "go", run: Program::new(program), server: vec!["server".into()], client: vec!["client".into()] })
}

fn grpc_go() -> bool {
    succeeds("go", &["version"])
        && go_tool().args(["list", "google.golang.org/grpc"]).output().is_ok_and(|output| output.status.success())
}

/// Go as it builds from sources that are there, without modules and their network.
fn go_tool() -> Command {
    let mut go = Command::new("go");
    go.env("GO111MODULE", "off").env("GOPATH", GO_SOURCES).env_remove("GOFLAGS");
    go
}
