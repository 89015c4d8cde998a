//! Declares what [`super::topology`] describes, on first use, and remembers it per connection.
//!
//! Declares run on a channel of their own, because a refusal closes it, and on the consuming
//! connection, because the publishing one can be blocked. Guards that a difference between what we
//! mean and what the broker has is named, never passed on as a bare 406, and that a user without the
//! permission to declare can use what others have declared.

mod bucket;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::AMQPErrorKind;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ErrorKind, ExchangeKind};
use tokio::time::{Instant, timeout, timeout_at};

use super::supervisor::{Link, State, Supervisor};
use super::topology::{Onward, Part, Routing, Topology, Unit};
use super::translate::short;
use crate::broker::{BrokerError, PublishError};
use crate::spawn::Spawner;

/// How long it may take to make a delay queue, and to delete one before that which has no leader.
const LONGEST_MAKING: Duration = Duration::from_secs(30);

/// How long a connection may take to answer, at least.
const LEAST: Duration = Duration::from_millis(500);

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
    /// What was made on this connection, and until when the broker may not have written it down.
    young: HashMap<Unit, Instant>,
    /// Whose turn it is to prepare a bucket.
    turns: HashMap<Unit, Arc<tokio::sync::Mutex<()>>>,
}

/// Declares units once per connection.
pub(super) struct Declarer {
    topology: Topology,
    supervisor: Arc<Supervisor>,
    memory: Mutex<Memory>,
    /// How long the broker may take to write down that a queue is there.
    new_queue: Duration,
    /// One declares at a time: the others find it done.
    turn: tokio::sync::Mutex<()>,
    /// What makes buckets.
    tasks: Spawner,
}

impl Declarer {
    pub(super) fn new(
        topology: Topology,
        supervisor: Arc<Supervisor>,
        new_queue: Duration,
        tasks: Spawner,
    ) -> Self {
        let (memory, turn) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { topology, supervisor, memory, new_queue, turn, tasks }
    }

    /// Makes sure that all `units` exist.
    pub(super) async fn ensure(&self, units: &[Unit], until: Instant) -> Result<(), DeclareError> {
        let link = self.supervisor.link(until).await.map_err(DeclareError::Unavailable)?;
        if self.missing(&link, units).is_empty() {
            return Ok(());
        }
        let late = |_| DeclareError::Unavailable("the broker did not declare in time".to_owned());
        let declared = async {
            for unit in self.missing(&link, units) {
                self.prepare(&link, &unit).await?;
            }
            self.declare(&link, units).await
        };
        timeout_at(until, declared).await.map_err(late)?
    }

    /// Has a bucket's queue there and complete before its exchange makes it known to everybody. It is made to the
    /// end also where nobody waits for it any more.
    async fn prepare(&self, link: &Link, unit: &Unit) -> Result<(), DeclareError> {
        if !matches!(unit, Unit::Bucket(_)) || self.new_queue.is_zero() {
            return Ok(());
        }
        let turn = self.turn_of(unit).lock_owned().await;
        if self.missing(link, std::slice::from_ref(unit)).is_empty() {
            return Ok(());
        }
        let (link, parts, new_queue) = (link.clone(), self.topology.parts(unit), self.new_queue);
        let made = self.tasks.spawn(async move {
            let _turn = turn;
            match timeout(LONGEST_MAKING, bucket::prepare(&link, &parts, new_queue)).await {
                Ok(made) => made,
                Err(_) => {
                    // The right to make it ends with the connection, which does not answer.
                    link.connection.cut();
                    Err(DeclareError::Unavailable("a queue was not made in time".to_owned()))
                }
            }
        });
        let ended = |_| DeclareError::Unavailable("it was ended while a queue was made".to_owned());
        made.await.map_err(ended)?
    }

    /// Returns what has one at a time prepare a unit, and others meanwhile.
    fn turn_of(&self, unit: &Unit) -> Arc<tokio::sync::Mutex<()>> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.turns.entry(unit.clone()).or_default().clone()
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
            memory.young.clear();
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

