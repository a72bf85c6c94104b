//! Every symbol, every short input, and an encoder that only tests need.

use proptest::prelude::*;

use super::*;

/// The Huffman code of a string, padded with ones.
pub(in super::super) fn encode(plain: &[u8]) -> Vec<u8> {
    pad(plain.iter().map(|byte| usize::from(*byte)))
}

fn pad(symbols: impl Iterator<Item = usize>) -> Vec<u8> {
    let codes = codes();
    let mut bits: Vec<bool> = symbols.flat_map(|symbol| codes[symbol].clone()).collect();
    bits.resize(bits.len().next_multiple_of(8), true);
    bits.chunks(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit))).collect()
}

/// The code of each symbol, made in the plain way: count upwards, append a zero bit where codes get longer.
fn codes() -> Vec<Vec<bool>> {
    let mut symbols: Vec<usize> = (0..SYMBOLS).collect();
    symbols.sort_by_key(|symbol| (LENGTHS[*symbol], *symbol));
    let mut codes = vec![Vec::new(); SYMBOLS];
    let mut next: u64 = 0;
    let mut before = 0;
    for symbol in symbols {
        let length = LENGTHS[symbol];
        next <<= length - before;
        codes[symbol] = (0..length).rev().map(|bit| next >> bit & 1 == 1).collect();
        next += 1;
        before = length;
    }
    codes
}

fn read(coded: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = b"before".to_vec();
    decode(coded, &mut out).map(|()| out.strip_prefix(b"before").unwrap().to_vec())
}

/// Reads bit by bit, by comparing with every code.
fn read_slowly(coded: &[u8], codes: &[Vec<bool>]) -> Result<Vec<u8>, Error> {
    let bits: Vec<bool> = coded.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    let mut rest = &bits[..];
    let mut out = Vec::new();
    while let Some(symbol) = codes.iter().position(|code| rest.starts_with(code)) {
        out.push(u8::try_from(symbol).or(Err(Error::Huffman))?);
        rest = &rest[codes[symbol].len()..];
    }
    if rest.len() < 8 && rest.iter().all(|bit| *bit) { Ok(out) } else { Err(Error::Huffman) }
}

#[test]
fn codes_of_the_rfc_are_spot_on() {
    let codes = codes();
    let text = |symbol: usize| codes[symbol].iter().map(|bit| if *bit { '1' } else { '0' }).collect::<String>();
    assert_eq!(text(usize::from(b'0')), "00000");
    assert_eq!(text(usize::from(b' ')), "010100");
    assert_eq!(text(usize::from(b'z')), "1111011");
    assert_eq!(text(usize::from(b'&')), "11111000");
    assert_eq!(text(usize::from(b'!')), "1111111000");
    assert_eq!(text(usize::from(b'@')), "1111111111010");
    assert_eq!(text(0), "1111111111000");
    assert_eq!(text(255), format!("{}01110", "1".repeat(21)));
    assert_eq!(text(10), format!("{}00", "1".repeat(28)));
    assert_eq!(text(256), "1".repeat(30));
}

#[test]
fn symbols_stand_in_the_order_of_the_rfc_s_codes() {
    let by_length: [&[u8]; 20] = [
        b"012aceiost",
        b" %-./3456789=A_bdfghlmnpru",
        b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
        b"&*,;XZ",
        b"!\"()?",
        b"'+|",
        b"#>",
        b"\0$@[]~",
        b"^}",
        b"<`{",
        b"\\\xc3\xd0",
        b"\x80\x82\x83\xa2\xb8\xc2\xe0\xe2",
        b"\x99\xa1\xa7\xac\xb0\xb1\xb3\xd1\xd8\xd9\xe3\xe5\xe6",
        b"\x81\x84\x85\x86\x88\x92\x9a\x9c\xa0\xa3\xa4\xa9\xaa\xad\xb2\xb5\xb9\xba\xbb\xbd\xbe\xc4\xc6\xe4\xe8\xe9",
        b"\x01\x87\x89\x8a\x8b\x8c\x8d\x8f\x93\x95\x96\x97\x98\x9b\x9d\x9e\xa5\xa6\xa8\xae\xaf\xb4\xb6\xb7\xbc\xbf\xc5\
          \xe7\xef",
        b"\t\x8e\x90\x91\x94\x9f\xab\xce\xd7\xe1\xec\xed",
        b"\xc7\xcf\xea\xeb",
        b"\xc0\xc1\xc8\xc9\xca\xcd\xd2\xd5\xda\xdb\xee\xf0\xf2\xf3\xff",
        b"\xcb\xcc\xd3\xd4\xd6\xdd\xde\xdf\xf1\xf4\xf5\xf6\xf7\xf8\xfa\xfb\xfc\xfd\xfe",
        b"\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f\
          \xdc\xf9",
    ];
    let lengths = [5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28];
    for (symbols, length) in by_length.iter().zip(lengths) {
        let found: Vec<u8> = (0..=255).filter(|symbol| LENGTHS[usize::from(*symbol)] == length).collect();
        assert_eq!(found.escape_ascii().to_string(), symbols.escape_ascii().to_string(), "{length} bits");
    }
    // Of 30 bits are LF, CR, 0x16 and the end.
    let ordered: Vec<u8> = by_length.concat().into_iter().chain(*b"\n\r\x16").collect();
    assert_eq!(ORDERED[..256], ordered.iter().map(|symbol| u16::from(*symbol)).collect::<Vec<_>>()[..]);
}

