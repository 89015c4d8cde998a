//! One connection to RabbitMQ, with what is for it and how long its requests may take.
//!
//! Where it leads is [`super::endpoint`]'s matter, making it again [`super::supervisor`]'s. Guards that a server
//! which accepts and then says nothing leaves neither a thread nor a socket behind: lapin has no deadline of its
//! own, so the socket is kept at hand to be cut.

use std::future::Future;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::{Channel, Connection};
use tokio::time::timeout;

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

/// A connection with its socket.
pub(super) struct Connected {
    connection: Connection,
    socket: CutOnDrop,
}

impl Connected {
    pub(super) const fn new(connection: Connection, socket: CutOnDrop) -> Self {
        Self { connection, socket }
    }

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

    /// Cuts the socket without a word.
    pub(super) fn cut(&self) {
        self.socket.0.cut();
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
pub(super) struct Socket(Arc<Mutex<Handle>>);

#[derive(Default)]
struct Handle {
    stream: Option<TcpStream>,
    /// Nobody wants the connection any more, not even one that is opened after this.
    is_cut: bool,
}

impl Socket {
    pub(super) fn keep(&self, stream: TcpStream) {
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
#[derive(Default)]
pub(super) struct CutOnDrop(Socket);

impl CutOnDrop {
    /// Returns the socket, for whoever opens it.
    pub(super) fn socket(&self) -> Socket {
        self.0.clone()
    }
}

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.cut();
    }
}
