//! A publisher that sends any bytes: AMQP 0-9-1 by hand, as far as a publish with a confirm goes.
//!
//! A client of the ecosystem refuses, or mends, what a test wants to send, and builds deep tables
//! by recursion. This one writes the content header as it is given.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than a server takes for any frame: one with deep arrays costs RabbitMQ seconds.
const DEADLINE: Duration = Duration::from_secs(60);
/// The largest frame of a server that was not set up otherwise.
const FRAME_MAX: u32 = 131_072;
/// Octets of a frame beside its payload.
const FRAME: usize = 8;
/// Frame types.
const METHOD: u8 = 1;
const CONTENT_HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
/// The properties of a message, in the order of their flags.
const PROPERTIES: [&str; 14] = [
    "content_type",
    "content_encoding",
    "headers",
    "delivery_mode",
    "priority",
    "correlation_id",
    "reply_to",
    "expiration",
    "message_id",
    "timestamp",
    "type",
    "user_id",
    "app_id",
    "cluster_id",
];

/// The properties of a message, as bytes.
#[derive(Debug, Clone, Default)]
pub struct Properties([Option<Vec<u8>>; PROPERTIES.len()]);

impl Properties {
    /// Sets a property to the octets of its value, which are not looked at.
    ///
    /// # Panics
    /// When there is no property of this name.
    #[must_use]
    pub fn octets(mut self, name: &str, octets: &[u8]) -> Self {
        let at = PROPERTIES.iter().position(|known| *known == name).expect("a property's name");
        self.0[at] = Some(octets.to_vec());
        self
    }

    /// Sets a property that is a text; it need not be UTF-8.
    ///
    /// # Panics
    /// When there is no property of this name, or the text has more than 255 bytes.
    #[must_use]
    pub fn text(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        self.octets(name, &[&[u8::try_from(text.len()).unwrap()], text].concat())
    }

    /// Sets the headers to the entries of a table.
    #[must_use]
    pub fn headers(self, entries: &[Vec<u8>]) -> Self {
        self.octets("headers", &block(b'F', &entries.concat())[1..])
    }

    /// Whether a property of this name is set.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        PROPERTIES.iter().zip(&self.0).any(|(known, octets)| *known == name && octets.is_some())
    }

    fn written(&self) -> Vec<u8> {
        let places =
            self.0.iter().enumerate().filter_map(|(at, octets)| Some((at, octets.as_ref()?)));
        let flags = places.clone().fold(0_u16, |flags, (at, _)| flags | 1 << (15 - at));
        let mut written = flags.to_be_bytes().to_vec();
        written.extend(places.flat_map(|(_, octets)| octets));
        written
    }
}

/// Returns an entry of a table: its name, and a value with its type before it.
///
/// # Panics
/// When the name has more than 255 bytes.
#[must_use]
pub fn entry(name: impl AsRef<[u8]>, value: &[u8]) -> Vec<u8> {
    let name = name.as_ref();
    [&[u8::try_from(name.len()).unwrap()], name, value].concat()
}

/// Returns a value of a type that is written with a length: `S`, `x`, `A` or `F`.
///
/// # Panics
/// When it has 4 GiB or more.
#[must_use]
pub fn block(kind: u8, content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[kind], len.as_slice(), content].concat()
}

/// Returns a value of so many tables, one in the other.
#[must_use]
pub fn tables(depth: usize) -> Vec<u8> {
    (1..depth).fold(block(b'F', &[]), |inside, _| block(b'F', &entry("", &inside)))
}

/// Returns a value of so many arrays, one in the other.
#[must_use]
pub fn arrays(depth: usize) -> Vec<u8> {
    (1..depth).fold(block(b'A', &[]), |inside, _| block(b'A', &inside))
}

/// A connection with one channel that confirms.
#[derive(Debug)]
pub struct RawPublisher {
    stream: TcpStream,
}

