//! Single values of the file: durations, sizes, counts, addresses. Each says what it expects when it is given anything
//! else; where in the file that is, is added by the TOML reader.

use std::{collections::BTreeMap, fmt::Display, net::SocketAddr, path::PathBuf, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny},
};

use toml::Spanned;

use super::NoSymbol;
use crate::{metrics::STATUS, routing::KeyTemplate, telemetry};

/// A whole number or a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Amount {
    Number(u64),
    Text(String),
    Other(IgnoredAny),
}

/// `1s`, `5ms`, `2m`, `1h`; zero is allowed.
pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    match Amount::deserialize(from)? {
        Amount::Text(text) => parse_duration(&text),
        _ => None,
    }
    .ok_or_else(|| D::Error::custom("no duration; write a whole number and one of us, ms, s, m, h, such as \"5ms\""))
}

/// A duration that is not zero.
pub(super) fn timeout<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let timeout = duration(from)?;
    if timeout.is_zero() {
        return Err(D::Error::custom("zero would end everything at once; write a duration above it, such as \"1s\""));
    }
    Ok(timeout)
}

/// A duration that is not zero, where none is one, too.
pub(super) fn some_timeout<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    timeout(from).map(Some)
}

/// The time that a lease lives without a sign of life.
pub(super) fn ttl<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    lease_time(duration(from)?).map_err(D::Error::custom)
}

/// A time that etcd can give a lease: it counts whole seconds, and 2 at least by its defaults.
///
/// # Errors
/// When it cannot.
pub fn lease_time(time: Duration) -> Result<Duration, &'static str> {
    let whole = time.subsec_nanos() == 0 && time >= Duration::from_secs(2);
    whole.then_some(time).ok_or("a lease takes whole seconds, 2s or more, such as \"10s\"")
}

/// `16MiB`, `64KiB`, `1GiB`, `100B`, or a number of bytes; not zero.
pub(super) fn size<'de, D: Deserializer<'de>, T: TryFrom<u64>>(from: D) -> Result<T, D::Error> {
    match Amount::deserialize(from)? {
        Amount::Number(bytes) => Some(bytes),
        Amount::Text(text) => parse_size(&text),
        Amount::Other(_) => None,
    }
    .filter(|bytes| *bytes > 0)
    .and_then(|bytes| T::try_from(bytes).ok())
    .ok_or_else(|| {
        D::Error::custom("no size that fits; write bytes above zero, plain or with B, KiB, MiB, GiB, such as \"16MiB\"")
    })
}

/// A size where there is none without one.
pub(super) fn some_size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    size(from).map(Some)
}

/// What a call into a sandbox may use of its thread's stack, which has 2 MiB: the gateway needs the rest.
pub(super) fn stack<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let stack: usize = size(from)?;
    if !(64 << 10..=1 << 20).contains(&stack) {
        return Err(D::Error::custom("a sandbox has 64KiB of stack at least and 1MiB at most"));
    }
    Ok(stack)
}

/// A flow-control window (RFC 9113 section 6.9.1: at most 2^31-1; this side never goes below the default of 65,535).
pub(super) fn window<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let window: u32 = size(from)?;
    if !(65_535..1 << 31).contains(&window) {
        return Err(D::Error::custom("an HTTP/2 window has 65535 bytes at least and less than 2GiB"));
    }
    Ok(window)
}

/// A whole number above zero, of 32 bits even where a count could be longer.
pub(super) fn count<'de, D: Deserializer<'de>, T: TryFrom<u64>>(from: D) -> Result<T, D::Error> {
    match Amount::deserialize(from)? {
        Amount::Number(count @ 1..=0xffff_ffff) => T::try_from(count).ok(),
        _ => None,
    }
    .ok_or_else(|| D::Error::custom("this must be a whole number from 1 to 4294967295"))
}

/// A whole number above zero, where there is no limit without one.
pub(super) fn limit<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    count(from).map(Some)
}

/// How many are kept: few, and none at all where nothing shall be.
pub(super) fn kept<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    match Amount::deserialize(from)? {
        Amount::Number(count @ 0..=100) => usize::try_from(count).ok(),
        _ => None,
    }
    .ok_or_else(|| D::Error::custom("this must be a whole number from 0 to 100"))
}

/// A SHA-256 in hex digits, as `sha256sum` prints it; in lower case from here on.
pub(super) fn sha256<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Spanned<String>>, D::Error> {
    let text = Spanned::<String>::deserialize(from)?;
    if text.get_ref().len() != 64 || !text.get_ref().bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(D::Error::custom("no SHA-256; write its 64 hex digits, as `sha256sum FILE` prints them"));
    }
    Ok(Some(Spanned::new(text.span(), text.get_ref().to_ascii_lowercase())))
}

/// How many decisions are recorded; none is none.
pub(super) fn ring<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    match Amount::deserialize(from)? {
        Amount::Number(count @ 0..=100_000) => usize::try_from(count).ok(),
        _ => None,
    }
    .ok_or_else(|| D::Error::custom("this must be a whole number from 0, which records nothing, to 100000"))
}

/// A share of a whole: 0 to 1.
pub(super) fn share<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(from)?;
    if !(0.0..=1.0).contains(&share) {
        return Err(D::Error::custom("this must be a share from 0.0 to 1.0, such as 0.1"));
    }
    Ok(share)
}

