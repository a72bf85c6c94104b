//! The etcd source over TLS: who is believed, who is refused and in which words, and certificates that change.

use std::path::{Path, PathBuf};

use symgate::config::{self, Identity, PeerTls};
use symgate_tests::{
    Gateway, Instance,
    client::ask,
    etcd::Etcd,
    eventually,
    gateway::{Builder, check, run_in},
    registered::Registered,
    tls::{Authority, Files},
};
use toml::Table;

use super::etcd::{config, watch};

/// What is in the certificates of members.
const MEMBER: [&str; 2] = ["127.0.0.1", "etcd.internal"];

/// An etcd with TLS, and the files of both sides.
struct Site {
    authority: Authority,
    files: Files,
    etcd: Etcd,
}

impl Site {
    async fn start(mutual: bool) -> Self {
        let (authority, files) = (Authority::new(), Files::new());
        write(&files, &authority);
        let etcd = Etcd::start_secure(&files, mutual).await;
        etcd.put("klineRpc/A/1", "10.0.0.1:1").await;
        Self { authority, files, etcd }
    }

    /// What is right for a member that wants no certificate.
    fn believes(&self) -> PeerTls {
        PeerTls { ca: self.files.path("ca.pem"), server_name: None, identity: None }
    }

    /// What is right for one that does.
    fn shows(&self) -> PeerTls {
        PeerTls { identity: Some(self.identity("client")), ..self.believes() }
    }

    fn identity(&self, name: &str) -> Identity {
        let path = |end: &str| self.files.path(&format!("{name}.{end}"));
        Identity { certificate: path("pem"), key: path("key") }
    }

    fn config(&self, tls: PeerTls) -> config::Etcd {
        config::Etcd { tls: Some(tls), ..config(&[self.etcd.secure_endpoint()]) }
    }

    /// Why it is not heard.
    #[track_caller]
    fn refused(&self, tls: PeerTls, says: &'static str) -> impl Future<Output = ()> + use<> {
        lost(self.config(tls), says)
    }

    fn builder(&self, keys: &[(&str, &str)]) -> Builder {
        Gateway::builder().etcd_at(&self.etcd.secure_endpoint()).etcd_key("tls", self.files.table(keys))
    }
}

/// Files of both sides that fit together.
fn write(files: &Files, authority: &Authority) {
    files.write("ca.pem", &authority.pem());
    files.write("clients.pem", &authority.pem());
    files.write_pair("server", &authority.pair(&MEMBER));
    files.write_pair("client", &authority.pair(&["gate.internal"]));
}

async fn lost(config: config::Etcd, says: &str) {
    let reason = watch(config).lost().await;
    assert!(reason.contains(says), "{reason:?} does not say {says:?}");
}

#[tokio::test]
async fn the_list_and_every_change() {
    let site = Site::start(false).await;
    for tls in [site.believes(), PeerTls { server_name: Some("etcd.internal".try_into().unwrap()), ..site.believes() }]
    {
        let mut told = watch(site.config(tls));
        assert_eq!(told.listed().await.keys(), ["klineRpc/A/1"]);
        site.etcd.put("klineRpc/B/1", "10.0.0.1:1").await;
        assert_eq!(told.events().await.1.len(), 1);
        site.etcd.delete("klineRpc/B/1").await;
        assert_eq!(told.events().await.1.len(), 1);
    }
}

#[tokio::test]
async fn a_certificate_of_ours_where_it_is_wanted() {
    let mut site = Site::start(true).await;
    let mut told = watch(site.config(site.shows()));
    assert_eq!(told.listed().await.keys(), ["klineRpc/A/1"]);
    site.etcd.put("klineRpc/B/1", "10.0.0.1:1").await;
    assert_eq!(told.events().await.1.len(), 1);
    site.etcd.restart().await;
    assert_eq!(told.relisted().await.0.keys(), ["klineRpc/A/1", "klineRpc/B/1"]);
}