    /// Tells until when the broker may forget one of these in a crash, with what it holds: they were made a moment ago,
    /// on the connection whose generation is told as well.
    pub(super) fn young(&self, units: &[Unit]) -> Option<(Instant, u64)> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.young.is_empty() {
            return None;
        }
        let until = units.iter().filter_map(|unit| memory.young.get(unit)).max()?;
        (*until > Instant::now()).then_some((*until, memory.generation))
    }

    /// Whether the connection of a generation is still the present one, and answers: one whose server lost its power
    /// seems to be up for a while.
    pub(super) async fn is_on(&self, generation: u64, until: Instant) -> bool {
        let link = match &*self.supervisor.watch().borrow() {
            State::Up(link) if link.generation == generation => link.clone(),
            State::Up(_) | State::Down(_) | State::Closed => return false,
        };
        let left = until.saturating_duration_since(Instant::now()).max(LEAST);
        matches!(link.connection.answer(left).await, Some(Ok(())))
    }

    /// Notes that queues were made now. The broker writes them down once it has not made any for a while, so
    /// all that are young stay so for as long.
    fn made(&self, link: &Link, unit: &Unit) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.generation == link.generation && !self.new_queue.is_zero() {
            let now = Instant::now();
            memory.young.retain(|_, until| *until > now);
            memory.young.insert(unit.clone(), now);
            let until = now + self.new_queue;
            memory.young.values_mut().for_each(|other| *other = until);
        }
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
        let mut open = None;
        for unit in missing {
            let parts = self.topology.parts(&unit);
            if declare_parts(link, &mut open, &parts).await? {
                self.made(link, &unit);
            }
            self.remember(link, unit);
        }
        Ok(())
    }
}

/// Declares parts on the `open` channel, or on a new one. Where the user may not, what is there already
/// is used as it is: whoever may only put tasks in needs no right to make queues, or to delete them. Tells
/// whether a queue among them is new.
async fn declare_parts(
    link: &Link,
    open: &mut Option<Channel>,
    parts: &[Part],
) -> Result<bool, DeclareError> {
    let mut is_new = false;
    let mut channel = channel(link, open).await?;
    for part in parts {
        if matches!(part, Part::Queue { .. }) {
            // The answer to a declaration does not tell, and whoever was told no has lost the channel.
            let is_there = exists(&channel, part).await;
            if !is_there.map_err(|error| explain(part, &error))? {
                is_new = true;
                channel = link.connection.channel().await.map_err(DeclareError::Unavailable)?;
            }
        }
        let Err(error) = declare_part(&channel, part).await else { continue };
        return match explain(part, &error) {
            DeclareError::Refused(refusal) if refusal.is_forbidden => {
                match are_all_there(link, parts).await {
                    Ok(true) => Ok(false),
                    Ok(false) => Err(DeclareError::Refused(refusal)),
                    Err(error) => Err(explain(part, &error)),
                }
            }
            other => Err(other),
        };
    }
    *open = Some(channel);
    Ok(is_new)
}

async fn channel(link: &Link, open: &mut Option<Channel>) -> Result<Channel, DeclareError> {
    match open.take() {
        Some(channel) => Ok(channel),
        None => link.connection.channel().await.map_err(DeclareError::Unavailable),
    }
}

