//! A gateway that answers what a test tells it to, or nothing at all.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Listens until the test process ends.
pub(crate) struct Fake {
    pub(crate) url: String,
    asked: Arc<AtomicUsize>,
}

impl Fake {
    /// Answers the requests with these bodies, one after the other, and says nothing to more.
    pub(crate) fn new(media: &'static str, bodies: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let bodies = Arc::new(Mutex::new(bodies.into_iter()));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (bodies, counted) = (Arc::clone(&bodies), Arc::clone(&counted));
                std::thread::spawn(move || {
                    while read(&stream) {
                        counted.fetch_add(1, Ordering::SeqCst);
                        let Some(body) = bodies.lock().unwrap().next() else { continue };
                        answer(&stream, media, &body);
                    }
                });
            }
        });
        Self { url, asked }
    }

    /// Returns how many requests came.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Reads one request whole; false when the client is gone.
fn read(stream: &TcpStream) -> bool {
    // Nothing is sent behind a request before its answer, so nothing stays behind in the reader.
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return false;
        }
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            return reader.read_exact(&mut vec![0; length]).is_ok();
        }
    }
}

fn answer(mut stream: &TcpStream, media: &str, body: &str) {
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length: {length}\r\n\r\n");
    // A client that has left is no failure of the fake's.
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}
