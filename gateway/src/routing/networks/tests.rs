//! Which addresses a list lets in.

use super::*;

#[track_caller]
fn check(list: &[&str], allowed: &[&str], refused: &[&str]) {
    let mut networks = Networks::default();
    for text in list {
        networks.add(text).unwrap_or_else(|error| panic!("{error}"));
    }
    let allow = |text: &str| networks.allow(&text.parse().expect("an address"));
    for text in allowed {
        assert!(allow(text), "{list:?} refuses {text}");
    }
    for text in refused {
        assert!(!allow(text), "{list:?} allows {text}");
    }
}

#[test]
fn networks_hold_the_addresses_that_begin_like_them() {
    check(&["10.0.0.0/8"], &["10.0.0.0:1", "10.255.255.255:1"], &["9.255.255.255:1", "11.0.0.0:1", "[::1]:1", "h:1"]);
    check(&["192.168.2.128/25"], &["192.168.2.128:1", "192.168.2.255:1"], &["192.168.2.127:1", "192.168.3.128:1"]);
    check(&["127.0.0.1", "::1"], &["127.0.0.1:1", "[::1]:1"], &["127.0.0.2:1", "[::2]:1", "0.0.0.0:1", "[::]:1"]);
    check(&["fd00::/8"], &["[fd12:3456::1]:1"], &["[fc00::1]:1", "[fe80::1]:1", "10.0.0.1:1"]);
    check(&["0.0.0.0/0"], &["1.2.3.4:1"], &["[::1]:1", "h:1"]);
    check(&["::/0"], &["[2001:db8::1]:1"], &["1.2.3.4:1"]);
}

#[test]
fn ipv4_in_the_clothes_of_ipv6_does_not_slip_through() {
    check(&["10.0.0.0/8"], &["[::ffff:10.0.0.1]:1", "[::ffff:a00:1]:1"], &["[::ffff:192.0.2.1]:1"]);
    check(&["::/0"], &[], &["[::ffff:192.0.2.1]:1", "[::ffff:10.0.0.1]:1"]);
}

#[test]
fn names_are_listed_one_by_one_or_by_what_they_end_with() {
    let list = ["*.svc.cluster.local", "kline.internal"];
    let allowed = ["kline-0.svc.cluster.local:1", "A.B.SVC.cluster.local.:1", "Kline.Internal:1", "kline.internal.:1"];
    let refused = [
        "svc.cluster.local:1",
        "evilsvc.cluster.local:1",
        "svc.cluster.local.evil:1",
        "a.kline.internal:1",
        "10.0.0.1:1",
    ];
    check(&list, &allowed, &refused);
}

#[test]
fn what_a_name_stands_for_is_held_to_the_networks() {
    let mut networks = Networks::default();
    networks.add("*.internal").expect("a name");
    let ip = |text: &str| text.parse().expect("an IP");
    assert!(networks.allow_ip(ip("192.0.2.1")) && !networks.look_behind_names(), "no network is listed");
    networks.add("10.0.0.0/8").expect("a network");
    assert!(networks.look_behind_names());
    assert!(networks.allow_ip(ip("10.1.2.3")) && networks.allow_ip(ip("::ffff:10.1.2.3")));
    assert!(!networks.allow_ip(ip("192.0.2.1")) && !networks.allow_ip(ip("::ffff:192.0.2.1")));
}

#[test]
fn what_is_neither_is_refused() {
    let check = |text: &str, says: &str| {
        let error = Networks::default().add(text).expect_err(text);
        assert!(error.contains(says), "{error}");
    };
    for text in ["", "*", "*.", "*.*.local", "a.*.b", "10.0.0", "10.0.0.0.0/8", "[::1]", "10.0.0.1:9000", "a b", "h/8"]
    {
        check(text, "is no network and no DNS name");
    }
    check("10.0.0.0/33", "bits from 0 to 32");
    check("10.0.0.0/", "bits from 0 to 32");
    check("10.0.0.0/+8", "bits from 0 to 32");
    check("::/129", "bits from 0 to 128");
    check("10.0.0.1/8", "write \"10.0.0.0/8\"");
    check("fd00::1/8", "write \"fd00::/8\"");
    check("::ffff:10.0.0.0/104", "write it as IPv4");
}
