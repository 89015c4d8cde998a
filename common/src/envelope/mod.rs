//! The envelope: a task as it travels, version 1.
//!
//! [`Envelope`] is the typed form, [`Wire`] the neutral one; [`decode`] is the only way from the
//! second to the first and ends in an envelope or in a reason for a dead letter, never in a panic.
//! Outgoing headers are the listed ones and unknown `lv-*` ones, unchanged; no `x-*`, `CC` or
//! `BCC` header is ever copied, because RabbitMQ ≤ 3.13 drops a message whose `x-death` it wrote
//! itself. Where a message goes is the broker's matter ([`crate::broker`]).

mod celery;
mod foreign;
pub mod header;
mod native;
mod read;
mod reason;
mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use self::foreign::{CELERY_REPLY, Foreign, naturalise, wanted_class};
pub use self::native::{check_json, cut};
pub use self::reason::{DeadReason, UnknownReason};
pub use self::wire::{HeaderValue, Headers, Wire, headers_size};
use crate::clock::Millis;
use crate::id::TaskId;
use crate::name::{Class, KindName, Namespace};

/// The envelope version this crate writes, and the newest it reads.
pub const VERSION: u32 = 1;

/// The order of a task's messages: first by replay, then by attempt. Never by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Order {
    /// Operator's fresh starts so far.
    pub replay: u32,
    /// This attempt; 1 is the first.
    pub attempt: u32,
}

impl Order {
    /// The order of a task just enqueued.
    pub const FIRST: Self = Self { replay: 0, attempt: 1 };

    /// Returns the order of the next attempt.
    #[must_use]
    pub const fn next_attempt(self) -> Self {
        Self { replay: self.replay, attempt: self.attempt.saturating_add(1) }
    }
}

/// One request to do work, with everything that travels with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The task's id.
    pub id: TaskId,
    /// What to do.
    pub kind: KindName,
    /// The args document: JSON bytes, as the sender wrote them.
    pub args: Bytes,
    /// Which attempt this message is.
    pub order: Order,
    /// What was fixed when the task was enqueued.
    pub fixed: Fixed,
    /// What changes as the task moves.
    pub moving: Moving,
    /// `lv-*` headers that this version does not read, kept unchanged.
    pub extra: Headers,
}

/// What was fixed when the task was enqueued.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fixed {
    /// Idempotency key.
    pub key: Option<String>,
    /// The sender's own id, where it was not a UUID.
    pub origin_id: Option<String>,
    /// Most attempts; the kind's policy decides where absent.
    pub max_attempts: Option<u32>,
    /// Not to be started after this instant.
    pub expires_at: Option<Millis>,
    /// Time limit of one attempt; the kind's where absent.
    pub timeout: Option<Duration>,
    /// The task that enqueued this one.
    pub parent: Option<TaskId>,
    /// The dead task that this one was edited from.
    pub replay_of: Option<TaskId>,
    /// Where the sender waits for the outcome outside of Leveret, such as `celery:<its id>`; what
    /// nobody here knows is carried along.
    pub reply_to: Option<String>,
    /// The schedule that enqueued this one.
    pub schedule: Option<String>,
    /// The schedule's instant.
    pub occurrence: Option<Millis>,
    /// The revision of the schedule that this occurrence was made from.
    pub revision: Option<u32>,
    /// Tags to find the task by.
    pub tags: BTreeMap<String, String>,
    /// How long the result is kept; the config's where absent.
    pub result_ttl: Option<Duration>,
    /// W3C trace context: `traceparent`, `tracestate`, `baggage`, those that are there.
    pub trace: BTreeMap<String, String>,
    /// Root id of a workflow.
    pub root: Option<String>,
    /// When the task was enqueued, in whole seconds on the wire.
    pub enqueued_at: Option<Millis>,
    /// Who enqueued the task.
    pub producer: Option<String>,
}

