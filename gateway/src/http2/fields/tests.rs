//! Lists and the rules that hold for every field.

use super::*;

fn sample() -> Fields {
    let mut fields = Fields::new();
    fields.push(b":path", b"/a");
    fields.push(b"x", b"");
    fields.push_field(Field { name: b"token", value: b"secret", never_indexed: true });
    fields.push(b"x", b"\xff again");
    fields
}

#[track_caller]
fn check(name: &[u8], value: &[u8], expected: Option<Malformed>) {
    let field = Field { name, value, never_indexed: false };
    assert_eq!(field.malformed(), expected, "{:?}: {:?}", name.escape_ascii(), value.escape_ascii());
}

#[test]
fn a_list_gives_back_what_it_was_given() {
    let fields = sample();
    let expected: [(&[u8], &[u8], bool); 4] =
        [(b":path", b"/a", false), (b"x", b"", false), (b"token", b"secret", true), (b"x", b"\xff again", false)];
    let list: Vec<_> = fields.iter().map(|field| (field.name, field.value, field.never_indexed)).collect();
    assert_eq!(list, expected);
    let got: Vec<_> = (0..4).filter_map(|at| fields.get(at)).collect();
    assert_eq!(got, fields.iter().collect::<Vec<_>>());
    assert_eq!(fields.get(4), None);
    assert_eq!((fields.len(), fields.is_empty()), (4, false));
    assert_eq!(fields.size(), 7 + 1 + 11 + 8 + 4 * 32);
}

#[test]
fn the_first_field_of_a_name_is_found() {
    let fields = sample();
    assert_eq!(fields.find(b"x").map(|field| field.value), Some(&b""[..]));
    assert_eq!(fields.find(b"token").map(|field| field.never_indexed), Some(true));
    assert_eq!(fields.find(b"X"), None);
    assert_eq!(fields.find(b""), None);
}

#[test]
fn a_cleared_list_is_empty_and_keeps_its_memory() {
    let mut fields = sample();
    let capacity = fields.capacity();
    fields.clear();
    assert_eq!((fields.len(), fields.size(), fields.iter().count()), (0, 0, 0));
    assert_eq!(fields, Fields::new());
    assert_eq!(fields.capacity(), capacity);
    assert!(capacity >= 27);
    assert_eq!(Fields::new().capacity(), 0);
}

#[test]
fn a_draft_is_no_field_until_it_is_committed() {
    let mut fields = sample();
    let before = fields.clone();
    fields.draft().extend_from_slice(b"ab");
    assert_eq!(fields.drafted(), b"ab");
    assert_eq!(fields.size(), before.size());
    fields.discard();
    assert_eq!(fields, before);
    fields.draft().extend_from_slice(b"namevalue");
    fields.commit(4, true);
    assert_eq!(fields.get(4), Some(Field { name: b"name", value: b"value", never_indexed: true }));
    assert_eq!(fields.drafted(), b"");
}

#[test]
fn names_hold_lower_case_and_a_colon_only_at_their_start() {
    for byte in 0..=255_u8 {
        let good = !matches!(byte, 0x00..=0x20 | 0x41..=0x5a | 0x7f..=0xff);
        let fault = if byte.is_ascii_uppercase() { Malformed::UpperCase } else { Malformed::NameByte };
        check(&[byte, b'a'], b"v", (!good).then_some(fault));
        check(&[b'a', byte], b"v", (!good || byte == b':').then_some(fault));
    }
    check(b"", b"v", Some(Malformed::EmptyName));
    check(b":path", b"/", None);
    check(b"grpc-timeout", b"100m", None);
    check(b"::path", b"/", Some(Malformed::NameByte));
    check(b"a b", b"", Some(Malformed::NameByte));
    check(b"Te", b"trailers", Some(Malformed::UpperCase));
}

#[test]
fn values_hold_all_but_line_ends_and_nul_and_have_no_blank_edge() {
    for byte in 0..=255_u8 {
        let forbidden = matches!(byte, 0 | b'\r' | b'\n').then_some(Malformed::ValueByte);
        check(b"a", &[b'x', byte, b'x'], forbidden);
        let edge = matches!(byte, b' ' | b'\t').then_some(Malformed::ValueEdge);
        check(b"a", &[byte, b'x'], forbidden.or(edge));
        check(b"a", &[b'x', byte], forbidden.or(edge));
        check(b"a", &[byte], forbidden.or(edge));
    }
    check(b"a", b"", None);
    check(b"a", &[b'x'; 100], None);
    check(b"a", &[&[b'x'; 100][..], b"\n"].concat(), Some(Malformed::ValueByte));
}

#[test]
fn a_name_is_at_fault_before_its_value() {
    check(b"A", b"\n", Some(Malformed::UpperCase));
    for malformed in [Malformed::EmptyName, Malformed::UpperCase, Malformed::NameByte] {
        assert!(malformed.is_of_name());
    }
    assert!(!Malformed::ValueByte.is_of_name() && !Malformed::ValueEdge.is_of_name());
    assert_eq!(Malformed::ValueByte.reason(), "a field value has NUL, CR or LF");
}
