//! Field blocks as octets: plain literals, so that everything which a peer may write can be written, and nothing is
//! right by accident.

use super::script::{Change, Line, Template};

/// A field as text with escapes.
type Field = (String, String);

/// A block of these lines, of a call about this symbol.
pub(super) fn encode(lines: &[Line], symbol: &str) -> Result<Vec<u8>, String> {
    let mut block = Vec::new();
    for line in lines {
        match line {
            Line::Template(template, changes) => {
                for (name, value) in with(fields(*template), changes) {
                    literal(&mut block, 0, &text(&name, symbol)?, &text(&value, symbol)?);
                }
            }
            Line::Field(how, name, value) => literal(&mut block, *how, &text(name, symbol)?, &text(value, symbol)?),
            Line::Index(index) => integer(&mut block, 0x80, 7, *index),
            Line::Size(size) => integer(&mut block, 0x20, 5, *size),
            Line::Hex(octets) => block.extend_from_slice(octets),
        }
    }
    Ok(block)
}

/// Text with escapes as octets: `\r`, `\n`, `\t`, `\\`, `\x00`, `{a*100}` for a hundred times `a`, `{symbol}`.
pub(super) fn text(text: &str, symbol: &str) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '{']) {
        octets.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        let taken = if rest.starts_with('\\') { escape(rest, &mut octets) } else { braces(rest, symbol, &mut octets) };
        rest = &rest[taken.ok_or_else(|| format!("{rest:?} begins with no escape"))?..];
    }
    octets.extend_from_slice(rest.as_bytes());
    Ok(octets)
}

/// How long the escape is.
fn escape(text: &str, octets: &mut Vec<u8>) -> Option<usize> {
    let (octet, taken) = match text.as_bytes().get(1)? {
        b'r' => (b'\r', 2),
        b'n' => (b'\n', 2),
        b't' => (b'\t', 2),
        b'\\' => (b'\\', 2),
        b'x' => (u8::from_str_radix(text.get(2..4)?, 16).ok()?, 4),
        _ => return None,
    };
    octets.push(octet);
    Some(taken)
}

fn braces(text: &str, symbol: &str, octets: &mut Vec<u8>) -> Option<usize> {
    let end = text.find('}')?;
    let inner = text.get(1..end)?;
    if inner == "symbol" {
        octets.extend_from_slice(symbol.as_bytes());
    } else {
        let (what, times) = inner.split_once('*')?;
        octets.extend(what.as_bytes().repeat(times.parse().ok()?));
    }
    Some(end + 1)
}

fn fields(template: Template) -> Vec<Field> {
    let fields: &[(&str, &str)] = match template {
        Template::Call => &[
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/pb.KlineService/GetKline"),
            (":authority", "gateway"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("symbol", "{symbol}"),
        ],
        Template::Reply => &[(":status", "200"), ("content-type", "application/grpc")],
        Template::Trailers => &[("grpc-status", "0")],
    };
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn with(mut fields: Vec<Field>, changes: &[Change]) -> Vec<Field> {
    for change in changes {
        match change {
            Change::Without(name) => fields.retain(|field| field.0 != *name),
            Change::Set(name, value) => match fields.iter_mut().find(|field| field.0 == *name) {
                Some(field) => field.1.clone_from(value),
                None => fields.push((name.clone(), value.clone())),
            },
        }
    }
    fields
}

/// RFC 7541 section 6.2, with a literal name and without Huffman coding.
fn literal(block: &mut Vec<u8>, how: u8, name: &[u8], value: &[u8]) {
    block.push(how);
    for string in [name, value] {
        integer(block, 0, 7, string.len() as u64);
        block.extend_from_slice(string);
    }
}

/// RFC 7541 section 5.1.
fn integer(block: &mut Vec<u8>, pattern: u8, prefix: u32, value: u64) {
    let most = (1_u64 << prefix) - 1;
    if value < most {
        block.push(pattern | u8::try_from(value).unwrap_or_default());
        return;
    }
    block.push(pattern | u8::try_from(most).unwrap_or_default());
    let mut rest = value - most;
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap_or_default() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap_or_default());
}
