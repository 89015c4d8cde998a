//! Dead letters as they rest in the broker: their bytes and headers, not what the desk says of them.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use leveret_common::id::TaskId;
use tokio::time::timeout;

use super::super::stage::Stage;
use crate::error::Error;

/// How long the next letter may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A dead letter.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) id: Option<TaskId>,
    pub(super) body: Vec<u8>,
    headers: FieldTable,
}

impl Letter {
    /// Returns a header.
    pub(super) fn header(&self, name: &str) -> Option<&AMQPValue> {
        self.headers.inner().get(name)
    }

    /// Returns a header that is a text; nothing where it is none.
    pub(super) fn text(&self, name: &str) -> String {
        match self.header(name) {
            Some(AMQPValue::LongString(text)) => text.to_string(),
            _ => String::new(),
        }
    }
}

/// Returns all dead letters of the queue `default`, and leaves them where they are.
pub(super) async fn rest(stage: &mut Stage) -> Result<Vec<Letter>, Error> {
    let queue = format!("{}.dead.default", stage.fleet.settings().namespace);
    let url = stage.broker()?.url();
    let connection =
        Connection::connect(&url, ConnectionProperties::default()).await.map_err(said)?;
    let channel = connection.create_channel().await.map_err(said)?;
    let only_look = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let state = channel.queue_declare(queue.as_str().into(), only_look, FieldTable::default());
    let count = state.await.map_err(said)?.message_count();
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let consumer = channel.basic_consume(queue.into(), "look".into(), options, arguments);
    let mut consumer = consumer.await.map_err(said)?;
    let mut letters = Vec::new();
    while letters.len() < count as usize {
        let next = timeout(PATIENCE, consumer.next()).await.ok().flatten();
        let next =
            next.ok_or_else(|| Error::unexpected("RabbitMQ", "hands out no more letters"))?;
        let next = next.map_err(said)?;
        let id = next.properties.message_id().as_ref().and_then(|id| id.as_str().parse().ok());
        let headers = next.properties.headers().clone().unwrap_or_default();
        letters.push(Letter { id, body: next.data, headers });
    }
    // Unacked, they go back.
    connection.close(200, "seen".into()).await.map_err(said)?;
    Ok(letters)
}

#[allow(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn said(error: lapin::Error) -> Error {
    Error::unexpected("RabbitMQ", error.to_string())
}
