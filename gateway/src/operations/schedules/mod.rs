//! Schedules: what the timetable holds, changing it, and having tasks put in beside the clock.
//!
//! What may be done to a schedule is decided in [`leveret_beat::timetable`]; here it gets the
//! patience of an HTTP client. Guards that whatever changes something asks the store first, so that
//! a store that hangs is told apart from a change whose fate is not known.

mod change;
mod list;
mod many;

use std::future::Future;
use std::time::Duration;

use futures_util::future::try_join_all;
use leveret_beat::timetable::{Seen, Timetable, TimetableError, Upcoming};
use leveret_beat::timing::Timing;
use leveret_common::clock::Millis;
use leveret_common::name::ScheduleName;
use leveret_common::store::{BeatInfo, Occurrence, ScheduleEntry, Scheduled};
use leveret_producer::Problem;
use tokio::time::timeout;

pub use self::change::{Extent, MOST_COUNTED};
pub use self::list::{Listed, Origin, Wish};
use super::{OperationError, Operations, STORE_PATIENCE, stored, time, unconfirmed};

/// Clocks of two machines differ by less: a schedule that has got further was put in by one that was wrong.
pub(super) const AHEAD: Duration = Duration::from_secs(60);

/// A schedule as a person sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleView {
    /// What is kept.
    pub entry: ScheduleEntry,
    /// When it is due; what is wrong with it where it cannot be read, because another version wrote
    /// it.
    pub timing: Result<Timing, Vec<Problem>>,
    /// What comes next; none where it is over or paused.
    pub next: Option<Upcoming>,
    /// What came last.
    pub last: Option<Occurrence>,
    /// What is right and yet hardly meant, in whole sentences.
    pub warnings: Vec<String>,
}

/// What comes next of one schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Coming {
    /// When it is due.
    pub timing: Timing,
    /// The instants, in their order.
    pub upcoming: Vec<Upcoming>,
}

impl Operations {
    /// Returns the timetable, whose tasks are put in with limited patience.
    pub(super) fn timetable(&self) -> Timetable {
        Timetable::new(self.shared.producer.clone())
    }

    /// Shows one schedule.
    ///
    /// # Errors
    /// [`TimetableError::Unknown`], or when the store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn schedule(&self, name: &ScheduleName) -> Result<ScheduleView, OperationError> {
        let found = self.scheduled(name).await?;
        self.schedule_view(found).await
    }

    /// Foretells what is due strictly after `from`, or from now on; at most `most` instants.
    ///
    /// # Errors
    /// As [`Timetable::next`].
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn coming(
        &self,
        name: &ScheduleName,
        from: Option<Millis>,
        most: usize,
    ) -> Result<Coming, OperationError> {
        let entry = self.scheduled(name).await?.entry;
        let timing = Timing::new(name, &entry.definition).map_err(TimetableError::Invalid)?;
        let dues = timing.upcoming(from.unwrap_or_else(|| self.now())).take(most);
        let upcoming = dues.map(|due| Upcoming { due, planned: timing.planned(due) }).collect();
        Ok(Coming { timing, upcoming })
    }

    /// Lists the last occurrences of a schedule, newest first, each with the state of its task.
    ///
    /// # Errors
    /// As [`Timetable::occurrences`].
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn occurrences(&self, name: &ScheduleName) -> Result<Vec<Seen>, OperationError> {
        looked("list the occurrences", self.timetable().occurrences(name)).await
    }

    /// Lists the beats that live, the leader first, then by host and process.
    ///
    /// # Errors
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn beats(&self) -> Result<Vec<BeatInfo>, OperationError> {
        let mut beats = looked("list the beats", self.timetable().beats()).await?;
        beats.sort_by_key(|beat| {
            (std::cmp::Reverse(beat.leads), beat.host.clone(), beat.pid, beat.owner)
        });
        Ok(beats)
    }

    async fn scheduled(&self, name: &ScheduleName) -> Result<Scheduled, OperationError> {
        looked("read the schedule", self.timetable().show(name)).await
    }

    async fn schedule_view(&self, found: Scheduled) -> Result<ScheduleView, OperationError> {
        let mut views = self.schedule_views(vec![found]).await?;
        views.pop().ok_or(OperationError::Stopped)
    }

    /// Adds what comes next and what came last.
    async fn schedule_views(
        &self,
        found: Vec<Scheduled>,
    ) -> Result<Vec<ScheduleView>, OperationError> {
        let store = &self.backend().schedules;
        let asked = found.iter().map(|found| store.occurrences(&found.entry.name));
        let newest = stored("list the occurrences", try_join_all(asked)).await?;
        let with_last = |(found, newest): (Scheduled, Vec<Occurrence>)| {
            self.shown_with(found, newest.into_iter().next())
        };
        Ok(found.into_iter().zip(newest).map(with_last).collect())
    }

    /// Adds what comes next.
    fn shown_with(&self, found: Scheduled, last: Option<Occurrence>) -> ScheduleView {
        let Scheduled { entry, position } = found;
        let timing = Timing::new(&entry.name, &entry.definition);
        let (now, through) = (self.now(), position.map_or(Millis(0), |reached| reached.through));
        let (mut next, mut warnings) = (None, Vec::new());
        if let Ok(timing) = &timing {
            // As beats go by it: what a clock that was ahead has put in is not due again.
            let from = now.max(entry.since).max(through);
            match timing.next(from) {
                Some(due) if entry.paused.is_none() => {
                    next = Some(Upcoming { due, planned: timing.planned(due) });
                }
                Some(_) => {}
                None => warnings.push(over(timing, from)),
            }
        }
        if through > now.after(AHEAD) {
            warnings.push(ahead(through));
        }
        ScheduleView { entry, timing, next, last, warnings }
    }
}

/// Says that nothing is due after `now`.
fn over(timing: &Timing, now: Millis) -> String {
    match timing.latest(Millis(0), now) {
        Some(last) => {
            let last = time::text(last);
            format!("Nothing is due any more: the last instant that it names was {last}.")
        }
        None => "It names no instant, so nothing is ever due.".to_owned(),
    }
}

/// Says that a clock was wrong which put its occurrences in.
fn ahead(through: Millis) -> String {
    let through = time::text(through);
    format!(
        "It has got to {through}, because a beat's clock was ahead: nothing of it is due before that. Delete it and make \
         it anew to go on now."
    )
}

/// Waits for the timetable to be looked at, within the store's patience.
async fn looked<T>(
    operation: &'static str,
    asked: impl Future<Output = Result<T, TimetableError>>,
) -> Result<T, OperationError> {
    match timeout(STORE_PATIENCE, asked).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(OperationError::Late { operation, within: STORE_PATIENCE }),
    }
}

/// Waits for the timetable to be changed, within the store's patience. Where no answer comes, it may
/// be done all the same.
async fn changed<T>(
    operation: &'static str,
    asked: impl Future<Output = Result<T, TimetableError>>,
) -> Result<T, OperationError> {
    match timeout(STORE_PATIENCE, asked).await {
        Ok(Err(TimetableError::Store(error))) => Err(unconfirmed(operation, error)),
        Ok(answer) => Ok(answer?),
        Err(_) => {
            let why = format!("no answer within {STORE_PATIENCE:?}");
            Err(OperationError::Unconfirmed { operation, why })
        }
    }
}
