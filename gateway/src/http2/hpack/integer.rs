//! Integers behind a prefix of some bits (RFC 7541 section 5.1).

use super::decoder::Error;

/// No integer is longer: more continuation bytes than a `u32` needs are an attack or a fault.
const LONGEST: u32 = 5;

/// Appends `value` behind a prefix of `bits` bits; the bits above them come from `flags`.
#[inline]
pub(super) fn encode(value: usize, bits: u32, flags: u8, out: &mut Vec<u8>) {
    let full = (1 << bits) - 1;
    out.push(flags | value.min(full) as u8);
    if value >= full {
        encode_rest(value - full, out);
    }
}

fn encode_rest(mut rest: usize, out: &mut Vec<u8>) {
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Reads an integer whose prefix is the low `bits` bits of `first`; the bytes after it are taken off `rest`.
#[inline]
pub(super) fn decode(first: u8, bits: u32, rest: &mut &[u8]) -> Result<usize, Error> {
    let full = (1_usize << bits) - 1;
    let prefix = usize::from(first) & full;
    if prefix < full { Ok(prefix) } else { decode_rest(full, rest) }
}

fn decode_rest(prefix: usize, rest: &mut &[u8]) -> Result<usize, Error> {
    let mut value = prefix as u64;
    for place in 0..LONGEST {
        let (byte, after) = rest.split_first().ok_or(Error::Truncated)?;
        *rest = after;
        value += u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return u32::try_from(value).map(|value| value as usize).or(Err(Error::IntegerOverflow));
        }
    }
    Err(Error::IntegerOverflow)
}

#[cfg(test)]
mod tests;
