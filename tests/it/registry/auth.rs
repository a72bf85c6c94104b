//! Logins whose tokens run out, users that come and go, and permissions for a part of the keys.

use std::time::Duration;

use etcd_client::{Client, Permission, PermissionType, RoleRevokePermissionOptions};
use symgate::{
    config,
    control::{Reread, etcd},
};
use symgate_tests::{
    Cable, Gateway, Instance, Route,
    client::{ask, assert_owner, reason},
    etcd::Etcd,
    eventually,
    gateway::{Builder, check},
    registered::Registered,
};
use tempfile::TempDir;
use tokio::time::interval;

use super::{
    Told,
    etcd::{PREFIX, SERVICE, config, watch},
    link::Link,
};

/// Tokens that nobody uses are forgotten after this many seconds.
const SHORT: [&str; 2] = ["--auth-token-ttl", "2"];
/// A look that uses a token would lengthen its life, so each look has a token of its own.
const LOOKS: usize = 60;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// An etcd that wants a login; `reader` may read the prefix and nothing else.
async fn guarded() -> (Etcd, config::Etcd) {
    guarded_with(&[]).await
}

/// The same, with more command line arguments.
async fn guarded_with(arguments: &[&str]) -> (Etcd, config::Etcd) {
    // Passwords that are cheap to check.
    let etcd = Etcd::start_with(&[&["--bcrypt-cost", "4"], arguments].concat()).await;
    etcd.put("klineRpc/A/1", "10.0.0.1:1").await;
    let mut client = etcd.client().await;
    for (user, password) in [("root", "r"), ("reader", "secret")] {
        client.user_add(user, password, None).await.unwrap();
        client.role_add(user).await.unwrap();
        client.user_grant_role(user, user).await.unwrap();
    }
    let prefix = Permission::new(PermissionType::Read, PREFIX).with_prefix();
    client.role_grant_permission("reader", prefix).await.unwrap();
    client.auth_enable().await.unwrap();
    let config = config::Etcd { login: Some(("reader".into(), "secret".into())), ..config(&[etcd.endpoint()]) };
    (etcd, config)
}

/// Waits until tokens that are given out now and not used have run out.
async fn tokens_ran_out(etcd: &Etcd) {
    let mut clients = Vec::new();
    for _look in 0..LOOKS {
        clients.push(etcd.client_of("root", "r").await);
    }
    // A look makes its token live longer: each has one of its own.
    let mut look = interval(BETWEEN_LOOKS);
    for mut client in clients {
        look.tick().await;
        if let Err(error) = client.get("any", None).await {
            return assert!(error.to_string().contains("invalid auth token"), "{error}");
        }
    }
    panic!("tokens do not run out");
}

async fn root(etcd: &Etcd) -> Client {
    etcd.client_of("root", "r").await
}

async fn put(etcd: &Etcd, key: &str, value: &str) {
    root(etcd).await.put(key, value, None).await.unwrap();
}

/// The watch outlives its token, a list beside it needs a new one, and so does the next session.
async fn outlives_its_tokens(arguments: &[&str]) {
    let (etcd, mut config) = guarded_with(arguments).await;
    let link = Link::to(&etcd.endpoint()).await;
    config.endpoints = vec![link.endpoint()];
    let reread = Reread::default();
    let asked = reread.clone();
    let mut told = Told::by(|updates| etcd::watch(config, PREFIX.into(), SERVICE, updates, asked));
    assert_eq!(told.listed().await.keys(), ["klineRpc/A/1"]);
    for _round in 0..2 {
        tokens_ran_out(&etcd).await;
        put(&etcd, "klineRpc/B/1", "10.0.0.1:1").await;
        assert_eq!(told.events().await.1.len(), 1, "the watch goes on");
        reread.notify_one();
        assert!(told.read_again().await.is_none(), "the list beside it shows nothing new");
    }
    assert_eq!(link.connections(), 1, "none of it needed another connection");
    link.cut();
    told.lost().await;
    link.open();
    assert_eq!(told.listed().await.keys(), ["klineRpc/A/1", "klineRpc/B/1"]);
    // With some kinds of token every change of users and roles makes those of before worthless.
    root(&etcd).await.user_add("other", "o", None).await.unwrap();
    put(&etcd, "klineRpc/C/1", "10.0.0.1:1").await;
    assert_eq!(told.events().await.1.len(), 1, "the watch goes on");
    reread.notify_one();
    assert!(told.read_again().await.is_none_or(|listed| listed.keys().len() == 3));
}

#[tokio::test]
async fn simple_tokens_run_out() {
    Box::pin(outlives_its_tokens(&SHORT)).await;
}

/// Tokens that say themselves until when they are good, and which users and roles they knew.
fn signed(folder: &TempDir) -> String {
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a secret that only the test knows").unwrap();
    format!("jwt,priv-key={},sign-method=HS256,ttl=2s", secret.display())
}

#[tokio::test]
async fn signed_tokens_run_out() {
    let folder = TempDir::new().unwrap();
    Box::pin(outlives_its_tokens(&["--auth-token", &signed(&folder)])).await;
}

