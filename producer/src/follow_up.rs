//! Follow-ups: tasks that a handler enqueues, under ids that derive from their parent (rule F1).
//!
//! A handler may run again, so what it enqueues must be the same tasks each time: the id of one
//! comes from the parent, its replay, the kind, the args and its place among those that are alike.
//! Never from the attempt, and never from its place among all of them. What goes with a success is
//! prepared here and published by whoever settles the parent; what is enqueued during the run is
//! published at once.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use leveret_common::broker::{Destination, Publish};
use leveret_common::envelope::{Decoded, Envelope, decode};
use leveret_common::id::TaskId;
use leveret_common::ledger::FollowUp;
use leveret_common::name::KindName;
use leveret_common::store::Enqueued;
use leveret_common::telemetry::names;
use metrics::counter;
use uuid::Uuid;

use crate::draft::{Draft, fingerprint, record_of};
use crate::error::EnqueueError;
use crate::known::{Content, conflict};
use crate::producer::{Accepted, Enqueue, Producer, Sender};
use crate::request::Request;

/// Most follow-ups that go with one success.
pub const MAX_FOLLOW_UPS: usize = 100;
/// Most bytes of args in all follow-ups of one success together: 1 MiB.
pub const MAX_FOLLOW_UP_BYTES: usize = 1 << 20;

/// Enqueues on behalf of one attempt of a task. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Enqueuer {
    producer: Producer,
    parent: Arc<Parent>,
}

/// What a follow-up has from its parent.
struct Parent {
    id: TaskId,
    replay: u32,
    root: String,
    trace: BTreeMap<String, String>,
    /// How many of this kind and these args there were so far, in this attempt.
    alike: Mutex<HashMap<(KindName, Uuid), u32>>,
}

/// Tells why the follow-ups of a success cannot be enqueued; none of them was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowUpError {
    /// There are so many of them, more than [`MAX_FOLLOW_UPS`].
    #[error(
        "there are {0} follow-ups; at most {MAX_FOLLOW_UPS} go with a success: enqueue more \
         during the run"
    )]
    TooMany(usize),
    /// They have so many bytes of args together, more than [`MAX_FOLLOW_UP_BYTES`].
    #[error(
        "the follow-ups have {0} bytes of args; at most {MAX_FOLLOW_UP_BYTES} go with a success: \
         enqueue more during the run"
    )]
    TooLarge(usize),
    /// One of them is refused.
    #[error("follow-up {place} of {count}, kind {kind:?}: {source}")]
    Refused {
        /// Which; the first is 1.
        place: usize,
        /// How many there are.
        count: usize,
        /// Its kind, as it was written.
        kind: String,
        /// What is wrong with it.
        #[source]
        source: EnqueueError,
    },
}

impl Enqueuer {
    /// Creates the enqueuer of an attempt of `parent`.
    #[must_use]
    pub fn new(producer: Producer, parent: &Envelope) -> Self {
        let root = parent.fixed.root.clone().unwrap_or_else(|| parent.id.to_string());
        let parent = Parent {
            id: parent.id,
            replay: parent.order.replay,
            root,
            trace: parent.fixed.trace.clone(),
            alike: Mutex::default(),
        };
        Self { producer, parent: Arc::new(parent) }
    }

