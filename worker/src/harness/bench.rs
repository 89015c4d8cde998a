//! The worker of a harness: the parts of a real one, a step at a time and in the caller's own task.
//!
//! A step takes deliveries out of their lanes, has the intake sort them, and drives them through the
//! pipeline to their acks; nothing runs between two steps. So whether anything is due is a question
//! that the store answers, and no guess of how long to wait. A worker that dies is a pipeline that is
//! dropped where it is, and a new incarnation under another owner, whose predecessor's heartbeat has
//! ended.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;
use leveret_common::backend::Backend;
use leveret_common::broker::{Delivery, Place};
use leveret_common::clock::{Clock, ManualClock, Millis};
use leveret_common::embedded::{Embedded, Waits};
use leveret_common::envelope::{Decoded, Envelope, decode};
use leveret_common::id::TaskId;
use leveret_common::name::{Lane, QueueName};
use leveret_common::spawn::Spawner;
use tokio_util::sync::CancellationToken;

use super::fail::or_fail;
use super::notes::Notes;
use super::performed::{Became, Performed};
use super::script::Script;
use crate::config::Config;
use crate::fetch::{Arrived, intake};
use crate::handler::Registry;
use crate::settle::pipeline;
use crate::shared::Shared;
use crate::{control, heartbeat};

/// Most deliveries that are taken from a lane to find one of them.
const TAKEN: u16 = u16::MAX;

/// The parts of a worker.
pub(super) struct Bench {
    pub(super) store: Arc<Embedded>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) backend: Backend,
    pub(super) registry: Registry,
    pub(super) script: Arc<Script>,
    pub(super) notes: Arc<Notes>,
    /// Of the incarnation that lives; the queues in it are those that something was put in so far.
    config: Config,
    shared: Arc<Shared>,
    /// Ends with the incarnation.
    life: CancellationToken,
}

/// What is to be performed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    /// Whatever is due.
    Due,
    /// This task.
    One(TaskId),
}

/// What came out of a lane.
enum Taken {
    /// A task that can be performed.
    Task(Arrived),
    /// One whose kind nobody here knows.
    Unknown(Box<Envelope>, Lane),
    /// Nothing that is worth a word: it went elsewhere.
    Elsewhere,
}

impl Bench {
    pub(super) fn new(
        (store, clock): (Arc<Embedded>, Arc<ManualClock>),
        backend: Backend,
        registry: Registry,
        config: Config,
    ) -> Self {
        let script = Arc::new(Script::default());
        let notes = Arc::new(Notes::new(Arc::clone(&backend.records)));
        let backend = Backend { records: Arc::clone(&notes) as _, ..backend };
        let (shared, life) = incarnate(&backend, &registry, &script, &config);
        Self { store, clock, backend, registry, script, notes, config, shared, life }
    }

    /// Performs at most `most` tasks at once; fewer where fewer are due.
    pub(super) async fn perform(&mut self, wanted: Wanted, most: usize) -> Vec<Performed> {
        let mut performed = Vec::new();
        // Deliveries that end without an attempt, such as second copies, are not counted.
        while performed.is_empty() {
            let mut arrived = Vec::new();
            while arrived.len() + performed.len() < most {
                let Some(lane) = self.next_lane(wanted).await else { break };
                match self.take(&lane, wanted).await {
                    Taken::Task(one) => arrived.push(one),
                    Taken::Unknown(envelope, lane) => performed.push(self.parked(&envelope, lane)),
                    Taken::Elsewhere => {}
                }
            }
            if arrived.is_empty() {
                break;
            }
            performed.extend(self.settle(arrived).await);
        }
        performed
    }

    /// Returns when the first task is due of those that are not yet.
    pub(super) fn next_due(&self) -> Option<Millis> {
        let now = self.clock.now();
        let waits = or_fail(self.store.waits(), "look for what is due");
        let lanes = waits.into_iter().filter(|one| matches!(one.place, Place::Lane(_)));
        lanes.filter_map(|one| one.due).filter(|due| *due > now).min()
    }

    /// Returns the lane whose turn it is: that of the most urgent class, then that of what came first.
    async fn next_lane(&mut self, wanted: Wanted) -> Option<Lane> {
        let now = self.clock.now();
        let mut waits = or_fail(self.store.waits(), "look for what is due");
        waits.retain(|one| one.first.is_some() || one.due.is_some_and(|due| due <= now));
        self.enter(&waits).await;
        if let Wanted::One(id) = wanted {
            return self.lane_of(id, now);
        }
        let mut lanes: Vec<_> = waits
            .into_iter()
            .filter_map(|one| match one.place {
                Place::Lane(lane) if self.shared.controls.takes(&lane) => {
                    Some(((lane.class, one.first.is_none(), one.first, one.due), lane))
                }
                Place::Lane(_) | Place::Dead(_) => None,
            })
            .collect();
        lanes.sort_by_key(|(turn, _)| *turn);
        let places: Vec<_> = lanes.iter().map(|(_, lane)| Place::Lane(lane.clone())).collect();
        // What is in hand already is in the tables still.
        let surveys = or_fail(self.backend.broker.survey(&places).await, "survey the lanes");
        let mut left = lanes.into_iter().zip(surveys).filter(|(_, survey)| survey.depth > 0);
        left.next().map(|((_, lane), _)| lane)
    }