/// Asks for all exchanges and queues; bindings cannot be asked for. A lane without its binding is told
/// by the publish that comes back.
async fn are_all_there(link: &Link, parts: &[Part]) -> lapin::Result<bool> {
    let channel = link.connection.get().create_channel().await?;
    for part in parts {
        if !exists(&channel, part).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Asks whether a part is there; a binding is taken for it. When not, the channel is closed.
pub(super) async fn exists(channel: &Channel, part: &Part) -> lapin::Result<bool> {
    let table = FieldTable::default();
    let asked = match part {
        Part::Exchange { name, .. } => {
            let options = ExchangeDeclareOptions { passive: true, ..Default::default() };
            channel.exchange_declare(short(name), ExchangeKind::Direct, options, table).await
        }
        Part::Queue { name, .. } => {
            let options = QueueDeclareOptions { passive: true, ..Default::default() };
            channel.queue_declare(short(name), options, table).await.map(drop)
        }
        Part::Binding { .. } => return Ok(true),
    };
    match asked {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            ErrorKind::ProtocolError(said) if said.get_id() == 404 => Ok(false),
            _ => Err(error),
        },
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
            format!(
                "Allow configure, write and read on {name:?}, or have it declared by a user who may: \
                 a worker that serves it, or the broker's definitions"
            ),
        ),
        // Such as a queue that another connection has for itself, or a limit of the vhost: these are
        // about this name, while the broker is there for all others.
        ErrorKind::ProtocolError(said) if matches!(said.kind(), AMQPErrorKind::Soft(_)) => refuse(
            false,
            format!("the broker refuses it: {}", said.get_message()),
            "Mend it at the broker, or choose another queue".to_owned(),
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
    use std::collections::BTreeSet;
    use std::time::Duration;

    use serde_json::{Map, Value, json};

    use super::*;
    use crate::broker::rabbitmq::topology::next_hop;
    use crate::name::{Class, Lane, Namespace, QueueName};

    /// As the management API and files of definitions write it.
    fn defined(part: &Part) -> (&'static str, Value) {
        let lasting = json!({"durable": true, "auto_delete": false, "vhost": "leveret"});
        let (sort, more) = match part {
            Part::Exchange { name, routing, alternate } => {
                let routing = match routing {
                    Routing::Direct => "direct",
                    Routing::Fanout => "fanout",
                };
                let mut arguments = Map::new();
                if let Some(alternate) = alternate {
                    arguments.insert("alternate-exchange".to_owned(), alternate.as_str().into());
                }
                let own = json!({
                    "name": name, "type": routing, "internal": false, "arguments": arguments,
                });
                ("exchanges", own)
            }
            Part::Queue { name, onward, delivery_limit, ttl } => {
                let table = queue_arguments(onward.as_ref(), *delivery_limit, *ttl);
                let argument = |(name, value): (&_, &AMQPValue)| {
                    let name: &lapin::types::ShortString = name;
                    let value = match value {
                        AMQPValue::LongString(text) => json!(text.to_string()),
                        AMQPValue::LongLongInt(number) => json!(number),
                        other => panic!("{other:?}"),
                    };
                    (name.to_string(), value)
                };
                let arguments: Map<_, _> = table.inner().iter().map(argument).collect();
                ("queues", json!({"name": name, "arguments": arguments}))
            }
            Part::Binding { queue, exchange, key } => {
                let own = json!({
                    "source": exchange, "destination": queue, "destination_type": "queue",
                    "routing_key": key, "arguments": {}, "vhost": "leveret",
                });
                return ("bindings", own);
            }
        };
        let mut whole = lasting;
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        (sort, whole)
    }

    #[test]
    fn the_definitions_that_are_shipped_are_what_is_declared() {
        let topology = Topology::new(Namespace::default());
        let queue = QueueName::default();
        let mut units = vec![Unit::Doors, Unit::Dead(queue.clone())];
        units.extend(Class::ALL.map(|class| Unit::Lane(Lane::new(queue.clone(), class))));
        let waits = (0..64).map(|exponent| Duration::from_millis(250) * 2_u32.pow(exponent % 20));
        let buckets: BTreeSet<_> = waits.filter_map(next_hop).collect();
        units.extend(buckets.into_iter().map(Unit::Bucket));
        let parts = units.iter().flat_map(|unit| topology.parts(unit));
        let declared: BTreeSet<String> = parts
            .map(|part| defined(&part))
            .map(|(sort, whole)| format!("{sort} {whole}"))
            .collect();

        let shipped = include_str!("../../../../docker/rabbitmq/topology.json");
        let shipped: Value = serde_json::from_str(shipped).unwrap();
        assert_eq!(shipped["vhosts"], json!([{"name": "leveret"}]));
        let shipped: BTreeSet<String> = ["exchanges", "queues", "bindings"]
            .into_iter()
            .flat_map(|sort| shipped[sort].as_array().unwrap().iter().map(move |one| (sort, one)))
            .map(|(sort, one)| format!("{sort} {one}"))
            .collect();
        assert_eq!(shipped, declared);
    }

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
