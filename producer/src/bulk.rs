//! Many at once: per-item answers in order, published together in bounded chunks.
//!
//! Each chunk goes look up → publish → confirm → record. The record is written after the confirm
//! and never beside it: a repetition is answered from it without a publish, so one that existed
//! for an unconfirmed task would lose that task.
//!
//! Guards that a broker that is away is waited for once, and not once for each chunk and each repetition of
//! an id: a batch as a whole takes little longer than one publish then.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use leveret_common::broker::{Publish, PublishError};
use leveret_common::failpoint;
use leveret_common::id::TaskId;
use leveret_common::sabotage::{Break, breaks};
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
/// How long the broker may take to say that it is well, after it said nothing of a whole chunk.
const LOOK: Duration = Duration::from_secs(2);

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
        let mut away = None;
        let mut doubtful: HashMap<TaskId, PublishError> = HashMap::new();
        while away.is_none() && drafts.peek().is_some() {
            let chunk: Vec<_> = drafts.by_ref().take(CHUNK).collect();
            let sent = self.send_chunk(chunk).await;
            away = self.why_away(&sent).await;
            for (place, answer) in sent {
                doubtful.extend(unknown(&answer));
                answers[place] = Some(answer);
            }
        }
        let why = away.unwrap_or_default();
        for (place, draft) in drafts {
            // The very task may be on the broker under another row: that nothing was sent would be untrue.
            let told = doubtful.get(&draft.id()).and_then(same_for_all).unwrap_or_else(|| {
                let why = format!("not tried, because the broker is out of reach ({why})");
                PublishError::Unavailable(why)
            });
            answers[place] = Some(self.told(&draft, Err(told)));
        }
        answers.into_iter().flatten().collect()
    }

    /// Says why it is of no use to try the next chunk.
    async fn why_away(&self, sent: &[(usize, Answer)]) -> Option<String> {
        match why_away(sent)? {
            Away::Surely(why) => Some(why),
            Away::Perhaps(why) => {
                let looked = timeout(LOOK, self.backend().broker.check()).await;
                (!matches!(looked, Ok(Ok(())))).then_some(why)
            }
        }
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
    /// same task waits to see what became of the first. Where that one could not reach the broker, the
    /// others are told the same: they would be after as long a wait, each of them.
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
            let mut out_of_reach: HashMap<TaskId, PublishError> = HashMap::new();
            for (place, answer) in sent {
                match &answer {
                    Ok(task) => drop(accepted.insert(task.id, task.clone())),
                    Err(EnqueueError::Publish { id, source }) => {
                        out_of_reach.extend(same_for_all(source).map(|same| (*id, same)));
                    }
                    Err(_) => {}
                }
                answers.push((place, answer));
            }
            waiting = Vec::new();
            for (place, draft) in again {
                let id = draft.id();
                match (accepted.get(&id), out_of_reach.get(&id).and_then(same_for_all)) {
                    (Some(task), _) if first.get(&id) == Some(&Content::of(&draft)) => {
                        answers.push((place, Ok(Accepted { repeated: true, ..task.clone() })));
                    }
                    (Some(task), _) => answers.push((place, Err(conflict(task.id, &draft)))),
                    (None, Some(same)) => answers.push((place, self.told(&draft, Err(same)))),
                    (None, None) => waiting.push((place, draft)),
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
        let mut confirmed = self.publish(&batch).await.into_iter();
        let mut records = Vec::with_capacity(fresh.len());
        for (place, draft) in fresh {
            let answer = match confirmed.next() {
                Some(outcome) => self.told(&draft, outcome),
                None => Err(unanswered(draft.id())),
            };
            if answer.is_ok() && self.options().record {
                records.push(draft.to_record());
            }
            answers.push((place, answer));
        }
        failpoint::pass("enqueue.confirmed");
        self.record(&records).await;
        failpoint::pass("enqueue.recorded");
        answers
    }

    /// Counts what the broker said of a task, and makes it the answer.
    fn told(&self, draft: &Draft, outcome: Result<(), PublishError>) -> Answer {
        answer(draft, outcome, self.label_of(&draft.lane.queue))
    }

    async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>> {
        failpoint::pass("enqueue.due");
        let mut publishing = self.backend().broker.publish(batch);
        // Asked for once, the messages are on their way.
        let first = poll_fn(|context| Poll::Ready(publishing.as_mut().poll(context))).await;
        failpoint::pass("enqueue.sent");
        match first {
            Poll::Ready(answers) => answers,
            Poll::Pending => publishing.await,
        }
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

/// Returns the failure once more for another message, where it says that the broker is out of reach
/// and nothing of the message.
fn same_for_all(error: &PublishError) -> Option<PublishError> {
    match error {
        PublishError::Unavailable(why) => Some(PublishError::Unavailable(why.clone())),
        PublishError::Blocked(why) => Some(PublishError::Blocked(why.clone())),
        PublishError::Unknown { within, why } => {
            Some(PublishError::Unknown { within: *within, why: why.clone() })
        }
        // What is wrong with one lane, or one message.
        _ => None,
    }
}

/// Returns the task of which nobody knows whether the broker has it, and the failure that says so.
fn unknown(answer: &Answer) -> Option<(TaskId, PublishError)> {
    match answer {
        Err(EnqueueError::Publish { id, source: source @ PublishError::Unknown { .. } }) => {
            Some((*id, same_for_all(source)?))
        }
        _ => None,
    }
}

/// Why a broker took nothing of a chunk.
enum Away {
    /// It is out of reach, or refuses all publishes.
    Surely(String),
    /// It said nothing. That may be the chunk's lanes alone.
    Perhaps(String),
}

/// Says why the broker is out of reach, where it took none of a chunk for no other reason.
fn why_away(sent: &[(usize, Answer)]) -> Option<Away> {
    let mut away = None;
    for (_, answer) in sent {
        match answer {
            Ok(accepted) if accepted.repeated => {}
            Err(EnqueueError::Publish { source, .. }) => {
                let why = same_for_all(source)?.to_string();
                away = Some(match (source, away) {
                    (PublishError::Unknown { .. }, None | Some(Away::Perhaps(_))) => {
                        Away::Perhaps(why)
                    }
                    (PublishError::Unknown { .. }, Some(sure)) => sure,
                    _ => Away::Surely(why),
                });
            }
            // It spoke, or was not asked.
            Ok(_) => return None,
            Err(_) => {}
        }
    }
    away
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
    let outcome = outcome.or_else(|why| match why {
        PublishError::Unknown { .. } if breaks(Break::UnknownIsAccepted) => Ok(()),
        why => Err(why),
    });
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
