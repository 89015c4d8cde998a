//! One connection to RabbitMQ: made within a deadline, and explained to a person when it fails.
//!
//! Making it again is [`super::supervisor`]'s matter. Guards that no password is ever printed and
//! that a server which accepts and then says nothing leaves neither a thread nor a socket behind:
//! lapin has no deadline of its own, so the socket is kept at hand to be cut.

use std::fmt;
use std::future::Future;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind};
use tokio::time::timeout;

use super::Config;
use super::inlet::{Inlet, Kit};
use crate::broker::BrokerError;

/// How long one request on a working connection may take.
pub(super) const REQUEST_DEADLINE: Duration = Duration::from_secs(5);
/// How long a polite goodbye may take before the socket is cut.
const GOODBYE_DEADLINE: Duration = Duration::from_secs(1);

/// What a connection is for: an alarm stops those that publish, acks must go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Publishes, and nothing else.
    Publish,
    /// Consumes, declares, counts.
    Consume,
}

impl Role {
    /// Returns the value of the metrics' label.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Consume => "consume",
        }
    }
}

/// Largest frame of a connection on which nothing but questions and short answers travel, in bytes.
/// The client keeps 64 frames of memory for each connection; a message's headers must fit into one.
const SMALL_FRAME: u32 = 16 * 1024;

/// Where the server is, and as whom it is entered.
#[derive(Clone)]
pub(super) struct Endpoint {
    uri: AMQPUri,
    client_name: String,
    timeout: Duration,
    receives: bool,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri { authority, vhost, scheme, .. } = &self.uri;
        let (host, port, user) = (&authority.host, authority.port, &authority.userinfo.username);
        let tls = if *scheme == AMQPScheme::AMQPS { "on" } else { "off" };
        write!(f, "{host}:{port} (vhost {vhost:?}, user {user:?}, TLS {tls})")
    }
}

impl Endpoint {
    /// Reads the URL of the config.
    pub(super) fn read(config: &Config) -> Result<Self, BrokerError> {
        let refuse = |why: String| BrokerError::Connect {
            endpoint: "broker.url".to_owned(),
            elapsed: Duration::ZERO,
            why: format!(
                "{why}; write it as amqp://user:password@host:5672/vhost (amqps:// for TLS)"
            ),
            source: None,
        };
        let mut uri: AMQPUri =
            config.url.parse().map_err(|why| refuse(format!("the URL is not valid: {why}")))?;
        if config.url.contains("@[") || config.url.contains("//[") {
            // The client's parser drops an IPv6 host and takes localhost instead.
            return Err(refuse("an IPv6 address is not supported: use a host name".to_owned()));
        }
        if uri.scheme == AMQPScheme::AMQPS && cfg!(not(feature = "tls")) {
            // The client without TLS would say everything in the clear.
            return Err(refuse(
                "this program speaks no TLS: build it with the feature `tls`, or name a port that \
                 does without"
                    .to_owned(),
            ));
        }
        if uri.vhost.is_empty() {
            // "…:5672/" names the empty vhost; whoever writes it means the default one.
            "/".clone_into(&mut uri.vhost);
        }
        let heartbeat = config.heartbeat.as_secs().clamp(1, 600);
        uri.query.heartbeat = u16::try_from(heartbeat).ok();
        Ok(Self {
            uri,
            client_name: config.client_name.clone(),
            timeout: config.connect_timeout,
            receives: config.receives,
        })
    }

    /// Returns where it is and as whom we enter; holds the password.
    pub(super) const fn uri(&self) -> &AMQPUri {
        &self.uri
    }

    /// Returns how often the server is to be heard of.
    pub(super) fn heartbeat(&self) -> Duration {
        Duration::from_secs(self.uri.query.heartbeat.unwrap_or_default().max(1).into())
    }

    /// Connects within the timeout of the config.
    pub(super) async fn connect(&self, role: Role) -> Result<Connected, BrokerError> {
        let start = Instant::now();
        let socket = CutOnDrop(Socket::default());
        let result = match timeout(self.timeout, self.open(role, socket.0.clone())).await {
            Ok(Ok(connection)) => return Ok(Connected { connection, socket }),
            Ok(Err(error)) => (self.explain(&error), Some(error)),
            Err(_) => (
                "it did not answer in time; is something else listening there, or a firewall \
                 between?"
                    .to_owned(),
                None,
            ),
        };
        let (why, error) = result;
        Err(BrokerError::Connect {
            endpoint: self.to_string(),
            elapsed: start.elapsed(),
            why,
            source: error.map(Into::into),
        })
    }

