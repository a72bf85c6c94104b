//! Clients of the gateway and the requests that they send.

use std::net::SocketAddr;

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataKey, MetadataValue},
    transport::{Channel, Endpoint},
};

use crate::pb::{KlineReply, KlineRequest, kline_service_client::KlineServiceClient};

/// A gRPC client of the k-line service.
pub type Client = KlineServiceClient<Channel>;

/// A client on a connection of its own, opened on the first call.
///
/// # Panics
/// Never on an address that the system gave.
pub fn client(address: SocketAddr) -> Client {
    over(endpoint(&format!("http://{address}")).connect_lazy())
}

/// Where clients connect to, with windows in which messages of the tests find room.
pub(crate) fn endpoint(url: &str) -> Endpoint {
    let endpoint = Endpoint::from_shared(url.to_owned()).unwrap();
    endpoint.initial_connection_window_size(16 << 20).initial_stream_window_size(8 << 20)
}

/// A client over a channel, with messages of any size.
pub(crate) fn over(channel: Channel) -> Client {
    KlineServiceClient::new(channel).max_decoding_message_size(usize::MAX).max_encoding_message_size(usize::MAX)
}

/// A request about a symbol, in the message.
pub fn ask(symbol: &str) -> KlineRequest {
    KlineRequest { symbol: symbol.into(), interval: "1m".into(), count: 1, ..KlineRequest::default() }
}

/// A request that names its symbol in the metadata only.
pub fn with_symbol<T>(message: T, symbol: &str) -> Request<T> {
    with_metadata(message, "symbol", symbol)
}

/// A request with a metadata key.
///
/// # Panics
/// When key or value cannot be metadata.
pub fn with_metadata<T>(message: T, key: &str, value: &str) -> Request<T> {
    let mut request = Request::new(message);
    let key: MetadataKey<Ascii> = key.parse().unwrap();
    request.metadata_mut().insert(key, value.parse::<MetadataValue<Ascii>>().unwrap());
    request
}

/// The slug that tells the gateway's own errors from those of instances.
pub fn reason(status: &Status) -> Option<&str> {
    status.metadata().get("symgate-reason").and_then(|reason| reason.to_str().ok())
}

/// Whether the gateway made this error, or this client because the gateway cannot be reached.
pub fn is_ours(status: &Status) -> bool {
    use std::error::Error;
    reason(status).is_some() || status.source().is_some()
}

/// Whether this client itself gave the call up before it sent anything of it: hyper does so with calls that it took for
/// a connection which it closes.
pub fn never_sent(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.downcast_ref().is_some_and(hyper::Error::is_canceled) {
            return true;
        }
        source = error.source();
    }
    false
}

/// Fails unless the reply comes from an owner of the symbol.
#[track_caller]
pub fn assert_owner(reply: &KlineReply, symbol: &str) {
    assert!(
        reply.owns.iter().any(|owned| owned == symbol),
        "a call about {symbol} reached {}, which owns {:?}",
        reply.instance,
        reply.owns
    );
}

/// Fails when the call is answered by one that does not own the symbol; the gateway may say that there is none.
pub async fn owner_or_none(mut client: Client, symbol: &str) {
    match client.get_kline(ask(symbol)).await {
        Ok(reply) => assert_owner(reply.get_ref(), symbol),
        Err(status) => {
            let known = ["no-instance", "unreachable", "instance-lost"];
            assert!(reason(&status).is_some_and(|reason| known.contains(&reason)), "{symbol}: {status}");
        }
    }
}