#[tokio::test]
async fn a_registration_outlives_its_tokens() {
    Box::pin(a_registration_outlives(&SHORT)).await;
}

#[tokio::test]
async fn a_registration_outlives_signed_tokens() {
    let folder = TempDir::new().unwrap();
    Box::pin(a_registration_outlives(&["--auth-token", &signed(&folder)])).await;
}

async fn a_registration_outlives(arguments: &[&str]) {
    let (etcd, _) = guarded_with(arguments).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let arguments = ["--symbol", "BTC", "--address", &address, "--ttl", "6s", "--user", "root", "--drain-pause", "0s"];
    let registered = Registered::start_with(&etcd.endpoint(), &arguments, &[("SYMGATE_ETCD_PASSWORD", "r")]);
    let key = async || {
        let keys = root(&etcd).await.get("klineRpc/BTC/", Some(etcd_client::GetOptions::new().with_prefix())).await;
        keys.unwrap().kvs().first().map(|pair| (pair.key().to_vec(), pair.create_revision()))
    };
    eventually!(key().await.is_some(), "it is registered");
    let before = key().await;
    for round in 0..4 {
        tokens_ran_out(&etcd).await;
        assert_eq!(key().await, before, "longer than the lease without a renewal, and it stands");
        root(&etcd).await.user_add(format!("user-{round}"), "x", None).await.unwrap();
    }
    root(&etcd).await.delete(before.clone().unwrap().0, None).await.unwrap();
    eventually!(key().await.is_some(), "it is written again with another token");
    assert!(key().await > before);
    drop(registered);
    eventually!(key().await.is_none(), "it is given back with another token");
}

fn over(cable: &Cable, login: Option<(&str, &str)>) -> Builder {
    let mut builder = Gateway::builder().etcd_within(&cable.endpoint(), "2s");
    for (key, value) in login.iter().flat_map(|(user, password)| [("user", *user), ("password", *password)]) {
        builder = builder.etcd_key(key, value);
    }
    builder
}

/// An etcd with users that it does not ask for yet, and an instance in it.
async fn unguarded() -> (Etcd, Cable, Instance) {
    let (etcd, _) = guarded_with(&[]).await;
    root(&etcd).await.auth_disable().await.unwrap();
    let cable = Cable::to(etcd.endpoint()).await;
    let instance = Instance::start(&["BTC_USDT"]).await;
    etcd.put("klineRpc/BTC_USDT/1", instance.address().to_string()).await;
    (etcd, cable, instance)
}

async fn lost(gateway: &Gateway, service: &str) -> String {
    let table = gateway.table().await;
    let services = table["services"].as_array().unwrap();
    let service = services.iter().find(|one| one["service"] == service).expect("it is shown");
    service["lost"].as_str().unwrap_or_default().to_owned()
}

async fn served(gateway: &Gateway) {
    let reply = gateway.client().get_kline(ask("BTC_USDT")).await.expect("the last table serves");
    assert_owner(reply.get_ref(), "BTC_USDT");
}

/// Ends the connections to etcd and lets new ones through.
async fn reconnect(cable: &Cable, gateway: &Gateway) {
    cable.cut();
    eventually!(!lost(gateway, "klineRpc").await.is_empty(), "the loss is noticed");
    cable.mend();
}

#[tokio::test]
async fn users_that_come_later_are_no_matter_to_who_has_a_login() {
    let (etcd, cable, _instance) = Box::pin(unguarded()).await;
    let gateway = over(&cable, Some(("reader", "secret"))).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    etcd.client().await.auth_enable().await.unwrap();
    reconnect(&cable, &gateway).await;
    eventually!(lost(&gateway, "klineRpc").await.is_empty(), "it logs in");
    let late = Instance::start(&["ETH_USDT"]).await;
    put(&etcd, "klineRpc/ETH_USDT/1", &late.address().to_string()).await;
    gateway.serving(&["BTC_USDT", "ETH_USDT"]).await;
}

#[tokio::test]
async fn without_a_login_the_last_table_serves_and_it_is_said_why() {
    let (etcd, cable, _instance) = Box::pin(unguarded()).await;
    let gateway = over(&cable, None).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    etcd.client().await.auth_enable().await.unwrap();
    reconnect(&cable, &gateway).await;
    let why = "user name is empty; it wants a login: name a user and a password";
    eventually!(lost(&gateway, "klineRpc").await.contains(why), "{}", lost(&gateway, "klineRpc").await);
    let late = Instance::start(&["ETH_USDT"]).await;
    put(&etcd, "klineRpc/ETH_USDT/1", &late.address().to_string()).await;
    assert!(gateway.metric("symgate_registry_stale_seconds", "klineRpc").await > 0.0);
    assert_eq!(gateway.metric("symgate_registry_events_total", "delete").await, 0.0);
    served(&gateway).await;
    let checked = check("check", &gateway.config_path()).await;
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(!checked.status.success() && said.contains(why), "{said}");

    root(&etcd).await.auth_disable().await.unwrap();
    gateway.serving(&["BTC_USDT", "ETH_USDT"]).await;
    assert_eq!(lost(&gateway, "klineRpc").await, "");
    assert_eq!(gateway.metric("symgate_registry_stale_seconds", "klineRpc").await, 0.0);
}

