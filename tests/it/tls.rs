//! TLS on both sides of the gateway: who is believed, who is refused and hears why, and files that change meanwhile.

mod downstream;
mod load;
mod swap;
mod upstream;

use symgate_tests::{
    Gateway, Instance, RegistryFile, Route,
    gateway::Builder,
    tls::{Authority, Files, GATEWAY, serving},
};
use toml::{Table, Value};

/// A gateway whose clients speak TLS, in front of one instance that owns `BTC_USDT`.
struct Site {
    authority: Authority,
    files: Files,
    instance: Instance,
    gateway: Gateway,
    _registry: RegistryFile,
}

impl Site {
    /// Clients need no certificate.
    async fn start() -> Self {
        Self::build(false, |builder| builder).await
    }

    /// Clients need a certificate of the authority.
    async fn mutual(build: impl FnOnce(Builder) -> Builder) -> Self {
        Self::build(true, build).await
    }

    async fn build(mutual: bool, build: impl FnOnce(Builder) -> Builder) -> Self {
        let (authority, files) = (Authority::new(), Files::new());
        files.write_pair("server", &authority.pair(&[GATEWAY]));
        files.write("clients.pem", &authority.pem());
        let mut keys = vec![("certificate", "server.pem"), ("key", "server.key")];
        keys.extend(mutual.then_some(("client_ca", "clients.pem")));
        let instance = Instance::start(&["BTC_USDT"]).await;
        let registry = RegistryFile::of(&[("BTC_USDT", instance.address())]);
        let builder = Gateway::builder().file(&registry).listen("tls", files.table(&keys));
        let gateway = build(builder).start().await;
        gateway.ready().await;
        Self { authority, files, instance, gateway, _registry: registry }
    }

    /// The sum of the handshakes that failed so.
    async fn errors(&self, peer: &str, why: &str) -> f64 {
        let labels = format!("peer=\"{peer}\",why=\"{why}\"");
        self.gateway.metric("symgate_tls_errors_total", &labels).await
    }

    /// What `/certificates` says of the listener.
    async fn listener(&self) -> serde_json::Value {
        certificates(&self.gateway, "listener").await
    }
}

/// What `/certificates` says of one user of files.
async fn certificates(gateway: &Gateway, of: &str) -> serde_json::Value {
    let (status, body) = gateway.admin_get("/certificates").await;
    assert_eq!(status, 200, "{body}");
    let view: serde_json::Value = serde_json::from_str(&body).unwrap();
    let all = view["certificates"].as_array().unwrap();
    all.iter().find(|one| one["of"] == of).expect("it is listed").clone()
}

/// A `[[service]]` whose instances are spoken to with TLS.
fn service(name: &str, tls: Table) -> String {
    let service = Table::from_iter([("name".to_owned(), name.into()), ("tls".to_owned(), tls.into())]);
    let all = Value::Array(vec![service.into()]);
    Table::from_iter([("service".to_owned(), all)]).to_string()
}
