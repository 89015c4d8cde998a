//! Occurrences that somebody asks for: one now, or those of a range.
//!
//! Whether a schedule is paused, and where it comes from, does not count. Guards that asking again
//! under the same nonce puts nothing in twice: the tasks' ids are derived from it.

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;
use leveret_common::name::ScheduleName;
use leveret_common::store::{Cause, Fate, MAX_OCCURRENCES, Occurrence, ScheduleEntry};
use leveret_producer::{Accepted, EnqueueError};

use super::{Timetable, TimetableError};
use crate::definition::{instant, request};
use crate::timing::Timing;

/// Most tasks that one call of a backfill puts in.
pub const MAX_BACKFILL: usize = 1_000;
/// Most of one call's tasks that are noted among a schedule's last occurrences, so that they do not
/// drive out all that the clock put in.
const NOTED: usize = MAX_OCCURRENCES / 2;

/// A task that was put in because somebody asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutIn {
    /// The occurrence. None where the task was put in before and nobody remembers for when.
    pub due: Option<Millis>,
    /// The task.
    pub task: TaskId,
    /// Whether it was put in before, under the same nonce.
    pub is_repeated: bool,
    /// What makes it safe to ask again.
    pub nonce: String,
}

/// The occurrences later than `from` and not later than `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Where it begins; itself not in it.
    pub from: Millis,
    /// Where it ends; itself in it.
    pub to: Millis,
}

/// What a backfill did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfilled {
    /// What makes it safe to ask again, and has to be given to go on.
    pub nonce: String,
    /// The tasks, oldest occurrence first.
    pub tasks: Vec<PutIn>,
    /// From where to go on, where there is more in the range.
    pub rest: Option<Millis>,
}

impl Timetable {
    /// Puts in a task of the schedule now, whatever its times, its pause and its overlap policy
    /// say. What limits its start (`expires`) counts from now.
    ///
    /// The task's id is derived from the nonce alone, so that asking again with it is answered with
    /// the first task, whenever that is; without one, each call puts in a task of its own.
    ///
    /// # Errors
    /// [`TimetableError::Unknown`], [`TimetableError::Invalid`] for the nonce,
    /// [`TimetableError::Enqueue`], or what the store says.
    ///
    /// # Cancel safety
    /// Dropped, the task may or may not have been put in: ask again with the same nonce.
    pub async fn run_now(
        &self,
        name: &ScheduleName,
        nonce: Option<&str>,
        by: &str,
    ) -> Result<PutIn, TimetableError> {
        let nonce = self.nonce(nonce)?;
        let entry = self.show(name).await?.entry;
        let due = self.now();
        let id = self.id_of(name, Millis(0), &nonce);
        let request = request(name, &entry.definition, entry.revision, due, id);
        match self.producer.enqueue(request).await {
            Ok(accepted) => {
                let is_repeated = accepted.repeated;
                let due = if is_repeated { self.due_of(id).await } else { Some(due) };
                let task = PutIn { due, task: id, is_repeated, nonce };
                self.note(&entry, Cause::RunNow, std::slice::from_ref(&task), by).await;
                Ok(task)
            }
            Err(source) => {
                let (name, source) = (name.clone(), Box::new(source));
                Err(TimetableError::Enqueue { name, nonce, task: id, source })
            }
        }
    }

    /// Puts in the tasks of past occurrences, whatever was put in for them before; at most
    /// [`MAX_BACKFILL`] of them, oldest first. Excluded days stay excluded. What limits a task's
    /// start (`expires`) counts from now.
    ///
    /// The tasks' ids are derived from the occurrences and the nonce, so that asking again with it
    /// puts nothing in twice.
    ///
    /// # Errors
    /// [`TimetableError::Unknown`], [`TimetableError::Invalid`] for the range or the nonce,
    /// [`TimetableError::Backfill`], or what the store says.
    ///
    /// # Cancel safety
    /// Dropped, any of the tasks may or may not have been put in: ask again with the same nonce.
    pub async fn backfill(
        &self,
        name: &ScheduleName,
        range: Range,
        nonce: Option<&str>,
        by: &str,
    ) -> Result<Backfilled, TimetableError> {
        self.check_range(range)?;
        let nonce = self.nonce(nonce)?;
        let entry = self.show(name).await?.entry;
        let timing = Timing::new(name, &entry.definition).map_err(TimetableError::Invalid)?;
        let within = timing.upcoming(range.from).take_while(|due| *due <= range.to);
        let mut dues: Vec<_> = within.take(MAX_BACKFILL + 1).collect();
        let is_all = dues.len() <= MAX_BACKFILL;
        dues.truncate(MAX_BACKFILL);
        let rest = dues.last().copied().filter(|_| !is_all);
        let requests = dues.iter().map(|due| {
            let id = self.id_of(name, *due, &nonce);
            request(name, &entry.definition, entry.revision, *due, id)
        });
        let answers = self.producer.enqueue_all(requests.collect()).await;
        let answered = dues.iter().copied().zip(answers);
        let (tasks, failed) = sort(answered, range.from, &nonce);
        self.note(&entry, Cause::Backfill, &tasks, by).await;
        match failed {
            None => Ok(Backfilled { nonce, tasks, rest }),
            Some((due, rest, source)) => {
                let (name, done, source) = (name.clone(), tasks.len(), Box::new(source));
                Err(TimetableError::Backfill { name, nonce, done, due, rest, source })
            }
        }
    }

