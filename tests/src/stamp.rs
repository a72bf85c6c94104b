//! A gateway whose one plugin says in every reply which version of it decided.

use std::path::Path;

use crate::{
    Gateway, Instance, Plugin, RegistryFile, Route,
    client::ask,
    gateway::Builder,
    wasm::{bytes, with_fresh_bytes, with_text},
};

/// What the fixture `stamp` answers as it is built; the other version is the same file with another text.
pub const A: &str = "THE-SYMBOL-THAT-VERSION-A-OF-THIS-PLUGIN-ANSWERS-FOR-EVERY-CALL";
/// What the other version answers.
pub const B: &str = "THE-SYMBOL-THAT-VERSION-B-OF-THIS-PLUGIN-ANSWERS-FOR-EVERY-CALL";

/// What a version says that it would answer, and traps instead.
pub const TRAP: &str = "TRAP-IN-EVERY-CALL-IS-WHAT-THIS-VERSION-DOES-INSTEAD-OF-ANSWERS";

/// New bytes of one of these versions: no cache knows them.
pub fn version(symbol: &str) -> Vec<u8> {
    with_fresh_bytes(with_text(bytes("stamp"), A, symbol))
}

/// A gateway and an instance for each version's symbol.
pub struct Stamped {
    /// The gateway.
    pub gateway: Gateway,
    _owners: [Instance; 2],
    _registry: RegistryFile,
}

impl Stamped {
    /// The plugin file is at `path` and must be there.
    pub async fn start(path: &Path) -> Self {
        Self::with(path, |plugin| plugin).await
    }

    /// The same with more keys of the `[[plugin]]`.
    pub async fn with(path: &Path, more: impl FnOnce(Plugin) -> Plugin) -> Self {
        Self::beside(path, &Plugin::builtin("beside", "least-loaded"), more).await
    }

    /// The same beside another plugin, which no route uses.
    pub async fn beside(path: &Path, other: &Plugin, more: impl FnOnce(Plugin) -> Plugin) -> Self {
        Self::of(Gateway::builder().plugin(other.clone()), more(Plugin::wasm("stamp", path))).await
    }

    /// With more in the configuration, of the gateway and of the plugin called `stamp`.
    pub async fn of(builder: Builder, plugin: Plugin) -> Self {
        let owners = [Instance::start(&[A]).await, Instance::start(&[B]).await];
        let registry = RegistryFile::of(&[(A, owners[0].address()), (B, owners[1].address())]);
        let gateway = builder
            .file(&registry)
            .plugin(plugin)
            .route(Route::to("klineRpc").with("extract", "stamp").with("select", "stamp"))
            .start()
            .await;
        gateway.serving(&["any"]).await;
        Self { gateway, _owners: owners, _registry: registry }
    }

    /// The symbol that the deciding version answers.
    pub async fn decides(&self) -> String {
        let reply = self.gateway.client().get_kline(ask("any")).await.expect("no call fails for a reload").into_inner();
        reply.owns[0].clone()
    }
}
