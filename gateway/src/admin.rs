//! The listener for operators: views of the newest snapshot over HTTP/1, and questions to workers. Sees no call, changes
//! nothing but what `release` and `versions` say, and never holds a snapshot across an await.

use std::{
    collections::HashMap,
    convert::Infallible,
    str::Utf8Error,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    metrics::Metrics,
    shutdown::Shutdown,
    snapshot::{Readers, Snapshot},
};

mod certificates;
mod metrics;
mod plugins;
mod questions;
mod ready;
mod release;
mod table;
mod versions;

pub use self::ready::not_ready;

#[cfg(test)]
mod tests;

/// Connections at a time; more wait in the kernel's queue.
const CONNECTIONS: usize = 64;
/// How long a connection may take from its first byte to its last: it carries one request.
const CONNECTION_TIME: Duration = Duration::from_secs(30);
/// How long the head of the request may take.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// A pause after an accept that failed, as it does for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const INDEX: &str = "\
symgate admin
  /livez         the process is alive
  /readyz        calls can be placed: every service's table was read and no drain has begun
  /metrics       for Prometheus
  /table         services, symbols, instances, refused entries; ?service= ?symbol= ?limit= (symbols per service)
  /plugins       plugins with the version that decides, those that are kept, and those that were refused
  /plugins/NAME  POST /plugins/NAME/rollback: the version before decides again; /plugins/NAME/reload: its file is read
  /certificates  who is spoken to with TLS, until when the certificates are good, and what was refused
  /decisions     what plugins were given and said lately, a line of JSON each; ?plugin=
  /explain       POST a call as JSON: where would it go, and why? `symgate explain` asks so
  /release       POST ?service=: its instances that left the registry and serve on (spared in /table) are gone
";

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const JSON_LINES: &str = "application/x-ndjson";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the views are made from.
#[derive(Clone)]
pub struct View {
    /// The newest snapshot.
    pub readers: Readers,
    /// The counters.
    pub metrics: Metrics,
}

/// Serves until the process ends; through a drain, so that it can be watched.
pub async fn serve(listener: TcpListener, view: View, shutdown: Shutdown) {
    let mut connections = JoinSet::new();
    let mut ended = shutdown.clone();
    let accepting = async {
        loop {
            while connections.len() >= CONNECTIONS {
                connections.join_next().await;
            }
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => drop(connections.spawn(connection(stream, view.clone(), shutdown.clone()))),
                    Err(error) => {
                        tracing::warn!(%error, "the admin listener cannot accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = ended.ended() => {}
    }
}

async fn connection(stream: TcpStream, view: View, shutdown: Shutdown) {
    let answer = service_fn(move |request: Request<hyper::body::Incoming>| {
        let (view, shutdown) = (view.clone(), shutdown.clone());
        async move { Ok::<_, Infallible>(asked(request, &view, &shutdown).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    match timeout(CONNECTION_TIME, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an admin connection broke"),
        Err(_elapsed) => tracing::debug!("an admin connection took too long"),
    }
}

/// What workers and control are asked takes a moment; everything else is there.
async fn asked(request: Request<hyper::body::Incoming>, view: &View, shutdown: &Shutdown) -> Response<Full<Bytes>> {
    let workers = view.readers.questions();
    let refused = |(status, text)| respond(status, TEXT, text);
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/explain") => questions::explain(request.into_body(), workers)
            .await
            .map_or_else(refused, |explanation| respond(StatusCode::OK, JSON, json(&explanation))),
        (&Method::GET, "/decisions") => match parameters(request.uri().query()) {
            Ok(query) => questions::decisions(query, questions::current(&newest(&view.readers)), workers)
                .await
                .map_or_else(refused, |lines| respond(StatusCode::OK, JSON_LINES, lines)),
            Err(reason) => refused((StatusCode::BAD_REQUEST, format!("{reason}\n"))),
        },
        (method, path) => match versions::Change::of(path).filter(|_| method == Method::POST) {
            Some(change) => {
                let (status, text) = change.make(&view.readers).await;
                respond(status, TEXT, text)
            }
            None => answer(method, path, request.uri().query(), view, shutdown),
        },
    }
}

fn answer(method: &Method, path: &str, query: Option<&str>, view: &View, shutdown: &Shutdown) -> Response<Full<Bytes>> {
    let snapshot = newest(&view.readers);
    let allowed = match path {
        "/release" | "/explain" => "POST",
        "/decisions" => "GET",
        _ if versions::Change::of(path).is_some() => "POST",
        _ => "GET, HEAD",
    };
    if !allowed.split(", ").any(|allowed| allowed == method.as_str()) {
        let mut refused =
            respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, format!("only {allowed} can be asked of {path}\n"));
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
        return refused;
    }
    match path {
        "/" => respond(StatusCode::OK, TEXT, INDEX),
        "/livez" => respond(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" => match not_ready(&snapshot, shutdown.is_leaving()) {
            None => respond(StatusCode::OK, TEXT, "ok\n"),
            Some(reason) => respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n")),
        },
        "/metrics" => respond(StatusCode::OK, OPEN_METRICS, metrics::render(&view.metrics, &snapshot)),
        "/table" => match parameters(query).and_then(|query| table::Filter::from_query(&query)) {
            Ok(filter) => respond(StatusCode::OK, JSON, json(&table::view(&snapshot, &filter))),
            Err(reason) => respond(StatusCode::BAD_REQUEST, TEXT, format!("{reason}\n")),
        },
        "/certificates" => respond(StatusCode::OK, JSON, json(&certificates::view(&snapshot))),
        "/release" => match parameters(query) {
            Ok(query) => {
                let (status, text) = release::release(&snapshot, &query, &view.readers.doubts());
                respond(status, TEXT, text)
            }
            Err(reason) => respond(StatusCode::BAD_REQUEST, TEXT, format!("{reason}\n")),
        },
        "/plugins" => respond(StatusCode::OK, JSON, json(&plugins::view(&snapshot))),
        _ => respond(StatusCode::NOT_FOUND, TEXT, format!("there is no {path}; this is what there is:\n\n{INDEX}")),
    }
}

fn newest(readers: &Readers) -> Arc<Snapshot> {
    readers.reader().snapshot().clone()
}

fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn json(view: &impl serde::Serialize) -> String {
    // Views are made of texts, numbers and lists, which always serialize.
    serde_json::to_string_pretty(view).unwrap_or_default() + "\n"
}

/// `a=b&c=d`, percent-decoded: symbols may hold any character.
fn parameters(query: Option<&str>) -> Result<HashMap<String, String>, String> {
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().map(String::from);
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(key)?, decode(value)?))
        })
        .collect::<Result<_, Utf8Error>>()
        .map_err(|error| format!("the query is not UTF-8: {error}"))
}

/// Seconds since 1970, as everything here tells time.
fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
