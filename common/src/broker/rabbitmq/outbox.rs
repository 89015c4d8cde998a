//! The way of a batch to the publisher: route, declare what is missing, hand in, look after returns.
//!
//! Sending and confirming is [`super::publisher`]'s matter. Guards that nothing is handed in before
//! its queue was declared, that what came back is tried once more after a fresh declare, and that
//! all of a batch is answered within one deadline.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::declare::{DeclareError, Declarer};
use super::publisher::{Job, Outgoing, Silent};
use super::topology::{Bucket, Route, SHORTEST_WAIT, Topology, Unit, hop_around, next_hop};
use super::translate;
use crate::broker::{Destination, Place, Publish, PublishError};
use crate::clock::SharedClock;
use crate::envelope::{Wire, headers_size};

/// Most bytes of headers: they travel in one frame, and a server's default is 128 KiB.
pub(super) const HEADERS_LIMIT: usize = 120 * 1024;

/// Hands messages to the publisher.
#[derive(Clone)]
pub(super) struct Outbox {
    /// Where things are.
    pub(super) topology: Topology,
    /// Says how long a delayed message has still to wait.
    pub(super) clock: SharedClock,
    /// How long a batch may take until its answer.
    pub(super) deadline: Duration,
    /// Most bytes of a body.
    pub(super) payload_limit: usize,
    /// Leads to the publisher.
    pub(super) jobs: mpsc::Sender<Job>,
    /// Declares what is missing.
    pub(super) declarer: Arc<Declarer>,
    /// Knows which buckets confirm nothing.
    pub(super) silent: Silent,
}

/// What is known of the queues that a batch goes to.
#[derive(Default)]
struct Ready {
    declared: HashMap<Unit, Result<(), DeclareError>>,
    /// The connections on which one of them was made a moment ago.
    young_on: HashSet<u64>,
}

impl Outbox {
    /// As [`crate::broker::Broker::publish`].
    pub(super) async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>> {
        let until = Instant::now() + self.deadline;
        let mut results = self.attempt(&batch.iter().collect::<Vec<_>>(), until).await;
        let came_back = |result: &Result<(), _>| matches!(result, Err(PublishError::Unroutable(_)));
        let again: Vec<usize> = (0..results.len()).filter(|at| came_back(&results[*at])).collect();
        if !again.is_empty() {
            // We had declared it, so somebody has deleted it since: declare it anew, once.
            self.declarer.forget();
            let batch: Vec<&Publish> = again.iter().map(|at| &batch[*at]).collect();
            let repeated = self.attempt(&batch, until).await;
            for (at, result) in again.into_iter().zip(repeated) {
                results[at] = result;
            }
        }
        results
    }

    /// Says where a message goes now, and what has to exist for that.
    fn plan(&self, to: &Destination) -> (Route, Vec<Unit>) {
        match to {
            Destination::Lane(lane) => {
                (self.topology.to_lane(lane), Unit::all_of(&Place::Lane(lane.clone())))
            }
            Destination::Dead(queue) => {
                (self.topology.to_dead(queue), Unit::all_of(&Place::Dead(queue.clone())))
            }
            Destination::Delay { lane, until } => {
                let mut units = Unit::all_of(&Place::Lane(lane.clone()));
                match next_hop(until.since(self.clock.now())) {
                    None => (self.topology.to_lane(lane), units),
                    Some(bucket) => {
                        let bucket = self.that_confirms(bucket);
                        units.push(Unit::Bucket(bucket));
                        (self.topology.to_bucket(bucket, lane), units)
                    }
                }
            }
        }
    }

    /// Returns the bucket, or a neighbour where that one confirms nothing: a task may not wait for it for ever.
    fn that_confirms(&self, bucket: Bucket) -> Bucket {
        let now = Instant::now();
        let takes = |bucket| !self.silent.is(&self.topology.bucket_queue(bucket), now);
        if takes(bucket) { bucket } else { hop_around(bucket, takes) }
    }

    fn check_size(&self, wire: &Wire) -> Result<(), PublishError> {
        let (size, limit) = (wire.body.len(), self.payload_limit);
        if size > limit {
            return Err(PublishError::TooLarge { size, limit });
        }
        let size = headers_size(&wire.headers);
        if size > HEADERS_LIMIT {
            return Err(PublishError::TooLarge { size, limit: HEADERS_LIMIT });
        }
        Ok(())
    }

