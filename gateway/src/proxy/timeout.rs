//! The `grpc-timeout` header: what it says, and how the time that is left is written. Knows no clock.

use std::time::Duration;

use crate::http2::Fields;

/// The header.
pub(super) const GRPC_TIMEOUT: &[u8] = b"grpc-timeout";

/// The longest number that the header may hold.
const DIGITS: usize = 8;
const LARGEST: u64 = 99_999_999;

/// Units with their length in nanoseconds, finest first.
const UNITS: [(u8, u64); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

/// The header says something else than a time, or says it twice.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadTimeout;

/// How long the caller waits; `None`: it does not say.
pub(super) fn read(fields: &Fields) -> Result<Option<Duration>, BadTimeout> {
    let mut values = fields.iter().filter(|field| field.name == GRPC_TIMEOUT);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(field), None) => parse(field.value).map(Some).ok_or(BadTimeout),
        (Some(_), Some(_)) => Err(BadTimeout),
    }
}

/// The time that is left, in the finest unit that fits, never rounded up.
pub(super) fn write(left: Duration) -> String {
    let left = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
    let (unit, number) = UNITS
        .into_iter()
        .map(|(unit, nanos)| (unit, left / nanos))
        .find(|(_, number)| *number <= LARGEST)
        .unwrap_or((b'H', LARGEST));
    format!("{number}{}", char::from(unit))
}

fn parse(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    let (_, nanos) = UNITS.into_iter().find(|(name, _)| name == unit)?;
    if digits.is_empty() || digits.len() > DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |number: u64, digit| number * 10 + u64::from(digit - b'0'));
    // 99,999,999 hours in nanoseconds do not fit 64 bits.
    Some(Duration::from_nanos_u128(u128::from(nanos) * u128::from(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Duration>) {
        assert_eq!(parse(text.as_bytes()), expected, "{text:?}");
    }

    #[test]
    fn every_unit_is_read() {
        check("7n", Some(Duration::from_nanos(7)));
        check("7u", Some(Duration::from_micros(7)));
        check("100m", Some(Duration::from_millis(100)));
        check("7S", Some(Duration::from_secs(7)));
        check("7M", Some(Duration::from_secs(420)));
        check("99999999H", Some(Duration::from_secs(99_999_999 * 3_600)));
        check("0n", Some(Duration::ZERO));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "n", "7", "7s", "+7S", "-1S", "1.5S", " 7S", "123456789n", "7SS"] {
            check(text, None);
        }
        let mut fields = Fields::new();
        fields.push(GRPC_TIMEOUT, b"1S");
        fields.push(GRPC_TIMEOUT, b"2S");
        assert_eq!(read(&fields), Err(BadTimeout));
    }

    #[test]
    fn what_is_left_is_never_rounded_up() {
        assert_eq!(write(Duration::from_nanos(99_999_999)), "99999999n");
        assert_eq!(write(Duration::from_nanos(4_999_999_999)), "4999999u");
        assert_eq!(write(Duration::from_secs(3_600)), "3600000m");
        assert_eq!(write(Duration::ZERO), "0n");
        assert_eq!(write(Duration::MAX), "5124095H", "584 years are for ever");
    }
}
