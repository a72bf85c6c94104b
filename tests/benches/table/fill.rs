//! Large services in etcd.

use etcd_client::{Txn, TxnOp};
use symgate_tests::Etcd;

/// Instances of each symbol.
pub(super) const INSTANCES: usize = 3;
/// Operations that etcd takes in one transaction by default.
const BATCH: usize = 128;

/// The key and the address of an entry; `turn` makes other addresses of the same key. They are distinct, on loopback,
/// and nobody listens there.
pub(super) fn entry(service: &str, n: usize, turn: u16) -> (String, String) {
    let address = format!("127.{}.{}.{}:{}", 1 + n / 65_536, n / 256 % 256, n % 256, 1 + turn);
    (format!("{service}/SYMBOL{}/{}", n / INSTANCES, n % INSTANCES), address)
}

/// Registers the instances of so many symbols.
pub(super) async fn fill(etcd: &Etcd, service: &str, symbols: usize) {
    let mut client = etcd.client().await;
    let all: Vec<_> = (0..symbols * INSTANCES).collect();
    for batch in all.chunks(BATCH) {
        let put = |n: &usize| {
            let (key, address) = entry(service, *n, 0);
            TxnOp::put(key, address, None)
        };
        client.txn(Txn::new().and_then(batch.iter().map(put).collect::<Vec<_>>())).await.expect("etcd takes the batch");
    }
}
