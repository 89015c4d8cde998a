//! Changes to one schedule, and its tasks that somebody asks for.
//!
//! What is there is read first: a store that hangs is noticed before anything is on its way.

use leveret_beat::timetable::{Backfilled, PutIn, Range, TimetableError};
use leveret_beat::timing::Timing;
use leveret_common::clock::Millis;
use leveret_common::name::ScheduleName;
use leveret_common::schedule::{Definition, Source};
use leveret_common::store::{ScheduleEntry, Scheduled};

use super::super::{OperationError, Operations, stored};
use super::{ScheduleView, changed};

/// Most occurrences of a range that are counted.
pub const MOST_COUNTED: u64 = 100_000;

/// What lies in a range of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// How many occurrences; at most [`MOST_COUNTED`] are counted.
    pub count: u64,
    /// Whether there are more.
    pub more: bool,
    /// The first.
    pub first: Option<Millis>,
    /// The last.
    pub last: Option<Millis>,
}

impl Operations {
    /// Creates a schedule. Where the same was created before, that is what is shown, and the answer
    /// is true.
    ///
    /// # Errors
    /// [`TimetableError::Invalid`], [`TimetableError::Exists`] where it says something else or comes
    /// from elsewhere, [`OperationError::Unconfirmed`], or what the store says.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have been created.
    pub async fn create_schedule(
        &self,
        name: &ScheduleName,
        definition: Definition,
        by: &str,
    ) -> Result<(ScheduleView, bool), OperationError> {
        if let Some(there) = self.same(name, &definition).await? {
            return Ok((there, true));
        }
        let timetable = self.timetable();
        let created = timetable.create(name, definition.clone(), by);
        match changed("create the schedule", created).await {
            Ok(entry) => Ok((self.shown(entry, None), false)),
            // Somebody was faster: the same request, perhaps.
            Err(OperationError::Timetable(error)) => match *error {
                TimetableError::Exists { .. } => match self.same(name, &definition).await? {
                    Some(there) => Ok((there, true)),
                    None => Err(OperationError::Timetable(error)),
                },
                other => Err(other.into()),
            },
            Err(error) => Err(error),
        }
    }

    /// Returns the schedule of this name where it was made over the API and says the same; nothing
    /// where there is none.
    async fn same(
        &self,
        name: &ScheduleName,
        definition: &Definition,
    ) -> Result<Option<ScheduleView>, OperationError> {
        let read = self.backend().schedules.read(std::slice::from_ref(name));
        let there = stored("read the schedule", read).await?.into_iter().flatten().next();
        match there {
            None => Ok(None),
            Some(there) if is_ours(&there.entry) && there.entry.definition == *definition => {
                Ok(Some(self.schedule_view(there).await?))
            }
            Some(there) => {
                let (name, source_of) = (name.clone(), there.entry.source);
                Err(TimetableError::Exists { name, source_of }.into())
            }
        }
    }

    /// Has a schedule that was made at run time say something else: one at the revision `expected`,
    /// or whatever is there.
    ///
    /// # Errors
    /// [`TimetableError::Invalid`], [`TimetableError::Unknown`], [`TimetableError::Held`],
    /// [`TimetableError::Changed`], [`OperationError::Unconfirmed`], or what the store says.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have been changed.
    pub async fn replace_schedule(
        &self,
        name: &ScheduleName,
        definition: Definition,
        expected: Option<u32>,
    ) -> Result<ScheduleView, OperationError> {
        let there = self.schedule(name).await?;
        // What was changed already, by a request whose answer was lost, is not changed again.
        let revision = there.entry.revision;
        let is_expected =
            expected.is_none_or(|at| at == revision || at.checked_add(1) == Some(revision));
        if is_expected && is_ours(&there.entry) && there.entry.definition == definition {
            return Ok(there);
        }
        let timetable = self.timetable();
        let replaced = timetable.replace(name, definition, expected);
        let entry = changed("change the schedule", replaced).await?;
        Ok(self.shown(entry, Some(there)))
    }

    /// Deletes a schedule that was made at run time, at the revision `expected`, or whatever is
    /// there.
    ///
    /// # Errors
    /// As [`Operations::replace_schedule`].
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have been deleted.
    pub async fn delete_schedule(
        &self,
        name: &ScheduleName,
        expected: Option<u32>,
    ) -> Result<(), OperationError> {
        self.scheduled(name).await?;
        let timetable = self.timetable();
        changed("delete the schedule", timetable.delete(name, expected)).await
    }

