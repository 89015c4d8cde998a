//! Changes to one schedule: create, replace, delete, pause, resume.
//!
//! What a schedule says is changed by its own source alone; that it pauses is anybody's matter who
//! may change schedules. Guards that nothing is overwritten unseen: each change names the revision
//! that it was made from.

use leveret_common::clock::Millis;
use leveret_common::name::ScheduleName;
use leveret_common::schedule::{Definition, Source};
use leveret_common::store::{Change, Changed, Paused, ScheduleEntry, Scheduled};

use super::{Timetable, TimetableError, is_same_owner};
use crate::definition::check;
use crate::timing::Timing;

/// How often a change is tried anew that somebody else's got in the way of, where the caller named
/// no revision.
const TRIES: usize = 5;

impl Timetable {
    /// Creates a schedule at run time, in the name of `by`. What is due from now on counts.
    ///
    /// # Errors
    /// [`TimetableError::Invalid`], [`TimetableError::Exists`], or what the store says.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have been created.
    pub async fn create(
        &self,
        name: &ScheduleName,
        definition: Definition,
        by: &str,
    ) -> Result<ScheduleEntry, TimetableError> {
        check(&self.producer, name, &definition).map_err(TimetableError::Invalid)?;
        let entry = new_entry(name, definition, Source::Api { by: by.to_owned() }, self.now());
        match self.change(None, Some(&entry), name).await? {
            Changed::Written(revision) => Ok(ScheduleEntry { revision, ..entry }),
            Changed::Other(Some(there)) => {
                let (name, source_of) = (name.clone(), there.entry.source);
                Err(TimetableError::Exists { name, source_of })
            }
            Changed::Other(None) => Err(changed("create", name, None)),
        }
    }

    /// Has a schedule say something else; one that was made at run time, at the revision
    /// `expected`, or whatever is there. It stays paused where it is.
    ///
    /// # Errors
    /// [`TimetableError::Invalid`], [`TimetableError::Unknown`], [`TimetableError::Held`],
    /// [`TimetableError::Changed`], or what the store says.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have been changed.
    pub async fn replace(
        &self,
        name: &ScheduleName,
        definition: Definition,
        expected: Option<u32>,
    ) -> Result<ScheduleEntry, TimetableError> {
        check(&self.producer, name, &definition).map_err(TimetableError::Invalid)?;
        let now = self.now();
        let step = |entry: ScheduleEntry| {
            if matches!(entry.source, Source::Api { .. }) {
                let source = entry.source.clone();
                return Ok(Some(changed_entry(entry, definition.clone(), source, now)));
            }
            let (name, source_of) = (entry.name, entry.source);
            Err(TimetableError::Held { operation: "change", name, source_of })
        };
        self.alter("change", name, expected, step).await
    }

    /// Deletes a schedule that was made at run time, at the revision `expected`, or whatever is
    /// there. Tasks that it put in stay.
    ///
    /// # Errors
    /// [`TimetableError::Unknown`], [`TimetableError::Held`], [`TimetableError::Changed`], or what
    /// the store says.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have been deleted.
    pub async fn delete(
        &self,
        name: &ScheduleName,
        expected: Option<u32>,
    ) -> Result<(), TimetableError> {
        let mut there = self.show(name).await?.entry;
        for _ in 0..TRIES {
            if !is_same_owner(&Source::Api { by: String::new() }, &there.source) {
                let (name, source_of) = (there.name, there.source);
                return Err(TimetableError::Held { operation: "delete", name, source_of });
            }
            let revision = expected.unwrap_or(there.revision);
            match self.change(Some(revision), None, name).await? {
                Changed::Written(_) => return Ok(()),
                Changed::Other(None) if expected.is_none() => return Ok(()),
                Changed::Other(Some(other)) if expected.is_none() => there = other.entry,
                Changed::Other(other) => return Err(changed("delete", name, other.as_deref())),
            }
        }
        Err(TimetableError::Changed {
            operation: "delete",
            name: name.clone(),
            revision: Some(there.revision),
        })
    }

    /// Has nothing of a schedule put in until it is resumed, wherever it comes from. One that is
    /// paused stays as it is.
    ///
    /// # Errors
    /// [`TimetableError::Unknown`], [`TimetableError::Changed`], or what the store says.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not be paused.
    pub async fn pause(
        &self,
        name: &ScheduleName,
        by: &str,
        why: Option<&str>,
    ) -> Result<ScheduleEntry, TimetableError> {
        let at = self.now();
        let paused = Paused { at, by: by.to_owned(), why: why.map(str::to_owned) };
        let step = |entry: ScheduleEntry| {
            let is_new = entry.paused.is_none();
            let paused = Some(paused.clone());
            Ok(is_new.then_some(ScheduleEntry { paused, changed_at: at, ..entry }))
        };
        self.alter("pause", name, None, step).await
    }

