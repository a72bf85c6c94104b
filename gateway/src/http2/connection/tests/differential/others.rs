//! The other make.

use std::rc::Rc;

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client, server};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::{io::DuplexStream, task::spawn_local};

use super::{Came, List, Message, Plan, Shared, Windows};

/// Serves the calls as they are planned.
pub(super) async fn server(io: DuplexStream, windows: Windows, plans: Vec<Plan>, shared: Shared) {
    // It counts a stream whose request it threw away until its reset is sent, though both halves have ended: a client
    // that knows its limit to the last stream is refused then.
    let limited = !plans.iter().any(|plan| plan.early || plan.abort);
    let mut connection = server::Builder::new()
        .initial_window_size(windows.theirs)
        .initial_connection_window_size(windows.connection)
        .max_concurrent_streams(if limited { windows.streams } else { 100 })
        .data_frame_budget(usize::MAX >> 1)
        .max_pending_accept_reset_streams(100)
        .handshake::<_, Bytes>(io)
        .await
        .expect("a greeting");
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted.expect("a call");
        let call: usize = request.uri().path().trim_start_matches('/').parse().expect("a number");
        spawn_local(serve(call, plans[call].clone(), request, respond, Rc::clone(&shared)));
    }
}

async fn serve(
    call: usize,
    plan: Plan,
    request: Request<RecvStream>,
    mut respond: server::SendResponse<Bytes>,
    shared: Shared,
) {
    let (head, body) = request.into_parts();
    let fields = list(&head.headers);
    let record = move |came: Came| drop(shared.borrow_mut().requests.insert(call, came));
    let mut came = Came { fields, ..Came::default() };
    record(came.clone());
    let mut response = Response::new(());
    *response.headers_mut() = headers(&plan.response.fields);
    let at_once = plan.response.body.is_empty() && plan.response.trailers.is_none() && plan.early && !plan.abort;
    let Ok(mut sends) = respond.send_response(response, at_once) else { return };
    if at_once {
        return;
    }
    let reads = async {
        read(&mut came, body, None).await;
        record(came);
    };
    // The body goes while the request comes; the end waits for the request's, unless the plan says otherwise.
    let pieces = plan.response.pieces(call);
    if plan.early {
        send_all(&mut sends, pieces).await;
        end(&mut sends, &plan.response, plan.abort);
        // A request that nobody reads any more.
        return;
    }
    tokio::join!(reads, send_all(&mut sends, pieces));
    end(&mut sends, &plan.response, plan.abort);
}

/// Makes the calls as they are planned.
pub(super) async fn client(io: DuplexStream, windows: Windows, plans: Vec<Plan>, shared: Shared) {
    let (mut send, connection) = client::Builder::new()
        .initial_window_size(windows.theirs)
        .initial_connection_window_size(windows.connection)
        .data_frame_budget(usize::MAX >> 1)
        .enable_push(false)
        .handshake::<_, Bytes>(io)
        .await
        .expect("a greeting");
    spawn_local(async move { connection.await.expect("a connection without fault") });
    for (call, plan) in plans.into_iter().enumerate() {
        send = send.ready().await.expect("room");
        let mut request = Request::post(format!("http://host/{call}")).body(()).expect("valid");
        *request.headers_mut() = headers(&plan.request.fields);
        let (response, sends) = send.send_request(request, false).expect("sent");
        let shared = Rc::clone(&shared);
        spawn_local(call_one(call, plan, response, sends, shared));
    }
    // The handle keeps the connection open.
    std::future::pending::<()>().await;
}

async fn call_one(
    call: usize,
    plan: Plan,
    response: client::ResponseFuture,
    mut sends: SendStream<Bytes>,
    shared: Shared,
) {
    let asks = async {
        send_all(&mut sends, plan.request.pieces(call)).await;
        end(&mut sends, &plan.request, false);
        sends
    };
    let hears = async {
        let mut came = Came::default();
        match response.await {
            Ok(response) => {
                let (head, body) = response.into_parts();
                came.fields = list(&head.headers);
                read(&mut came, body, plan.cancel).await;
            }
            Err(error) => came.reset = Some(code(&error)),
        }
        came
    };
    // Once the response has ended the request is of no use.
    tokio::pin!(asks);
    tokio::pin!(hears);
    let mut sends = None;
    let came = loop {
        tokio::select! {
            done = &mut asks, if sends.is_none() => sends = Some(done),
            came = &mut hears => break came,
        }
    };
    let mut journal = shared.borrow_mut();
    journal.responses.insert(call, came);
    journal.done += 1;
}

/// Reads to the end, or until so many bytes have come.
async fn read(came: &mut Came, mut body: RecvStream, cancel: Option<usize>) {
    while let Some(piece) = body.data().await {
        match piece {
            Ok(piece) => {
                came.body.extend_from_slice(&piece);
                body.flow_control().release_capacity(piece.len()).expect("it came");
            }
            Err(error) => return came.reset = Some(code(&error)),
        }
        if cancel.is_some_and(|at| came.body.len() >= at) {
            // To drop all handles is to reset.
            return came.reset = Some(8);
        }
    }
    match body.trailers().await {
        Ok(trailers) => {
            came.trailers = trailers.as_ref().map(list);
            came.whole = true;
        }
        Err(error) => came.reset = Some(code(&error)),
    }
}

async fn send_all(sends: &mut SendStream<Bytes>, pieces: Vec<Vec<u8>>) {
    for piece in pieces {
        let mut rest = Bytes::from(piece);
        while !rest.is_empty() {
            sends.reserve_capacity(rest.len());
            let Some(Ok(room)) = std::future::poll_fn(|cx| sends.poll_capacity(cx)).await else { return };
            let now = rest.split_to(room.min(rest.len()));
            if sends.send_data(now, false).is_err() {
                return;
            }
        }
    }
}

/// The other end may have reset the stream: that shows elsewhere.
fn end(sends: &mut SendStream<Bytes>, message: &Message, abort: bool) {
    let _ = match &message.trailers {
        _ if abort => return sends.send_reset(Reason::INTERNAL_ERROR),
        Some(trailers) => sends.send_trailers(headers(trailers)),
        None => sends.send_data(Bytes::new(), true),
    };
}

fn code(error: &h2::Error) -> u32 {
    error.reason().map_or(u32::MAX, Into::into)
}

fn headers(fields: &[(String, Vec<u8>)]) -> HeaderMap {
    let name = |name: &str| name.parse::<HeaderName>().expect("a name");
    let value = |value: &[u8]| HeaderValue::from_bytes(value).expect("a value");
    let mut map = HeaderMap::new();
    for (key, bytes) in fields {
        map.append(name(key), value(bytes));
    }
    map
}

fn list(headers: &HeaderMap) -> List {
    let values = |name: &HeaderName| headers.get_all(name).iter().map(|value| value.as_bytes().to_vec()).collect();
    headers.keys().map(|name| (name.to_string(), values(name))).collect()
}
