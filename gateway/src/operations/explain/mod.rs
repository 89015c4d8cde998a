//! Explain: where a task is, why it does not run, and what to do about it.
//!
//! Ledger, records, heartbeats, pauses, letters and the broker are asked; `words` makes sentences
//! of it without asking anybody. Guards that the answer never contradicts ledger and broker: the
//! entry is read before and after everything else, and what changed meanwhile is asked anew.

mod over;
mod resting;
mod unknown;
mod working;

use std::collections::BTreeMap;

use leveret_common::broker::{Place, Survey};
use leveret_common::clock::Millis;
use leveret_common::envelope::DeadReason;
use leveret_common::id::{Owner, TaskId};
use leveret_common::ledger::{Ending, Entry};
use leveret_common::name::{KindName, Lane, QueueName};
use leveret_common::store::{Action, Heartbeat, Letter, Pause, TaskState, TaskView};
use serde::Serialize;
use utoipa::ToSchema;

pub use self::unknown::Possibility;
use super::{OperationError, Operations, stored, time};
use crate::openapi::name;

/// How often the entry may change under the questions.
const TRIES: usize = 4;

/// Where a task is and why.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Explanation {
    /// The task.
    #[schema(value_type = name::TaskId)]
    pub id: TaskId,
    /// Its state as everywhere else; `unknown` where nobody knows it.
    pub state: &'static str,
    /// All of it in one sentence.
    pub summary: String,
    /// Who has it.
    pub custody: Custody,
    /// Why it is there, in sentences.
    pub because: Vec<String>,
    /// What to do, in sentences; empty where there is nothing to do.
    #[serde(rename = "do")]
    pub advice: Vec<String>,
}

/// The place of custody, with what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "place", rename_all = "lowercase")]
pub enum Custody {
    /// Nobody knows it.
    Unknown {
        /// What it may be.
        possibilities: Vec<Possibility>,
    },
    /// It waits in a lane.
    Lane(#[serde(serialize_with = "boxed")] Box<LaneCustody>),
    /// It waits for its time.
    Delay {
        /// The lane it comes to.
        #[serde(skip_serializing_if = "Option::is_none")]
        lane: Option<String>,
        /// When it is due.
        #[serde(serialize_with = "time::serialize")]
        #[schema(value_type = name::Instant)]
        until: Millis,
    },
    /// A worker runs it.
    Worker {
        /// Which.
        worker: WorkerRef,
        /// Since when.
        #[serde(serialize_with = "time::serialize")]
        #[schema(value_type = name::Instant)]
        since: Millis,
        /// The attempt that runs.
        attempt: u32,
        /// Whether somebody asked to cancel it.
        cancelling: bool,
    },
    /// Its outcome is decided and being published.
    Finishing {
        /// By whom.
        worker: WorkerRef,
        /// Since when it was claimed.
        #[serde(serialize_with = "time::serialize")]
        #[schema(value_type = name::Instant)]
        since: Millis,
        /// What was decided.
        outcome: &'static str,
    },
    /// Its outcome is decided and the broker does not take it.
    Blocked {
        /// Who waits.
        worker: WorkerRef,
        /// Since when it was claimed.
        #[serde(serialize_with = "time::serialize")]
        #[schema(value_type = name::Instant)]
        since: Millis,
        /// What was decided.
        outcome: &'static str,
        /// What the broker says.
        why: String,
    },
    /// It is a dead letter.
    Dead {
        /// Whose dead letters it is among.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<name::QueueName>)]
        queue: Option<QueueName>,
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<name::DeadReasonName>)]
        reason: Option<DeadReason>,
        /// The class of the last failure.
        #[serde(skip_serializing_if = "Option::is_none")]
        error_class: Option<String>,
        /// The message of the last failure.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// How many attempts it had.
        attempts: u32,
        /// Since when.
        #[serde(serialize_with = "time::maybe", skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<name::Instant>)]
        since: Option<Millis>,
        /// Whether the list of dead letters has it.
        listed: bool,
    },
    /// It is over.
    Over {
        /// Since when.
        #[serde(serialize_with = "time::maybe", skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<name::Instant>)]
        since: Option<Millis>,
        /// Who said so, where somebody did.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// The edited copy, where it was replaced.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<name::TaskId>)]
        with: Option<TaskId>,
    },
}

fn boxed<T: Serialize, S: serde::Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    value.serialize(to)
}

