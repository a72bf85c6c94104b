//! `symgate register`: its command line, made into what `app` runs.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::anyhow;
use clap::{Args, ValueEnum};

use super::{access::Access, usage};
use crate::{
    app::Sidecar,
    config::{self, Format, LogFormat},
    interfaces::private_address,
    register::{Announcement, Health},
    routing::Address,
    telemetry,
};

pub(super) const AFTER: &str = "\
Examples:
  symgate register --etcd http://127.0.0.1:2379 --service klineRpc --symbol BTC_USDT --port 9000 -- ./kline BTC_USDT
  symgate register --etcd http://127.0.0.1:2379 --service klineRpc --symbol BTC_USDT --address 10.0.0.7:9000
  symgate register --etcd https://a:2379,https://b:2379 --etcd-ca ca.pem --service accountRpc --port 9000 -- ./account

The key is SERVICE/SYMBOL/LEASE, without a symbol SERVICE/LEASE, after --prefix. It is written once the instance is
healthy, removed while it is not, written again whenever it was lost, and removed when the command ends. The etcd user
needs to read and write the keys of the service.

Signals: SIGTERM and SIGINT remove the key, wait --drain-pause and pass the signal on to the command, which is killed
when it still runs after --stop-timeout; a second one skips the pause. SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 and SIGWINCH
are passed on at once.

The owner file holds the create revision of the key, the number that calls carry as symgate-owner. A call with a lower
number was meant for who had this address before: refuse it. At a higher one, read the file again. It is replaced as a
whole at each registration and is not there while the registration is lost.

Environment:
  SYMGATE_OWNER_FILE      for the command: the path of its owner file
  SYMGATE_ETCD_PASSWORD   the password of --user
  SYMGATE_LOG, RUST_LOG   the log filter, e.g. debug

Exit status: the command's own; 128 + N when signal N ended it; 126 when it cannot be run, 127 when it is not there.
Without a command: 0 when told to end. 1 cannot start (the reason is on standard error), 64 wrong usage.";

/// What is announced, where and when.
#[derive(Debug, Args)]
pub(super) struct Register {
    /// The etcd cluster: URLs of its members, separated by commas
    #[arg(long, value_name = "URL", value_delimiter = ',', required = true)]
    etcd: Vec<String>,
    #[command(flatten)]
    access: Access,
    /// What every key starts with
    #[arg(long, default_value = "")]
    prefix: String,
    /// The service, as routes name it, e.g. klineRpc
    #[arg(long, value_parser = service)]
    service: String,
    /// The symbol that the instance owns; leave it out for a service that is not split by symbol
    #[arg(long, value_parser = symbol)]
    symbol: Option<String>,
    /// Where calls reach the instance
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "port", conflicts_with = "port")]
    address: Option<Address>,
    /// The port where calls reach the instance, at the first private address of this machine
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// How the value is written: json as etcd's Go endpoint manager does, plain as the bare address
    #[arg(long, value_enum, default_value = "json")]
    value: Value,
    /// How long the key outlives this process; whole seconds
    #[arg(long, default_value = "10s", value_parser = ttl)]
    ttl: Duration,
    /// Its share among the instances of the symbol
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    weight: Option<u32>,
    /// What selectors may choose by; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// When the instance is healthy, asked at the address that is announced: off (always), tcp (its port accepts), grpc
    /// or grpc=SERVICE (grpc.health.v1 says SERVING)
    #[arg(long, default_value = "tcp", value_name = "CHECK")]
    health: Health,
    /// How long the instance goes on after its key was removed
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    drain_pause: Duration,
    /// How long the command may take to end
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    stop_timeout: Duration,
    /// Where the create revision of the key is written; with a command the default is a temporary file
    #[arg(long, value_name = "FILE")]
    owner_file: Option<PathBuf>,
    /// How log lines look
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    log_format: Log,
    /// The instance: a program and its arguments, run as a child
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Value {
    Json,
    Plain,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Log {
    Text,
    Json,
}

pub(super) fn register(arguments: Register) -> anyhow::Result<ExitCode> {
    let format = match arguments.log_format {
        Log::Text => LogFormat::Text,
        Log::Json => LogFormat::Json,
    };
    let sidecar = arguments.sidecar()?;
    telemetry::start("info", format)?;
    Ok(sidecar.run()?.into())
}

impl Register {
    fn sidecar(self) -> anyhow::Result<Sidecar> {
        if self.value == Value::Plain && (self.weight.is_some() || !self.labels.is_empty()) {
            return Err(usage("a plain value has no room for --weight and --label; write --value json"));
        }
        let etcd = self.access.to(self.etcd)?;
        let address = match (self.address, self.port) {
            (Some(address), _) => address,
            (None, port) => {
                let ip = private_address().map_err(|reason| anyhow!("{reason} with --address HOST:PORT"))?;
                std::net::SocketAddr::new(ip, port.unwrap_or_default()).to_string().parse()?
            }
        };
        let announcement = Announcement {
            prefix: self.prefix,
            service: self.service,
            symbol: self.symbol,
            address,
            format: if self.value == Value::Json { Format::Endpoints } else { Format::GoZero },
            weight: self.weight,
            labels: self.labels.into_iter().collect::<BTreeMap<_, _>>(),
        };
        Ok(Sidecar {
            etcd,
            announcement,
            ttl: self.ttl,
            health: self.health,
            drain_pause: self.drain_pause,
            stop_timeout: self.stop_timeout,
            owner_file: self.owner_file,
            command: self.command,
        })
    }
}

fn service(text: &str) -> Result<String, String> {
    config::check_service_name(text).map(|()| text.to_owned())
}

fn symbol(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        Err("a symbol has at least one character; leave --symbol out for none")
    } else {
        Ok(text.into())
    }
}

