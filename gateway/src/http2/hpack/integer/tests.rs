//! The examples of RFC 7541 section C.1, the bounds, and reading back what was written.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(value: usize, bits: u32, flags: u8, coded: &[u8]) {
    let mut out = Vec::new();
    encode(value, bits, flags, &mut out);
    assert_eq!(out, coded, "{value} behind {bits} bits");
    assert_eq!(read(coded, bits), Ok((value, 0)), "{coded:x?}");
}

/// The value and how many bytes are left.
fn read(coded: &[u8], bits: u32) -> Result<(usize, usize), Error> {
    let mut rest = &coded[1..];
    decode(coded[0], bits, &mut rest).map(|value| (value, rest.len()))
}

#[test]
fn the_examples_of_the_rfc_hold() {
    check(10, 5, 0xe0, &[0xea]);
    check(1337, 5, 0, &[0x1f, 0x9a, 0x0a]);
    check(42, 8, 0, &[0x2a]);
}

#[test]
fn a_value_that_fills_the_prefix_goes_on_behind_it() {
    check(30, 5, 0, &[0x1e]);
    check(31, 5, 0, &[0x1f, 0x00]);
    check(127, 7, 0x80, &[0xff, 0x00]);
    check(254, 7, 0x80, &[0xff, 0x7f]);
    check(255, 7, 0x80, &[0xff, 0x80, 0x01]);
    check(u32::MAX as usize, 4, 0, &[0x0f, 0xf0, 0xff, 0xff, 0xff, 0x0f]);
}

#[test]
fn what_follows_is_left() {
    assert_eq!(read(&[0x1f, 0x9a, 0x0a, 0x80], 5), Ok((1337, 1)));
    assert_eq!(read(&[0x05, 0xff], 5), Ok((5, 1)));
}

#[test]
fn an_integer_cut_off_is_truncated() {
    for coded in [&[0x1f][..], &[0x1f, 0x80], &[0x1f, 0xff, 0xff, 0xff, 0xff]] {
        assert_eq!(read(coded, 5), Err(Error::Truncated), "{coded:x?}");
    }
}

#[test]
fn an_integer_of_more_than_32_bits_or_six_bytes_is_refused() {
    assert_eq!(read(&[0x0f, 0xf1, 0xff, 0xff, 0xff, 0x0f], 4), Err(Error::IntegerOverflow));
    assert_eq!(read(&[0x1f, 0xff, 0xff, 0xff, 0xff, 0x7f], 5), Err(Error::IntegerOverflow));
    assert_eq!(read(&[0x1f, 0x80, 0x80, 0x80, 0x80, 0x00], 5), Ok((31, 0)));
    assert_eq!(read(&[0x1f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], 5), Err(Error::IntegerOverflow));
    assert_eq!(read(&[[0x1f].as_slice(), &[0xff; 100]].concat(), 5), Err(Error::IntegerOverflow));
}

proptest! {
    #[test]
    fn what_was_written_is_read(value in any::<u32>(), shift in 0..32_u32, bits in 4..=7_u32) {
        let value = (value >> shift) as usize;
        let flags = 0xff_u8 << bits;
        let mut out = Vec::new();
        encode(value, bits, flags, &mut out);
        prop_assert_eq!(out[0] & flags, flags);
        prop_assert_eq!(read(&out, bits), Ok((value, 0)));
    }
}
