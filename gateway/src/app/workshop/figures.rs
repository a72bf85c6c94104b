//! Sizes and times as people read them.

/// Bytes.
pub(super) fn size(bytes: usize) -> String {
    let (kib, mib) = (1 << 10, 1 << 20);
    match bytes {
        _ if bytes < kib => format!("{bytes} bytes"),
        _ if bytes < mib => in_units(bytes, kib, "KiB"),
        _ => in_units(bytes, mib, "MiB"),
    }
}

/// Microseconds.
pub(super) fn time(us: u128) -> String {
    let us = usize::try_from(us).unwrap_or(usize::MAX);
    if us < 1_000 { format!("{us} us") } else { in_units(us, 1_000, "ms") }
}

/// With one digit behind the point, unless that is 0.
fn in_units(count: usize, unit: usize, name: &str) -> String {
    let tenths = count.saturating_mul(10).saturating_add(unit / 2) / unit;
    match tenths % 10 {
        0 => format!("{} {name}", tenths / 10),
        tenth => format!("{}.{tenth} {name}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(
            [0, 1_023, 1_024, 1_536, 16 << 20].map(size),
            ["0 bytes", "1023 bytes", "1 KiB", "1.5 KiB", "16 MiB"]
        );
        assert_eq!([7, 5_000, 5_049, 5_051].map(time), ["7 us", "5 ms", "5 ms", "5.1 ms"]);
    }
}