fn label(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some(("symbol" | "weight", _)) => Err("symbol and weight have options of their own"),
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("write KEY=VALUE"),
    }
}

fn time(text: &str) -> Result<Duration, &'static str> {
    config::duration(text).ok_or("write a whole number and one of us, ms, s, m, h, such as 5s")
}

fn ttl(text: &str) -> Result<Duration, &'static str> {
    time(text).and_then(config::lease_time)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        register: Register,
    }

    fn read(more: &[&str]) -> anyhow::Result<Sidecar> {
        let least = ["register", "--etcd", "http://a:2379,http://b:2379", "--service", "klineRpc"];
        Line::try_parse_from(least.iter().chain(more))?.register.sidecar()
    }

    #[test]
    fn a_service_and_an_address_are_enough() {
        let sidecar = read(&["--address", "10.0.0.7:9000"]).expect("a command line");
        assert_eq!(sidecar.etcd.endpoints, ["http://a:2379", "http://b:2379"]);
        assert_eq!(sidecar.announcement.key(7), "klineRpc/7");
        assert_eq!((sidecar.ttl, sidecar.drain_pause), (Duration::from_secs(10), Duration::from_secs(5)));
        assert_eq!((sidecar.health, sidecar.command), (Health::Tcp, Vec::new()));
    }

    #[test]
    fn everything_is_read() {
        let sidecar = read(&[
            "--prefix=/prod/",
            "--symbol=BTC",
            "--address=10.0.0.7:9000",
            "--weight=3",
            "--label=zone=a=b",
            "--ttl=4s",
            "--health=grpc=pb.Kline",
            "--",
            "./kline",
            "--symbol",
            "BTC",
        ])
        .expect("a command line");
        assert_eq!(sidecar.announcement.key(7), "/prod/klineRpc/BTC/7");
        let value = r#"{"Op":0,"Addr":"10.0.0.7:9000","Metadata":{"symbol":"BTC","weight":3,"zone":"a=b"}}"#;
        assert_eq!(sidecar.announcement.value(), value);
        assert_eq!((sidecar.ttl, sidecar.health), (Duration::from_secs(4), Health::Grpc("pb.Kline".into())));
        assert_eq!(sidecar.command, ["./kline", "--symbol", "BTC"]);
    }

    #[test]
    fn what_does_not_fit_is_wrong_usage() {
        let check = |more: &[&str], says: &str| {
            let error = read(more).expect_err(says);
            assert!(error.is::<clap::Error>(), "{error}");
            assert!(error.to_string().contains(says), "{error}");
        };
        check(&[], "--address");
        check(&["--address=10.0.0.7"], "no port");
        check(&["--address=a:1", "--port=2"], "cannot be used with");
        check(&["--address=a:1", "--value=plain", "--weight=2"], "a plain value has no room");
        check(&["--address=a:1", "--label=zone"], "KEY=VALUE");
        check(&["--address=a:1", "--label=symbol=x"], "options of their own");
        check(&["--address=a:1", "--ttl=1s"], "2s or more");
        check(&["--address=a:1", "--symbol="], "at least one character");
        check(&["--address=a:1", "--etcd=https://c:2379"], "need --etcd-ca");
        check(&["--address=a:1", "--etcd-ca=ca.pem"], "without TLS, though tls is there");
        check(&["--address=a:1", "--etcd-ca=ca.pem", "--etcd-certificate=c.pem"], "--etcd-key");
        check(&["--address=a:1", "--etcd-ca=ca.pem", "--etcd-server-name=https://c"], "neither a DNS name");
        check(&["--address=a:1", "--password-file=x"], "--user");
        check(&["--address=a:1", "--health=udp"], "write off, tcp");
        assert!(service("a/").is_err(), "it would not be found under that name");
    }
}
