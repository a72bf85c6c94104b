//! What it looks at, what it may not look at, and what it exits with.

use symgate_tests::eventually;

use super::*;

#[tokio::test]
async fn all_is_well() {
    let (etcd, mut client) = etcd().await;
    put(&mut client, &[("klineRpc/BTC_USDT/1", "10.0.0.1:9000"), ("accountRpc/LEASE", "10.0.0.2:9000")]).await;
    let said = doctor(&etcd, &[]).await;
    assert_eq!(said.code, 0, "{}", said.text);
    assert!(said.text.ends_with("\nAll is well with 2 services.\n"), "{}", said.text);
    assert_eq!(doctor(&etcd, &["--json"]).await.json()["well"], true);
}

#[tokio::test]
async fn a_lease_that_nobody_renews() {
    let (etcd, mut client) = etcd().await;
    put(&mut client, &[("klineRpc/BTC_USDT/1", "10.0.0.1:9000")]).await;
    let short = client.lease_grant(9, None).await.unwrap().id();
    let options = PutOptions::new().with_lease(short);
    client.put("klineRpc/ETH_USDT/2", "10.0.0.2:9000", Some(options)).await.unwrap();
    let expiring = async || {
        let said = doctor(&etcd, &["--json"]).await;
        let finding = said.json()["services"][0]["findings"][0].clone();
        finding["kind"] == "expiring" && finding["cases"][0]["of"] == "klineRpc/ETH_USDT/2" && said.code == 1
    };
    assert!(!expiring().await, "it was granted just now");
    eventually!(expiring().await, "it is about to go");
}

#[tokio::test]
async fn addresses_that_do_not_accept_a_connection() {
    let (etcd, mut client) = etcd().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap().to_string();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    put(&mut client, &[("klineRpc/BTC_USDT/1", &here), ("klineRpc/ETH_USDT/2", &gone)]).await;
    assert_eq!(doctor(&etcd, &[]).await.code, 0, "it does not connect unless it is asked to");
    let said = doctor(&etcd, &["--connect", "--json"]).await;
    let finding = said.json()["services"][0]["findings"][0].clone();
    assert_eq!((&finding["kind"], &finding["level"]), (&json!("unreachable"), &json!("problem")));
    assert_eq!((finding["cases"].as_array().unwrap().len(), &finding["cases"][0]["of"]), (1, &json!(gone)));
    assert_eq!(said.code, 1);
    client.delete("klineRpc/ETH_USDT/2", None).await.unwrap();
    assert_eq!(doctor(&etcd, &["--connect"]).await.code, 0);
}

#[tokio::test]
async fn expected_symbols_in_a_file() {
    let (etcd, mut client) = etcd().await;
    put(&mut client, &[("klineRpc/BTC_USDT/1", "10.0.0.1:9000")]).await;
    let folder = TempDir::new().unwrap();
    let endpoint = etcd.endpoint();
    let expect = async |symbols: &str| {
        fs::write(folder.path().join("symbols.txt"), symbols).unwrap();
        let arguments = ["--etcd", &endpoint, "--service", "klineRpc", "--expected", "symbols.txt", "--json"];
        doctor_in(folder.path(), &arguments, &[]).await
    };
    assert_eq!(expect("BTC_USDT\n").await.code, 0);
    let said = expect("# listed\nBTC_USDT\nETH_USDT\n").await;
    let finding = said.json()["services"][0]["findings"][0].clone();
    assert_eq!((said.code, &finding["kind"], &finding["cases"][0]["of"]), (1, &json!("missing"), &json!("ETH_USDT")));
    let said = doctor(&etcd, &["--service", "klineRpc", "--expected", "Symbl/"]).await;
    assert!(said.code == 1 && said.text.contains("cannot be read: there is no key Symbl/*"), "{}", said.text);
}

