//! The examples of RFC 7541 appendix C, every error, the limits.

use proptest::prelude::*;

use super::*;

use crate::http2::{fields::Field, hpack::huffman::tests as huffman_tests};

/// A table size that no test reaches.
const AMPLE: usize = 4096;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// `name: value` on each line.
fn lines<'a>(entries: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<String> {
    entries.map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii())).collect()
}

fn list(fields: &Fields) -> Vec<String> {
    lines(fields.iter().map(|field| (field.name, field.value)))
}

fn table(decoder: &Decoder) -> Vec<String> {
    lines((0..).map_while(|index| decoder.table.get(index).map(|(entry, _)| (entry.name(), entry.value()))))
}

/// Decodes a block and compares the list, then the table and its size.
#[track_caller]
fn check(decoder: &mut Decoder, hex: &str, expected: &[&str], entries: &[&str], size: usize) {
    let mut fields = Fields::new();
    let outcome = decoder.decode(&bytes(hex), &mut fields, AMPLE);
    assert_eq!(outcome, Ok(Outcome::default()), "{hex}");
    assert_eq!(list(&fields), expected, "{hex}");
    assert_eq!(table(decoder), entries, "{hex}");
    assert_eq!(decoder.table.size(), size, "{hex}");
}

#[track_caller]
fn check_error(hex: &str, expected: Error) {
    let mut fields = Fields::new();
    fields.push(b"a", b"b");
    let result = Decoder::new(AMPLE).decode(&bytes(hex), &mut fields, AMPLE);
    assert_eq!(result, Err(expected), "{hex}");
    assert_eq!(fields.get(0), Some(Field { name: b"a", value: b"b", never_indexed: false }));
    assert_eq!(fields.drafted(), b"", "{hex}: nothing half read is left");
}

fn decode(decoder: &mut Decoder, block: &[u8], max_list_size: usize) -> (Fields, Outcome) {
    let mut fields = Fields::new();
    let outcome = decoder.decode(block, &mut fields, max_list_size).unwrap();
    (fields, outcome)
}

/// A literal with a new name.
fn literal(kind: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut block = vec![kind];
    for string in [name, value] {
        integer::encode(string.len(), 7, 0, &mut block);
        block.extend_from_slice(string);
    }
    block
}

#[test]
fn fields_alone_as_in_c_2() {
    let hex = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
    let expected = ["custom-key: custom-header"];
    check(&mut Decoder::new(AMPLE), hex, &expected, &expected, 55);
    let hex = "040c 2f73 616d 706c 652f 7061 7468";
    check(&mut Decoder::new(AMPLE), hex, &[":path: /sample/path"], &[], 0);
    let hex = "1008 7061 7373 776f 7264 0673 6563 7265 74";
    check(&mut Decoder::new(AMPLE), hex, &["password: secret"], &[], 0);
    let (fields, _) = decode(&mut Decoder::new(AMPLE), &bytes(hex), AMPLE);
    assert_eq!(fields.get(0).map(|field| field.never_indexed), Some(true));
    check(&mut Decoder::new(AMPLE), "82", &[":method: GET"], &[], 0);
}

fn check_requests(blocks: [&str; 3]) {
    let decoder = &mut Decoder::new(AMPLE);
    let authority = ":authority: www.example.com";
    let head = [":method: GET", ":scheme: http", ":path: /", authority];
    check(decoder, blocks[0], &head, &[authority], 57);
    let cached = "cache-control: no-cache";
    check(decoder, blocks[1], &[&head[..], &[cached]].concat(), &[cached, authority], 110);
    let custom = "custom-key: custom-value";
    let head = [":method: GET", ":scheme: https", ":path: /index.html", authority, custom];
    check(decoder, blocks[2], &head, &[custom, cached, authority], 164);
}

#[test]
fn requests_as_in_c_3() {
    check_requests([
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ]);
}

#[test]
fn requests_in_huffman_code_as_in_c_4() {
    check_requests([
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ]);
}