    async fn open(&self, role: Role, socket: Socket) -> lapin::Result<Connection> {
        let name = format!("{} ({})", self.client_name, role.as_str());
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let reactor = lapin::runtime::default_runtime()?;
        let runtime = Kit::over(reactor.clone());
        let mut uri = self.uri.clone();
        if role == Role::Consume && !self.receives {
            uri.query.frame_max = Some(SMALL_FRAME);
        }
        let largest_frame = uri.query.frame_max.unwrap_or_default();
        let connect = async move |uri: AMQPUri, _| {
            let address = (uri.authority.host.clone(), uri.authority.port);
            let addresses = reactor.to_socket_addrs(address);
            let stream = AsyncTcpStream::connect(&reactor, addresses).await?;
            if let AsyncTcpStream::Plain(plain) = &stream {
                socket.keep(plain.get_ref().as_fd().try_clone_to_owned()?.into());
            }
            let stream = match uri.scheme {
                AMQPScheme::AMQP => stream,
                AMQPScheme::AMQPS => {
                    let tls = OwnedTLSConfig::default();
                    stream.into_tls(&uri.authority.host, tls.as_ref()).await?
                }
            };
            Ok(AsyncTcpStream::Plain(Inlet::new(stream, largest_frame)))
        };
        Connection::connector(uri, runtime, connect, properties).await
    }

    fn explain(&self, error: &lapin::Error) -> String {
        let AMQPUri { authority, vhost, .. } = &self.uri;
        let user = &authority.userinfo.username;
        match error.kind() {
            ErrorKind::ProtocolError(said) if said.get_id() == 403 => format!(
                "user or password is wrong ({}); mend broker.url, or create the user with \
                 `rabbitmqctl add_user {user} …`. The user guest may enter from the server's own \
                 machine only",
                said.get_message()
            ),
            ErrorKind::ProtocolError(said) if said.get_message().as_str().contains("not found") => {
                format!(
                    "there is no vhost {vhost:?} ({}); create it with `rabbitmqctl add_vhost \
                     {vhost}`, or mend the path of broker.url",
                    said.get_message()
                )
            }
            ErrorKind::ProtocolError(said) if said.get_id() == 530 => format!(
                "the user may not enter the vhost ({}); allow it with `rabbitmqctl \
                 set_permissions -p {vhost} {user} \".*\" \".*\" \".*\"`",
                said.get_message()
            ),
            ErrorKind::ProtocolError(said) => said.get_message().to_string(),
            ErrorKind::IOError(io) if io.kind() == std::io::ErrorKind::ConnectionRefused => {
                "nothing listens there (connection refused); is RabbitMQ running, is the port right?"
                    .to_owned()
            }
            ErrorKind::IOError(io) => {
                format!("{io}; are host, port and TLS of broker.url right?")
            }
            _ => format!("{error}; is this a RabbitMQ server that speaks AMQP 0-9-1?"),
        }
    }
}

/// A connection with its socket.
pub(super) struct Connected {
    connection: Connection,
    socket: CutOnDrop,
}

impl Connected {
    /// Returns the client's connection.
    pub(super) const fn get(&self) -> &Connection {
        &self.connection
    }

    /// Tells whether the connection is up, as far as is known.
    pub(super) fn is_up(&self) -> bool {
        self.connection.status().connected()
    }

    /// Opens a channel.
    pub(super) async fn channel(&self) -> Result<Channel, String> {
        match timeout(REQUEST_DEADLINE, self.connection.create_channel()).await {
            Ok(opened) => opened.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {REQUEST_DEADLINE:?}")),
        }
    }

    /// Asks the server to open a channel, which is closed behind our back; nothing where it does not answer.
    pub(super) async fn answer(&self, within: Duration) -> Option<Result<(), String>> {
        let asked = timeout(within, self.connection.create_channel()).await.ok()?;
        Some(asked.map(drop).map_err(|error| error.to_string()))
    }

    /// Says goodbye, and cuts the socket whether or not there was an answer: a blocked connection
    /// can send nothing, not even that.
    pub(super) async fn close(&self) {
        // An error means that it is closed already.
        let _ = timeout(GOODBYE_DEADLINE, self.connection.close(200, "closed".into())).await;
        self.socket.0.cut();
    }
}

/// Runs a request on a channel within the deadline for requests.
pub(super) async fn request<T>(
    operation: &'static str,
    call: impl Future<Output = lapin::Result<T>>,
) -> Result<T, BrokerError> {
    let fail = |why, source: Option<lapin::Error>| BrokerError::Operation {
        operation,
        why,
        source: source.map(Into::into),
    };
    match timeout(REQUEST_DEADLINE, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(fail(error.to_string(), Some(error))),
        Err(_) => Err(fail("the broker did not answer in time".to_owned(), None)),
    }
}

/// A second handle on a connection's socket, shared with the thread that opens it.
#[derive(Clone, Default)]
struct Socket(Arc<Mutex<Handle>>);

#[derive(Default)]
struct Handle {
    stream: Option<TcpStream>,
    /// Nobody wants the connection any more, not even one that is opened after this.
    is_cut: bool,
}

impl Socket {
    fn keep(&self, stream: TcpStream) {
        let mut handle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if handle.is_cut {
            shut(&stream);
        } else {
            handle.stream = Some(stream);
        }
    }

    fn cut(&self) {
        let mut handle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        handle.is_cut = true;
        if let Some(stream) = handle.stream.take() {
            shut(&stream);
        }
    }
}

fn shut(stream: &TcpStream) {
    // It may be gone already.
    let _ = stream.shutdown(Shutdown::Both);
}

/// Cuts the socket when it is dropped, so also when the wait for a connection is.
struct CutOnDrop(Socket);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.cut();
    }
}