    /// Has nothing of a schedule put in until it is resumed; the first pause stays.
    ///
    /// # Errors
    /// [`TimetableError::Unknown`], [`TimetableError::Changed`], [`OperationError::Unconfirmed`], or
    /// what the store says.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not be paused.
    pub async fn pause_schedule(
        &self,
        name: &ScheduleName,
        by: &str,
        why: Option<&str>,
    ) -> Result<ScheduleView, OperationError> {
        let there = self.schedule(name).await?;
        let timetable = self.timetable();
        let entry = changed("pause the schedule", timetable.pause(name, by, why)).await?;
        Ok(self.shown(entry, Some(there)))
    }

    /// Has a schedule go on from now, and tells whether it was paused.
    ///
    /// # Errors
    /// As [`Operations::pause_schedule`].
    ///
    /// # Cancel safety
    /// Dropped, it may or may not be resumed.
    pub async fn resume_schedule(
        &self,
        name: &ScheduleName,
    ) -> Result<(ScheduleView, bool), OperationError> {
        let there = self.schedule(name).await?;
        let was_paused = there.entry.paused.is_some();
        let timetable = self.timetable();
        let entry = changed("resume the schedule", timetable.resume(name)).await?;
        Ok((self.shown(entry, Some(there)), was_paused))
    }

    /// Puts in a task of a schedule now; `key` makes it safe to ask again.
    ///
    /// # Errors
    /// [`TimetableError::Unknown`], [`TimetableError::Enqueue`], [`OperationError::Invalid`] for the
    /// key, or what the store says.
    ///
    /// # Cancel safety
    /// Dropped, the task may or may not have been put in.
    pub async fn run_schedule(
        &self,
        name: &ScheduleName,
        key: Option<&str>,
        by: &str,
    ) -> Result<PutIn, OperationError> {
        self.scheduled(name).await?;
        // Bounded by the patience of broker and store; no time of its own, so that a task that was
        // put in is told.
        asked(self.timetable().run_now(name, key, by).await)
    }

    /// Puts in the tasks of past occurrences, as many as one call takes.
    ///
    /// # Errors
    /// [`TimetableError::Unknown`], [`TimetableError::Backfill`], [`OperationError::Invalid`] for the
    /// range or the key, or what the store says.
    ///
    /// # Cancel safety
    /// Dropped, any of the tasks may or may not have been put in: ask again with the same key.
    pub async fn backfill_schedule(
        &self,
        name: &ScheduleName,
        range: Range,
        key: Option<&str>,
        by: &str,
    ) -> Result<Backfilled, OperationError> {
        self.scheduled(name).await?;
        asked(self.timetable().backfill(name, range, key, by).await)
    }

    /// Tells what lies in a range that could be backfilled, and changes nothing.
    ///
    /// # Errors
    /// [`TimetableError::Unknown`], [`OperationError::Invalid`] for the range, or what the store
    /// says.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn extent(
        &self,
        name: &ScheduleName,
        range: Range,
    ) -> Result<Extent, OperationError> {
        let entry = self.scheduled(name).await?.entry;
        // What the backfill would refuse is refused here: it is what is to be found out.
        asked(self.timetable().check_range(range))?;
        let Range { from, to } = range;
        let timing = Timing::new(name, &entry.definition).map_err(TimetableError::Invalid)?;
        let counted = timing.count(from, to, MOST_COUNTED + 1);
        Ok(Extent {
            count: counted.min(MOST_COUNTED),
            more: counted > MOST_COUNTED,
            first: timing.next(from).filter(|first| *first <= to),
            last: timing.latest(from, to),
        })
    }

    /// Shows what was written, with what was known of it before: the store is not asked again for
    /// the sake of an answer.
    fn shown(&self, entry: ScheduleEntry, before: Option<ScheduleView>) -> ScheduleView {
        let last = before.and_then(|before| before.last);
        self.shown_with(Scheduled { entry, position: None }, last)
    }
}

/// Tells whether it was made over the API.
const fn is_ours(entry: &ScheduleEntry) -> bool {
    matches!(entry.source, Source::Api { .. })
}

/// What is wrong with a question is not wrong with the schedule.
fn asked<T>(answer: Result<T, TimetableError>) -> Result<T, OperationError> {
    match answer {
        Err(TimetableError::Invalid(problems)) => Err(OperationError::Invalid(problems)),
        answer => Ok(answer?),
    }
}
