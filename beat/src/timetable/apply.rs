//! Carries a plan out, step by step, and tells what somebody else got in the way of.

use std::sync::Arc;
use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::name::ScheduleName;
use leveret_common::schedule::Source;
use leveret_common::store::{Change, Changed, Paused, ScheduleEntry};

use super::change::{changed_entry, new_entry};
use super::plan::{Plan, Step, What, is_same_owner};
use super::{PAGE, Timetable, TimetableError};
use crate::definition::Wanted;

/// How many entries are written at a time.
const CHUNK: usize = 200;
/// How far a timetable that was wiped, or never there, looks back.
const LOOK_BACK: Duration = Duration::from_secs(60);
/// How often a source plans anew where somebody else changed what it was about to.
const TRIES: usize = 3;

/// All entries of a timetable, or what somebody knows of them.
pub(crate) type Entries = Vec<Arc<ScheduleEntry>>;

/// What became of a plan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Applied {
    /// The schedules that are new, with their revisions.
    pub created: Vec<(ScheduleName, u32)>,
    /// Those that say something else.
    pub changed: Vec<(ScheduleName, u32)>,
    /// Those that are gone.
    pub deleted: Vec<ScheduleName>,
    /// How many were as they were to be.
    pub kept: usize,
    /// Those that were left as they are.
    pub left: Vec<Left>,
}

/// A schedule that was left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The schedule.
    pub name: ScheduleName,
    /// Why.
    pub why: Reason,
}

/// Why a schedule was left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It is another source's.
    Held(Source),
    /// It is there, and nobody said that it may be replaced.
    Present(Source),
    /// Somebody else changed it in between.
    Lost,
}

impl Applied {
    /// Returns the schedules that somebody else changed in between: plan again.
    pub fn lost(&self) -> impl Iterator<Item = &ScheduleName> {
        self.left.iter().filter(|left| left.why == Reason::Lost).map(|left| &left.name)
    }
}

impl Timetable {
    /// Plans how the timetable comes to hold what `source` wants. Reads all of it.
    ///
    /// What is wrong with what is wanted is among the plan's flaws.
    ///
    /// # Errors
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn plan(&self, source: Source, wanted: Wanted) -> Result<Plan, TimetableError> {
        let wanted = wanted.checked(&self.producer);
        Ok(Plan::between(source, wanted, self.all().await?))
    }

