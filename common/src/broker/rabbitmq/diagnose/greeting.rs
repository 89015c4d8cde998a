//! Who the server says it is.
//!
//! It says so in the first frame of each connection, which the client library reads and throws
//! away; so this opens a connection of its own, hears the greeting and hangs up. Guards that a
//! server which says something else, or nothing, is a finding and no hang.

use futures_util::{AsyncReadExt, AsyncWriteExt};
use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::types::parsing::parse_field_table;
use lapin::types::{AMQPValue, FieldTable};
use lapin::uri::{AMQPScheme, AMQPUri};

/// What a client of AMQP 0-9-1 says first.
const HELLO: &[u8] = b"AMQP\x00\x00\x09\x01";
/// Type, channel and size of a frame.
const FRAME_HEADER: usize = 7;
/// `connection.start`: class 10, method 10, and the two bytes of the protocol's version.
const START: [u8; 4] = [0, 10, 0, 10];
/// Longest greeting that is believed: the server's properties are a few hundred bytes.
const LONGEST: u32 = 64 * 1024;
/// The oldest server whose quorum queues keep a message's time to live and dead-letter safely.
const OLDEST: (u32, u32) = (3, 10);

/// What the server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Greeting {
    /// Such as `RabbitMQ`.
    pub(super) product: String,
    /// Such as `4.0.5`.
    pub(super) version: String,
    /// Such as `Erlang/OTP 27.2`.
    pub(super) platform: Option<String>,
    /// The name of its cluster.
    pub(super) cluster: Option<String>,
}

/// How a server's version stands to what we need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Fit,
    TooOld,
    Unknown,
}

impl Greeting {
    pub(super) fn standing(&self) -> Standing {
        let mut numbers = self.version.split('.').map(str::parse::<u32>);
        match (self.product.as_str(), numbers.next(), numbers.next()) {
            ("RabbitMQ", Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= OLDEST => {
                Standing::Fit
            }
            ("RabbitMQ", Some(Ok(_)), Some(Ok(_))) => Standing::TooOld,
            _ => Standing::Unknown,
        }
    }
}

/// Connects, hears the greeting and hangs up. The caller sets the deadline.
pub(super) async fn hear(uri: &AMQPUri) -> Result<Greeting, String> {
    let frame = listen(uri).await.map_err(|error| error.to_string())?;
    read(&frame).ok_or_else(|| {
        "what listens there does not greet as a server of AMQP 0-9-1 does".to_owned()
    })
}

async fn listen(uri: &AMQPUri) -> lapin::Result<Vec<u8>> {
    let runtime = lapin::runtime::default_runtime()?;
    let host = uri.authority.host.clone();
    let addresses = runtime.to_socket_addrs((host.clone(), uri.authority.port));
    let mut stream = AsyncTcpStream::connect(&runtime, addresses).await?;
    if uri.scheme == AMQPScheme::AMQPS {
        stream = stream.into_tls(&host, OwnedTLSConfig::default().as_ref()).await?;
    }
    stream.write_all(HELLO).await?;
    stream.flush().await?;
    let mut frame = vec![0; FRAME_HEADER];
    stream.read_exact(&mut frame).await?;
    let size = u32::from_be_bytes([frame[3], frame[4], frame[5], frame[6]]).min(LONGEST);
    let size = usize::try_from(size).unwrap_or_default();
    frame.resize(FRAME_HEADER + size, 0);
    stream.read_exact(&mut frame[FRAME_HEADER..]).await?;
    Ok(frame)
}

fn read(frame: &[u8]) -> Option<Greeting> {
    let properties = frame.get(FRAME_HEADER..)?.strip_prefix(START.as_slice())?.get(2..)?;
    let (_, table) = parse_field_table(properties).ok()?;
    let text = |name: &str| text(&table, name);
    Some(Greeting {
        product: text("product")?,
        version: text("version").unwrap_or_default(),
        platform: text("platform"),
        cluster: text("cluster_name"),
    })
}

fn text(table: &FieldTable, name: &str) -> Option<String> {
    match table.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(product: &str, version: &str) -> Greeting {
        let (product, version) = (product.to_owned(), version.to_owned());
        Greeting { product, version, platform: None, cluster: None }
    }

    #[test]
    fn a_version_below_3_10_is_too_old_and_what_is_no_rabbitmq_is_unknown() {
        for (product, version, standing) in [
            ("RabbitMQ", "3.10.8", Standing::Fit),
            ("RabbitMQ", "3.13.0-rc.1", Standing::Fit),
            ("RabbitMQ", "4.0.5", Standing::Fit),
            ("RabbitMQ", "10.0", Standing::Fit),
            ("RabbitMQ", "3.9.29", Standing::TooOld),
            ("RabbitMQ", "2.12.1", Standing::TooOld),
            ("RabbitMQ", "", Standing::Unknown),
            ("RabbitMQ", "next", Standing::Unknown),
            ("OtherMQ", "4.0.5", Standing::Unknown),
        ] {
            assert_eq!(greeting(product, version).standing(), standing, "{product} {version}");
        }
    }

    #[test]
    fn a_greeting_is_read_and_any_other_bytes_are_none() {
        let mut frame = vec![1, 0, 0, 0, 0, 0, 0];
        frame.extend(START);
        frame.extend([0, 9]);
        let pairs: &[(&str, &str)] = &[("product", "RabbitMQ"), ("version", "4.0.5")];
        let mut table = Vec::new();
        for (name, value) in pairs {
            table.push(u8::try_from(name.len()).unwrap());
            table.extend(name.bytes());
            table.push(b'S');
            table.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
            table.extend(value.bytes());
        }
        frame.extend(u32::try_from(table.len()).unwrap().to_be_bytes());
        frame.extend(table);
        assert_eq!(read(&frame), Some(greeting("RabbitMQ", "4.0.5")));
        for end in 0..frame.len() {
            assert_eq!(read(&frame[..end]), None, "cut at {end}");
        }
        assert_eq!(read(b"HTTP/1.1 400 Bad Request"), None);
    }
}