impl RawPublisher {
    /// Enters the server at `amqp://user:password@host:port/vhost`.
    ///
    /// # Panics
    /// When the URL is another, or the server refuses.
    ///
    /// # Cancel safety
    /// Dropping it closes the connection.
    pub async fn connect(url: &str) -> Self {
        let read = || {
            let (login, rest) = url.strip_prefix("amqp://")?.split_once('@')?;
            let (authority, vhost) = rest.split_once('/').unwrap_or((rest, ""));
            Some((login.split_once(':')?, authority, if vhost.is_empty() { "/" } else { vhost }))
        };
        let ((user, password), authority, vhost) =
            read().unwrap_or_else(|| panic!("{url} is not amqp://user:password@host:port/vhost"));
        let mut raw = Self { stream: TcpStream::connect(authority).await.unwrap() };
        raw.stream.write_all(b"AMQP\0\0\x09\x01").await.unwrap();
        raw.expect(10, 10).await.unwrap();
        let response = format!("\0{user}\0{password}");
        let login = entry("PLAIN", &block(b'S', response.as_bytes())[1..]);
        let start_ok = [&[0; 4], login.as_slice(), &entry("en_US", &[])];
        raw.method(0, (10, 11), &start_ok.concat()).await;
        raw.expect(10, 30).await.unwrap();
        let tune_ok = [&1_u16.to_be_bytes(), FRAME_MAX.to_be_bytes().as_slice(), &[0; 2]].concat();
        raw.method(0, (10, 31), &tune_ok).await;
        raw.method(0, (10, 40), &entry(vhost, &[0, 0])).await;
        raw.expect(10, 41).await.unwrap();
        raw.method(1, (20, 10), &[0]).await;
        raw.expect(20, 11).await.unwrap();
        raw.method(1, (85, 10), &[0]).await;
        raw.expect(85, 11).await.unwrap();
        raw
    }

    /// Publishes, and waits until the server has it.
    ///
    /// # Errors
    /// What the server says when it refuses; the publisher is of no use then.
    ///
    /// # Panics
    /// When the server says nothing.
    ///
    /// # Cancel safety
    /// The publisher is of no use after this was dropped before its end.
    pub async fn publish(
        &mut self,
        exchange: &str,
        key: impl AsRef<[u8]>,
        properties: &Properties,
        body: &[u8],
    ) -> Result<(), String> {
        let publish = [&[0, 0], entry(exchange, &entry(key, &[0])).as_slice()].concat();
        self.method(1, (60, 40), &publish).await;
        let size = u64::try_from(body.len()).unwrap().to_be_bytes();
        let header = [&[0, 60, 0, 0], size.as_slice(), &properties.written()].concat();
        self.frame(CONTENT_HEADER, 1, &header).await;
        for part in body.chunks(usize::try_from(FRAME_MAX).unwrap() - FRAME) {
            self.frame(BODY, 1, part).await;
        }
        self.expect(60, 80).await
    }

    async fn method(&mut self, channel: u16, (class, method): (u16, u16), args: &[u8]) {
        let payload = [&class.to_be_bytes(), method.to_be_bytes().as_slice(), args].concat();
        self.frame(METHOD, channel, &payload).await;
    }

    async fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&[kind], channel.to_be_bytes().as_slice(), &size].concat();
        // The server may have hung up already: what it said of that comes with the next answer.
        let _ = self.stream.write_all(&[head.as_slice(), payload, &[0xce]].concat()).await;
    }

    /// Waits for a method of the server's; another one is an error, and says why.
    async fn expect(&mut self, class: u16, method: u16) -> Result<(), String> {
        loop {
            let (kind, payload) =
                timeout(DEADLINE, self.next()).await.expect("an answer in time")?;
            let expected = [class.to_be_bytes(), method.to_be_bytes()].concat();
            match kind {
                HEARTBEAT => {}
                METHOD if payload.starts_with(&expected) => return Ok(()),
                _ => return Err(String::from_utf8_lossy(&payload).into_owned()),
            }
        }
    }

    async fn next(&mut self) -> Result<(u8, Vec<u8>), String> {
        let gone = |error: std::io::Error| error.to_string();
        let mut head = [0; FRAME - 1];
        self.stream.read_exact(&mut head).await.map_err(gone)?;
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        let mut payload = vec![0; usize::try_from(size).unwrap() + 1];
        self.stream.read_exact(&mut payload).await.map_err(gone)?;
        payload.pop();
        Ok((head[0], payload))
    }
}