    /// Reads all entries.
    async fn all(&self) -> Result<Entries, TimetableError> {
        let mut all = Vec::new();
        let mut behind = None;
        loop {
            let page = self.store().page(behind.as_ref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            behind = page.last().map(|last| last.entry.name.clone());
            all.extend(page.into_iter().map(|scheduled| Arc::new(scheduled.entry)));
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Carries a plan out. Each step is a compare-and-set: what somebody else changed since it was
    /// planned is left as it is, and told.
    ///
    /// # Errors
    /// [`TimetableError::Flawed`], and nothing was done; or what the store says, and a part of it
    /// may be done: plan again.
    ///
    /// # Cancel safety
    /// Dropped, any of the steps may or may not have been taken: plan again.
    pub async fn apply(&self, plan: &Plan) -> Result<Applied, TimetableError> {
        let Plan { source, steps, flaws } = plan;
        if !flaws.is_empty() {
            return Err(TimetableError::Flawed(flaws.clone()));
        }
        let mut applied = Applied::default();
        let is_to_change = steps.iter().any(|step| step.what.changes());
        let now = self.now();
        let since = if is_to_change { self.since(source, now).await? } else { now };
        for steps in steps.chunks(CHUNK) {
            let ask = |step| change(step, source, (now, since), &mut applied);
            let chunk: Vec<_> = steps.iter().filter_map(ask).collect();
            if chunk.is_empty() {
                continue;
            }
            let answers = self.store().change(&chunk).await?;
            for (change, answer) in chunk.into_iter().zip(answers) {
                applied.take(change, answer);
            }
        }
        Ok(applied)
    }

    /// Plans and applies until the timetable holds what `source` wants, as far as others let it:
    /// returns the first plan, and what became of it. What is lost to somebody else is planned
    /// anew a few times.
    ///
    /// # Errors
    /// As for [`Timetable::apply`].
    ///
    /// # Cancel safety
    /// As for [`Timetable::apply`].
    pub async fn reconcile(
        &self,
        source: Source,
        wanted: Wanted,
    ) -> Result<(Plan, Applied), TimetableError> {
        let wanted = wanted.checked(&self.producer);
        let plan = |present| {
            let plan = Plan::between(source.clone(), wanted.clone(), present);
            std::future::ready(plan)
        };
        self.carry_out(None, plan).await
    }

    /// Does as [`Timetable::reconcile`] with what `plan` makes of all entries. The first plan may be
    /// made of those that somebody has read a moment ago: what has changed since is planned anew.
    ///
    /// # Errors
    /// As for [`Timetable::apply`].
    ///
    /// # Cancel safety
    /// As for [`Timetable::apply`].
    pub(crate) async fn carry_out<P: Future<Output = Plan>>(
        &self,
        known: Option<Entries>,
        plan: impl Fn(Entries) -> P,
    ) -> Result<(Plan, Applied), TimetableError> {
        let known = match known {
            Some(known) => known,
            None => self.all().await?,
        };
        let first = plan(known).await;
        let mut applied = self.apply(&first).await?;
        for _ in 1..TRIES {
            if applied.lost().next().is_none() {
                break;
            }
            let again = plan(self.all().await?).await;
            applied.go_on(self.apply(&again).await?);
        }
        Ok((first, applied))
    }

    /// Returns the instant from which on the occurrences of a new entry count.
    async fn since(&self, source: &Source, now: Millis) -> Result<Millis, TimetableError> {
        let may_be_known = match source {
            Source::File { .. } | Source::Code { .. } => true,
            Source::Api { .. } => false,
        };
        if may_be_known && self.store().changes(None).await?.incarnation.is_none() {
            let back = u64::try_from(LOOK_BACK.as_millis()).unwrap_or_default();
            return Ok(Millis(now.0.saturating_sub(back)));
        }
        Ok(now)
    }
}

/// Returns the change that a step asks for; notes those that ask for none.
fn change(
    step: &Step,
    source: &Source,
    (now, since): (Millis, Millis),
    applied: &mut Applied,
) -> Option<Change> {
    let Step { name, what } = step;
    let name = name.clone();
    match what {
        What::Keep => applied.kept += 1,
        What::Held { by } => {
            applied.left.push(Left { name, why: Reason::Held(by.clone()) });
        }
        What::Present { from } => {
            applied.left.push(Left { name, why: Reason::Present(from.clone()) });
        }
        What::Delete { revision } => {
            return Some(Change { name, expected: Some(*revision), entry: None });
        }
        What::Create { to, is_paused } => {
            let by = match source {
                Source::Api { by } => by.clone(),
                Source::File { .. } | Source::Code { .. } => source.to_string(),
            };
            let paused = is_paused.then_some(Paused { at: now, by, why: None });
            let new = new_entry(&name, (**to).clone(), source.clone(), now);
            let entry = Some(ScheduleEntry { since, paused, ..new });
            return Some(Change { name, expected: None, entry });
        }
        What::Change { from, to, source, .. } => {
            let expected = Some(from.revision);
            let (from, to) = ((**from).clone(), (**to).clone());
            return Some(Change {
                name,
                expected,
                entry: Some(changed_entry(from, to, source.clone(), now)),
            });
        }
    }
    None
}

impl Applied {
    /// Notes what became of a change.
    fn take(&mut self, change: Change, answer: Changed) {
        let Change { name, expected, entry } = change;
        match (answer, entry, expected) {
            (Changed::Written(_), None, _) => self.deleted.push(name),
            (Changed::Written(revision), Some(_), None) => self.created.push((name, revision)),
            (Changed::Written(revision), Some(_), Some(_)) => self.changed.push((name, revision)),
            (Changed::Other(None), None, _) => self.kept += 1,
            // Somebody else of the same source was faster, and wrote the same.
            (Changed::Other(Some(there)), Some(entry), _)
                if is_same_owner(&entry.source, &there.entry.source)
                    && entry.definition == there.entry.definition =>
            {
                self.kept += 1;
            }
            (Changed::Other(_), _, _) => self.left.push(Left { name, why: Reason::Lost }),
        }
    }

    /// Adds what became of the next try.
    fn go_on(&mut self, next: Self) {
        let Self { created, changed, deleted, kept, left } = next;
        self.created.extend(created);
        self.changed.extend(changed);
        self.deleted.extend(deleted);
        (self.kept, self.left) = (kept, left);
    }
}
