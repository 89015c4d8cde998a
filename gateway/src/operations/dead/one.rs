//! One dead letter: shown, replayed, edited, discarded.
//!
//! The index says in whose queue it is, else the record of its task; the queue is walked until the
//! letter is met.

use bytes::Bytes;
use leveret_common::broker::Place;
use leveret_common::clock::Millis;
use leveret_common::desk::walk::Terms;
use leveret_common::desk::{Plan, Verdict, letter};
use leveret_common::envelope::Wire;
use leveret_common::id::TaskId;
use leveret_common::name::{Lane, Namespace, QueueName};
use leveret_common::store::{Letter, TaskState, TaskView};
use tokio_util::sync::CancellationToken;

use super::super::{OperationError, Operations, stored};
use super::{Edit, target};

/// A letter that is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Its description.
    pub letter: Letter,
    /// Its args whole, where they were asked for.
    pub args: Option<Bytes>,
}

/// What became of one letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its task starts anew.
    Replayed {
        /// The task.
        id: TaskId,
        /// Its new replay.
        replay: u32,
    },
    /// An edited copy was enqueued instead.
    Replaced {
        /// The new task.
        id: TaskId,
        /// The dead one.
        replaces: TaskId,
    },
    /// It is gone.
    Discarded {
        /// The task.
        id: TaskId,
    },
}

/// Where a letter is, as far as is known before its queue is walked.
struct Whereabouts {
    queue: QueueName,
    letter: Option<Letter>,
}

impl Operations {
    /// Shows a letter by its description, or as it rests in its queue where `full` is asked for:
    /// then the queue is walked until it is met.
    ///
    /// # Errors
    /// [`OperationError::UnknownLetter`], or when broker or store fail.
    ///
    /// # Cancel safety
    /// As [`Operations::walk`]: better cancel `stop`.
    pub async fn letter(
        &self,
        name: &str,
        full: bool,
        stop: &CancellationToken,
    ) -> Result<Shown, OperationError> {
        let id = self.id_of(name)?;
        let Whereabouts { queue, letter } = self.whereabouts(id, false).await?;
        match letter {
            Some(letter) if !full => Ok(Shown { letter, args: None }),
            Some(_) | None => {
                let mut plan = ShowOne { id, found: None };
                let terms = Terms { by: String::new(), rate: None, stop: stop.clone() };
                self.shared.desk.walk(&queue, &mut plan, &terms).await?;
                let Some((letter, args)) = plan.found else { return Err(not_met(id, &queue)) };
                Ok(Shown { letter, args: full.then_some(args) })
            }
        }
    }

    /// Gives the task of one letter a fresh start, or enqueues an edited copy of it. `force` does
    /// so even where the task went on without the letter, and ended.
    ///
    /// # Errors
    /// [`OperationError::UnknownLetter`], [`OperationError::Invalid`] for args that would not be
    /// accepted, or when broker or store fail.
    ///
    /// # Cancel safety
    /// As [`Operations::walk`]: better cancel `stop`.
    pub async fn replay_letter(
        &self,
        name: &str,
        edit: &Edit,
        by: &str,
        stop: &CancellationToken,
    ) -> Result<Outcome, OperationError> {
        let id = self.id_of(name)?;
        self.check_edit(edit)?;
        let Whereabouts { queue, .. } = self.whereabouts(id, edit.force).await?;
        let done = self.change_one(id, &queue, Change::Replay(edit), by, stop).await?;
        if let (Outcome::Replaced { id, .. }, Some(args)) = (done.outcome, &edit.args) {
            self.note_copy(id, &done.letter, done.lane, args).await;
        }
        Ok(done.outcome)
    }

    /// Takes one letter away.
    ///
    /// # Errors
    /// [`OperationError::UnknownLetter`], or when broker or store fail.
    ///
    /// # Cancel safety
    /// As [`Operations::walk`]: better cancel `stop`.
    pub async fn discard_letter(
        &self,
        name: &str,
        by: &str,
        stop: &CancellationToken,
    ) -> Result<Outcome, OperationError> {
        let id = self.id_of(name)?;
        let Whereabouts { queue, .. } = self.whereabouts(id, false).await?;
        Ok(self.change_one(id, &queue, Change::Discard, by, stop).await?.outcome)
    }

    async fn change_one(
        &self,
        id: TaskId,
        queue: &QueueName,
        change: Change<'_>,
        by: &str,
        stop: &CancellationToken,
    ) -> Result<Done, OperationError> {
        let namespace = &self.backend().namespace;
        let now = self.now();
        let goes_on = change.goes_on() && self.may_be_doubled(queue).await?;
        let mut plan = ChangeOne { id, queue, namespace, now, change, goes_on, done: None };
        let terms = Terms { by: by.to_owned(), rate: None, stop: stop.clone() };
        self.shared.desk.walk(queue, &mut plan, &terms).await?;
        match plan.done {
            Some((done, _)) => done,
            None if stop.is_cancelled() => Err(OperationError::Stopped),
            None => Err(not_met(id, queue)),
        }
    }

    /// Tells whether letters of a queue may be there twice: each is listed once.
    async fn may_be_doubled(&self, queue: &QueueName) -> Result<bool, OperationError> {
        let counts = stored("count the dead letters", self.backend().letters.counts()).await?;
        let surveyed = self.survey(&[Place::Dead(queue.clone())]).await?;
        let depth = surveyed.first().map_or(0, |survey| survey.depth);
        Ok(depth != counts.get(queue).copied().unwrap_or(0))
    }

