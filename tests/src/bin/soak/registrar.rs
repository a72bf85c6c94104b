//! Writes registrations to etcd, through its restarts: each change is tried until etcd has acknowledged it.

use std::{
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::Duration,
};

use etcd_client::{Client, Error, PutOptions};
use futures::{FutureExt, future::BoxFuture};
use tokio::time::{sleep, timeout};

/// What one try may take.
const TRY: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);

/// Who registers instances.
pub(crate) struct Registrar {
    endpoint: String,
    next: AtomicU64,
}

impl Registrar {
    /// Of the etcd at a URL.
    pub(crate) fn new(endpoint: String) -> Self {
        Self { endpoint, next: AtomicU64::new(1) }
    }

    /// Registers an address, in one of the formats; the key.
    pub(crate) async fn put(&self, symbol: &str, port: u16, lease: Option<i64>) -> String {
        let number = self.next.fetch_add(1, SeqCst);
        let key = format!("klineRpc/{symbol}/{number}");
        let value = if number.is_multiple_of(2) {
            format!("127.0.0.1:{port}")
        } else {
            format!(r#"{{"Op":0,"Addr":"127.0.0.1:{port}","Metadata":{{"weight":"{}"}}}}"#, number % 7 + 1)
        };
        let (put_key, options) = (key.clone(), lease.map(|lease| PutOptions::new().with_lease(lease)));
        self.retried(|mut client| {
            let (key, value, options) = (put_key.clone(), value.clone(), options.clone());
            async move { client.put(key, value, options).await }.boxed()
        })
        .await;
        key
    }

    /// Takes a registration back.
    pub(crate) async fn delete(&self, key: &str) {
        self.retried(|mut client| async move { client.delete(key, None).await }.boxed()).await;
    }

    /// A lease that nobody keeps alive.
    pub(crate) async fn lease(&self, seconds: i64) -> i64 {
        self.retried(|mut client| async move { client.lease_grant(seconds, None).await }.boxed()).await.id()
    }

    /// Waits until a key is gone.
    pub(crate) async fn gone(&self, key: &str) {
        while !self.retried(|mut client| async move { client.get(key, None).await }.boxed()).await.kvs().is_empty() {
            sleep(PAUSE).await;
        }
    }

    async fn retried<'a, T>(&self, act: impl Fn(Client) -> BoxFuture<'a, Result<T, Error>>) -> T {
        loop {
            let tried = timeout(TRY, async { act(Client::connect([&self.endpoint], None).await?).await });
            if let Ok(Ok(done)) = tried.await {
                return done;
            }
            sleep(PAUSE).await;
        }
    }
}
