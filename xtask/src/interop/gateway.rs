//! The gateway between them: its configuration, and the address that it says it listens on.

use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{
    Places,
    makers::Program,
    process::{Process, Server},
};

const START: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// What decides on calls.
pub(super) enum Policies {
    BuiltIn,
    /// The shipped plugins, in this folder.
    Wasm(PathBuf),
}

/// A running gateway that has read its registry.
pub(super) struct Gateway {
    address: String,
    policies: &'static str,
    _process: Process,
}

impl Policies {
    /// The shipped plugins as Wasm, which the build script of the tests puts into the same target folder.
    pub(super) fn wasm(gateway: &Path) -> Option<Self> {
        let folder = gateway.ancestors().nth(2)?.join("plugins/wasm32-unknown-unknown/plugin");
        let there = ["message_field.wasm", "least_loaded.wasm"].iter().all(|file| folder.join(file).is_file());
        there.then_some(Self::Wasm(folder))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Wasm(_) => "wasm",
        }
    }

    /// Where the two plugins come from.
    fn source(&self, built_in: &str, file: &str) -> String {
        match self {
            Self::BuiltIn => format!("builtin = {built_in:?}"),
            // The time is a limit of the machine that runs this, not of what is tested.
            Self::Wasm(folder) => {
                format!("path = {:?}\nlimits = {{ time = \"1s\", memory = \"64MiB\" }}", folder.join(file))
            }
        }
    }
}

impl Gateway {
    /// Starts it before these instances and waits until it is ready.
    pub(super) fn start(places: &Places, policies: &Policies, servers: &[Server<'_>]) -> Result<Self> {
        let folder = places.work.join(format!("gateway-{}", policies.name()));
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let config = folder.join("symgate.toml");
        let mut registry = String::new();
        for server in servers {
            writeln!(registry, "\"probe/{}/1\" = {:?}", server.maker.symbol(), server.address())?;
        }
        fs::write(folder.join("instances.toml"), registry)?;
        fs::write(&config, configuration(policies))?;

        let log = places.work.join(format!("gateway-{}.log", policies.name()));
        let program = Program::new(&places.gateway).with(&["run".into(), "--config".into(), config.into()]);
        let mut process = Process::start(&program, &log)?;
        let until = Instant::now() + START;
        loop {
            let text = fs::read_to_string(&log).unwrap_or_default();
            if let (Some(address), Some(admin)) = (listener(&text, "data"), listener(&text, "admin"))
                && ready(admin)
            {
                return Ok(Self { address: address.to_owned(), policies: policies.name(), _process: process });
            }
            if let Some(status) = process.ended()? {
                bail!("the gateway ended at its start with {status}; see {}", log.display());
            }
            if Instant::now() > until {
                bail!("the gateway is not ready; see {}", log.display());
            }
            thread::sleep(PAUSE);
        }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// What decides there, as part of a file's name.
    pub(super) fn policies(&self) -> &'static str {
        self.policies
    }
}

fn configuration(policies: &Policies) -> String {
    format!(
        r#"[listen]
address = "127.0.0.1:0"

[admin]
address = "127.0.0.1:0"

[log]
format = "json"

[[registry]]
name = "main"
file = "instances.toml"

[[plugin]]
name = "by-symbol"
{}
[plugin.config]
metadata = "symbol"
fields = {{ "/interop.Probe/" = [4] }}

[[plugin]]
name = "choice"
{}

[[route]]
match = "/interop.Probe/"
service = "probe"
extract = "by-symbol"
select = "choice"
max_first_message = "16MiB"
"#,
        policies.source("message-field", "message_field.wasm"),
        policies.source("least-loaded", "least_loaded.wasm"),
    )
}

/// The address in the line that says that a listener listens.
fn listener<'a>(log: &'a str, name: &str) -> Option<&'a str> {
    let named = format!("\"listener\":\"{name}\"");
    let line = log.lines().find(|line| line.contains("\"listening\"") && line.contains(&named))?;
    line.split_once("\"address\":\"")?.1.split('"').next()
}

/// Whether `/readyz` says yes.
fn ready(admin: &str) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(admin)?;
        stream.set_read_timeout(Some(START))?;
        write!(stream, "GET /readyz HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

#[cfg(test)]
mod tests {
    use super::listener;

    #[test]
    fn the_address_is_read_from_the_line_of_its_listener() {
        let log = "{\"message\":\"listening\",\"listener\":\"data\",\"address\":\"127.0.0.1:1\"}\n\
                   {\"message\":\"listening\",\"listener\":\"admin\",\"address\":\"127.0.0.1:2\"}\n";
        assert_eq!(listener(log, "data"), Some("127.0.0.1:1"));
        assert_eq!(listener(log, "admin"), Some("127.0.0.1:2"));
        assert_eq!(listener(log, "other"), None);
    }
}
