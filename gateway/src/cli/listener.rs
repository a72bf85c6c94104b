//! The admin listener of a gateway, as commands ask it: one request over one connection, within a time. Knows no path of
//! it and nothing of what it answers.

use std::time::Duration;

use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, runtime, task::JoinSet, time::timeout};

/// How long a gateway may take for one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const LONGEST: usize = 256 << 20;

/// Where a gateway answers its operators.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Listener {
    /// The admin listener of the gateway: the address of [admin]
    #[arg(long = "admin", value_name = "ADDR", default_value = "127.0.0.1:9901")]
    address: String,
}

/// Why there is no answer, or one that says no.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    /// There is nobody to ask.
    #[error("no gateway answers at {address}: {why}; is one running there? --admin takes the address of its [admin]")]
    Nobody {
        /// Where.
        address: String,
        /// What went wrong.
        why: String,
    },
    /// The gateway says why not.
    #[error("the gateway at {address} says no ({status}): {text}")]
    Refused {
        /// Where.
        address: String,
        /// As HTTP has it.
        status: StatusCode,
        /// What it says.
        text: String,
    },
}

impl Listener {
    /// What a path shows.
    ///
    /// # Errors
    /// When nobody answers, or the gateway says no.
    pub(super) fn get(&self, path: &str) -> Result<Vec<u8>, Unanswered> {
        self.ask(Method::GET, path, Vec::new())
    }

    /// What a path answers to this.
    ///
    /// # Errors
    /// As [`Listener::get`].
    pub(super) fn post(&self, path: &str, body: Vec<u8>) -> Result<Vec<u8>, Unanswered> {
        self.ask(Method::POST, path, body)
    }

    fn ask(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Vec<u8>, Unanswered> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let answered = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
            let in_time = async { timeout(PATIENCE, self.exchange(method, path, body)).await };
            runtime.block_on(in_time).unwrap_or_else(|_elapsed| Err(format!("nothing came in {PATIENCE:?}")))
        });
        let (status, body) = answered.map_err(|why| Unanswered::Nobody { address: self.address.clone(), why })?;
        if status.is_success() {
            return Ok(body);
        }
        let text = String::from_utf8_lossy(&body).trim_end().to_owned();
        Err(Unanswered::Refused { address: self.address.clone(), status, text })
    }

    async fn exchange(&self, method: Method, path: &str, body: Vec<u8>) -> Result<(StatusCode, Vec<u8>), String> {
        let tcp = TcpStream::connect(&self.address).await.map_err(|error| error.to_string())?;
        let no_http = |error: hyper::Error| format!("what listens there speaks no HTTP/1: {error}");
        let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await.map_err(no_http)?;
        // Ended with this.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.address)
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| format!("{path} cannot be asked for: {error}"))?;
        let (head, body) = sender.send_request(request).await.map_err(no_http)?.into_parts();
        let body = Limited::new(body, LONGEST).collect().await;
        let body = body.map_err(|error| format!("the answer broke off: {error}"))?;
        Ok((head.status, body.to_bytes().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread::{self, JoinHandle},
    };

    use super::*;

    impl Listener {
        fn at(address: impl Into<String>) -> Self {
            Self { address: address.into() }
        }
    }

    /// Answers one request; gives what was asked.
    fn gateway(answer: &'static str) -> (Listener, JoinHandle<String>) {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = Listener::at(socket.local_addr().unwrap().to_string());
        let asked = thread::spawn(move || {
            let (mut client, _) = socket.accept().unwrap();
            let mut asked = vec![0; 4096];
            let length = client.read(&mut asked).unwrap();
            client.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        (listener, asked)
    }

    #[test]
    fn a_question_with_a_body_gets_the_answer() {
        let (listener, asked) = gateway("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes");
        assert_eq!(listener.post("/explain", b"why".to_vec()).unwrap(), b"yes");
        let asked = asked.join().unwrap();
        assert!(asked.starts_with("POST /explain HTTP/1.1\r\n") && asked.contains("content-length: 3\r\n"), "{asked}");
    }

    #[test]
    fn what_the_gateway_refuses_is_told_in_its_words() {
        let (listener, asked) = gateway("HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\nno such\r\n");
        let refused = listener.get("/nothing").unwrap_err();
        assert!(asked.join().unwrap().starts_with("GET /nothing HTTP/1.1\r\n"));
        assert!(refused.to_string().ends_with(" says no (404 Not Found): no such"), "{refused}");
        assert!(matches!(refused, Unanswered::Refused { status: StatusCode::NOT_FOUND, .. }));
    }

    #[test]
    fn that_nobody_listens_is_said_with_what_to_do() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = Listener::at(free.to_string()).get("/plugins").unwrap_err().to_string();
        let (start, end) = (format!("no gateway answers at {free}: "), "--admin takes the address of its [admin]");
        assert!(error.starts_with(&start) && error.ends_with(end), "{error}");
    }

    #[test]
    fn what_is_no_gateway_is_told_apart() {
        let (listener, asked) = gateway("SSH-2.0-OpenSSH_9.2\r\n");
        let error = listener.get("/plugins").unwrap_err().to_string();
        asked.join().unwrap();
        assert!(error.contains("speaks no HTTP/1"), "{error}");
    }
}
