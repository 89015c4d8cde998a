//! A message as a row: its properties and headers as JSON, its body as it came.
//!
//! The JSON is that of [`Wire`] without the body, so that a person can read the table and a body
//! of a megabyte is never escaped.

use bytes::Bytes;
use rusqlite::Row;
use serde::{Deserialize, Serialize};

use crate::broker::{Destination, Place};
use crate::clock::Millis;
use crate::envelope::{Headers, Wire};
use crate::name::{Lane, QueueName};

/// A message read from its row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    pub(super) id: i64,
    pub(super) head: String,
    pub(super) body: Bytes,
    /// Whether it may have been handed out before.
    pub(super) redelivered: bool,
}

impl Stored {
    /// Reads the columns `id, wire, body`.
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let body: Vec<u8> = row.get(2)?;
        Ok(Self { id: row.get(0)?, head: row.get(1)?, body: body.into(), redelivered: false })
    }

    /// Returns the message. One whose JSON somebody has damaged keeps its body and loses the rest,
    /// so that it ends as a dead letter for a person to look at instead of being skipped.
    pub(super) fn to_wire(&self) -> Wire {
        let head = serde_json::from_str::<Wire>(&self.head).unwrap_or_else(|error| {
            tracing::warn!(row = self.id, %error, "the head of a stored message is damaged");
            Wire::default()
        });
        Wire { body: self.body.clone(), ..head }
    }
}

/// [`Wire`] without its body, borrowed.
#[derive(Serialize)]
struct Head<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_encoding: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    #[serde(skip_serializing_if = "Headers::is_empty")]
    headers: &'a Headers,
}

/// Writes everything but the body.
pub(super) fn head(wire: &Wire) -> Result<String, serde_json::Error> {
    // A new field of the wire has to be stored too: this pattern makes it an error here.
    let Wire {
        message_id,
        kind,
        content_type,
        content_encoding,
        correlation_id,
        reply_to,
        timestamp,
        app_id,
        priority,
        headers,
        body: _,
    } = wire;
    serde_json::to_string(&Head {
        message_id: message_id.as_deref(),
        kind: kind.as_deref(),
        content_type: content_type.as_deref(),
        content_encoding: content_encoding.as_deref(),
        correlation_id: correlation_id.as_deref(),
        reply_to: reply_to.as_deref(),
        timestamp: *timestamp,
        app_id: app_id.as_deref(),
        priority: *priority,
        headers,
    })
}

/// Returns the place of a lane in the table.
fn lane_place(lane: &Lane) -> String {
    lane.to_string()
}

/// Returns the place of a queue's dead letters. The slash cannot be in a name, so the dead letters
/// of a queue `normal` are not the lane `dead.normal`.
fn dead_place(queue: &QueueName) -> String {
    format!("dead/{queue}")
}

/// Returns the name of a place in the table.
pub(super) fn name(place: &Place) -> String {
    match place {
        Place::Lane(lane) => lane_place(lane),
        Place::Dead(queue) => dead_place(queue),
    }
}

/// Returns the place that has this name in the table.
#[cfg(feature = "testing")]
pub(super) fn named(name: &str) -> Option<Place> {
    match name.strip_prefix("dead/") {
        Some(queue) => queue.parse().ok().map(Place::Dead),
        None => name.parse().ok().map(Place::Lane),
    }
}

/// Returns when the message with this head was enqueued, where it says so.
pub(super) fn enqueued_at(head: &str) -> Option<Millis> {
    #[derive(Deserialize)]
    struct Said {
        timestamp: Option<u64>,
    }
    let said: Said = serde_json::from_str(head).ok()?;
    said.timestamp.map(|seconds| Millis(seconds.saturating_mul(1_000)))
}

/// Returns the place where a message for `destination` goes.
pub(super) fn place(destination: &Destination) -> String {
    match destination {
        Destination::Lane(lane) | Destination::Delay { lane, .. } => lane_place(lane),
        Destination::Dead(queue) => dead_place(queue),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::HeaderValue;

    #[test]
    fn every_property_header_and_body_comes_back_as_it_was() {
        let text = |text: &str| Some(text.to_owned());
        let table = Headers::from([("raw".to_owned(), HeaderValue::Bytes(vec![0, 255]))]);
        let values = [
            HeaderValue::Null,
            HeaderValue::Bool(true),
            HeaderValue::Int(i64::MIN),
            HeaderValue::Float(0.1),
            HeaderValue::Decimal(2, 314),
            HeaderValue::from("text"),
            HeaderValue::Time(7),
            HeaderValue::List(vec![HeaderValue::Int(1), HeaderValue::Null]),
            HeaderValue::Table(table),
        ];
        let name = |(at, value)| (format!("lv-{at}"), value);
        let wire = Wire {
            message_id: text("id"),
            kind: text("a.b"),
            content_type: text("application/json"),
            content_encoding: text("utf-8"),
            correlation_id: text("root"),
            reply_to: text("reply"),
            timestamp: Some(1),
            app_id: text("app"),
            priority: Some(9),
            headers: values.into_iter().enumerate().map(name).collect(),
            body: Bytes::from_static(&[0, 159, 146, 150]),
        };
        let stored = Stored {
            id: 1,
            head: head(&wire).unwrap(),
            body: wire.body.clone(),
            redelivered: false,
        };
        assert_eq!(stored.to_wire(), wire);
    }

    #[test]
    fn a_damaged_head_costs_the_head_and_not_the_body() {
        let body = Bytes::from_static(b"{\"a\":1}");
        let stored = Stored { id: 1, head: "{".to_owned(), body: body.clone(), redelivered: false };
        assert_eq!(stored.to_wire(), Wire { body, ..Wire::default() });
    }

    #[test]
    fn dead_letters_and_lanes_never_share_a_place() {
        let lane: Lane = "dead.normal".parse().unwrap();
        assert_ne!(lane_place(&lane), dead_place(&"normal".parse().unwrap()));
    }
}
