//! The publisher: hands a chunk of occurrences to the broker and reads what it says.
//!
//! Every answer belongs to one occurrence. Refused for good is only what no repetition can mend;
//! whatever leaves the fate of a task open is repeated, under the same id.

use std::sync::Arc;
use std::time::{Duration, Instant};

use leveret_common::id::TaskId;
use leveret_common::sabotage::{Break, breaks};
use leveret_common::store::ScheduleEntry;
use leveret_common::telemetry::names::field;
use leveret_producer::{Accepted, EnqueueError, Producer, Request};
use tracing::warn;

use super::catch_up::Due;
use super::departures::Road;
use super::leader::Leadership;
use super::steps::{Answer, Step};
use crate::definition;

/// Most occurrences that are published together.
pub(super) const CHUNK: usize = 250;

/// What is done about one schedule, and put in together with others.
#[derive(Debug)]
pub(super) struct Firing {
    pub(super) row: u32,
    pub(super) life: u64,
    pub(super) entry: Arc<ScheduleEntry>,
    pub(super) steps: Vec<Step>,
    pub(super) decided: Instant,
}

impl Firing {
    /// Lists what is to be put in.
    pub(super) fn dues(&self) -> impl Iterator<Item = &Due> {
        self.steps.iter().filter_map(|step| match step {
            Step::PutIn(due) => Some(due),
            Step::LeaveOut(..) | Step::Wait(_) => None,
        })
    }

    fn occurrences(&self) -> impl Iterator<Item = (&ScheduleEntry, &Due)> {
        self.dues().map(|due| (self.entry.as_ref(), due))
    }
}

/// What is put in together.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) firings: Vec<Firing>,
    pub(super) road: Road,
    /// How long it could have been put in when it was: the wait for others.
    pub(super) behind: Duration,
    pub(super) begun: Instant,
}

/// What the broker said to each occurrence, in the order of the chunk.
#[derive(Debug)]
pub(super) struct Sent(pub(super) Vec<Answer>);

/// Puts a chunk in, where this beat still leads under `epoch`.
pub(super) async fn send(
    producer: &Producer,
    leadership: &Leadership,
    epoch: u64,
    chunk: &Chunk,
) -> Sent {
    let occurrences: Vec<_> = chunk.firings.iter().flat_map(Firing::occurrences).collect();
    let requests: Vec<_> =
        occurrences.iter().map(|(entry, due)| request(producer, entry, due)).collect();
    let count = requests.len();
    if leadership.epoch() != Some(epoch) {
        return Sent(vec![Answer::Failed; count]);
    }
    let mut failure = None;
    let mut answers: Vec<_> = producer
        .enqueue_all(requests)
        .await
        .into_iter()
        .zip(occurrences)
        .map(|(answer, (entry, _))| read(answer, entry, &mut failure))
        .collect();
    answers.resize(count, Answer::Failed);
    if let Some(error) = failure {
        let count = answers.iter().filter(|answer| **answer == Answer::Failed).count();
        warn!({ field::ERROR } = %error, { field::COUNT } = count, "occurrences were not put in, and are tried again");
    }
    Sent(answers)
}

fn request(producer: &Producer, entry: &ScheduleEntry, due: &Due) -> Request {
    let backend = producer.backend();
    let id = TaskId::of_occurrence(&backend.namespace, &entry.name, due.due, None);
    let request = definition::request(&entry.name, &entry.definition, entry.revision, due.due, id);
    let now = backend.clock.now();
    let request = if due.planned > now { request.at(due.planned) } else { request };
    match entry.definition.expires {
        // Counted from when it was planned. One whose time has just run out ends as expired.
        Some(expires) => {
            let left = due.planned.after(expires).since(now);
            request.expires(left.max(Duration::from_millis(1)))
        }
        None => request,
    }
}

fn read(
    answer: Result<Accepted, EnqueueError>,
    entry: &ScheduleEntry,
    failure: &mut Option<EnqueueError>,
) -> Answer {
    match answer {
        Ok(Accepted { id, .. }) => Answer::Confirmed(id),
        // It was put in before the schedule was changed.
        Err(EnqueueError::KeyConflict { id, .. }) => Answer::Confirmed(id),
        Err(error @ (EnqueueError::Invalid(_) | EnqueueError::TooLarge { .. })) => {
            warn!(
                { field::SCHEDULE } = %entry.name, { field::ERROR } = %error,
                "an occurrence is left out, because its task is refused"
            );
            Answer::Refused
        }
        Err(EnqueueError::Publish { id, .. }) if breaks(Break::PositionBeforeConfirm) => {
            Answer::Confirmed(id)
        }
        Err(error) => {
            failure.get_or_insert(error);
            Answer::Failed
        }
    }
}
