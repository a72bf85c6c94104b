//! Files that change under a running gateway: new connections use what fits together, those that are open stay.

use std::{fs, os::unix::fs::symlink};

use symgate_tests::{
    client::{ask, with_symbol},
    eventually,
    tls::Pair,
};

use super::*;

/// The certificate that a new connection sees, in DER.
async fn shown(site: &Site) -> Vec<u8> {
    let stream = site.authority.connect(site.gateway.address(), None, &["h2"]).await.expect("a handshake");
    stream.get_ref().1.peer_certificates().expect("a certificate")[0].to_vec()
}

async fn loads(site: &Site, outcome: &str) -> f64 {
    let labels = format!("of=\"listener\",outcome=\"{outcome}\"");
    site.gateway.metric("symgate_certificate_loads_total", &labels).await
}

#[tokio::test]
async fn a_stream_goes_on_while_new_connections_see_the_new_certificate() {
    let site = Site::start().await;
    let client = site.authority.client(site.gateway.address(), None);
    serving(&client, &["BTC_USDT"]).await;
    let (send, requests) = futures::channel::mpsc::unbounded();
    let mut replies = client.clone().trade_kline(with_symbol(requests, "BTC_USDT")).await.unwrap().into_inner();
    for round in 1..=5 {
        let before = shown(&site).await;
        let pair = site.authority.pair(&[GATEWAY, &format!("round-{round}.internal")]);
        site.files.write_pair("server", &pair);
        eventually!(shown(&site).await == pair.der().to_vec(), "round {round}: the new certificate is shown");
        assert_ne!(before, pair.der().to_vec());
        send.unbounded_send(ask("BTC_USDT")).unwrap();
        let reply = replies.message().await.expect("the stream goes on").expect("a reply");
        assert_eq!(reply.received, round);
        client.clone().get_kline(ask("BTC_USDT")).await.expect("so do calls on its connection");
    }
    assert_eq!(site.listener().await["names"][1], "round-5.internal");
    assert_eq!((loads(&site, "activated").await, loads(&site, "rejected").await), (5.0, 0.0));
    drop(send);
    assert_eq!(replies.message().await.unwrap(), None, "the stream ends with its own status");
}