    /// Checks that a range can be put in.
    ///
    /// # Errors
    /// [`TimetableError::Invalid`] where nothing can lie in it, or it goes beyond now.
    pub fn check_range(&self, Range { from, to }: Range) -> Result<(), TimetableError> {
        if from >= to {
            // Whoever asks names the first instant that counts.
            let first = instant(Millis(from.0.saturating_add(1)));
            let why = format!("it lies before from ({first}); nothing lies between");
            return Err(TimetableError::invalid("to", why));
        }
        let now = self.now();
        if to > now {
            let why = format!(
                "it lies in the future; what is due after now ({}) is put in when it is due",
                instant(now)
            );
            return Err(TimetableError::invalid("to", why));
        }
        Ok(())
    }

    /// Returns the nonce that was given, or one of its own.
    fn nonce(&self, given: Option<&str>) -> Result<String, TimetableError> {
        let Some(given) = given else { return Ok(TaskId::mint().to_string()) };
        match self.producer.id_of(given) {
            Ok(_) => Ok(given.to_owned()),
            Err(error) => Err(TimetableError::invalid("nonce", error)),
        }
    }

    /// Returns for when a task was put in, as its record has it. Best effort: the task is in.
    async fn due_of(&self, id: TaskId) -> Option<Millis> {
        let found = self.producer.backend().records.find(&[id]).await;
        let found =
            found.inspect_err(|error| tracing::warn!(%error, "it is not told when a task was due"));
        found.ok()?.pop()?.enqueued?.occasion?.due
    }

    fn id_of(&self, name: &ScheduleName, due: Millis, nonce: &str) -> TaskId {
        TaskId::of_occurrence(&self.producer.backend().namespace, name, due, Some(nonce))
    }

    /// Notes what was put in, and by whom. Best effort: the tasks are in.
    async fn note(&self, entry: &ScheduleEntry, cause: Cause, tasks: &[PutIn], by: &str) {
        let fresh: Vec<_> = tasks.iter().filter(|task| !task.is_repeated).collect();
        let at = self.now();
        let note = |task: &&PutIn| {
            let due = task.due?;
            let fate = Fate::Fired { task: task.task };
            let (revision, by) = (entry.revision, Some(by.to_owned()));
            let noted = Occurrence { due, cause, fate, at, planned: due, revision, by };
            Some((entry.name.clone(), noted))
        };
        let newest = &fresh[fresh.len().saturating_sub(NOTED)..];
        let notes: Vec<_> = newest.iter().filter_map(note).collect();
        if notes.is_empty() {
            return;
        }
        if let Err(error) = self.store().note(&notes).await {
            let schedule = entry.name.as_str();
            tracing::warn!(schedule, %error, "it is not noted who asked for an occurrence");
        }
    }
}

type Failed = (Millis, Millis, EnqueueError);

/// Separates what was put in from the first failure, with the place from where to go on.
fn sort(
    answered: impl Iterator<Item = (Millis, Result<Accepted, EnqueueError>)>,
    from: Millis,
    nonce: &str,
) -> (Vec<PutIn>, Option<Failed>) {
    let (mut tasks, mut failed, mut before) = (Vec::new(), None, from);
    for (due, answer) in answered {
        match answer {
            Ok(Accepted { id: task, repeated: is_repeated, .. }) => {
                let due = Some(due);
                tasks.push(PutIn { due, task, is_repeated, nonce: nonce.to_owned() });
            }
            Err(error) => failed = failed.or(Some((due, before, error))),
        }
        before = due;
    }
    (tasks, failed)
}
