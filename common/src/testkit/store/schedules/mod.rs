//! Promises about the timetable: entries, changes, pages, and what a wipe leaves to be restored.
//!
//! Two beats that both believe to lead do no harm only because each step here compares before it
//! writes. Positions and occurrences are in `moves`.

mod entries;
mod life;
mod moves;

use std::time::Duration;

pub(super) use self::entries::*;
pub(super) use self::life::*;
pub(super) use self::moves::*;
use super::StoreUnderTest;
use crate::clock::Millis;
use crate::id::TaskId;
use crate::name::ScheduleName;
use crate::schedule::{Definition, Source};
use crate::store::{
    Advance, Advanced, Cause, Change, Changed, Changes, Fate, Occurrence, Position, ScheduleEntry,
    Scheduled,
};

const NOW: u64 = 1_790_000_000_000;
/// The epoch of the leader, unless a case is about that.
const EPOCH: u64 = 1_790_000_000_000_123;

fn name(text: &str) -> ScheduleName {
    text.parse().expect("a schedule's name")
}

fn numbered(number: usize) -> ScheduleName {
    name(&format!("nightly.{number:05}"))
}

fn entry(of: &ScheduleName) -> ScheduleEntry {
    ScheduleEntry {
        name: of.clone(),
        definition: Definition::new("0 2 * * *", "report.nightly".parse().expect("a kind")),
        source: Source::Api { by: "lea".to_owned() },
        revision: 0,
        since: Millis(NOW),
        paused: None,
        created_at: Millis(NOW),
        changed_at: Millis(NOW),
    }
}

/// An entry that says what it is for.
fn for_what(of: &ScheduleName, what: &str) -> ScheduleEntry {
    let mut entry = entry(of);
    entry.definition.description = Some(what.to_owned());
    entry
}

fn creation(of: &ScheduleName) -> Change {
    Change { name: of.clone(), expected: None, entry: Some(entry(of)) }
}

fn replacement(of: &ScheduleName, expected: u32, what: &str) -> Change {
    Change { name: of.clone(), expected: Some(expected), entry: Some(for_what(of, what)) }
}

fn deletion(of: &ScheduleName, expected: u32) -> Change {
    Change { name: of.clone(), expected: Some(expected), entry: None }
}

/// The position after the `seq`th move, an hour each.
fn position(seq: u64, epoch: u64) -> Position {
    let through = Millis(NOW + seq * 3_600_000);
    Position { seq, epoch, through, queued: None, previous: None }
}

/// A move from the position with `expected`, over one occurrence.
fn advance(of: &ScheduleName, expected: u64, epoch: u64) -> Advance {
    let to = position(expected + 1, epoch);
    let occurrences = vec![fired(to.through.0)];
    Advance { name: of.clone(), expected: Some(expected), to, occurrences }
}

fn fired(due: u64) -> Occurrence {
    Occurrence {
        due: Millis(due),
        cause: Cause::Clock,
        fate: Fate::Fired { task: TaskId::mint() },
        at: Millis(due + 12),
        planned: Millis(due),
        revision: 1,
        by: None,
    }
}

impl StoreUnderTest {
    async fn change(&self, batch: &[Change]) -> Vec<Changed> {
        self.schedules.change(batch).await.expect("the store answers")
    }

    async fn changed(&self, change: Change) -> Changed {
        self.change(&[change]).await.remove(0)
    }

    /// Makes schedules that say nothing special.
    async fn make(&self, names: &[ScheduleName]) {
        let changes: Vec<_> = names.iter().map(creation).collect();
        let answers = self.change(&changes).await;
        assert!(answers.iter().all(|answer| *answer == Changed::Written(1)), "{answers:?}");
    }

    async fn schedule(&self, name: &ScheduleName) -> Option<Scheduled> {
        let names = std::slice::from_ref(name);
        self.schedules.read(names).await.expect("the store answers").remove(0)
    }

    /// Reads a position and insists that it is there.
    async fn stands_at(&self, name: &ScheduleName) -> Position {
        let schedule = self.schedule(name).await;
        let position = schedule.unwrap_or_else(|| panic!("{name} is not there")).position;
        position.unwrap_or_else(|| panic!("{name} has no position"))
    }

    async fn page(&self, behind: Option<&ScheduleName>, most: usize) -> Vec<Scheduled> {
        self.schedules.page(behind, most).await.expect("the store answers")
    }

    async fn advance(&self, batch: &[Advance]) -> Vec<Advanced> {
        self.schedules.advance(batch).await.expect("the store answers")
    }

    async fn advanced(&self, ask: &Advance) -> Advanced {
        self.advance(std::slice::from_ref(ask)).await.remove(0)
    }

    async fn past(&self, name: &ScheduleName) -> Vec<Occurrence> {
        self.schedules.occurrences(name).await.expect("the store answers")
    }

    async fn note(&self, batch: &[(ScheduleName, Occurrence)]) {
        self.schedules.note(batch).await.expect("the store answers");
    }

    async fn restore(&self, batch: &[Scheduled]) {
        self.schedules.restore(batch).await.expect("the store answers");
    }

    async fn changes(&self, since: Option<u64>) -> Changes {
        self.schedules.changes(since).await.expect("the store answers")
    }

    /// Names what changed since a version, and insists that it is known.
    async fn changed_since(&self, since: u64) -> Vec<ScheduleName> {
        let changes = self.changes(Some(since)).await;
        changes.names.unwrap_or_else(|| panic!("what changed since {since} is not known"))
    }
}

/// Short enough to wait for, long enough to act in.
const BRIEF: Duration = Duration::from_millis(600);
