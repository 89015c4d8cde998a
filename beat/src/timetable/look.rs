//! Questions: what there is, when it is due next, what became of the last occurrences.

use std::collections::HashMap;

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;
use leveret_common::name::ScheduleName;
use leveret_common::store::{
    BeatInfo, Fate, Occurrence, Scheduled, StoreError, TaskState, TaskView,
};
use leveret_producer::nearest;

use super::{PAGE, Timetable, TimetableError};
use crate::timing::Timing;

/// Most occurrences that are foretold at a time.
pub const MAX_UPCOMING: usize = 1_000;

/// An occurrence that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upcoming {
    /// The instant that the schedule names.
    pub due: Millis,
    /// When it is put in: `due` with its jitter.
    pub planned: Millis,
}

/// An occurrence that was, and where its task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What became of it.
    pub occurrence: Occurrence,
    /// The state of its task; none where it has none, or nobody knows it any more.
    pub state: Option<TaskState>,
}

impl Timetable {
    /// Lists at most `most` schedules by name, from the beginning or behind a name.
    ///
    /// # Errors
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn list(
        &self,
        behind: Option<&ScheduleName>,
        most: usize,
    ) -> Result<Vec<Scheduled>, TimetableError> {
        Ok(self.store().page(behind, most.min(PAGE)).await?)
    }

    /// Reads one schedule.
    ///
    /// # Errors
    /// [`TimetableError::Unknown`], or when the store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn show(&self, name: &ScheduleName) -> Result<Scheduled, TimetableError> {
        let found = self.store().read(std::slice::from_ref(name)).await?;
        match found.into_iter().next().flatten() {
            Some(found) => Ok(found),
            None => Err(self.unknown(name).await),
        }
    }

    /// Foretells the occurrences strictly after `from`, or from now on; at most `most`, and none
    /// where the schedule is over. Whether it is paused does not count.
    ///
    /// # Errors
    /// [`TimetableError::Unknown`], [`TimetableError::Invalid`] where what is stored cannot be read
    /// as a schedule, or when the store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn next(
        &self,
        name: &ScheduleName,
        from: Option<Millis>,
        most: usize,
    ) -> Result<Vec<Upcoming>, TimetableError> {
        let entry = self.show(name).await?.entry;
        let timing = Timing::new(name, &entry.definition).map_err(TimetableError::Invalid)?;
        let dues = timing.upcoming(from.unwrap_or_else(|| self.now()));
        let upcoming = |due| Upcoming { due, planned: timing.planned(due) };
        Ok(dues.take(most.min(MAX_UPCOMING)).map(upcoming).collect())
    }

    /// Lists the last occurrences, newest first, each with the state of its task.
    ///
    /// # Errors
    /// [`TimetableError::Unknown`], or when the store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn occurrences(&self, name: &ScheduleName) -> Result<Vec<Seen>, TimetableError> {
        let occurrences = self.store().occurrences(name).await?;
        if occurrences.is_empty() {
            self.show(name).await?;
            return Ok(Vec::new());
        }
        let task = |occurrence: &Occurrence| match occurrence.fate {
            Fate::Fired { task } => Some(task),
            Fate::Skipped { .. } | Fate::Waiting => None,
        };
        let ids: Vec<_> = occurrences.iter().filter_map(task).collect();
        let states = self.states(&ids).await?;
        let seen = |occurrence| {
            let state = task(&occurrence).and_then(|id| states.get(&id).copied());
            Seen { occurrence, state }
        };
        Ok(occurrences.into_iter().map(seen).collect())
    }

    /// Lists the beats that live.
    ///
    /// # Errors
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn beats(&self) -> Result<Vec<BeatInfo>, TimetableError> {
        Ok(self.store().beats().await?)
    }

    /// Returns the states of tasks that somebody knows.
    async fn states(&self, ids: &[TaskId]) -> Result<HashMap<TaskId, TaskState>, StoreError> {
        let backend = self.producer.backend();
        let entries = backend.ledger.entries(ids).await?;
        let records = backend.records.find(ids).await?;
        let now = backend.clock.now();
        let known =
            entries.into_iter().zip(records).zip(ids).filter_map(|((entry, record), id)| {
                Some((*id, TaskView::compose(*id, entry.as_ref(), record, now)?.state))
            });
        Ok(known.collect())
    }

    /// Says that there is no such schedule, and which one may have been meant.
    pub(super) async fn unknown(&self, name: &ScheduleName) -> TimetableError {
        let nearest = self.nearest(name).await.unwrap_or_default();
        TimetableError::Unknown { name: name.clone(), nearest }
    }

    /// Looks among the first schedules, and among those that begin alike: a timetable may be too
    /// long to be read for the sake of a hint.
    async fn nearest(&self, name: &ScheduleName) -> Result<Option<ScheduleName>, StoreError> {
        let mut found = self.store().page(None, PAGE).await?;
        let half = name.as_str().get(..name.as_str().len() / 2);
        let behind = half.and_then(|half| half.parse::<ScheduleName>().ok());
        if let (PAGE, Some(behind)) = (found.len(), behind) {
            found.extend(self.store().page(Some(&behind), PAGE).await?);
        }
        let nearest =
            nearest::of(name.as_str(), found.iter().map(|found| found.entry.name.as_str()));
        Ok(nearest.and_then(|name| name.parse().ok()))
    }
}