    fn lane_of(&self, id: TaskId, now: Millis) -> Option<Lane> {
        let resting = or_fail(self.store.resting(), "look for the task");
        resting.into_iter().find_map(|one| match one.place {
            Place::Lane(lane) => {
                let is_due = one.due.is_none_or(|due| due <= now);
                let found = self.id_of(&one.wire) == Some(id);
                (is_due && found && self.shared.controls.takes(&lane)).then_some(lane)
            }
            Place::Dead(_) => None,
        })
    }

    fn id_of(&self, wire: &leveret_common::envelope::Wire) -> Option<TaskId> {
        match decode(&self.backend.namespace, wire) {
            Ok(Decoded::Task(envelope)) => Some(envelope.id),
            Ok(Decoded::Nameless(_) | Decoded::Newer { .. }) | Err(_) => None,
        }
    }

    /// Has the worker serve the queues of `waits`, gives a sign of life and reads the pauses.
    async fn enter(&mut self, waits: &[Waits]) {
        let queue = |one: &Waits| match &one.place {
            Place::Lane(lane) => Some(lane.queue.clone()),
            Place::Dead(_) => None,
        };
        let mut queues: BTreeSet<QueueName> = self.config.queues.iter().cloned().collect();
        let served = queues.len();
        queues.extend(waits.iter().filter_map(queue));
        if queues.len() > served {
            self.config.queues = queues.into_iter().collect();
            self.leave().await;
        }
        let info = heartbeat::introduce(&self.shared);
        or_fail(heartbeat::renew(&self.shared, &info).await, "write a heartbeat");
        or_fail(control::read_pauses(&self.shared).await, "read which queues are paused");
    }

    /// Ends the incarnation, and begins another one. Nothing is left of it, its heartbeat included.
    async fn leave(&mut self) {
        self.life.cancel();
        or_fail(self.backend.fleet.leave(self.shared.owner).await, "end the heartbeat");
        (self.shared, self.life) =
            incarnate(&self.backend, &self.registry, &self.script, &self.config);
    }

    /// Takes a delivery of the lane, in which there is one.
    async fn take(&self, lane: &Lane, wanted: Wanted) -> Taken {
        let place = Place::Lane(lane.clone());
        let consumer = self.backend.broker.consume(&place, TAKEN).await;
        let consumer = or_fail(consumer, "take a task from its lane");
        let delivery = loop {
            let most = match wanted {
                Wanted::Due => 1,
                Wanted::One(_) => usize::from(TAKEN),
            };
            let is_it = |delivery: &Delivery| match wanted {
                Wanted::Due => true,
                Wanted::One(id) => self.id_of(&delivery.wire) == Some(id),
            };
            // The others go back to their places with the consumer.
            let found = consumer.next(most).await.into_iter().find(is_it);
            if let Some(delivery) = found {
                break delivery;
            }
        };
        intake::take_in_one(&self.shared, lane, &consumer, &delivery).await;
        if let Some(arrived) = self.shared.buffer.take() {
            return Taken::Task(arrived);
        }
        match decode(&self.backend.namespace, &delivery.wire) {
            Ok(Decoded::Task(envelope)) if self.registry.find(&envelope.kind).is_none() => {
                Taken::Unknown(envelope, lane.clone())
            }
            Ok(_) | Err(_) => Taken::Elsewhere,
        }
    }

    /// Drives deliveries to their ends, or to the death of their worker.
    async fn settle(&mut self, arrived: Vec<Arrived>) -> Vec<Performed> {
        let envelopes: Vec<_> =
            arrived.iter().map(|one| (Arc::clone(&one.envelope), one.lane.clone())).collect();
        let mut settled = Vec::with_capacity(arrived.len());
        for one in arrived {
            let permit = self.shared.slots.take().await;
            settled.push(pipeline::settle(Arc::clone(&self.shared), one, permit));
        }
        // Two that die at once tell it twice.
        let _told_before = self.script.death.notified().now_or_never();
        let death = self.script.death.notified();
        let died = tokio::select! {
            // It dies before it hears that its handler has ended.
            biased;
            () = death => true,
            _ = join_all(settled) => false,
        };
        if died {
            self.leave().await;
        }
        let mut notes = self.notes.take();
        let performed = envelopes.into_iter().filter_map(|(envelope, lane)| {
            let at = notes.iter().rposition(|note| note.id == envelope.id);
            let became = match at.map(|at| notes.remove(at)) {
                Some(note) => Became::of(&note),
                None if died => Became::Crashed,
                None => return None,
            };
            Some(describe(&envelope, lane, became))
        });
        performed.collect()
    }

    fn parked(&self, envelope: &Envelope, lane: Lane) -> Performed {
        let resting = or_fail(self.store.resting(), "look for the task");
        let copy = resting.into_iter().find(|one| self.id_of(&one.wire) == Some(envelope.id));
        let until = copy.and_then(|copy| copy.due).unwrap_or_else(|| self.clock.now());
        describe(envelope, lane, Became::Parked { until })
    }
}

fn incarnate(
    backend: &Backend,
    registry: &Registry,
    script: &Arc<Script>,
    config: &Config,
) -> (Arc<Shared>, CancellationToken) {
    // Handlers run where the test runs, so that what they block or print is the test's.
    let (handlers, life) = (Spawner::new(), CancellationToken::new());
    let registry = script.around(registry, &life);
    let shared = Shared::new(backend.clone(), registry, config.clone(), handlers);
    (Arc::new(shared), life)
}

fn describe(envelope: &Envelope, lane: Lane, became: Became) -> Performed {
    let (id, kind) = (envelope.id, envelope.kind.clone());
    Performed { id, kind, lane, attempt: envelope.order.attempt, became }
}