fn check_responses(blocks: [&str; 3]) {
    let decoder = &mut Decoder::new(256);
    let private = "cache-control: private";
    let date = "date: Mon, 21 Oct 2013 20:13:21 GMT";
    let location = "location: https://www.example.com";
    let found = ":status: 302";
    check(decoder, blocks[0], &[found, private, date, location], &[location, date, private, found], 222);
    let kept = ":status: 307";
    check(decoder, blocks[1], &[kept, private, date, location], &[kept, location, date, private], 222);
    let later = "date: Mon, 21 Oct 2013 20:13:22 GMT";
    let gzip = "content-encoding: gzip";
    let cookie = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
    let list = [":status: 200", private, later, location, gzip, cookie];
    check(decoder, blocks[2], &list, &[cookie, gzip, later], 215);
}

#[test]
fn responses_that_evict_as_in_c_5() {
    check_responses([
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d \
         546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f \
         6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b \
         2076 6572 7369 6f6e 3d31",
    ]);
}

#[test]
fn responses_that_evict_in_huffman_code_as_in_c_6() {
    check_responses([
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 \
         8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 \
         dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ]);
}

#[test]
fn a_reference_to_no_entry_is_an_error() {
    check_error("80", Error::Index);
    check_error("be", Error::Index);
    check_error("7e00", Error::Index);
    check_error("0f2f00", Error::Index);
    check_error("1f2f00", Error::Index);
    check_error("ffffffffff07", Error::Index);
    check_error("4001610162 bf", Error::Index);
}

#[test]
fn a_block_cut_off_is_an_error() {
    let whole = bytes("4001610162 0f10 0163 3f e101");
    for end in [1, 2, 3, 4, 6, 7, 8] {
        let hex: String = whole[..end].iter().map(|byte| format!("{byte:02x}")).collect();
        check_error(&hex, Error::Truncated);
    }
    check_error("ff", Error::Truncated);
    check_error("3f", Error::Truncated);
    check_error("00 7f ff01", Error::Truncated);
    check_error("00 7f ffffffff0f 61", Error::IntegerOverflow);
    check_error("00 0161 7f 80feffff0f", Error::Truncated);
}

#[test]
fn a_large_integer_is_an_error() {
    check_error("ffffffffff7f", Error::IntegerOverflow);
    check_error("00 7f ffffffffff", Error::IntegerOverflow);
    check_error("3f ffffffffff", Error::IntegerOverflow);
}

#[test]
fn a_string_that_is_no_huffman_code_is_an_error() {
    check_error("00 81ff 00", Error::Huffman);
    check_error("00 84ffffffff 00", Error::Huffman);
    check_error("00 0161 8118", Error::Huffman);
}

#[test]
fn the_table_size_changes_at_the_start_only_and_within_our_setting() {
    check_error("82 20", Error::LateTableSize);
    check_error("20 82 3fe11f", Error::LateTableSize);
    check_error("3fe21f", Error::LargeTable);
    let decoder = &mut Decoder::new(AMPLE);
    check(decoder, "4001610162", &["a: b"], &["a: b"], 34);
    check(decoder, "3fe11f be", &["a: b"], &["a: b"], 34);
    check(decoder, "3f03 be", &["a: b"], &["a: b"], 34);
    check(decoder, "4001610162 be", &["a: b", "a: b"], &["a: b"], 34);
    check(decoder, "3f01", &[], &[], 0);
    check(decoder, "4001610162", &["a: b"], &[], 0);
    check(decoder, "20 3fe11f 4001610162", &["a: b"], &["a: b"], 34);
    assert_eq!(Decoder::new(0).decode(&bytes("21"), &mut Fields::new(), AMPLE), Err(Error::LargeTable));
}

#[test]
fn an_empty_block_is_an_empty_list() {
    check(&mut Decoder::new(AMPLE), "", &[], &[], 0);
}

#[test]
fn fields_are_appended() {
    let mut fields = Fields::new();
    fields.push(b"a", b"b");
    Decoder::new(AMPLE).decode(&bytes("82"), &mut fields, AMPLE).unwrap();
    assert_eq!(list(&fields), ["a: b", ":method: GET"]);
}