#[test]
fn every_symbol_is_read_alone_and_between_others() {
    for byte in 0..=255 {
        for plain in [vec![byte], vec![byte; 9], vec![b'a', byte, b'0', byte, 0xff]] {
            assert_eq!(read(&encode(&plain)), Ok(plain), "{byte:#x}");
        }
    }
    assert_eq!(read(b""), Ok(Vec::new()));
}

#[test]
fn padding_is_at_most_seven_ones() {
    assert_eq!(read(&[0b0001_1111]), Ok(b"a".to_vec()));
    assert_eq!(read(&[0b0001_1110]), Err(Error::Huffman));
    assert_eq!(read(&[0b0001_1011]), Err(Error::Huffman));
    assert_eq!(read(&[0b1111_1000]), Ok(b"&".to_vec()));
    assert_eq!(read(&[0b1111_1000, 0xff]), Err(Error::Huffman));
    assert_eq!(read(&[0b0001_1111, 0xff]), Err(Error::Huffman));
    for ones in 1..40 {
        assert_eq!(read(&vec![0xff; ones]), Err(Error::Huffman), "{ones} bytes of ones");
    }
}

#[test]
fn the_end_of_string_symbol_is_refused_anywhere() {
    let end = usize::from(END_OF_STRING);
    for before in 0..20 {
        for after in [0, 1, 20] {
            let symbols = [vec![usize::from(b'a'); before], vec![end], vec![usize::from(b'a'); after]].concat();
            assert_eq!(read(&pad(symbols.into_iter())), Err(Error::Huffman), "{before} before, {after} after");
        }
    }
}

#[test]
fn all_inputs_of_up_to_two_bytes_read_as_the_plain_way_says() {
    let codes = codes();
    for number in 0..=0xffff_u16 {
        let coded = number.to_be_bytes();
        assert_eq!(read(&coded), read_slowly(&coded, &codes), "{coded:x?}");
        assert_eq!(read(&coded[1..]), read_slowly(&coded[1..], &codes), "{:x?}", &coded[1..]);
    }
}

#[test]
fn inputs_of_three_bytes_end() {
    let mut out = Vec::new();
    let mut good = 0;
    // All take seconds and were tried; each 29th meets every value of each byte.
    for number in (0..1_u32 << 24).step_by(29) {
        out.clear();
        let coded = number.to_be_bytes();
        good += u32::from(decode(&coded[1..], &mut out).is_ok());
        assert!(out.len() <= 4, "{coded:x?}");
    }
    assert!(good > 50_000, "{good} inputs are strings");
}

proptest! {
    #[test]
    fn what_was_written_is_read(plain in any::<Vec<u8>>()) {
        prop_assert_eq!(read(&encode(&plain)), Ok(plain));
    }

    #[test]
    fn text_is_read(plain in "[ -~]{0,80}") {
        prop_assert_eq!(read(&encode(plain.as_bytes())), Ok(plain.into_bytes()));
    }

    #[test]
    fn any_input_reads_as_the_plain_way_says(coded in proptest::collection::vec(any::<u8>(), 0..24)) {
        prop_assert_eq!(read(&coded), read_slowly(&coded, &codes()));
    }
}
