//! Many at once: per-item answers in order, published together in bounded chunks.
//!
//! Each chunk goes look up → publish → confirm → record. The record is written after the confirm
//! and never beside it: a repetition is answered from it without a publish, so one that existed
//! for an unconfirmed task would lose that task.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use leveret_common::broker::{Publish, PublishError};
use leveret_common::id::TaskId;
use leveret_common::store::Enqueued;
use leveret_common::telemetry::names;
use metrics::counter;
use tokio::time::timeout;

use crate::draft::Draft;
use crate::error::EnqueueError;
use crate::known::{Content, STORE_PATIENCE, conflict};
use crate::producer::{Accepted, Producer};
use crate::request::Request;

/// Most tasks published together: a confirm window of one RabbitMQ channel, about.
const CHUNK: usize = 500;

type Answer = Result<Accepted, EnqueueError>;

impl Producer {
    /// Enqueues many tasks; answers for each, in the order of `requests`. One that is wrong does
    /// not hinder the others.
    ///
    /// # Cancel safety
    /// Dropped, any of them may or may not have been accepted: repeat them with the same keys or
    /// ids. Those that have neither may then be doubled.
    pub async fn enqueue_all(&self, requests: Vec<Request>) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = Vec::with_capacity(requests.len());
        let mut drafts = Vec::with_capacity(requests.len());
        for (place, request) in requests.into_iter().enumerate() {
            match self.draft(request) {
                Ok(draft) => {
                    drafts.push((place, draft));
                    answers.push(None);
                }
                Err(error) => answers.push(Some(Err(error))),
            }
        }
        let mut drafts = drafts.into_iter().peekable();
        while drafts.peek().is_some() {
            let chunk: Vec<_> = drafts.by_ref().take(CHUNK).collect();
            for (place, answer) in self.send_chunk(chunk).await {
                answers[place] = Some(answer);
            }
        }
        answers.into_iter().flatten().collect()
    }

    /// Sends one task on the same road as many.
    pub(crate) async fn send_one(&self, draft: Draft) -> Answer {
        let id = draft.id();
        match self.send_chunk(vec![(0, draft)]).await.pop() {
            Some((_, answer)) => answer,
            // A backend that gives no answer has not said that the task is safe.
            None => Err(unanswered(id)),
        }
    }

    /// Sends a chunk in rounds: each round holds a task at most once, and what stands for the
    /// same task waits to see what became of the first.
    async fn send_chunk(&self, chunk: Vec<(usize, Draft)>) -> Vec<(usize, Answer)> {
        let mut answers = Vec::with_capacity(chunk.len());
        let mut waiting = chunk;
        while !waiting.is_empty() {
            let mut round: Vec<(usize, Draft)> = Vec::with_capacity(waiting.len());
            let mut again = Vec::new();
            let mut first: HashMap<TaskId, Content> = HashMap::new();
            for (place, draft) in waiting {
                match first.entry(draft.id()) {
                    Entry::Occupied(_) => again.push((place, draft)),
                    Entry::Vacant(slot) => {
                        slot.insert(Content::of(&draft));
                        round.push((place, draft));
                    }
                }
            }
            let sent = self.send_round(round).await;
            let mut accepted: HashMap<TaskId, Accepted> = HashMap::new();
            for (place, answer) in sent {
                if let Ok(task) = &answer {
                    accepted.insert(task.id, task.clone());
                }
                answers.push((place, answer));
            }
            waiting = Vec::new();
            for (place, draft) in again {
                match accepted.get(&draft.id()) {
                    Some(task) if first.get(&draft.id()) == Some(&Content::of(&draft)) => {
                        answers.push((place, Ok(Accepted { repeated: true, ..task.clone() })));
                    }
                    Some(task) => answers.push((place, Err(conflict(task.id, &draft)))),
                    None => waiting.push((place, draft)),
                }
            }
        }
        answers
    }

    async fn send_round(&self, round: Vec<(usize, Draft)>) -> Vec<(usize, Answer)> {
        let known = self.known(&round).await;
        let mut answers = Vec::with_capacity(round.len());
        let mut fresh = Vec::with_capacity(round.len());
        for (place, draft) in round {
            match known.get(&draft.id()) {
                Some(known) => answers.push((place, known.repeat(&draft))),
                None => fresh.push((place, draft)),
            }
        }
        if fresh.is_empty() {
            return answers;
        }
        let batch: Vec<Publish> = fresh.iter().map(|(_, draft)| draft.to_publish()).collect();
        let confirmed = self.backend().broker.publish(&batch).await;
        let mut confirmed = confirmed.into_iter();
        let mut records = Vec::with_capacity(fresh.len());
        for (place, draft) in fresh {
            let answer = match confirmed.next() {
                Some(outcome) => answer(&draft, outcome, self.label_of(&draft.lane.queue)),
                None => Err(unanswered(draft.id())),
            };
            if answer.is_ok() && self.options().record {
                records.push(draft.to_record());
            }
            answers.push((place, answer));
        }
        self.record(&records).await;
        answers
    }

    /// Remembers what was accepted, as far as the store is willing.
    pub(crate) async fn record(&self, records: &[Enqueued]) {
        if records.is_empty() {
            return;
        }
        let count = records.len();
        match timeout(STORE_PATIENCE, self.backend().records.enqueued(records)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, count, "failed to record accepted tasks"),
            Err(_) => tracing::warn!(count, "the store is slow to record accepted tasks"),
        }
    }
}

fn answer(draft: &Draft, outcome: Result<(), PublishError>, queue: String) -> Answer {
    let id = draft.id();
    let name = outcome.as_ref().map_or_else(PublishError::outcome, |()| "ok");
    counter!(
        names::TASKS_ENQUEUED,
        names::label::QUEUE => queue,
        names::label::CLASS => draft.lane.class.as_str(),
        names::label::OUTCOME => name,
    )
    .increment(1);
    match outcome {
        Ok(()) => {
            tracing::debug!(task = %id, lane = %draft.lane, "task accepted");
            Ok(Accepted {
                id,
                lane: draft.lane.clone(),
                state: draft.state(),
                repeated: false,
                not_before: draft.envelope.moving.not_before,
            })
        }
        Err(PublishError::TooLarge { size, limit }) => Err(EnqueueError::TooLarge { size, limit }),
        Err(source) => Err(EnqueueError::Publish { id, source }),
    }
}

fn unanswered(id: TaskId) -> EnqueueError {
    let why = "the broker's client gave no answer".to_owned();
    EnqueueError::Publish { id, source: PublishError::Unknown { within: Duration::ZERO, why } }
}
