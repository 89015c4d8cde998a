//! A receiver of pushes: a TCP listener that remembers what it was sent and answers what a test
//! wants, byte by byte.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use leveret_common::spawn::Spawner;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// `POST /hooks/paid HTTP/1.1`.
    pub(crate) line: String,
    /// Names in lowercase.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// Everything, as it came.
    pub(crate) raw: Vec<u8>,
}

type Answer = Box<dyn Fn(usize) -> String + Send + Sync>;

/// A listener that answers each request; stopped when dropped.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    inner: Arc<Inner>,
    spawner: Spawner,
}

struct Inner {
    answer: Answer,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    seen: Vec<Seen>,
    connections: usize,
    /// Connections that the other side ended.
    ended: usize,
}

/// Writes an answer with this status, and a body.
pub(crate) fn says(status: &str, body: &str) -> String {
    says_with(status, "", body)
}

/// The same with header lines, each with its line end.
pub(crate) fn says_with(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

impl Receiver {
    /// Listens on this machine and answers the nth request, counted from 1.
    pub(crate) async fn start(answer: impl Fn(usize) -> String + Send + Sync + 'static) -> Self {
        Self::on("127.0.0.1:0", answer).await
    }

    pub(crate) async fn on(
        address: &str,
        answer: impl Fn(usize) -> String + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner { answer: Box::new(answer), log: Mutex::default() });
        let spawner = Spawner::new();
        let (serving, one) = (Arc::clone(&inner), spawner.clone());
        spawner.spawn(async move {
            let stop = one.shutdown_signal();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = stop.cancelled() => return,
                };
                let (stream, _) = accepted.unwrap();
                one.spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        Self { address, inner, spawner }
    }

    /// Answers 200 with this body.
    pub(crate) async fn content(body: &'static str) -> Self {
        Self::start(move |_| says("200 OK", body)).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.inner.log.lock().unwrap().seen.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.inner.log.lock().unwrap().connections
    }

    pub(crate) fn ended(&self) -> usize {
        self.inner.log.lock().unwrap().ended
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.spawner.shut_down();
    }
}

async fn serve(mut stream: TcpStream, inner: Arc<Inner>) {
    inner.log.lock().unwrap().connections += 1;
    while let Some(seen) = read(&mut stream).await {
        let number = {
            let mut log = inner.log.lock().unwrap();
            log.seen.push(seen);
            log.seen.len()
        };
        let answer = (inner.answer)(number);
        if stream.write_all(answer.as_bytes()).await.is_err()
            || answer.contains("connection: close")
        {
            break;
        }
    }
    inner.log.lock().unwrap().ended += 1;
}

/// Reads one request; nothing once the other side has ended the connection.
async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut raw = Vec::new();
    let end = loop {
        if let Some(end) = raw.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut raw).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(raw[..end].to_vec()).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let pair = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    let headers: BTreeMap<_, _> = lines.map(pair).collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while raw.len() < end + length {
        if stream.read_buf(&mut raw).await.ok()? == 0 {
            return None;
        }
    }
    Some(Seen { line, headers, body: raw[end..].to_vec(), raw })
}