    /// Publishes once, without looking after what came back.
    async fn attempt(&self, batch: &[&Publish], until: Instant) -> Vec<Result<(), PublishError>> {
        let mut ready = Ready { declared: self.buckets(batch, until).await, ..Ready::default() };
        let mut answers = Vec::with_capacity(batch.len());
        for publish in batch {
            answers.push(self.hand_in(publish, until, &mut ready).await);
        }
        let mut results = Vec::with_capacity(batch.len());
        for answer in answers {
            results.push(match answer {
                Err(error) => Err(error),
                Ok(answer) => answer.await.unwrap_or_else(|_| Err(self.unknown())),
            });
        }
        if results.iter().any(Result::is_ok) && !self.are_written(&ready, until).await {
            let why = "the broker was lost before it had surely written down a queue that is new";
            for result in results.iter_mut().filter(|result| result.is_ok()) {
                *result = Err(PublishError::Unknown { within: self.deadline, why: why.to_owned() });
            }
        }
        results
    }

    /// Has the delay queues of a batch made, side by side: each that is new takes a while.
    async fn buckets(
        &self,
        batch: &[&Publish],
        until: Instant,
    ) -> HashMap<Unit, Result<(), DeclareError>> {
        let delayed = batch.iter().filter(|one| matches!(one.to, Destination::Delay { .. }));
        // What they stand on is declared with each message, in its order.
        let units = delayed.flat_map(|one| self.plan(&one.to).1);
        let units: HashSet<Unit> = units.filter(|unit| matches!(unit, Unit::Bucket(_))).collect();
        let ensured = units.into_iter().map(async |unit| {
            let ensured = self.declarer.ensure(std::slice::from_ref(&unit), until).await;
            (unit, ensured)
        });
        join_all(ensured).await.into_iter().collect()
    }

    /// Waits until the broker has surely written down those queues that were made here a moment ago; false where it
    /// was lost since then, or where that takes too long.
    async fn are_written(&self, ready: &Ready, until: Instant) -> bool {
        if ready.young_on.is_empty() {
            return true;
        }
        let units: Vec<Unit> = ready.declared.keys().cloned().collect();
        while let Some((written, _)) = self.declarer.young(&units) {
            if Instant::now() >= until {
                return false;
            }
            tokio::time::sleep_until(written.min(until)).await;
        }
        let mut all = true;
        for generation in &ready.young_on {
            all &= self.declarer.is_on(*generation, until).await;
        }
        all
    }

    /// Hands one message to the publisher; the answer comes by `until`.
    async fn hand_in(
        &self,
        publish: &Publish,
        until: Instant,
        ready: &mut Ready,
    ) -> Result<oneshot::Receiver<Result<(), PublishError>>, PublishError> {
        self.check_size(&publish.wire)?;
        let route = loop {
            let planned = Instant::now();
            let (route, units) = self.plan(&publish.to);
            for unit in &units {
                let known = match ready.declared.get(unit) {
                    Some(known) => known.clone(),
                    None => {
                        let fresh = self.declarer.ensure(std::slice::from_ref(unit), until).await;
                        ready.declared.insert(unit.clone(), fresh.clone());
                        fresh
                    }
                };
                known?;
            }
            // Now, because a connection that is lost takes what is known of them with it.
            if let Some((_, generation)) = self.declarer.young(&units) {
                ready.young_on.insert(generation);
            }
            // It takes a while to make a delay queue, and then less is left to be waited for.
            if planned.elapsed() < SHORTEST_WAIT {
                break route;
            }
        };
        let message = Outgoing {
            route,
            properties: translate::to_properties(&publish.wire),
            body: publish.wire.body.clone(),
        };
        let (reply, answer) = oneshot::channel();
        match tokio::time::timeout_at(until, self.jobs.send(Job { message, until, reply })).await {
            Ok(Ok(())) => Ok(answer),
            Ok(Err(_)) => Err(PublishError::Unavailable("the broker was closed".to_owned())),
            Err(_) => Err(PublishError::Blocked(format!(
                "the window stayed full for {:?}",
                self.deadline
            ))),
        }
    }

    fn unknown(&self) -> PublishError {
        PublishError::Unknown { within: self.deadline, why: "the publisher ended".to_owned() }
    }
}
