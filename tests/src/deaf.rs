//! A proxy in front of etcd that passes everything but what a watch says once it was confirmed: a watch that has lost its
//! events and looks well.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::{RecvStream, SendStream, client, server};
use http::{Request, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

const WATCH: &str = "/etcdserverpb.Watch/Watch";

/// A listener whose watches hear nothing.
pub struct Deaf {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Deaf {
    /// In front of the host and port of a URL.
    pub async fn to(endpoint: &str) -> Self {
        let target = endpoint.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                // It ends with either side.
                tokio::spawn(serve(socket, target.clone()));
            }
        });
        Self { address, accepting }
    }

    /// The URL of this end.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(near: TcpStream, target: String) -> Option<()> {
    let far = TcpStream::connect(target).await.ok()?;
    let (requests, connection) = client::handshake(far).await.ok()?;
    let mut near = server::handshake(near).await.ok()?;
    let far = tokio::spawn(connection);
    while let Some(Ok((request, reply))) = near.accept().await {
        tokio::spawn(pass(request, reply, requests.clone()));
    }
    far.abort();
    Some(())
}

async fn pass(
    request: Request<RecvStream>,
    mut reply: server::SendResponse<Bytes>,
    requests: client::SendRequest<Bytes>,
) -> Result<(), h2::Error> {
    let (head, body) = request.into_parts();
    // The first message says that the watch stands.
    let heard = if head.uri.path() == WATCH { 1 } else { usize::MAX };
    let (response, send) = requests.ready().await?.send_request(Request::from_parts(head, ()), false)?;
    let back = async {
        let (head, body) = response.await?.into_parts();
        let send = reply.send_response(Response::from_parts(head, ()), false)?;
        pump(body, send, heard).await
    };
    tokio::try_join!(pump(body, send, usize::MAX), back)?;
    Ok(())
}

/// Passes so many pieces on and swallows the rest, up to the end.
async fn pump(mut from: RecvStream, mut to: SendStream<Bytes>, pieces: usize) -> Result<(), h2::Error> {
    let mut passed = 0;
    while let Some(data) = from.data().await {
        let data = data?;
        from.flow_control().release_capacity(data.len())?;
        if passed < pieces {
            passed += 1;
            to.send_data(data, false)?;
        }
    }
    match from.trailers().await? {
        Some(trailers) => to.send_trailers(trailers),
        None => to.send_data(Bytes::new(), true),
    }
}