    /// Has a schedule go on, wherever it comes from. What fell into the pause is not caught up
    /// with; what was due in it and is to be put in later, by its jitter, is put in. One that is not
    /// paused stays as it is.
    ///
    /// # Errors
    /// [`TimetableError::Unknown`], [`TimetableError::Changed`], or what the store says.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not be resumed.
    pub async fn resume(&self, name: &ScheduleName) -> Result<ScheduleEntry, TimetableError> {
        let now = self.now();
        let step = |entry: ScheduleEntry| {
            let is_paused = entry.paused.is_some();
            let since = since_still_planned(&entry.name, &entry.definition, entry.since, now);
            let resumed = ScheduleEntry { paused: None, since, changed_at: now, ..entry };
            Ok(is_paused.then_some(resumed))
        };
        self.alter("resume", name, None, step).await
    }

    /// Changes an entry as `step` says, which returns nothing where it may stay as it is.
    async fn alter(
        &self,
        operation: &'static str,
        name: &ScheduleName,
        expected: Option<u32>,
        step: impl Fn(ScheduleEntry) -> Result<Option<ScheduleEntry>, TimetableError>,
    ) -> Result<ScheduleEntry, TimetableError> {
        let mut there = self.show(name).await?.entry;
        for _ in 0..TRIES {
            let Some(entry) = step(there.clone())? else { return Ok(there) };
            let revision = expected.unwrap_or(there.revision);
            match self.change(Some(revision), Some(&entry), name).await? {
                Changed::Written(revision) => return Ok(ScheduleEntry { revision, ..entry }),
                Changed::Other(Some(other)) if expected.is_none() => there = other.entry,
                Changed::Other(other) => return Err(changed(operation, name, other.as_deref())),
            }
        }
        Err(TimetableError::Changed {
            operation,
            name: name.clone(),
            revision: Some(there.revision),
        })
    }

    async fn change(
        &self,
        expected: Option<u32>,
        entry: Option<&ScheduleEntry>,
        name: &ScheduleName,
    ) -> Result<Changed, TimetableError> {
        let change = Change { name: name.clone(), expected, entry: entry.cloned() };
        let changed = self.store().change(&[change]).await?.into_iter().next();
        // A backend that gives no answer has not said that anything was written.
        Ok(changed.unwrap_or(Changed::Other(None)))
    }
}

/// Makes an entry of which only what is due after `since` counts.
pub(super) fn new_entry(
    name: &ScheduleName,
    definition: Definition,
    source: Source,
    now: Millis,
) -> ScheduleEntry {
    ScheduleEntry {
        name: name.clone(),
        definition,
        source,
        revision: 0,
        since: now,
        paused: None,
        created_at: now,
        changed_at: now,
    }
}

/// Has an entry say something else. Where its times change, only what is due from now on counts:
/// the past of another timetable is not caught up with. Where only its bounds or exclusions do, what
/// was due and is not yet to be put in, by its jitter, counts too.
pub(super) fn changed_entry(
    entry: ScheduleEntry,
    definition: Definition,
    source: Source,
    now: Millis,
) -> ScheduleEntry {
    let since = if is_as_due(&entry.definition, &definition) {
        entry.since
    } else if is_as_planned(&entry.definition, &definition) {
        since_still_planned(&entry.name, &definition, entry.since, now)
    } else {
        now
    };
    ScheduleEntry { definition, source, since, changed_at: now, ..entry }
}

/// Tells whether two schedules are due at the same times, as far as can be told from what they say.
fn is_as_due(one: &Definition, other: &Definition) -> bool {
    is_as_planned(one, other) && one.end == other.end && one.exclude == other.exclude
}

/// Tells whether two schedules are due at the same times and put them off alike, but for their ends
/// and exclusions.
fn is_as_planned(one: &Definition, other: &Definition) -> bool {
    let times = |says: &Definition| (says.start, says.jitter);
    one.when == other.when && one.zone == other.zone && times(one) == times(other)
}

/// Returns the instant from which on counts what is to be put in from now on: now, or just before
/// the last occurrence after `since`, where its jitter puts it off beyond now. Occurrences keep
/// their order, so that goes for no other.
fn since_still_planned(
    name: &ScheduleName,
    definition: &Definition,
    since: Millis,
    now: Millis,
) -> Millis {
    // Without a jitter nothing is put off, and what means nothing is never due.
    let timing = definition.jitter.and_then(|_| Timing::new(name, definition).ok());
    let put_off = timing
        .and_then(|timing| timing.latest(since, now).filter(|due| timing.planned(*due) > now));
    put_off.map_or(now, |due| Millis(due.0.saturating_sub(1)))
}

fn changed(
    operation: &'static str,
    name: &ScheduleName,
    there: Option<&Scheduled>,
) -> TimetableError {
    let revision = there.map(|there| there.entry.revision);
    TimetableError::Changed { operation, name: name.clone(), revision }
}