#[tokio::test]
async fn a_member_that_is_not_believed() {
    let site = Site::start(false).await;
    site.files.write("other.pem", &Authority::new().pem());
    let ca = |name: &str| PeerTls { ca: site.files.path(name), ..site.believes() };
    site.refused(ca("other.pem"), "its certificate is not signed by an authority in").await;
    let named = |name: &'static str| PeerTls { server_name: Some(name.try_into().unwrap()), ..site.believes() };
    site.refused(named("other.internal"), "its certificate is not for \"other.internal\" but for").await;
    site.refused(ca("none.pem"), "none.pem: cannot be read").await;
    site.refused(ca("server.key"), "server.key: holds no certificate").await;

    site.files.write_pair("server", &site.authority.expired_pair(&MEMBER));
    let expired = Etcd::start_secure(&site.files, false).await;
    let config = config::Etcd { tls: Some(site.believes()), ..config(&[expired.secure_endpoint()]) };
    lost(config, "its certificate has expired; renew it there").await;
}

#[tokio::test]
async fn a_client_that_is_not_believed() {
    let site = Site::start(true).await;
    site.refused(site.believes(), "it wants a certificate of its clients; add certificate and key to tls").await;
    site.files.write_pair("foreign", &Authority::new().pair(&["gate.internal"]));
    let shows = |name: &str| PeerTls { identity: Some(site.identity(name)), ..site.believes() };
    site.refused(shows("foreign"), "foreign.pem (BadCertificate); is it signed by an authority that etcd trusts").await;
    site.files.write_pair("expired", &site.authority.expired_pair(&["gate.internal"]));
    site.refused(shows("expired"), "expired.pem, which has expired; renew it").await;
    let mixed = Identity { key: site.files.path("server.key"), ..site.identity("client") };
    let mixed = PeerTls { identity: Some(mixed), ..site.believes() };
    site.refused(mixed, "server.key: not the key of the certificate in").await;
}

#[tokio::test]
async fn one_side_speaks_tls_and_the_other_does_not() {
    let site = Site::start(false).await;
    let to_tls = site.etcd.secure_endpoint().replace("https", "http");
    lost(config(&[to_tls]), "if it speaks TLS, write https:// and add tls").await;
    let to_plain = site.etcd.endpoint().replace("http", "https");
    let config = config::Etcd { tls: Some(site.believes()), ..config(&[to_plain]) };
    lost(config, "speak TLS, write http:// and remove tls").await;
}

#[tokio::test]
async fn files_that_are_renewed_are_used_by_the_next_connection() {
    let mut site = Site::start(true).await;
    let instance = Instance::start(&["BTC_USDT"]).await;
    site.etcd.put("klineRpc/BTC_USDT/1", instance.address().to_string()).await;
    let gateway = site.builder(&MUTUAL).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    // The members first, with another authority for both sides; here it is learnt of later.
    let (other, members) = (Authority::new(), Files::new());
    write(&members, &other);
    for name in ["server.pem", "server.key", "clients.pem"] {
        site.files.write(name, &std::fs::read_to_string(members.path(name)).unwrap());
    }
    site.etcd.restart().await;
    let said = async |text: &str| eventually!(gateway.log().says(&["still not heard", text]), "the log says {text}");
    said("not signed by an authority").await;
    site.files.write("ca.pem", &other.pem());
    said("it refuses our certificate in").await;
    gateway.client().get_kline(ask("BTC_USDT")).await.expect("the last table serves");
    site.files.write_pair("client", &other.pair(&["gate.internal"]));
    let late = Instance::start(&["ETH_USDT"]).await;
    site.etcd.put("klineRpc/ETH_USDT/1", late.address().to_string()).await;
    gateway.serving(&["BTC_USDT", "ETH_USDT"]).await;
}

/// The arguments that `symgate register` gets for the files.
fn arguments(files: &Files) -> Vec<String> {
    let path = |name: &str| files.path(name).to_str().unwrap().to_owned();
    let pairs = [("ca", "ca.pem"), ("certificate", "client.pem"), ("key", "client.key")];
    pairs.into_iter().flat_map(|(key, name)| [format!("--etcd-{key}"), path(name)]).collect()
}