    /// Finds the queue whose dead letters the task is among.
    async fn whereabouts(&self, id: TaskId, force: bool) -> Result<Whereabouts, OperationError> {
        let read = stored("read the dead letter", self.backend().letters.read(&[id])).await?;
        if let Some(letter) = read.into_iter().next().flatten() {
            let queue = letter.queue.clone();
            let shown =
                if force { Some(letter) } else { self.without_hidden(vec![letter]).await?.pop() };
            let why = "its replay is on its way";
            return match shown {
                Some(letter) => Ok(Whereabouts { queue, letter: Some(letter) }),
                None => Err(OperationError::UnknownLetter { id, why: why.to_owned() }),
            };
        }
        let (entry, record) = self.known_of(id).await?;
        let view = TaskView::compose(id, entry.as_ref(), record, self.now());
        let why = match &view {
            None => "nobody knows the task either".to_owned(),
            Some(view) if view.state == TaskState::Dead || force => match queue_of(view) {
                Some(queue) => return Ok(Whereabouts { queue, letter: None }),
                None => {
                    let why = "the list of dead letters does not know it, and no record says which \
                               queue it died in; `leveret dead reindex` writes the list anew";
                    why.to_owned()
                }
            },
            Some(view) => format!("the task is {}", view.state.as_str()),
        };
        Err(OperationError::UnknownLetter { id, why })
    }
}

fn queue_of(view: &TaskView) -> Option<QueueName> {
    let tried = view.history.last().map(|note| &note.lane);
    Some(tried.or(view.enqueued.as_ref().map(|record| &record.lane))?.queue.clone())
}

fn not_met(id: TaskId, queue: &QueueName) -> OperationError {
    let why = format!(
        "it is not among the dead letters of {queue} any more: it was replayed or discarded \
         meanwhile, its task went on without it, or its worker is about to end it; if it is listed \
         all the same, the log says what is wrong with its entry in the ledger"
    );
    OperationError::UnknownLetter { id, why }
}

struct ShowOne {
    id: TaskId,
    found: Option<(Letter, Bytes)>,
}

impl Plan for ShowOne {
    fn decide(&mut self, letter: &Letter, wire: &Wire) -> Verdict {
        if letter.id == self.id && self.found.is_none() {
            self.found = Some((letter.clone(), wire.body.clone()));
        }
        Verdict::Keep
    }

    fn is_over(&self) -> bool {
        self.found.is_some()
    }
}

enum Change<'a> {
    Replay(&'a Edit),
    Discard,
}

impl Change<'_> {
    /// Tells whether a second copy of the letter must go too: it would be a letter again. What is
    /// left of a replayed one is taken away by itself.
    const fn goes_on(&self) -> bool {
        match self {
            Self::Discard => true,
            Self::Replay(edit) => edit.args.is_some(),
        }
    }
}

struct ChangeOne<'a> {
    id: TaskId,
    queue: &'a QueueName,
    namespace: &'a Namespace,
    now: Millis,
    change: Change<'a>,
    /// Whether other copies of the letter are looked for, to the end of the queue.
    goes_on: bool,
    /// What was done with the first copy, and what is done with the others.
    done: Option<(Result<Done, OperationError>, Verdict)>,
}

/// What was done with a letter.
struct Done {
    outcome: Outcome,
    letter: Letter,
    /// Where its task, or the copy, went.
    lane: Lane,
}

impl Plan for ChangeOne<'_> {
    fn decide(&mut self, found: &Letter, wire: &Wire) -> Verdict {
        if found.id != self.id {
            return Verdict::Keep;
        }
        if let Some((done, verdict)) = &self.done {
            let is_double = done.as_ref().is_ok_and(|done| done.letter.order == found.order);
            return if is_double { verdict.clone() } else { Verdict::Keep };
        }
        let (done, verdict) = self.decide_first(found, wire);
        self.done = Some((done, verdict.clone()));
        verdict
    }

    fn is_over(&self) -> bool {
        self.done.is_some() && !self.goes_on
    }

    fn insists(&self, letter: &Letter) -> bool {
        letter.id == self.id && matches!(&self.change, Change::Replay(edit) if edit.force)
    }
}

impl ChangeOne<'_> {
    fn decide_first(&self, found: &Letter, wire: &Wire) -> (Result<Done, OperationError>, Verdict) {
        let (id, letter) = (self.id, found.clone());
        let own = letter::origin(wire, self.namespace, self.queue);
        let Change::Replay(edit) = &self.change else {
            let outcome = Outcome::Discarded { id };
            return (Ok(Done { outcome, letter, lane: own }), Verdict::Discard);
        };
        let to = target(&own, edit.queue.as_ref(), edit.class);
        let lane = to.clone().unwrap_or(own);
        let Some(args) = &edit.args else {
            let replay = found.order.replay.saturating_add(1);
            let outcome = Outcome::Replayed { id, replay };
            return (Ok(Done { outcome, letter, lane }), Verdict::Replay(to));
        };
        match super::edit::copy(found, wire, lane.clone(), args, self.now) {
            Ok(copy) => {
                let outcome = Outcome::Replaced { id: copy.id, replaces: id };
                (Ok(Done { outcome, letter, lane }), Verdict::Replace(Box::new(copy)))
            }
            Err(error) => (Err(error), Verdict::Keep),
        }
    }
}