#[test]
fn a_list_ends_at_its_limit_and_the_table_stays_in_step() {
    let decoder = &mut Decoder::new(AMPLE);
    let block = [bytes("82"), literal(0x40, b"name", b"value"), literal(0x40, b"x", b"y"), bytes("82")].concat();
    let (fields, outcome) = decode(decoder, &block, 42 + 41);
    assert_eq!(list(&fields), [":method: GET", "name: value"], "a list may fill its limit");
    assert!(outcome.over_limit);
    assert_eq!(table(decoder), ["x: y", "name: value"]);
    let (fields, outcome) = decode(decoder, &block, 42 + 40);
    assert_eq!(list(&fields), [":method: GET"], "what comes after the first that is too large is left out, too");
    assert!(outcome.over_limit);
    let (fields, outcome) = decode(decoder, &bytes("be bf"), 34 + 41);
    assert_eq!(list(&fields), ["x: y", "name: value"]);
    assert_eq!(outcome, Outcome::default());
    let (fields, outcome) = decode(decoder, &bytes("82"), 0);
    assert_eq!((fields.len(), outcome.over_limit), (0, true));
}

#[test]
fn the_limit_counts_what_the_list_held_before() {
    let mut fields = Fields::new();
    fields.push(b"a", b"b");
    let outcome = Decoder::new(AMPLE).decode(&bytes("82"), &mut fields, 34 + 41).unwrap();
    assert_eq!((fields.len(), outcome.over_limit), (1, true));
}

#[test]
fn a_field_left_out_is_judged_and_a_bad_string_in_it_is_found() {
    let decoder = &mut Decoder::new(AMPLE);
    let (_, outcome) = decode(decoder, &literal(0, b"Name", b"value"), 0);
    assert_eq!(outcome, Outcome { over_limit: true, malformed: Some(Malformed::UpperCase) });
    assert_eq!(decoder.decode(&bytes("82 00 0161 81ff"), &mut Fields::new(), 0), Err(Error::Huffman));
}

#[test]
fn the_first_malformed_field_is_told_wherever_it_comes_from() {
    let judge = |decoder: &mut Decoder, hex: &str| decode(decoder, &bytes(hex), AMPLE).1.malformed;
    let decoder = &mut Decoder::new(AMPLE);
    assert_eq!(judge(decoder, "82 0001610120 00 01410162"), Some(Malformed::ValueEdge));
    assert_eq!(judge(decoder, "0000 0161"), Some(Malformed::EmptyName));
    // 63 is `A: b`, 62 `a: <LF>`.
    assert_eq!(judge(decoder, "40 0141 0162"), Some(Malformed::UpperCase));
    assert_eq!(judge(decoder, "40 0161 010a"), Some(Malformed::ValueByte));
    assert_eq!(judge(decoder, "be"), Some(Malformed::ValueByte));
    assert_eq!(judge(decoder, "bf"), Some(Malformed::UpperCase));
    // A good value behind each of the names.
    assert_eq!(judge(decoder, "0f2f 0162"), None);
    assert_eq!(judge(decoder, "0f30 0162"), Some(Malformed::UpperCase));
    assert_eq!(judge(decoder, "7f00 0162"), Some(Malformed::UpperCase));
    assert_eq!(judge(decoder, "be"), Some(Malformed::UpperCase), "the new entry has the old one's name");
    assert_eq!(judge(decoder, "82 04 022f0a"), Some(Malformed::ValueByte));
}

#[test]
fn one_large_entry_referred_to_often_stays_within_the_limit() {
    let mut decoder = Decoder::new(AMPLE);
    let large = literal(0x40, b"a", &[b'x'; AMPLE - 33]);
    let (fields, outcome) = decode(&mut decoder, &large, AMPLE);
    assert_eq!((fields.size(), outcome), (AMPLE, Outcome::default()));
    let (fields, outcome) = decode(&mut decoder, &[0xbe; 16_000], 64 * 1024);
    assert_eq!((fields.len(), outcome.over_limit), (16, true));
    assert!(fields.capacity() <= 128 * 1024, "{} bytes", fields.capacity());
    // Its value of 4,000 bytes as the name of literals that nobody keeps.
    let mut decoder = Decoder::new(AMPLE);
    decode(&mut decoder, &literal(0x40, &[b'x'; AMPLE - 33], b"a"), AMPLE);
    let (fields, outcome) = decode(&mut decoder, &[0x0f, 0x2f, 0x00].repeat(16_000), 1024);
    assert_eq!((fields.len(), outcome.over_limit), (0, true));
    assert_eq!(fields.capacity(), 0, "a name that nobody keeps is not copied");
}