/// What is known of the lane a task waits in. What could not be learned is left out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, ToSchema)]
pub struct LaneCustody {
    /// The lane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// Whether it may be in another: it was replayed, and no record says where to.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub presumed: bool,
    /// Messages that rest there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<u64>,
    /// Consumers that the broker knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumers: Option<u32>,
    /// Attempts that ended there per second.
    pub rate: f64,
    /// Deliveries that workers hold until a slot is free.
    pub waiting: u64,
    /// Living workers that serve the lane.
    pub workers_serving: usize,
    /// Of those, how many know the kind.
    pub workers_able: usize,
    /// Who paused the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<PausedBy>,
}

/// A pause as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PausedBy {
    /// Who.
    pub by: String,
    /// Since when.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = name::Instant)]
    pub at: Millis,
    /// Why, in their words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl From<&Pause> for PausedBy {
    fn from(pause: &Pause) -> Self {
        Self { by: pause.by.clone(), at: pause.at, why: pause.why.clone() }
    }
}

/// A worker, and how long ago it last spoke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WorkerRef {
    /// The incarnation.
    #[schema(value_type = name::Owner)]
    pub owner: Owner,
    /// Its machine, where it lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Its process, where it lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How old its heartbeat is; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_age_ms: Option<u64>,
}

/// Everything that was asked.
struct Facts {
    id: TaskId,
    now: Millis,
    entry: Option<Entry>,
    view: Option<TaskView>,
    letter: Option<Letter>,
    workers: Vec<Heartbeat>,
    pauses: BTreeMap<QueueName, Pause>,
    /// The lane it is or will be in, where that is known.
    lane: Option<Lane>,
    kind: Option<KindName>,
    /// What the broker says of the lane, or why it says nothing.
    survey: Result<Survey, String>,
    /// Whether the broker takes publishes.
    broker: Result<(), String>,
    /// How long tasks are remembered, and whether each enqueue is recorded.
    kept: std::time::Duration,
    recorded: bool,
    /// How many messages rest in all known lanes, where somebody asked.
    resting: Option<u64>,
}

impl Operations {
    /// Explains where the task is that its sender calls `name`.
    ///
    /// # Errors
    /// When the store cannot be asked; a broker that cannot be asked is part of the answer.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn explain(&self, name: &str) -> Result<Explanation, OperationError> {
        let id = self.id_of(name)?;
        let mut facts = self.facts(id).await?;
        for _ in 1..TRIES {
            let (entry, _) = self.known_of(id).await?;
            if entry == facts.entry {
                break;
            }
            facts = self.facts(id).await?;
        }
        Ok(facts.explain())
    }

    async fn facts(&self, id: TaskId) -> Result<Facts, OperationError> {
        let backend = self.backend();
        let (entry, record) = self.known_of(id).await?;
        let now = self.now();
        let view = TaskView::compose(id, entry.as_ref(), record, now);
        let letters = stored("read the dead letter", backend.letters.read(&[id])).await?;
        let workers = self.workers().await?;
        let pauses = stored("list the pauses", backend.signals.pauses()).await?;
        let pauses = pauses.into_iter().map(|pause| (pause.queue.clone(), pause)).collect();
        let (lane, kind) = (lane_of(view.as_ref()), kind_of(view.as_ref()));
        let survey = async {
            match &lane {
                None => Err("no lane is known".to_owned()),
                Some(lane) => self.look_at(lane).await,
            }
        };
        let broker = async {
            match &entry {
                Some(Entry::Finishing(..)) => {
                    let check = backend.broker.check();
                    self.shared.broker.at(super::READINESS_AGE, super::LOOK, check).await
                }
                _ => Ok(()),
            }
        };
        let (survey, broker) = tokio::join!(survey, broker);
        let letter = letters.into_iter().next().flatten();
        let resting = match view.is_none() && letter.is_none() {
            true => self.resting().await,
            false => None,
        };
        Ok(Facts {
            id,
            now,
            entry,
            view,
            letter,
            workers,
            pauses,
            lane,
            kind,
            survey,
            broker,
            kept: backend.retention.record,
            recorded: self.shared.producer.options().record,
            resting,
        })
    }

    async fn look_at(&self, lane: &Lane) -> Result<Survey, String> {
        let surveys = self.survey(&[Place::Lane(lane.clone())]).await;
        let surveys = surveys.map_err(|error| error.to_string())?;
        surveys.into_iter().next().ok_or_else(|| "the broker gave no answer".to_owned())
    }

    /// Counts what rests in all known lanes; nothing where that cannot be learned.
    async fn resting(&self) -> Option<u64> {
        let outline = self.outline().await.ok()?;
        let places: Vec<Place> = outline.lanes.into_iter().map(Place::Lane).collect();
        let surveys = self.survey(&places).await.ok()?;
        Some(surveys.iter().map(|survey| survey.depth).sum())
    }
}