/// What changes as the task moves.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Moving {
    /// Not to be started before this instant.
    pub not_before: Option<Millis>,
    /// Snoozes so far: attempts that count against no limit.
    pub snoozes: u32,
    /// Parks in a row so far.
    pub parks: u32,
    /// When the row of parks began.
    pub parked_since: Option<Millis>,
    /// The lane a dead letter came from.
    pub origin: Option<String>,
    /// Message of the last failure.
    pub error: Option<String>,
    /// Class of the last failure.
    pub error_class: Option<String>,
    /// Why the task is dead.
    pub reason: Option<DeadReason>,
    /// When the first attempt failed.
    pub first_failed_at: Option<Millis>,
    /// When the task died; only dead letters have it.
    pub dead_at: Option<Millis>,
}

impl Envelope {
    /// Creates the envelope of a new task.
    #[must_use]
    pub fn new(id: TaskId, kind: KindName, args: Bytes) -> Self {
        Self {
            id,
            kind,
            args,
            order: Order::FIRST,
            fixed: Fixed::default(),
            moving: Moving::default(),
            extra: Headers::new(),
        }
    }

    /// Writes the envelope in its wire form.
    #[must_use]
    pub fn to_wire(&self) -> Wire {
        native::write(self)
    }

    /// Returns how many attempts count against the task's limit, this one included: a snooze does
    /// not.
    #[must_use]
    pub fn counted_attempts(&self) -> u32 {
        self.order.attempt.saturating_sub(self.moving.snoozes).max(1)
    }

    /// Returns the copy to park: the same attempt, one park more.
    #[must_use]
    pub fn parked(&self, now: Millis, until: Millis) -> Self {
        let mut copy = self.clone();
        copy.moving.parks = self.moving.parks.saturating_add(1);
        copy.moving.parked_since = Some(self.moving.parked_since.unwrap_or(now));
        copy.moving.not_before = Some(until);
        copy
    }
}

/// What decoding made of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    /// A task with an id of its own.
    Task(Box<Envelope>),
    /// A task without id and key; the id in here was minted now and holds only once the message
    /// has been published again under it.
    Nameless(Box<Envelope>),
    /// An envelope version newer than ours: to be parked, a newer worker may come.
    Newer {
        /// The version it names.
        version: u32,
    },
}

/// Tells why a message cannot become a task; leads to a dead letter that keeps the raw bytes.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("failed to decode the message: {why}")]
pub struct Undecodable {
    /// The reason for the dead letter.
    pub reason: DeadReason,
    /// What is wrong with which part, and what was expected.
    pub why: String,
    /// What could be read all the same, where the message is of another dialect.
    pub foreign: Option<Box<Foreign>>,
}

impl Undecodable {
    fn malformed(why: impl Into<String>) -> Self {
        Self { reason: DeadReason::Malformed, why: why.into(), foreign: None }
    }
}

/// One way in which messages that are not in our own dialect say what to do.
trait Dialect: Sync {
    /// Tells whether this dialect wrote `wire`.
    fn recognises(&self, wire: &Wire) -> bool;
    /// Reads `wire`; a dialect never leaks past this.
    fn decode(&self, namespace: &Namespace, wire: &Wire) -> Result<Decoded, Undecodable>;
    /// Tells which class the message asks for by other means than the lane it was sent to.
    fn class(&self, _: &Wire) -> Option<Class> {
        None
    }
}

/// The dialects other than ours in the order in which they are asked; what none of them recognises
/// is read as our own.
const DIALECTS: [&dyn Dialect; 1] = [&celery::Celery];

fn dialect_of(wire: &Wire) -> Option<&'static dyn Dialect> {
    DIALECTS.into_iter().find(|dialect| dialect.recognises(wire))
}

/// Decodes a message.
///
/// # Errors
/// [`Undecodable`], with the reason for a dead letter and what is wrong with which part.
pub fn decode(namespace: &Namespace, wire: &Wire) -> Result<Decoded, Undecodable> {
    if let Some(value) = wire.headers.get(header::UNREADABLE) {
        // Part of it is missing: what is left may be another task than the one that was sent.
        let why = if let HeaderValue::Text(why) = value { why } else { "no text" };
        return Err(Undecodable::malformed(why));
    }
    match dialect_of(wire) {
        Some(dialect) => dialect.decode(namespace, wire),
        None => native::decode(namespace, wire),
    }
}