const MUTUAL: [(&str, &str); 3] = [("ca", "ca.pem"), ("certificate", "client.pem"), ("key", "client.key")];

#[tokio::test]
async fn a_gateway_hears_registers_and_shows_its_certificate() {
    let mut site = Site::start(true).await;
    let instance = Instance::start(&["BTC_USDT"]).await;
    let address = instance.address().to_string();
    let mut more = arguments(&site.files);
    more.extend(["--symbol", "BTC_USDT", "--address", &address, "--ttl", "2s"].map(str::to_owned));
    let more: Vec<_> = more.iter().map(String::as_str).collect();
    let _registered = Registered::start(&site.etcd.secure_endpoint(), &more);
    let register = "[[register]]\nservice = 'gateway'\nformat = 'go-zero'\naddress = '127.0.0.1'";
    let gateway = site.builder(&MUTUAL).more(register).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    eventually!(site.etcd.entries("gateway/").await.len() == 1, "the gateway is registered");
    let (_, certificates) = gateway.admin_get("/certificates").await;
    let shown: serde_json::Value = serde_json::from_str(&certificates).unwrap();
    let shown = &shown["certificates"][0];
    assert!(shown["of"] == "registry main" && shown["names"][0] == "gate.internal", "{certificates}");
    let checked = check("check", &gateway.config_path()).await;
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success() && said.contains("TLS of registry main: shows a certificate of"), "{said}");

    site.etcd.restart().await;
    let other = Instance::start(&["ETH_USDT"]).await;
    site.etcd.put("klineRpc/ETH_USDT/1", other.address().to_string()).await;
    gateway.serving(&["BTC_USDT", "ETH_USDT"]).await;
}

#[tokio::test]
async fn what_cannot_be_used_ends_the_start() {
    let site = Site::start(false).await;
    let folder = tempfile::tempdir().unwrap();
    let config: PathBuf = folder.path().join("symgate.toml");
    let ends = async |tls: Table, says: &str| {
        let builder = Gateway::builder().etcd_at(&site.etcd.secure_endpoint()).etcd_key("tls", tls);
        std::fs::write(&config, builder.text()).unwrap();
        for command in ["run", "check"] {
            let ended = check(command, &config).await;
            let said = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert!(!ended.status.success() && said.contains(says), "{command}: {said:?} does not say {says:?}");
        }
    };
    ends(site.files.table(&[("ca", "none.pem")]), "TLS of registry main: ").await;
    ends(site.files.table(&[("ca", "server.key")]), "holds no certificate").await;
    let missing = Path::new("/nowhere/ca.pem").to_str().unwrap();
    let mut registered = Registered::start(&site.etcd.secure_endpoint(), &["--address", "a:1", "--etcd-ca", missing]);
    assert_eq!(registered.exited(super::SOON).await.code(), Some(1));
    let why = ["TLS of etcd: /nowhere/ca.pem: cannot be read"];
    eventually!(registered.log().says(&why), "it says why");
}

#[tokio::test]
async fn the_doctor_looks_over_tls() {
    let site = Site::start(true).await;
    site.etcd.put("klineRpc/B/1", "nonsense").await;
    let folder = site.files.path("");
    let endpoint = site.etcd.secure_endpoint();
    let looks = async |more: &[&str]| {
        let arguments = [&["doctor", "--etcd", &endpoint], more].concat();
        let output = run_in(&folder, &arguments, &[]).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let own = ["--etcd-ca", "ca.pem", "--etcd-certificate", "client.pem", "--etcd-key", "client.key"];
    let (code, said, errors) = looks(&own).await;
    assert!(code == Some(1) && said.contains("klineRpc/B/1") && errors.is_empty(), "{code:?} {said}{errors}");
    let (code, said, errors) = looks(&own[..2]).await;
    assert!(code == Some(2) && said.is_empty() && errors.contains("it wants a certificate"), "{code:?} {said}{errors}");
    let (code, _, errors) = looks(&[]).await;
    assert!(code == Some(2) && errors.contains("need --etcd-ca"), "{code:?} {errors}");
}