#[tokio::test]
async fn one_service_may_not_be_read_and_the_others_serve() {
    let (etcd, _) = guarded_with(&[]).await;
    let cable = Cable::to(etcd.endpoint()).await;
    let (btc, account) = (Instance::start(&["BTC_USDT"]).await, Instance::start(&[]).await);
    put(&etcd, "klineRpc/BTC_USDT/1", &btc.address().to_string()).await;
    put(&etcd, "accountRpc/1", &account.address().to_string()).await;
    let other = Route::to("accountRpc").unsplit().on("/pb.KlineService/WatchKline");
    let gateway = over(&cable, Some(("reader", "secret"))).route(Route::to("klineRpc")).route(other).start().await;
    gateway.serving(&["BTC_USDT"]).await;
    let why = "permission denied; grant these keys to a role of the user";
    eventually!(lost(&gateway, "accountRpc").await.contains(why), "/table says why");
    let (status, body) = gateway.admin_get("/readyz").await;
    assert!(status == 503 && body.contains("accountRpc (etcd") && body.contains(why), "{status} {body}");
    assert!(!body.contains("klineRpc"), "{body}");
    assert!(gateway.metric("symgate_registry_stale_seconds", "accountRpc").await > 0.0);
    assert_eq!(gateway.metric("symgate_registry_stale_seconds", "klineRpc").await, 0.0);
    let status = gateway.client().watch_kline(ask("BTC_USDT")).await.unwrap_err();
    assert_eq!(reason(&status), Some("table-not-loaded"), "{status}");
    let checked = check("check", &gateway.config_path()).await;
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(!checked.status.success() && said.contains("service accountRpc: ") && said.contains(why), "{said}");

    let prefix = || Permission::new(PermissionType::Read, "accountRpc/").with_prefix();
    root(&etcd).await.role_grant_permission("reader", prefix()).await.unwrap();
    gateway.ready().await;
    eventually!(gateway.client().watch_kline(ask("BTC_USDT")).await.is_ok(), "it comes up by itself");

    let end = RoleRevokePermissionOptions::new().with_prefix();
    root(&etcd).await.role_revoke_permission("reader", PREFIX, Some(end)).await.unwrap();
    reconnect(&cable, &gateway).await;
    eventually!(lost(&gateway, "klineRpc").await.contains(why), "{}", lost(&gateway, "klineRpc").await);
    eventually!(lost(&gateway, "accountRpc").await.is_empty(), "the other is heard");
    served(&gateway).await;
    let prefix = Permission::new(PermissionType::Read, PREFIX).with_prefix();
    root(&etcd).await.role_grant_permission("reader", prefix).await.unwrap();
    eventually!(lost(&gateway, "klineRpc").await.is_empty(), "it is right again");
    served(&gateway).await;
}

#[tokio::test]
async fn a_password_that_is_changed_and_changed_back() {
    let (etcd, config) = guarded_with(&[]).await;
    let link = Link::to(&etcd.endpoint()).await;
    let mut told = watch(config::Etcd { endpoints: vec![link.endpoint()], ..config });
    told.listed().await;
    root(&etcd).await.user_change_password("reader", "other").await.unwrap();
    put(&etcd, "klineRpc/B/1", "10.0.0.1:1").await;
    assert_eq!(told.events().await.1.len(), 1, "who is in stays in");
    link.cut();
    told.lost().await;
    link.open();
    eventually!(told.heard("authentication failed").await, "the reason is told");
    root(&etcd).await.user_change_password("reader", "secret").await.unwrap();
    assert_eq!(told.listed().await.keys(), ["klineRpc/A/1", "klineRpc/B/1"]);
}

#[tokio::test]
async fn a_login() {
    let (mut etcd, config) = guarded().await;
    let mut told = watch(config);
    assert_eq!(told.listed().await.keys(), ["klineRpc/A/1"]);
    let mut root = etcd.client_of("root", "r").await;
    root.put("klineRpc/B/1", "10.0.0.1:1", None).await.unwrap();
    assert_eq!(told.events().await.1.len(), 1);
    // Its tokens do not survive: the next session needs a login of its own.
    etcd.restart().await;
    assert_eq!(told.relisted().await.0.keys(), ["klineRpc/A/1", "klineRpc/B/1"]);
}

#[tokio::test]
async fn a_login_that_is_refused() {
    let (_etcd, config) = guarded().await;
    let wrong = ("reader".into(), "wrong".into());
    let reason = watch(config::Etcd { login: Some(wrong), ..config.clone() }).lost().await;
    assert!(reason.contains("authentication failed"), "{reason}");
    let reason = watch(config::Etcd { login: None, ..config.clone() }).lost().await;
    assert!(reason.contains("user name is empty"), "{reason}");
    let mut other = Told::by(|updates| etcd::watch(config, "accountRpc/".into(), SERVICE, updates, Reread::default()));
    let reason = other.lost().await;
    assert!(reason.contains("permission denied"), "{reason}");
}
