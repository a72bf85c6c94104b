//! The Huffman code of string literals (RFC 7541 section 5.2 and appendix B), reading only: this gateway writes strings
//! plain, because it would pay for shorter ones with time on every call.

use super::decoder::Error;

/// Bits of a symbol's code, by symbol; the last symbol ends the string. The code is canonical: codes count upwards by
/// length, then by symbol, so that the lengths are all there is to know.
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, // 0x00
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, // 0x10
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, // 0x20
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, // 0x30
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, // 0x40
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, // 0x50
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, // 0x60
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, // 0x70
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, // 0x80
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, // 0x90
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, // 0xa0
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, // 0xb0
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, // 0xc0
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, // 0xd0
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, // 0xe0
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, // 0xf0
    30,
];
const SYMBOLS: usize = 257;
const END_OF_STRING: u16 = 256;
const SHORTEST: usize = 5;
const LONGEST: usize = 30;
/// Codes of at most this length are found in one step: all of letters, digits and what paths are made of.
const SHORT: u32 = 8;

/// A symbol and the length of its code; length 0 in [`SHORT_CODES`]: the code is longer than [`SHORT`].
#[derive(Clone, Copy)]
struct Code {
    symbol: u16,
    length: u8,
}

/// All codes of one length.
#[derive(Clone, Copy)]
struct Group {
    length: u8,
    /// The first code, at the top of 32 bits.
    first: u32,
    /// The last code followed by ones, at the top of 32 bits.
    last: u32,
    /// Where its symbol is in [`ORDERED`].
    place: u16,
}

const ORDERED: [u16; SYMBOLS] = ordered();
const GROUPS: [Group; LONGEST + 1] = groups();
static SHORT_CODES: [Code; 1 << SHORT] = short_codes();

/// Appends the string that `coded` stands for.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    out.reserve(coded.len() * 8 / SHORTEST);
    let mut bits = Bits { top: 0, count: 0, rest: coded };
    loop {
        bits.fill();
        if bits.count < FULL {
            break;
        }
        // Four short codes fit into full bits, so there is nothing to ask between them; so do three and a long one.
        let mut four = 0_u32;
        let mut read = 0;
        while read < 4
            && let Some(code) = bits.short_code()
        {
            four = four << 8 | u32::from(code.symbol);
            bits.skip(code);
            read += 1;
        }
        if read == 4 {
            out.extend_from_slice(&four.to_be_bytes());
        } else {
            out.extend(four.to_be_bytes().iter().skip(4 - read));
            let code = bits.long_code();
            out.push(code.byte()?);
            bits.skip(code);
        }
    }
    // Less is left than some codes need. Whatever stands behind it, only a code that is whole is short enough.
    loop {
        let code = bits.short_code().unwrap_or_else(|| bits.long_code());
        if u32::from(code.length) > bits.count {
            break;
        }
        out.push(code.byte()?);
        bits.skip(code);
    }
    if bits.count < 8 && bits.top.leading_ones() >= bits.count { Ok(()) } else { Err(Error::Huffman) }
}

/// What is not read yet: `count` bits at the top of `top`, then `rest`.
struct Bits<'a> {
    /// Below the bits that count is the beginning of `rest`, or zeros.
    top: u64,
    count: u32,
    rest: &'a [u8],
}

/// At least so many bits count after a fill, unless nothing is left.
const FULL: u32 = 56;

impl Bits<'_> {
    /// Takes as many whole bytes off the rest as fit.
    fn fill(&mut self) {
        if let Some(chunk) = self.rest.first_chunk() {
            let bytes = (u64::BITS - 1 - self.count) / 8;
            self.top |= u64::from_be_bytes(*chunk) >> self.count;
            self.count += bytes * 8;
            self.rest = self.rest.get(bytes as usize..).unwrap_or_default();
            return;
        }
        while self.count < FULL
            && let Some((byte, after)) = self.rest.split_first()
        {
            self.top |= (u64::from(*byte) << FULL) >> self.count;
            self.count += 8;
            self.rest = after;
        }
    }

    fn skip(&mut self, code: Code) {
        self.top <<= code.length;
        self.count -= u32::from(code.length);
    }

    fn short_code(&self) -> Option<Code> {
        SHORT_CODES.get((self.top >> (u64::BITS - SHORT)) as usize).copied().filter(|code| code.length > 0)
    }

    fn long_code(&self) -> Code {
        let top = (self.top >> 32) as u32;
        let group = GROUPS.iter().find(|group| u32::from(group.length) > SHORT && top <= group.last);
        let symbol = group.and_then(|group| {
            let nth = (top - group.first) >> (u32::BITS - u32::from(group.length));
            ORDERED.get(usize::from(group.place) + nth as usize)
        });
        // The last group reaches to all ones, so there is always one.
        match (group, symbol) {
            (Some(group), Some(symbol)) => Code { symbol: *symbol, length: group.length },
            _ => Code { symbol: END_OF_STRING, length: LONGEST as u8 },
        }
    }
}

impl Code {
    fn byte(self) -> Result<u8, Error> {
        // A string may not hold the symbol that ends it.
        u8::try_from(self.symbol).or(Err(Error::Huffman))
    }
}

/// The symbols in the order of their codes.
#[expect(clippy::indexing_slicing, reason = "the compiler runs this and refuses what is out of bounds")]
const fn ordered() -> [u16; SYMBOLS] {
    let mut symbols = [0; SYMBOLS];
    let mut place = 0;
    let mut length = SHORTEST;
    while length <= LONGEST {
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as usize == length {
                symbols[place] = symbol as u16;
                place += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    symbols
}

/// The codes by length. A length that no code has gets a group of length 0, which is never asked.
#[expect(clippy::indexing_slicing, reason = "the compiler runs this and refuses what is out of bounds")]
const fn groups() -> [Group; LONGEST + 1] {
    let mut groups = [Group { length: 0, first: 0, last: 0, place: 0 }; LONGEST + 1];
    let mut place = 0;
    let mut next: u64 = 0;
    while place < SYMBOLS {
        let length = LENGTHS[ORDERED[place] as usize];
        let first = next;
        let begin = place;
        while place < SYMBOLS && LENGTHS[ORDERED[place] as usize] == length {
            next += 1 << (u32::BITS - length as u32);
            place += 1;
        }
        groups[length as usize] = Group { length, first: first as u32, last: (next - 1) as u32, place: begin as u16 };
    }
    assert!(next == 1 << u32::BITS, "the code is complete");
    groups
}

#[expect(clippy::indexing_slicing, reason = "the compiler runs this and refuses what is out of bounds")]
const fn short_codes() -> [Code; 1 << SHORT] {
    let mut codes = [Code { symbol: 0, length: 0 }; 1 << SHORT];
    let mut place = 0;
    let mut next = 0;
    while LENGTHS[ORDERED[place] as usize] as u32 <= SHORT {
        let symbol = ORDERED[place];
        let length = LENGTHS[symbol as usize];
        let end = next + (1 << (SHORT - length as u32));
        while next < end {
            codes[next] = Code { symbol, length };
            next += 1;
        }
        place += 1;
    }
    codes
}

#[cfg(test)]
pub(super) mod tests;
