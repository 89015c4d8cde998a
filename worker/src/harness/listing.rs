//! What waits and what is dead, as a test looks at it.

use std::collections::BTreeMap;
use std::time::Duration;

use leveret_common::broker::Place;
use leveret_common::clock::Millis;
use leveret_common::desk::letter;
use leveret_common::embedded::Resting;
use leveret_common::envelope::{DeadReason, Decoded, Envelope, Order, decode};
use leveret_common::id::TaskId;
use leveret_common::ledger::Entry;
use leveret_common::name::{KindName, Lane, QueueName};
use leveret_producer::Task;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Harness;
use super::fail::{fail, or_fail};

/// A task that waits for a worker, or for its time.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Enqueued<T = Value> {
    /// Its id.
    pub id: TaskId,
    /// Its kind.
    pub kind: KindName,
    /// Where it waits: queue and class.
    pub lane: Lane,
    /// Its args.
    pub args: T,
    /// For how long it waits until it is due; zero where it is.
    pub due_in: Duration,
    /// Which attempt is next; more than 1 for a retry.
    pub attempt: u32,
    /// Its idempotency key.
    pub key: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// What failed last.
    pub error: Option<String>,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Letter {
    /// The task.
    pub id: TaskId,
    /// Its kind; empty where the message named none.
    pub kind: String,
    /// The queue among whose dead letters it is.
    pub queue: QueueName,
    /// Why it is dead.
    pub reason: Option<DeadReason>,
    /// The class of its last failure.
    pub class: String,
    /// The message of its last failure.
    pub error: String,
    /// The attempt that was its last.
    pub attempt: u32,
    /// Its args; `null` where they are no JSON.
    pub args: Value,
}

impl Harness {
    /// Lists the waiting tasks of a kind, retries included, in the order in which they are due.
    ///
    /// # Panics
    /// When the args of one of them are no `T`.
    #[must_use]
    #[track_caller]
    pub fn enqueued<T: Task + DeserializeOwned>(&self) -> Vec<Enqueued<T>> {
        let all = self.pending().into_iter();
        let is_of = |kind: &str| T::KIND == kind || T::ALIASES.contains(&kind);
        all.filter(|one| is_of(one.kind.as_str())).map(typed).collect()
    }

    /// Lists the waiting tasks of the kind of this name, as [`enqueued`](Self::enqueued) does.
    #[must_use]
    #[track_caller]
    pub fn enqueued_of(&self, kind: &str) -> Vec<Enqueued> {
        self.pending().into_iter().filter(|one| one.kind.as_str() == kind).collect()
    }

    /// Lists all waiting tasks, in the order in which they are due.
    ///
    /// # Panics
    /// When the store cannot be asked.
    #[must_use]
    #[track_caller]
    pub fn pending(&self) -> Vec<Enqueued> {
        let now = self.now();
        let resting = or_fail(self.bench.store.resting(), "list what waits");
        resting.into_iter().filter_map(|one| self.waiting(one, now)).collect()
    }

    /// Lists the dead letters, those of a queue in the order in which they died.
    ///
    /// # Panics
    /// When the store cannot be asked.
    #[must_use]
    #[track_caller]
    pub fn dead(&self) -> Vec<Letter> {
        let resting = or_fail(self.bench.store.resting(), "list what is dead");
        resting.into_iter().filter_map(|one| self.letter(&one)).collect()
    }

    fn waiting(&self, resting: Resting, now: Millis) -> Option<Enqueued> {
        let Resting { place: Place::Lane(lane), due, wire, entry } = resting else { return None };
        let Ok(Decoded::Task(envelope) | Decoded::Nameless(envelope)) =
            decode(&self.bench.backend.namespace, &wire)
        else {
            return None;
        };
        let Envelope { id, kind, args, order, fixed, moving, .. } = *envelope;
        if is_over(entry.as_ref(), order) {
            return None;
        }
        Some(Enqueued {
            id,
            kind,
            lane,
            args: serde_json::from_slice(&args).unwrap_or_default(),
            due_in: due.map_or(Duration::ZERO, |due| due.since(now)),
            attempt: order.attempt,
            key: fixed.key,
            tags: fixed.tags,
            error: moving.error,
        })
    }

    fn letter(&self, resting: &Resting) -> Option<Letter> {
        let Place::Dead(queue) = &resting.place else { return None };
        let (wire, now) = (&resting.wire, self.now());
        let described = letter::describe(&self.bench.backend.namespace, queue, wire, now, now);
        Some(Letter {
            id: described.id,
            kind: described.kind,
            queue: described.queue,
            reason: described.reason,
            class: described.class,
            error: described.error,
            attempt: described.order.attempt,
            args: serde_json::from_slice(&wire.body).unwrap_or_default(),
        })
    }
}

/// Tells whether a message in a lane is ignored by whoever takes it: its task was cancelled, or is a
/// step further.
fn is_over(entry: Option<&Entry>, order: Order) -> bool {
    match entry {
        Some(Entry::Settled(settled)) => order.replay <= settled.replay,
        Some(Entry::Waiting(waiting)) => order < waiting.order,
        Some(Entry::Running(held) | Entry::Finishing(held, _)) => order < held.order,
        None => false,
    }
}

#[track_caller]
fn typed<T: Task + DeserializeOwned>(one: Enqueued) -> Enqueued<T> {
    let Enqueued { id, kind, lane, args, due_in, attempt, key, tags, error } = one;
    match serde_json::from_value(args) {
        Ok(args) => Enqueued { id, kind, lane, args, due_in, attempt, key, tags, error },
        Err(why) => {
            fail(&format!("task {id} of kind {kind} is no {}: {why}", std::any::type_name::<T>(),))
        }
    }
}