#[tokio::test]
async fn below_another_root() {
    let (etcd, mut client) = etcd().await;
    put(&mut client, &[("/prod/klineRpc/BTC_USDT/1", "10.0.0.1:9000"), ("elsewhere/A/1", "10.0.0.2:9000")]).await;
    let name = async |arguments: &[&str]| {
        let report = doctor(&etcd, arguments).await.json();
        let services = report["services"].as_array().unwrap().clone();
        services.iter().map(|one| one["prefix"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(name(&["--json", "--prefix", "/prod/"]).await, ["/prod/klineRpc/"]);
    assert_eq!(name(&["--json"]).await, ["/prod/", "elsewhere/"]);
    let said = doctor(&etcd, &["--prefix", "/none/"]).await;
    assert!(said.code == 1 && said.text.contains("no key /none/* is read as a registration"), "{}", said.text);
    let said = doctor(&etcd, &["--service", "klineRcp"]).await;
    assert!(said.code == 1 && said.text.contains("there is no key klineRcp/*"), "{}", said.text);
}

#[tokio::test]
async fn a_service_whose_symbols_are_in_its_name() {
    let (etcd, mut client) = etcd().await;
    put(&mut client, &[("orderDtm_BTC/1", "10.0.0.1:9000"), ("orderDtm_ETH/1", "10.0.0.2:9000")]).await;
    let said = doctor(&etcd, &[]).await;
    assert_eq!(said.code, 0, "{}", said.text);
    let text = said.text.replace("\n     ", "");
    let hint = r#"orderDtm: orderDtm_BTC, orderDtm_ETH: then write [[service]] name = "orderDtm", key = "orderDtm_{symbol}/{id}""#;
    assert!(text.contains(hint), "{text}");
}

#[tokio::test]
async fn many_services_are_cut_after_the_worst() {
    let (etcd, mut client) = etcd().await;
    for n in 0..15 {
        put(&mut client, &[(&format!("rpc{n:02}/BTC_USDT/1"), "10.0.0.1:9000")]).await;
    }
    client.put("rpc14/ETH_USDT/2", "broken", None).await.unwrap();
    let said = doctor(&etcd, &[]).await;
    let shown = said.text.lines().filter(|line| line.starts_with("service ")).collect::<Vec<_>>();
    assert_eq!((shown.len(), shown[0]), (10, "service rpc14: 1 problem"), "{}", said.text);
    assert!(said.text.contains("\n... and 5 more services, 0 of them with something wrong\n"), "{}", said.text);
    assert!(!doctor(&etcd, &["--all"]).await.text.contains("more services"));
}

#[tokio::test]
async fn more_keys_than_one_page_and_long_lists() {
    const KEYS: usize = 12_000;
    let (etcd, mut client) = etcd().await;
    for chunk in (0..KEYS).collect::<Vec<_>>().chunks(100) {
        let put =
            |n: &usize| etcd_client::TxnOp::put(format!("klineRpc/S{n:05}/1"), format!("10.0.0.1:{}", n + 1), None);
        let puts: Vec<_> = chunk.iter().map(put).collect();
        client.txn(etcd_client::Txn::new().and_then(puts)).await.unwrap();
    }
    let said = doctor(&etcd, &[]).await;
    assert!(said.text.contains("    12000 with 1 instance: S00000, S00001,"), "{}", said.text);
    assert!(said.text.contains("... and 11990 more\n") && said.text.contains("--all"), "{}", said.text);
    let all = doctor(&etcd, &["--all"]).await;
    assert!(all.text.contains("klineRpc/S11999/1: three-level, S11999 at 10.0.0.1:12000, no lease"));
    assert_eq!(doctor(&etcd, &["--json"]).await.json()["services"][0]["entries"].as_array().unwrap().len(), KEYS);
}

#[tokio::test]
async fn a_user_who_may_read_one_prefix() {
    let (etcd, mut client) = etcd().await;
    put(&mut client, &[("klineRpc/BTC_USDT/1", "10.0.0.1:9000"), ("secret/1", "10.0.0.2:9000")]).await;
    for (user, password) in [("root", "r"), ("reader", "s3cret")] {
        client.user_add(user, password, None).await.unwrap();
        client.role_add(user).await.unwrap();
        client.user_grant_role(user, user).await.unwrap();
    }
    let prefix = Permission::new(PermissionType::Read, "klineRpc/").with_prefix();
    client.role_grant_permission("reader", prefix).await.unwrap();
    client.auth_enable().await.unwrap();
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("password"), "s3cret\n").unwrap();
    let endpoint = etcd.endpoint();
    let reads = async |arguments: &[&str], environment: &[(&str, &str)]| {
        let usual = ["--etcd", &endpoint, "--user", "reader"];
        doctor_in(folder.path(), &[&usual[..], arguments].concat(), environment).await
    };
    let said = reads(&["--password-file", "password", "--service", "klineRpc"], &[]).await;
    assert_eq!((said.code, &*said.errors), (0, ""), "{}", said.text);
    let from_environment = [("SYMGATE_ETCD_PASSWORD", "s3cret")];
    assert_eq!(reads(&["--service", "klineRpc"], &from_environment).await.code, 0);
    let refused = |said: &Said, says: &str| {
        assert!(said.code == 2 && said.text.is_empty() && said.errors.contains(says), "{}{}", said.text, said.errors);
    };
    refused(&reads(&[], &from_environment).await, "permission denied; name what this user may read with --service");
    refused(&reads(&["--service", "secret"], &from_environment).await, "secret/*");
    refused(&reads(&["--service", "klineRpc"], &[("SYMGATE_ETCD_PASSWORD", "wrong")]).await, "authentication failed");
    refused(&reads(&["--service", "klineRpc"], &[]).await, "--password-file");
    refused(&doctor(&etcd, &["--service", "klineRpc"]).await, "user name is empty; it wants a login");

    let config =
        CONFIG.replace("ENDPOINT\"]", &format!("{endpoint}\"], user = \"reader\", password_file = \"password\""));
    let (config, _) = config.split_once("[[service]]").unwrap();
    let route = "[[route]]\nmatch = \"/\"\nservice = \"klineRpc\"\nextract = \"metadata-key\"\n";
    fs::write(folder.path().join("symgate.toml"), format!("{config}{route}")).unwrap();
    let said = doctor_in(folder.path(), &[], &[]).await;
    assert_eq!((said.code, &*said.errors), (0, ""), "the login of the configuration will do: {}", said.text);
    assert!(said.text.contains("only services of the configuration are looked at"), "{}", said.text);
    let said = doctor_in(folder.path(), &["--etcd", &endpoint], &[]).await;
    assert_eq!(said.code, 0, "it is for this etcd: {}{}", said.text, said.errors);
    let elsewhere = endpoint.replace("127.0.0.1", "localhost");
    let said = doctor_in(folder.path(), &["--etcd", &elsewhere, "--config", "symgate.toml"], &[]).await;
    refused(&said, "user name is empty");
}

#[tokio::test]
async fn what_cannot_be_looked_at() {
    let folder = TempDir::new().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("http://{free}");
    let check = async |arguments: &[&str], says: &str| {
        let said = doctor_in(folder.path(), arguments, &[]).await;
        assert!(said.code == 2 && said.text.is_empty() && said.errors.contains(says), "{}{}", said.text, said.errors);
    };
    check(&["--etcd", &nobody], &nobody).await;
    check(&["--etcd", &nobody, "--json"], "refused").await;
    check(&[], "name one with --etcd").await;
    check(&["--etcd", "127.0.0.1:2379"], "is no URL").await;
    check(&["--etcd", &nobody, "--config", "none.toml"], "none.toml: cannot be read").await;
    check(&["--etcd", &nobody, "--services", "x"], "--service").await;
    check(&["--etcd", &nobody, "--service", "x/"], "no service name").await;
    assert_eq!(doctor_in(folder.path(), &["--help"], &[]).await.code, 0);
}

#[tokio::test]
async fn a_configuration_of_another_etcd_is_not_taken_by_itself() {
    let (etcd, mut client) = etcd().await;
    put(&mut client, &[("klineRpc/BTC_USDT/1", "10.0.0.1:9000")]).await;
    let folder = TempDir::new().unwrap();
    let endpoint = etcd.endpoint();
    let notes = async |text: &str, says: &str| {
        fs::write(folder.path().join("symgate.toml"), text).unwrap();
        let said = doctor_in(folder.path(), &["--etcd", &endpoint], &[]).await;
        assert!(said.code == 0 && said.text.contains(says), "{}", said.text);
    };
    notes(&CONFIG.replace("ENDPOINT", "http://127.0.0.1:1"), "symgate.toml is about another etcd").await;
    notes("[listen]\nworker = 1\n", "symgate.toml cannot be looked at: symgate.toml:2:1: unknown key").await;
}