    /// Begins to enqueue a task at once: whatever becomes of the attempt, it is enqueued. Awaiting
    /// it sends it; dropped meanwhile, it may or may not have been accepted, and the same attempt
    /// made again enqueues it under the same id.
    pub fn enqueue(&self, task: impl Into<Request>) -> Enqueue<'_> {
        Enqueue { sender: Sender::Attempt(self), request: task.into() }
    }

    pub(crate) async fn send(&self, request: Request) -> Result<Accepted, EnqueueError> {
        let mut draft = self.producer.draft(request)?;
        self.adopt(&mut draft);
        self.producer.send_one(draft).await
    }

    /// Checks a request without sending anything.
    ///
    /// # Errors
    /// [`EnqueueError::Invalid`] with all problems, or [`EnqueueError::TooLarge`].
    pub fn check(&self, request: Request) -> Result<(), EnqueueError> {
        self.producer.check(request)
    }

    /// Makes the messages of the follow-ups of a success. One whose sender named it and that was
    /// accepted before is left out, as an enqueue would be answered without a publish.
    ///
    /// # Errors
    /// [`FollowUpError`]: which one is wrong and why, as an enqueue would have been told.
    ///
    /// # Cancel safety
    /// Sends nothing.
    pub async fn prepare(&self, requests: Vec<Request>) -> Result<Vec<FollowUp>, FollowUpError> {
        let count = requests.len();
        if count > MAX_FOLLOW_UPS {
            return Err(FollowUpError::TooMany(count));
        }
        let bytes = requests.iter().map(Request::args_size).sum();
        if bytes > MAX_FOLLOW_UP_BYTES {
            return Err(FollowUpError::TooLarge(bytes));
        }
        let mut drafts: Vec<(usize, Draft)> = Vec::with_capacity(count);
        let mut seen: HashMap<TaskId, Content> = HashMap::new();
        for (place, request) in requests.into_iter().enumerate() {
            let kind = request.kind().to_owned();
            let refused = |source| FollowUpError::Refused { place: place + 1, count, kind, source };
            let mut draft = match self.producer.draft(request) {
                Ok(draft) => draft,
                Err(source) => return Err(refused(source)),
            };
            self.adopt(&mut draft);
            match seen.insert(draft.id(), Content::of(&draft)) {
                None => drafts.push((place, draft)),
                Some(first) if first == Content::of(&draft) => {}
                Some(_) => return Err(refused(conflict(draft.id(), &draft))),
            }
        }
        let known = self.producer.known(&drafts).await;
        let mut follow_ups = Vec::with_capacity(drafts.len());
        for (place, draft) in drafts {
            if let Some(known) = known.get(&draft.id()) {
                let kind = draft.envelope.kind.to_string();
                known.repeat(&draft).map_err(|source| FollowUpError::Refused {
                    place: place + 1,
                    count,
                    kind,
                    source,
                })?;
                continue;
            }
            let Publish { to, wire } = draft.to_publish();
            follow_ups.push(FollowUp { to, wire });
        }
        Ok(follow_ups)
    }

    /// Makes a draft the parent's own; its sender's name for it stays, if it has one.
    fn adopt(&self, draft: &mut Draft) {
        let Parent { id, replay, root, trace, alike } = &*self.parent;
        let envelope = &mut draft.envelope;
        envelope.fixed.parent = Some(*id);
        envelope.fixed.root = Some(root.clone());
        envelope.fixed.trace.clone_from(trace);
        if draft.named_by.is_some() {
            return;
        }
        let mut alike = alike.lock().unwrap_or_else(PoisonError::into_inner);
        let count = alike.entry((envelope.kind.clone(), draft.fingerprint)).or_default();
        envelope.id = id.follow_up(*replay, &envelope.kind, &envelope.args, *count);
        *count += 1;
    }
}

impl fmt::Debug for Enqueuer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Enqueuer").field("parent", &self.parent.id).finish_non_exhaustive()
    }
}

impl Producer {
    /// Counts and remembers follow-ups once their publishes are confirmed, as any accepted task.
    ///
    /// # Cancel safety
    /// Dropped, they may or may not be remembered; records are best effort.
    pub async fn followed_up(&self, confirmed: &[FollowUp]) {
        let records: Vec<Enqueued> =
            confirmed.iter().filter_map(|follow_up| self.describe(follow_up)).collect();
        for record in &records {
            counter!(
                names::TASKS_ENQUEUED,
                names::label::QUEUE => self.label_of(&record.lane.queue),
                names::label::CLASS => record.lane.class.as_str(),
                names::label::OUTCOME => "ok",
            )
            .increment(1);
        }
        if self.options().record {
            self.record(&records).await;
        }
    }

    /// Reads what was accepted from its message: who settles a parent may be another worker than
    /// the one that ran it.
    fn describe(&self, FollowUp { to, wire }: &FollowUp) -> Option<Enqueued> {
        let (Destination::Lane(lane) | Destination::Delay { lane, .. }) = to else { return None };
        let Ok(Decoded::Task(envelope)) = decode(&self.backend().namespace, wire) else {
            return None;
        };
        let now = self.backend().clock.now();
        Some(record_of(&envelope, lane, now, fingerprint(&envelope.args)))
    }
}
