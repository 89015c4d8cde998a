//! The ways to a store: one server, the primary that sentinels name, or the primaries of a cluster.
//!
//! Responsible for reading `store.url`, for finding whom to connect to, and for sending commands to
//! whoever serves their keys. How a connection is held and mended is [`super::link`]'s matter.

mod cluster;
mod url;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::cluster_async::ClusterConnection;
use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::sentinel::{Sentinel, SentinelNodeConnectionInfo};
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, Pipeline, RedisError,
    RedisResult, Value, cmd,
};
use tokio::sync::Mutex;

use super::link::Patience;
pub(super) use url::read;

/// How a store is reached.
#[derive(Clone)]
pub(super) enum Way {
    Server(Client),
    /// The primary of this name, whichever it is; asked for with each connection.
    Sentinels {
        sentinels: Arc<Mutex<Sentinel>>,
        primary: Arc<str>,
        login: SentinelNodeConnectionInfo,
    },
    /// Some nodes; they know the others.
    Cluster(Arc<[ConnectionInfo]>),
}

impl Way {
    /// Connects to whoever serves the keys now.
    pub(super) async fn connect(
        &self,
        config: AsyncConnectionConfig,
        patience: Patience,
    ) -> RedisResult<Wire> {
        match self {
            Self::Server(client) => open(client, &config).await,
            Self::Sentinels { sentinels, primary, login } => {
                // Of several sentinels some may hang: three times what one of them may take.
                let client = tokio::time::timeout(patience.connect * 3, async {
                    sentinels.lock().await.async_master_for(primary, Some(login)).await
                })
                .await
                .map_err(|_| unanswered(primary))??;
                open(&client, &config).await
            }
            Self::Cluster(nodes) => cluster::connect(nodes, patience).await.map(Wire::Cluster),
        }
    }

    /// Whether somebody else may be made the primary.
    pub(super) const fn is_watched(&self) -> bool {
        matches!(self, Self::Sentinels { .. })
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The addresses hold passwords.
        f.write_str(match self {
            Self::Server(_) => "Server",
            Self::Sentinels { .. } => "Sentinels",
            Self::Cluster(_) => "Cluster",
        })
    }
}

async fn open(client: &Client, config: &AsyncConnectionConfig) -> RedisResult<Wire> {
    client.get_multiplexed_async_connection_with_config(config).await.map(Wire::One)
}

fn unanswered(primary: &str) -> RedisError {
    let why = format!("no sentinel named a primary of {primary} in time");
    RedisError::from((ErrorKind::Io, "the sentinels do not answer", why))
}

/// No lingering: what a replaced connection had not sent yet must not arrive after its repetition.
/// Nothing is given up by it, because every request is awaited.
fn tcp_settings() -> TcpSettings {
    TcpSettings::default().set_nodelay(true).set_linger_time(Duration::ZERO)
}

/// A word that nobody else says. Where a reply was swallowed or doubled on the way, each request gets
/// that of another from then on, and only this one tells.
pub(super) struct Word(String);

impl Word {
    pub(super) fn draw() -> Self {
        Self(format!("leveret-{:016x}", fastrand::u64(..)))
    }

    /// Returns the command that has it said back.
    pub(super) fn ping(&self) -> Cmd {
        let mut ping = cmd("PING");
        ping.arg(&self.0);
        ping
    }

    /// Whether this is its answer; a refusal is taken for one.
    pub(super) fn is_said_by(&self, answer: &Value) -> bool {
        match answer {
            Value::BulkString(said) => said == self.0.as_bytes(),
            Value::ServerError(_) => true,
            _ => false,
        }
    }
}

/// What commands are sent over.
#[derive(Clone)]
pub(super) enum Wire {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Wire {
    /// Sends the commands and returns each one's answer; those on one key in their order.
    pub(super) async fn send(&mut self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        match self {
            Self::One(connection) => {
                connection.send_packed_commands(commands, 0, commands.len()).await
            }
            Self::Cluster(connection) => cluster::send(connection, commands).await,
        }
    }

    /// Waits for a sign of life, and tells whether it answers what was asked. In a cluster every
    /// primary has to give it, so that a client that does not find its way to a new one is replaced.
    pub(super) async fn is_in_step(&mut self, patience: Duration) -> RedisResult<bool> {
        let word = Word::draw();
        let ping = word.ping();
        match self {
            Self::One(connection) => {
                connection.set_response_timeout(patience);
                match connection.send_packed_command(&ping).await {
                    Ok(answer) => Ok(word.is_said_by(&answer)),
                    Err(error) if error.is_io_error() => Err(error),
                    // It refuses, and so it speaks.
                    Err(_) => Ok(true),
                }
            }
            Self::Cluster(connection) => {
                let answers = cluster::ask_each(connection, &ping).await?;
                Ok(answers
                    .iter()
                    .all(|(_, answer)| answer.as_ref().is_ok_and(|answer| word.is_said_by(answer))))
            }
        }
    }

    /// Sends a command to each server that has keys; answers by address where there are several.
    pub(super) async fn ask_each(
        &mut self,
        command: &Cmd,
    ) -> RedisResult<Vec<(Option<String>, RedisResult<Value>)>> {
        match self {
            Self::One(connection) => {
                let answer = connection.send_packed_command(command).await?;
                Ok(vec![(None, answer.extract_error())])
            }
            Self::Cluster(connection) => cluster::ask_each(connection, command).await,
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One(_) => "One",
            Self::Cluster(_) => "Cluster",
        })
    }
}
