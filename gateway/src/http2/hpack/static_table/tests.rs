//! All entries are found by what they are.

use super::*;

#[test]
fn every_entry_is_found_by_name_and_value() {
    let mut first = 1;
    for number in 1..=LEN {
        let found = entry(number).unwrap();
        if entry(first).unwrap().name() != found.name() {
            first = number;
        }
        assert_eq!(super::number(found.name(), found.value()), Some(number), "{}", found.joined.escape_ascii());
        assert_eq!(name_number(found.name()), Some(first), "{}", found.name().escape_ascii());
    }
}

#[test]
fn numbers_outside_the_table_have_no_entry() {
    assert!(entry(0).is_none());
    assert!(entry(LEN + 1).is_none());
}

#[test]
fn entries_stand_where_the_rfc_has_them() {
    for (number, name, value) in [
        (1, ":authority", ""),
        (2, ":method", "GET"),
        (8, ":status", "200"),
        (16, "accept-encoding", "gzip, deflate"),
        (31, "content-type", ""),
        (32, "cookie", ""),
        (58, "user-agent", ""),
        (61, "www-authenticate", ""),
    ] {
        let entry = entry(number).unwrap();
        assert_eq!((entry.name(), entry.value()), (name.as_bytes(), value.as_bytes()), "{number}");
    }
}

#[test]
fn other_fields_are_not_found() {
    for name in ["", "a", ":methox", "grpc-timeout", "Te", "te", "cookif", "content-typ", ":authoritx", "\0"] {
        assert_eq!(name_number(name.as_bytes()), None, "{name}");
        for value in ["", "GET"] {
            assert_eq!(number(name.as_bytes(), value.as_bytes()), None, "{name}: {value}");
        }
    }
    assert_eq!(number(b":method", b"PUT"), None);
    assert_eq!(number(b":method", b""), None);
    assert_eq!(number(b"cookie", b"a=b"), None);
}

#[test]
fn no_name_is_found_for_a_neighbour_of_a_known_one() {
    for number in 1..=LEN {
        let name = entry(number).unwrap().name();
        for at in 0..name.len() {
            let mut other = name.to_vec();
            other[at] = other[at].wrapping_add(1);
            let known = (1..=LEN).find(|number| entry(*number).unwrap().name() == other);
            assert_eq!(name_number(&other), known, "{}", other.escape_ascii());
        }
    }
}