#[test]
fn a_literal_that_is_not_kept_still_names_the_next_entry() {
    let decoder = &mut Decoder::new(AMPLE);
    decode(decoder, &literal(0x40, b"name", b"value"), 0);
    assert_eq!(table(decoder), ["name: value"]);
    decode(decoder, &bytes("7e 0161"), 0);
    assert_eq!(table(decoder), ["name: a", "name: value"]);
}

#[test]
fn a_decoder_without_entries_holds_no_memory() {
    let decoder = Decoder::new(AMPLE);
    assert_eq!(decoder.table.capacity(), 0);
    assert!(size_of::<Decoder>() <= 128, "{} bytes", size_of::<Decoder>());
}

#[test]
fn errors_say_what_is_wrong() {
    assert_eq!(Error::Index.to_string(), "the header block refers to an entry that no table has");
    let all = [
        Error::Truncated,
        Error::IntegerOverflow,
        Error::Index,
        Error::Huffman,
        Error::LargeTable,
        Error::LateTableSize,
    ];
    assert!(all.iter().all(|error| error.reason().contains("header block")));
}

/// Pieces that often make a block.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let string = prop_oneof![
        "[ -~]{0,12}".prop_map(|plain| literal(0, plain.as_bytes(), b"")[1..=plain.len() + 1].to_vec()),
        "[ -~]{0,12}".prop_map(|plain| {
            let coded = huffman_tests::encode(plain.as_bytes());
            [&[0x80 | coded.len() as u8], &coded[..]].concat()
        }),
    ];
    prop_oneof![
        (0x80..0xd0_u8).prop_map(|first| vec![first]),
        (prop_oneof![Just(0x40), Just(0), Just(0x10)], string.clone(), string.clone())
            .prop_map(|(first, name, value)| [vec![first], name, value].concat()),
        (0x41..0x7f_u8, string.clone()).prop_map(|(first, value)| [vec![first], value].concat()),
        (0x01..0x20_u8, string).prop_map(|(first, value)| [vec![first], value].concat()),
        proptest::collection::vec(any::<u8>(), 0..4),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bytes_are_read_or_refused(blocks in proptest::collection::vec(any::<Vec<u8>>(), 0..4), limit in 0..300_usize) {
        let mut decoder = Decoder::new(200);
        let mut fields = Fields::new();
        for block in blocks {
            let _ = decoder.decode(&block, &mut fields, limit);
            prop_assert!(fields.size() <= limit && decoder.table.size() <= 200);
            prop_assert_eq!(fields.drafted(), b"");
        }
    }

    #[test]
    fn likely_bytes_are_judged_field_by_field(
        blocks in proptest::collection::vec(proptest::collection::vec(piece(), 0..12), 1..6),
        limit in 0..600_usize,
    ) {
        let mut decoder = Decoder::new(200);
        let mut unlimited = Decoder::new(200);
        for block in blocks {
            let block = block.concat();
            let (mut fields, mut whole) = (Fields::new(), Fields::new());
            let outcome = decoder.decode(&block, &mut fields, limit);
            let expected = unlimited.decode(&block, &mut whole, usize::MAX);
            prop_assert_eq!(outcome.map(|outcome| outcome.malformed), expected.map(|outcome| outcome.malformed));
            prop_assert_eq!(table(&decoder), table(&unlimited));
            let Ok(outcome) = outcome else { break };
            prop_assert_eq!(outcome.malformed, whole.iter().find_map(|field| field.malformed()));
            prop_assert_eq!(outcome.over_limit, whole.size() > limit);
            prop_assert!(fields.size() <= limit);
            prop_assert_eq!(list(&fields), &list(&whole)[..fields.len()]);
        }
    }
}