/// Writes `text` to a file, which must be refused with `reason` while `keeps` is still shown.
async fn refused(site: &Site, file: &str, text: &str, reason: &str, keeps: &Pair) {
    let before = loads(site, "rejected").await;
    site.files.write(file, text);
    eventually!(loads(site, "rejected").await > before, "{file} is refused: {reason}");
    let view = site.listener().await;
    let said = view["refused"]["reason"].as_str().expect("a reason");
    assert!(said.contains(file) && said.contains(reason), "{said:?} does not say {file} and {reason:?}");
    eventually!(site.gateway.log().says(&["certificates rejected", reason]), "the log says why");
    assert_eq!(shown(site).await, keeps.der().to_vec(), "the old certificate is kept");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_the_old_pair_serves_until_it_does() {
    let site = Site::start().await;
    let client = site.authority.client(site.gateway.address(), None);
    serving(&client, &["BTC_USDT"]).await;
    let (first, other) = (site.authority.pair(&[GATEWAY]), site.authority.pair(&[GATEWAY]));
    site.files.write_pair("server", &first);
    eventually!(shown(&site).await == first.der().to_vec(), "a pair to begin with");
    refused(&site, "server.key", &other.key, "not the key", &first).await;
    refused(&site, "server.key", &first.key[..first.key.len() / 2], "cut off", &first).await;
    refused(&site, "server.key", "", "is empty", &first).await;
    site.files.write("server.key", &first.key);
    eventually!(site.listener().await["refused"].is_null(), "the mended pair is taken");
    refused(&site, "server.pem", &first.certificate[..first.certificate.len() / 2], "cut off", &first).await;
    refused(&site, "server.pem", "", "is empty", &first).await;
    refused(&site, "server.pem", &other.certificate, "", &first).await;
    client.clone().get_kline(ask("BTC_USDT")).await.expect("calls go on");
    site.files.write("server.key", &other.key);
    eventually!(shown(&site).await == other.der().to_vec(), "the other half makes a pair");
    let not_after = site.listener().await["not_after_unix"].as_f64().expect("an end");
    let metric = site.gateway.metric("symgate_certificate_not_after_seconds", "of=\"listener\"").await;
    assert!(metric > 0.0 && metric == not_after, "{metric} {not_after}");
}

#[tokio::test]
async fn a_start_with_a_bad_pair_fails_and_check_says_so_too() {
    let (authority, files, registry) = (Authority::new(), Files::new(), RegistryFile::new());
    registry.put("klineRpc/BTC_USDT/1", "127.0.0.1:1");
    let config = || {
        let tls = files.table(&[("certificate", "server.pem"), ("key", "server.key")]);
        files.write("symgate.toml", &Gateway::builder().file(&registry).listen("tls", tls).text());
        files.path("symgate.toml")
    };
    files.write_pair("server", &authority.pair(&[GATEWAY]));
    let good = symgate_tests::gateway::check("check", &config()).await;
    let text = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(good.status.success() && text.contains("TLS of listener") && text.contains(GATEWAY), "{good:?}");
    files.write("server.key", &authority.pair(&[GATEWAY]).key);
    for command in ["run", "check"] {
        let bad = symgate_tests::gateway::check(command, &config()).await;
        let text = String::from_utf8_lossy(&bad.stderr).into_owned();
        let says = text.contains("TLS of listener") && text.contains("server.key: not the key of the certificate");
        assert!(!bad.status.success() && says, "symgate {command}: {text}");
    }
}

#[tokio::test]
async fn a_mounted_secret_is_swapped_whole() {
    let files = Files::new();
    let authority = Authority::new();
    let write = |folder: &str| {
        let pair = authority.pair(&[GATEWAY]);
        fs::create_dir(files.path(folder)).unwrap();
        fs::write(files.path(folder).join("tls.crt"), &pair.certificate).unwrap();
        fs::write(files.path(folder).join("tls.key"), &pair.key).unwrap();
        pair
    };
    write("one");
    symlink("one", files.path("..data")).unwrap();
    symlink("..data/tls.crt", files.path("tls.crt")).unwrap();
    symlink("..data/tls.key", files.path("tls.key")).unwrap();
    let registry = RegistryFile::new();
    let tls = files.table(&[("certificate", "tls.crt"), ("key", "tls.key")]);
    let gateway = Gateway::builder().file(&registry).listen("tls", tls).start().await;
    let second = write("two");
    symlink("two", files.path("..new")).unwrap();
    fs::rename(files.path("..new"), files.path("..data")).unwrap();
    eventually!(
        {
            let stream = authority.connect(gateway.address(), None, &["h2"]).await.expect("a handshake");
            stream.get_ref().1.peer_certificates().expect("a certificate")[0] == second.der()
        },
        "the new secret is shown"
    );
    assert_eq!(gateway.metric("symgate_certificate_loads_total", "rejected").await, 0.0, "never half of each");
}

#[tokio::test]
async fn another_authority_for_clients_is_asked_of_new_connections() {
    let site = Site::mutual(|builder| builder).await;
    let address = site.gateway.address();
    let (old, next) = (site.authority.pair(&["api"]), Authority::new());
    let open = site.authority.client(address, Some(&old));
    serving(&open, &["BTC_USDT"]).await;
    let shows = next.pair(&["api"]);
    let call = async |pair: &Pair| site.authority.client(address, Some(pair)).get_kline(ask("BTC_USDT")).await;
    call(&shows).await.expect_err("not believed yet");
    site.files.write("clients.pem", &next.pem());
    eventually!(call(&shows).await.is_ok(), "the new authority is believed");
    call(&old).await.expect_err("the old one is not");
    open.clone().get_kline(ask("BTC_USDT")).await.expect("whoever is in stays in");
}