fn lane_of(view: Option<&TaskView>) -> Option<Lane> {
    let view = view?;
    let tried = view.history.last().map(|note| &note.lane);
    tried.or(view.enqueued.as_ref().map(|record| &record.lane)).cloned()
}

fn kind_of(view: Option<&TaskView>) -> Option<KindName> {
    let view = view?;
    let tried = view.history.last().map(|note| &note.kind);
    tried.or(view.enqueued.as_ref().map(|record| &record.kind)).cloned()
}

/// What is said beside the state: the sentences of one place.
struct Said {
    summary: String,
    custody: Custody,
    because: Vec<String>,
    advice: Vec<String>,
}

impl Facts {
    fn explain(&self) -> Explanation {
        let (state, said) = match (&self.entry, &self.view) {
            (Some(Entry::Running(held)), _) => ("running", self.running(held)),
            (Some(Entry::Finishing(held, decision)), _) => {
                ("running", self.finishing(held, decision))
            }
            (_, None) => self.without_a_trace(),
            (_, Some(view)) => (view.state.as_str(), self.known(view)),
        };
        let Said { summary, custody, mut because, advice } = said;
        because.extend(self.occasion());
        Explanation { id: self.id, state, summary, custody, because, advice }
    }

    /// Which schedule it was put in for, where a record says so.
    fn occasion(&self) -> Option<String> {
        let occasion = self.view.as_ref()?.enqueued.as_ref()?.occasion.as_ref()?;
        let due = occasion
            .due
            .map_or_else(String::new, |due| format!(", as what was due at {}", time::text(due)));
        Some(format!("It was put in for schedule {}{due}.", occasion.schedule))
    }

    /// Neither ledger nor records know it: a letter or a heartbeat may.
    fn without_a_trace(&self) -> (&'static str, Said) {
        if self.letter.is_some() {
            return ("dead", self.dead(None));
        }
        match self.holder() {
            Some(worker) => ("running", self.held_without_entry(worker)),
            None => ("unknown", self.unknown()),
        }
    }

    fn known(&self, view: &TaskView) -> Said {
        match view.state {
            TaskState::Dead => self.dead(Some(view)),
            state if state.is_final() => self.over(view),
            _ => match view.next_at.filter(|due| *due > self.now) {
                Some(due) => self.delayed(view, due),
                None => match self.holder().filter(|_| self.entry.is_none()) {
                    Some(worker) => self.held_without_entry(worker),
                    None => self.in_lane(view),
                },
            },
        }
    }

    /// Returns the living worker that says it holds the task.
    fn holder(&self) -> Option<&Heartbeat> {
        self.workers.iter().find(|worker| worker.held.iter().any(|(id, _)| *id == self.id))
    }

    fn worker(&self, owner: Owner) -> WorkerRef {
        let found = self.workers.iter().find(|worker| worker.owner == owner);
        WorkerRef {
            owner,
            host: found.map(|worker| worker.info.host.clone()),
            pid: found.map(|worker| worker.info.pid),
            heartbeat_age_ms: found.map(|worker| {
                u64::try_from(self.now.since(worker.info.at).as_millis()).unwrap_or(u64::MAX)
            }),
        }
    }

    /// Writes how long ago something was.
    fn ago(&self, at: Millis) -> String {
        format!("{} ago", time::rough(self.now.since(at)))
    }

    /// Returns the newest replay that an operator ordered, where the ledger has not met it yet.
    fn replay_on_its_way(&self, view: &TaskView) -> Option<(u32, String, Millis)> {
        let ended = match &self.entry {
            Some(Entry::Settled(settled)) => Some(settled.replay),
            _ => None,
        };
        view.acts.iter().rev().find_map(|act| match act.action {
            Action::Replayed { replay } if ended.is_none_or(|ended| replay > ended) => {
                Some((replay, act.by.clone(), act.at))
            }
            _ => None,
        })
    }

    fn settled_reason(&self) -> Option<DeadReason> {
        match &self.entry {
            Some(Entry::Settled(settled)) => match settled.ending {
                Ending::Dead(reason) => Some(reason),
                Ending::Done | Ending::Cancelled | Ending::Expired => None,
            },
            _ => None,
        }
    }
}

/// Writes a number of things.
fn counted(number: u64, one: &str, many: &str) -> String {
    match number {
        0 => format!("no {many}"),
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
}