/// `0%` to `100%`, as a share: 0 to 1.
pub(super) fn percent<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let wrong = || custom("this must be a percentage from \"0%\" to \"100%\", such as \"0.5%\"");
    let Amount::Text(text) = Amount::deserialize(from)? else { return Err(wrong()) };
    let percent = text.strip_suffix('%').and_then(|number| number.trim_end().parse::<f64>().ok());
    percent.filter(|percent| (0.0..=100.0).contains(percent)).map(|percent| Some(percent / 100.0)).ok_or_else(wrong)
}

/// `IP:port` to listen on.
pub(super) fn listen_address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    let wrong = |_| custom(format!("{text:?} is no address to listen on; write IP:port, such as \"0.0.0.0:9000\""));
    text.parse().map_err(wrong)
}

/// A log filter.
pub(super) fn filter<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    telemetry::check_filter(&text).map_err(D::Error::custom)?;
    Ok(text)
}

/// A key template.
pub(super) fn key_template<'de, D: Deserializer<'de>>(from: D) -> Result<Option<KeyTemplate>, D::Error> {
    let text = String::deserialize(from)?;
    let wrong = || {
        custom(format!(
            "key template {text:?} cannot be used; write {{symbol}} and then {{id}}, once each, with text before and \
             between them, such as \"orders_{{symbol}}/{{id}}\""
        ))
    };
    KeyTemplate::parse(&text).map(Some).ok_or_else(wrong)
}

/// Metadata keys, in the lower case that HTTP/2 sends them in, and their values.
pub(super) fn metadata<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, String)>, D::Error> {
    let entries = BTreeMap::<String, String>::deserialize(from)?;
    let wrong = |key: &str| {
        custom(format!("{key:?} is no metadata key; use letters, digits, \"-\", \"_\" and \".\", such as \"product\""))
    };
    entries
        .into_iter()
        .map(|(key, value)| match http::HeaderName::try_from(&key) {
            Ok(name) => Ok((name.as_str().to_owned(), value)),
            Err(_invalid) => Err(wrong(&key)),
        })
        .collect()
}

/// What happens without a symbol.
pub(super) fn no_symbol<'de, D: Deserializer<'de>>(from: D) -> Result<NoSymbol, D::Error> {
    let wrong = "this is \"reject\", \"any\", or the symbol that such calls belong to, as { symbol = \"BTC_USDT\" }";
    NoSymbol::deserialize(from).map_err(|_serde| custom(wrong))
}

/// A folder, or `false` for none.
pub(super) fn folder<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<PathBuf>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Folder {
        Is(bool),
        At(PathBuf),
        Other(IgnoredAny),
    }
    match Folder::deserialize(from)? {
        Folder::Is(false) => Ok(Some(None)),
        Folder::At(path) if !path.as_os_str().is_empty() => Ok(Some(Some(path))),
        _ => Err(custom("no folder; write its path, or false to keep nothing")),
    }
}

/// The name of a health service, or `false` for none.
pub(super) fn health<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Health {
        Is(bool),
        Of(String),
        Other(IgnoredAny),
    }
    match Health::deserialize(from)? {
        Health::Is(false) => Ok(None),
        Health::Of(name) => Ok(Some(name)),
        _ => Err(custom(
            "this is the name that instances give their health under, \"\" for the whole server, or false not to ask",
        )),
    }
}

/// The name of a gRPC status code that the gateway may answer with.
pub(super) fn status<'de, D: Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    let name = String::deserialize(from)?;
    let code = STATUS.iter().position(|known| *known == name);
    match code.and_then(|code| u8::try_from(code).ok()) {
        Some(code) if name != "OK" && name != "ABORTED" => Ok(code),
        Some(_) => Err(custom(format!(
            "the gateway never answers {name}: callers read it as the service's own word; write \"NOT_FOUND\" or \
             another code"
        ))),
        None => Err(custom(format!("{name:?} is no gRPC status code; write its name, such as \"NOT_FOUND\""))),
    }
}

fn custom<E: Error>(text: impl Display) -> E {
    E::custom(text)
}

/// `5ms` as a duration; `None` when it is none.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    match unit {
        "us" => Some(Duration::from_micros(number)),
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        "h" => Some(Duration::from_secs(number.checked_mul(3_600)?)),
        _ => None,
    }
}

fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text, expected| assert_eq!(parse_duration(text), expected, "{text:?}");
        check("250us", Some(Duration::from_micros(250)));
        check("5ms", Some(Duration::from_millis(5)));
        check("1 s", Some(Duration::from_secs(1)));
        check("2m", Some(Duration::from_secs(120)));
        check("1h", Some(Duration::from_secs(3_600)));
        for text in ["", "5", "s", "-1s", "1.5s", "1d", "99999999999999999999s", "9999999999999999999h"] {
            check(text, None);
        }
    }

    #[test]
    fn sizes() {
        let check = |text, expected| assert_eq!(parse_size(text), expected, "{text:?}");
        check("100", Some(100));
        check("100B", Some(100));
        check("64KiB", Some(65_536));
        check("16 MiB", Some(16 << 20));
        check("2GiB", Some(2 << 30));
        for text in ["", "MiB", "1MB", "1kib", "-1KiB", "18446744073709551615GiB"] {
            check(text, None);
        }
    }
}
