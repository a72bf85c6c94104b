//! Files that can be used, and what is said of those that cannot.

use std::{collections::HashMap, path::PathBuf, time::Duration};

use rcgen::{CertificateParams, CertifiedKey, KeyPair, SanType, date_time_ymd, generate_simple_self_signed};

use super::*;
use crate::config::Identity;

/// Files by name.
struct Files(HashMap<PathBuf, Vec<u8>>);

impl Files {
    /// A pair of `names` in `a.pem` and `a.key`.
    fn new(names: &[&str]) -> Self {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("a certificate");
        Self(HashMap::new()).with("a.pem", cert.pem()).with("a.key", signing_key.serialize_pem())
    }

    fn with(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.0.insert(name.into(), content.into());
        self
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.0[Path::new(name)].clone()).expect("text")
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn for_clients(&self, client_ca: Option<&str>) -> Result<Material, Unusable> {
        let client_ca = client_ca.map(PathBuf::from);
        let tls = ListenTls { certificate: "a.pem".into(), key: "a.key".into(), client_ca };
        Material::for_clients(&tls, &|path| self.read(path))
    }

    fn for_peers(&self, server_name: Option<&str>, identity: bool) -> Result<Material, Unusable> {
        let identity = identity.then(|| Identity { certificate: "a.pem".into(), key: "a.key".into() });
        let server_name = server_name.map(|name| ServerName::try_from(name.to_owned()).expect("a name"));
        let tls = PeerTls { ca: "a.pem".into(), server_name, identity };
        Material::for_peers(&tls, &|path| self.read(path))
    }

    #[track_caller]
    fn refused(&self, client_ca: Option<&str>, says: &str) {
        let error = self.for_clients(client_ca).expect_err(says).to_string();
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }
}

#[test]
fn a_pair_is_enough_for_both_sides() {
    let files = Files::new(&["gate.internal"]);
    let clients = files.for_clients(None).expect("a pair");
    assert_eq!(clients.acceptor().expect("for clients").alpn_protocols, [b"h2"]);
    assert!(clients.connector().is_none(), "what is for clients is not for instances");
    assert_eq!(**clients.names(), ["gate.internal"]);
    let instances = files.for_peers(None, false).expect("a root");
    assert_eq!(instances.connector().expect("for instances").config.alpn_protocols, [b"h2"]);
    assert!(instances.acceptor().is_none(), "what is for instances is not for clients");
    assert_eq!((instances.names().len(), instances.not_after()), (0, None), "nothing is shown to instances");
    let shows = files.for_peers(None, true).expect("a pair");
    assert_eq!(**shows.names(), ["gate.internal"]);
    files.for_clients(Some("a.pem")).expect("clients with a certificate");
}

#[test]
fn an_instance_must_prove_the_configured_name_or_its_host() {
    let files = Files::new(&["a"]);
    let check = |configured: Option<&str>, host: &str, expected: Option<&str>| {
        let material = files.for_peers(configured, false).expect("a root");
        let name = material.connector().expect("for instances").server_name(host).ok();
        assert_eq!(name.map(|name| name.to_str().into_owned()).as_deref(), expected, "{configured:?}, {host}");
    };
    check(None, "kline-0.kline_svc", Some("kline-0.kline_svc"));
    check(None, "10.0.0.1", Some("10.0.0.1"));
    check(None, "::1", Some("::1"));
    check(Some("kline.internal"), "10.0.0.1", Some("kline.internal"));
    check(None, "-", None);
}

#[test]
fn what_cannot_be_used_is_named_with_its_file() {
    let good = || Files::new(&["a"]);
    let other = Files::new(&["a"]);
    good().with("a.key", other.text("a.key")).refused(None, "a.key: not the key of the certificate in a.pem");
    good().with("a.pem", "").refused(None, "a.pem: the file is empty");
    good().with("a.pem", "words").refused(None, "a.pem: holds no certificate");
    good().with("a.pem", other.text("a.key")).refused(None, "a.pem: holds no certificate");
    good().with("a.key", other.text("a.pem")).refused(None, "a.key: holds no private key");
    good().refused(Some("no.pem"), "no.pem: cannot be read");
    good().with("ca.pem", "").refused(Some("ca.pem"), "ca.pem: the file is empty");
    for name in ["a.pem", "a.key"] {
        let whole = good().text(name);
        let half = &whole[..whole.len() / 2];
        good().with(name, half).refused(None, &format!("{name}: cut off"));
    }
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    good().with("a.pem", nonsense).refused(None, "a.pem: certificate 1 cannot be understood");
    good().with("ca.pem", nonsense).refused(Some("ca.pem"), "ca.pem: certificate 1 cannot be trusted");
    let chain = good().text("a.pem") + nonsense;
    good().with("a.pem", chain).refused(None, "a.pem: certificate 2 cannot be understood");
}

fn signed(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    change(&mut params);
    params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").der().clone()
}

#[test]
fn the_names_of_a_client_are_texts_of_four_kinds() {
    let name = |text: &str| text.try_into().expect("ASCII");
    let certificate = signed(|params| {
        params.subject_alt_names = vec![
            SanType::URI(name("spiffe://example.org/api")),
            SanType::DnsName(name("api.internal")),
            SanType::Rfc822Name(name("api@example.org")),
            SanType::IpAddress([10, 0, 0, 1].into()),
            SanType::IpAddress("fe80::1".parse().expect("an address")),
        ];
    });
    let expected = ["spiffe://example.org/api", "api.internal", "api@example.org", "10.0.0.1", "fe80::1"];
    assert_eq!(*names_of(Some(&[certificate])), expected);
    assert!(names_of(None).is_empty());
    assert!(names_of(Some(&[])).is_empty());
    assert!(names_of(Some(&[CertificateDer::from(vec![1, 2, 3])])).is_empty());
    assert!(names_of(Some(&[signed(|_| {})])).is_empty());
}

#[test]
fn a_name_that_reads_as_one_of_another_kind_is_none() {
    let name = |text: &str| text.try_into().expect("ASCII");
    let certificate = signed(|params| {
        params.subject_alt_names = vec![
            SanType::DnsName(name("spiffe://example.org/api")),
            SanType::DnsName(name("api@example.org")),
            SanType::DnsName(name("10.0.0.1")),
            SanType::URI(name("fe80::1")),
            SanType::URI(name("api.internal")),
            SanType::Rfc822Name(name("api.internal")),
        ];
    });
    assert_eq!(*names_of(Some(&[certificate])), [] as [&str; 0]);
}

#[test]
fn a_chain_is_good_for_as_long_as_all_of_it_is() {
    let day = |year| SystemTime::from(date_time_ymd(year, 1, 1));
    let pem = |from: i32, to: i32| {
        let mut params = CertificateParams::new(vec!["a".into()]).expect("a name");
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let key = KeyPair::generate().expect("a key");
        (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
    };
    let ((leaf, key), (above, _)) = (pem(2020, 2040), pem(2021, 2030));
    let files = Files(HashMap::new()).with("a.pem", leaf + &above).with("a.key", key);
    let material = files.for_clients(None).expect("a chain");
    assert_eq!((material.not_before(), material.not_after()), (Some(day(2021)), Some(day(2030))));
    assert!(day(2021) + Duration::from_secs(1) < day(2030));
}
