//! Declares what [`super::topology`] describes, on first use, and remembers it per connection.
//!
//! Declares run on a channel of their own, because a refusal closes it, and on the consuming
//! connection, because the publishing one can be blocked. Guards that a difference between what we
//! mean and what the broker has is named, never passed on as a bare 406.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ErrorKind, ExchangeKind};
use tokio::time::{Instant, timeout_at};

use super::supervisor::{Link, Supervisor};
use super::topology::{Onward, Part, Routing, Topology, Unit};
use super::translate::short;
use crate::broker::{BrokerError, PublishError};

/// Tells why something could not be declared.
#[derive(Debug, Clone)]
pub(super) enum DeclareError {
    /// The broker says no.
    Refused(Refusal),
    /// The broker could not be asked.
    Unavailable(String),
}

/// What the broker refused to declare.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// The queue, exchange or binding.
    pub(super) name: String,
    /// Because the user may not; else because something else has that name.
    pub(super) is_forbidden: bool,
    /// What differs, or which permission is missing.
    pub(super) why: String,
    /// What to do about it.
    pub(super) mend: String,
}

impl From<DeclareError> for PublishError {
    fn from(error: DeclareError) -> Self {
        match error {
            DeclareError::Refused(Refusal { name, why, mend, .. }) => {
                Self::Topology { name, why: format!("{why}. {mend}") }
            }
            DeclareError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl From<DeclareError> for BrokerError {
    fn from(error: DeclareError) -> Self {
        match error {
            DeclareError::Refused(Refusal { name, why, mend, .. }) => {
                Self::Topology { name, why: format!("{why}. {mend}") }
            }
            DeclareError::Unavailable(why) => {
                Self::Operation { operation: "declare queues", why, source: None }
            }
        }
    }
}

/// What was declared on which connection.
#[derive(Default)]
struct Memory {
    generation: u64,
    units: HashSet<Unit>,
    /// All that was ever declared from here.
    known: HashSet<Unit>,
}

/// Declares units once per connection.
pub(super) struct Declarer {
    topology: Topology,
    supervisor: Arc<Supervisor>,
    memory: Mutex<Memory>,
    /// One declares at a time: the others find it done.
    turn: tokio::sync::Mutex<()>,
}

impl Declarer {
    pub(super) fn new(topology: Topology, supervisor: Arc<Supervisor>) -> Self {
        Self { topology, supervisor, memory: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// Makes sure that all `units` exist.
    pub(super) async fn ensure(&self, units: &[Unit], until: Instant) -> Result<(), DeclareError> {
        let link = self.supervisor.link(until).await.map_err(DeclareError::Unavailable)?;
        if self.missing(&link, units).is_empty() {
            return Ok(());
        }
        let late = |_| DeclareError::Unavailable("the broker did not declare in time".to_owned());
        timeout_at(until, self.declare(&link, units)).await.map_err(late)?
    }

    /// Forgets everything, so that the next use declares again: somebody has deleted something.
    pub(super) fn forget(&self) {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).units.clear();
    }

    fn missing(&self, link: &Link, units: &[Unit]) -> Vec<Unit> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.generation != link.generation {
            memory.generation = link.generation;
            memory.units.clear();
        }
        units.iter().filter(|unit| !memory.units.contains(unit)).cloned().collect()
    }

    fn remember(&self, link: &Link, unit: Unit) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.generation == link.generation {
            memory.units.insert(unit.clone());
        }
        memory.known.insert(unit);
    }

    /// Lists what this process has ever declared.
    pub(super) fn known(&self) -> Vec<Unit> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.known.iter().cloned().collect()
    }

    async fn declare(&self, link: &Link, units: &[Unit]) -> Result<(), DeclareError> {
        let _turn = self.turn.lock().await;
        let missing = self.missing(link, units);
        if missing.is_empty() {
            return Ok(());
        }
        let channel = link.connection.channel().await.map_err(DeclareError::Unavailable)?;
        for unit in missing {
            for part in self.topology.parts(&unit) {
                declare_part(&channel, &part).await.map_err(|error| explain(&part, &error))?;
            }
            self.remember(link, unit);
        }
        Ok(())
    }
}

/// Declares one part; where it is there already and the same, nothing changes.
pub(super) async fn declare_part(channel: &Channel, part: &Part) -> lapin::Result<()> {
    match part {
        Part::Exchange { name, routing, alternate } => {
            let kind = match routing {
                Routing::Direct => ExchangeKind::Direct,
                Routing::Fanout => ExchangeKind::Fanout,
            };
            let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
            let mut table = FieldTable::default();
            if let Some(alternate) = alternate {
                table.insert("alternate-exchange".into(), text(alternate));
            }
            channel.exchange_declare(short(name), kind, options, table).await
        }
        Part::Queue { name, onward, delivery_limit, ttl } => {
            let options = QueueDeclareOptions { durable: true, ..Default::default() };
            let table = queue_arguments(onward.as_ref(), *delivery_limit, *ttl);
            channel.queue_declare(short(name), options, table).await.map(drop)
        }
        Part::Binding { queue, exchange, key } => {
            let options = QueueBindOptions::default();
            let (queue, exchange, key) = (short(queue), short(exchange), short(key));
            channel.queue_bind(queue, exchange, key, options, FieldTable::default()).await
        }
    }
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn queue_arguments(onward: Option<&Onward>, limit: Option<i64>, ttl: Option<u64>) -> FieldTable {
    let mut table = FieldTable::default();
    table.insert("x-queue-type".into(), text("quorum"));
    table.insert("x-overflow".into(), text("reject-publish"));
    if let Some(Onward { exchange, key }) = onward {
        table.insert("x-dead-letter-exchange".into(), text(exchange));
        table.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        if let Some(key) = key {
            table.insert("x-dead-letter-routing-key".into(), text(key));
        }
    }
    if let Some(limit) = limit {
        table.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(limit));
    }
    if let Some(ttl) = ttl {
        let ttl = i64::try_from(ttl).unwrap_or(i64::MAX);
        table.insert("x-message-ttl".into(), AMQPValue::LongLongInt(ttl));
    }
    table
}

/// Says what a refusal to declare a part means.
pub(super) fn explain(part: &Part, error: &lapin::Error) -> DeclareError {
    let (what, name) = match part {
        Part::Exchange { name, .. } => ("exchange", name.clone()),
        Part::Queue { name, .. } => ("queue", name.clone()),
        Part::Binding { queue, exchange, .. } => ("binding", format!("{queue} to {exchange}")),
    };
    let refuse = |is_forbidden, why, mend| {
        let name = format!("{what} {name}");
        DeclareError::Refused(Refusal { name, is_forbidden, why, mend })
    };
    match error.kind() {
        ErrorKind::ProtocolError(said) if said.get_id() == 406 => refuse(
            false,
            format!(
                "the broker has another {what} of that name: {}",
                difference(said.get_message().as_str())
            ),
            "Delete it there (once it is empty) and it is made anew, or choose another namespace"
                .to_owned(),
        ),
        ErrorKind::ProtocolError(said) if said.get_id() == 403 => refuse(
            true,
            format!("the user lacks a permission: {}", said.get_message()),
            format!("Allow configure, write and read on {name:?}"),
        ),
        _ => DeclareError::Unavailable(format!("failed to declare {what} {name}: {error}")),
    }
}

/// Takes the argument and both values out of the server's text: "PRECONDITION_FAILED - inequivalent
/// arg 'x' for queue 'q' in vhost '/': received the value '1' of type 'long' but current is none".
/// The server cuts its text at 255 bytes, so any part may be missing; then all of it is shown.
fn difference(said: &str) -> String {
    let parse = || {
        let argument = said.split_once("inequivalent arg '")?.1.split_once('\'')?.0;
        let (_, values) = said.split_once("': received ")?;
        let (wanted, found) = values.split_once(" but current is ")?;
        Some(format!("its {argument} is {found}, and we need {wanted}"))
    };
    parse().unwrap_or_else(|| said.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_by_argument_and_both_values() {
        let said = "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue \
                    'acme.lane.mail.normal' in vhost '/': received the value '1000' of type \
                    'signedint' but current is the value '20' of type 'long'";
        assert_eq!(
            difference(said),
            "its x-delivery-limit is the value '20' of type 'long', and we need the value '1000' \
             of type 'signedint'"
        );
        let cut = &said[..80];
        assert_eq!(difference(cut), cut);
    }
}
