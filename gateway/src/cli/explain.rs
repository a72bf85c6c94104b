//! `symgate explain`: what would become of a call, and why. Asks a gateway, or a configuration; makes no call.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;

use super::{decided, listener::Listener, output};
use crate::{
    app,
    config::Config,
    plugin::decision::{Asked, Bytes, hex},
    snapshot::explanation::{Answered, Explanation, Shown, Supposed, Verdict},
};

/// The call has no place.
const NO_PLACE: u8 = 1;
/// It could not be told.
const NOT_TOLD: u8 = 2;

pub(super) const AFTER: &str = "\
Examples:
  symgate explain --path /pb.KlineService/GetKline -H symbol=BTC_USDT
  symgate explain --path /pb.KlineService/GetKline --message 2208 --admin 127.0.0.1:9901 --json
  symgate explain --config symgate.toml --path /pb.KlineService/GetKline -H symbol=BTC_USDT

Exit status: 0 the call has a place, 1 it has none, 2 it cannot be told: no gateway, a configuration that could not run.";

/// What is asked.
#[derive(Debug, Args)]
pub(super) struct Explained {
    /// The path of the call, e.g. /pb.KlineService/GetKline
    #[arg(long)]
    path: String,
    /// Metadata as it is sent: -bin values in base64. May be repeated
    #[arg(short = 'H', long = "metadata", value_name = "KEY=VALUE", value_parser = entry)]
    metadata: Vec<(String, String)>,
    /// The :authority of the call
    #[arg(long, default_value = "", hide_default_value = true)]
    authority: String,
    /// The first message, without the five bytes before it: hexadecimal digits, or @ and the name of a file of bytes
    #[arg(long, value_name = "HEX|@FILE")]
    message: Option<String>,
    /// A name in the certificate of the client. May be repeated
    #[arg(long = "client", value_name = "NAME")]
    clients: Vec<String>,
    #[command(flatten)]
    gateway: Listener,
    /// The worker of the gateway that is asked: each has connections of its own
    #[arg(long, value_name = "NUMBER", default_value_t = 0, conflicts_with = "config")]
    worker: usize,
    /// Ask this configuration instead of a gateway: its plugins are loaded, its registries read once
    #[arg(short, long, value_name = "FILE", conflicts_with = "address")]
    config: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn explain(asked: Explained, program: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let json = asked.json;
    let explanation = match asked.explanation(program) {
        Ok(explanation) => explanation,
        Err(error) => {
            output::error(&error);
            return Ok(NOT_TOLD.into());
        }
    };
    if json {
        output::line(&serde_json::to_string_pretty(&explanation)?);
    } else {
        lines(&explanation).iter().for_each(|line| output::line(line));
    }
    Ok(if matches!(explanation.comes_to, Verdict::Instance { .. }) { ExitCode::SUCCESS } else { NO_PLACE.into() })
}

impl Explained {
    fn explanation(self, program: Option<PathBuf>) -> anyhow::Result<Explanation> {
        let Self { path, metadata, authority, message, clients, gateway, worker, config, .. } = self;
        let message = message.as_deref().map(bytes).transpose()?;
        let metadata = metadata.into_iter().map(|(key, value)| (key, Bytes(value.into_bytes()))).collect();
        let call = Supposed { path, authority, metadata, message, clients, worker };
        if let Err(why) = call.check() {
            bail!(why);
        }
        match config {
            Some(config) => app::explain(&Config::read(&config)?, program, &call),
            None => {
                let answer = gateway.post("/explain", serde_json::to_vec(&call)?)?;
                serde_json::from_slice(&answer).context("the gateway's answer is none of this version of symgate")
            }
        }
    }
}

/// `KEY=VALUE`; keys are sent in lower case.
fn entry(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.to_lowercase(), value.to_owned()))
}

fn bytes(text: &str) -> anyhow::Result<Vec<u8>> {
    match text.strip_prefix('@') {
        Some(file) => fs::read(Path::new(file)).with_context(|| format!("cannot read the message {file}")),
        None => hex::read(text).context("--message takes hexadecimal digits, two a byte, or @FILE"),
    }
}

fn lines(explanation: &Explanation) -> Vec<String> {
    let Explanation { worker, route, asked, instances, known, comes_to, .. } = explanation;
    let mut lines = Vec::new();
    lines.push(match worker {
        Some(number) => format!("as worker {number} sees it now"),
        None => "as a gateway sees it that has just started and is connected to nobody".to_owned(),
    });
    if let Some(taken) = route {
        let (service, registry, revision) = (&taken.service, &taken.registry, taken.revision);
        lines.push(format!("route {} to service {service}, registry {registry} at revision {revision}", taken.route));
        lines.extend(taken.lost.as_ref().map(|why| format!("  the registry cannot be heard: {why}")));
    }
    let is_extractor =
        |answered: &&Answered| matches!(answered, Answered::Asked { decision, .. } if decision.is_of_extractor());
    asked.iter().filter(is_extractor).for_each(|answered| lines.extend(answered_lines(answered)));
    lines.extend(whose(explanation));
    if *known > 0 {
        lines.push(format!("{known} instances known"));
        lines.extend(instances.iter().map(instance));
        lines.extend((*known > instances.len()).then(|| format!("  and {} more", known - instances.len())));
    }
    asked.iter().filter(|it| !is_extractor(it)).for_each(|answered| lines.extend(answered_lines(answered)));
    lines.push(verdict(comes_to));
    lines
}

fn answered_lines(answered: &Answered) -> Vec<String> {
    match answered {
        Answered::NotAsked { plugin, version } => {
            vec![format!("selector {plugin}, version {version}: not asked, there is one candidate")]
        }
        Answered::Asked { took_us, given_path, given_symbol, decision } => {
            let kind = if decision.is_of_extractor() { "extractor" } else { "selector" };
            let known = matches!(decision.asked, Asked::Extract { remembered: true, .. });
            let how = if known { "remembered, found" } else { "asked, answered" };
            let (plugin, version) = (&decision.plugin, &decision.version);
            let mut lines = vec![format!("{kind} {plugin}, version {version}: {how} in {took_us:.1} us")];
            lines.extend(
                decided::given(decision, *given_path, *given_symbol).iter().map(|line| format!("  given{line}")),
            );
            lines.push(format!("  says   {}", decided::outcome(&decision.outcome)));
            lines
        }
    }
}

fn whose(explanation: &Explanation) -> Option<String> {
    match &explanation.symbol {
        _ if explanation.any => Some("any instance of the service may answer".to_owned()),
        Some(symbol) if symbol.is_empty() => Some("the service is not split by symbol".to_owned()),
        Some(symbol) => Some(format!("the call belongs to symbol {symbol:?}")),
        None => None,
    }
}

fn instance(shown: &Shown) -> String {
    let Shown { address, standing, connections, weight, in_flight, latency_us, .. } = shown;
    let who = match shown.candidate {
        Some(at) => format!("candidate {at}"),
        None if shown.draining => "draining".to_owned(),
        None => "no candidate".to_owned(),
    };
    format!(
        "  {who}: {address}, {standing}, connections {connections}, weight {weight}, in flight {in_flight}, latency \
         {latency_us} us"
    )
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Instance { address, owner } => format!("the call would go to {address} (symgate-owner {owner})"),
        Verdict::NeedsMessage => "the extractor needs the first message to say more: give it with --message".to_owned(),
        Verdict::Error { status, reason, text, waits_ms } => {
            let after = if *waits_ms > 0 { format!(" after a wait of {waits_ms} ms") } else { String::new() };
            format!("the call would end with {status} ({reason}){after}: {text}")
        }
    }
}
