//! The roster: every schedule as this beat knows it, in memory.
//!
//! A row holds what the store said last, and how far the schedule has got for certain, which is
//! further where the store could not be told yet: an occurrence that was confirmed is not put in
//! again by this process, whatever the store knows. Nothing here waits for anything.

use std::collections::HashMap;
use std::sync::Arc;

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;
use leveret_common::name::ScheduleName;
use leveret_common::store::{MAX_OCCURRENCES, Occurrence, Position, ScheduleEntry, Scheduled};
use leveret_common::telemetry::names::field;
use tracing::warn;

use crate::timing::Timing;

/// How far back a schedule begins whose position nobody knows: not at its beginning.
const LOOK_BACK: u64 = 60_000;

/// How far a schedule has got, as this beat knows for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) through: Millis,
    pub(super) queued: Option<Millis>,
    pub(super) previous: Option<TaskId>,
}

/// What is being done about a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Stage {
    /// Nothing: it waits for its time.
    #[default]
    Idle,
    /// The task of its previous occurrence is looked up.
    Checked,
    /// Occurrences are with the broker.
    Sent,
    /// The store says that it is gone; the next look tells.
    Doubted,
}

/// A move of the position that was begun: what it is to become, and how many of the occurrences to
/// be written go with it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Begun {
    pub(super) to: Position,
    pub(super) occurrences: usize,
}

/// One schedule.
#[derive(Debug)]
pub(super) struct Row {
    /// Tells rows apart that had the same number one after the other.
    pub(super) life: u64,
    pub(super) entry: Arc<ScheduleEntry>,
    /// None where this version cannot read what the entry says.
    pub(super) timing: Option<Box<Timing>>,
    /// What the store has.
    pub(super) stored: Option<Position>,
    pub(super) reached: Reached,
    /// What became of occurrences, still to be written, oldest first; the newest.
    pub(super) unwritten: Vec<Occurrence>,
    /// The last move, where it is not known to have been made.
    pub(super) begun: Option<Box<Begun>>,
    /// Whether a move is on its way, and whether one is to be made.
    pub(super) moving: bool,
    pub(super) to_move: bool,
    pub(super) stage: Stage,
    /// How many times in a row it could not be put in.
    pub(super) failures: u32,
}

impl Row {
    fn new(life: u64, scheduled: Scheduled, now: Millis) -> Self {
        let Scheduled { entry, position } = scheduled;
        let begin = entry.since.max(look_back(now));
        Self {
            life,
            timing: read_timing(&entry),
            reached: position.as_ref().map_or_else(|| Reached::none(begin), Reached::of),
            entry: Arc::new(entry),
            stored: position,
            unwritten: Vec::new(),
            begun: None,
            moving: false,
            to_move: false,
            stage: Stage::Idle,
            failures: 0,
        }
    }

    /// Returns the instant after which occurrences count.
    pub(super) fn from(&self) -> Millis {
        self.reached.through.max(self.entry.since)
    }

    /// Tells whether its occurrences are put in when they are due.
    pub(super) fn is_on(&self) -> bool {
        self.entry.paused.is_none() && self.timing.is_some()
    }

    /// Returns when the next occurrence is to be put in.
    pub(super) fn next(&self) -> Option<Millis> {
        let timing = self.timing.as_ref().filter(|_| self.is_on())?;
        timing.next(self.from()).map(|due| timing.planned(due))
    }

    /// Notes what became of an occurrence; written with the next move.
    pub(super) fn note(&mut self, occurrence: Occurrence) {
        if self.unwritten.len() == MAX_OCCURRENCES {
            self.unwritten.remove(0);
            // Those of a move that was begun stand at the front.
            if let Some(begun) = &mut self.begun {
                begun.occurrences = begun.occurrences.saturating_sub(1);
            }
        }
        self.unwritten.push(occurrence);
    }

    /// Tells whether the store does not know yet how far it has got.
    pub(super) fn is_ahead(&self) -> bool {
        let stored = self.stored.as_ref().map(Reached::of);
        !self.unwritten.is_empty() || stored != Some(self.reached)
    }

    /// Notes that the move that was begun is made.
    pub(super) fn has_moved(&mut self) {
        if let Some(begun) = self.begun.take() {
            let Begun { to, occurrences } = *begun;
            self.stored = Some(to);
            self.unwritten.drain(..occurrences.min(self.unwritten.len()));
            if self.unwritten.is_empty() {
                self.unwritten = Vec::new();
            }
        }
    }

    /// Takes note of what the store has; further than here is taken over.
    pub(super) fn compare(&mut self, position: Position) {
        let further = position.through > self.reached.through;
        let settled = position.through == self.reached.through && !self.is_ahead();
        if further || settled {
            self.reached = Reached::of(&position);
        }
        self.stored = Some(position);
    }

    /// Takes over what became of the schedule elsewhere: changed, paused, made anew. `begin` is
    /// where to begin if its position is lost and this beat has not led lately: how far others got
    /// since is not known here.
    fn update(&mut self, scheduled: Scheduled, begin: Option<Millis>) {
        let Scheduled { entry, position } = scheduled;
        if entry.created_at != self.entry.created_at {
            // The ids of occurrences go by name and instant: what was put in stays put in. But who
            // makes a schedule anew that had got ahead of the clock means it to go on.
            let through = Some(self.reached.through).filter(|past| *past <= entry.created_at);
            self.reached = Reached::none(through.unwrap_or(entry.since));
            self.unwritten = Vec::new();
            self.begun = None;
        }
        if entry.definition != self.entry.definition {
            self.timing = read_timing(&entry);
        }
        self.entry = Arc::new(entry);
        if self.stage == Stage::Doubted {
            self.stage = Stage::Idle;
        }
        match position {
            Some(position) => self.compare(position),
            None => {
                self.stored = None;
                if let Some(begin) = begin {
                    self.reached = Reached::none(self.from().max(begin));
                }
            }
        }
    }

    /// Returns the position that is written next.
    pub(super) fn to(&self, epoch: u64) -> Position {
        let Reached { through, queued, previous } = self.reached;
        let seq = self.stored.as_ref().map_or(1, |stored| stored.seq + 1);
        Position { seq, epoch, through, queued, previous }
    }

    /// Returns the schedule as it is written again after a wipe; with its position where this beat
    /// leads, and so knows it.
    fn remembered(&self, epoch: Option<u64>) -> Scheduled {
        Scheduled { entry: (*self.entry).clone(), position: epoch.map(|epoch| self.to(epoch)) }
    }
}

impl Reached {
    const fn none(through: Millis) -> Self {
        Self { through, queued: None, previous: None }
    }

    pub(super) fn of(position: &Position) -> Self {
        let Position { through, queued, previous, .. } = *position;
        Self { through, queued, previous }
    }
}

/// Every schedule, by number and by name.
#[derive(Debug, Default)]
pub(super) struct Roster {
    rows: Vec<Option<Box<Row>>>,
    free: Vec<u32>,
    names: HashMap<ScheduleName, u32>,
    lives: u64,
}

impl Roster {
    /// Takes a schedule in, new or changed; returns its number. `is_fresh` tells whether what is
    /// known here is not older than what others did.
    pub(super) fn put(&mut self, scheduled: Scheduled, now: Millis, is_fresh: bool) -> u32 {
        if let Some(&row) = self.names.get(&scheduled.entry.name) {
            if let Some(Some(known)) = self.rows.get_mut(row as usize) {
                known.update(scheduled, (!is_fresh).then(|| look_back(now)));
            }
            return row;
        }
        self.lives += 1;
        let name = scheduled.entry.name.clone();
        let new = Some(Box::new(Row::new(self.lives, scheduled, now)));
        let row = self.free.pop().unwrap_or_else(|| {
            self.rows.push(None);
            // The store takes a million at most.
            u32::try_from(self.rows.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(place) = self.rows.get_mut(row as usize) {
            *place = new;
        }
        self.names.insert(name, row);
        row
    }

    /// Forgets a schedule; returns the number that it had.
    pub(super) fn remove(&mut self, name: &ScheduleName) -> Option<u32> {
        let row = self.names.remove(name)?;
        if let Some(place) = self.rows.get_mut(row as usize) {
            *place = None;
        }
        self.free.push(row);
        Some(row)
    }

    pub(super) fn get(&self, row: u32) -> Option<&Row> {
        self.rows.get(row as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, row: u32) -> Option<&mut Row> {
        self.rows.get_mut(row as usize)?.as_deref_mut()
    }

    /// Returns the row while it is the same schedule's as when somebody looked.
    pub(super) fn same(&mut self, row: u32, life: u64) -> Option<&mut Row> {
        self.get_mut(row).filter(|known| known.life == life)
    }

    /// Returns how many schedules there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Lists the numbers of all schedules.
    pub(super) fn all(&self) -> impl Iterator<Item = u32> + '_ {
        (0_u32..).zip(&self.rows).filter(|(_, row)| row.is_some()).map(|(number, _)| number)
    }

    /// Lists all entries, as the store said them last.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Arc<ScheduleEntry>> {
        self.rows.iter().flatten().map(|row| &row.entry)
    }

    /// Tells whether no row has this number or a higher one.
    pub(super) fn ends_at(&self, row: u32) -> bool {
        row as usize >= self.rows.len()
    }

    /// Lists at most `most` schedules from the number `first` on, as they are written again after a
    /// wipe; with the number to go on from.
    pub(super) fn remembered(
        &self,
        first: u32,
        most: usize,
        epoch: Option<u64>,
    ) -> (Vec<Scheduled>, u32) {
        let first = first as usize;
        let rows = self.rows.iter().skip(first).take(most);
        let next = first.saturating_add(rows.len());
        let known = rows.flatten().map(|row| row.remembered(epoch)).collect();
        (known, u32::try_from(next).unwrap_or(u32::MAX))
    }
}

const fn look_back(now: Millis) -> Millis {
    Millis(now.0.saturating_sub(LOOK_BACK))
}

/// Reads when a schedule is due. One that a newer version wrote may mean nothing here: it is told
/// aloud once for each revision, and the others go on.
fn read_timing(entry: &ScheduleEntry) -> Option<Box<Timing>> {
    match Timing::new(&entry.name, &entry.definition) {
        Ok(timing) => Some(Box::new(timing)),
        Err(problems) => {
            let problems = leveret_producer::Problems(problems);
            warn!(
                { field::SCHEDULE } = %entry.name,
                { field::REVISION } = entry.revision,
                { field::ERROR } = %problems,
                "this version cannot read a schedule, which is not put in here; run the newest version"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use leveret_common::schedule::{Definition, Source};
    use leveret_common::store::{Cause, Fate, Paused};

    use super::*;

    const NOW: Millis = Millis(10_000_000);

    fn entry(name: &str, when: &str) -> ScheduleEntry {
        ScheduleEntry {
            name: name.parse().unwrap(),
            definition: Definition::new(when, "demo.tick".parse().unwrap()),
            source: Source::Api { by: "test".to_owned() },
            revision: 1,
            since: Millis(1_000),
            paused: None,
            created_at: Millis(1_000),
            changed_at: Millis(1_000),
        }
    }

    fn at(seq: u64, through: u64) -> Position {
        Position { seq, epoch: 1, through: Millis(through), queued: None, previous: None }
    }

    fn with(name: &str, position: Option<Position>) -> Scheduled {
        Scheduled { entry: entry(name, "every 1s"), position }
    }

    fn occurrence(due: u64) -> Occurrence {
        let (due, fate) = (Millis(due), Fate::Waiting);
        Occurrence { due, cause: Cause::Clock, fate, at: due, planned: due, revision: 1, by: None }
    }

    #[test]
    fn a_schedule_goes_on_where_it_was_and_one_whose_position_was_lost_a_minute_ago() {
        let mut roster = Roster::default();
        let known = roster.put(with("known", Some(at(3, 5_000_000))), NOW, true);
        let lost = roster.put(with("lost", None), NOW, true);
        assert_eq!(roster.get(known).unwrap().from(), Millis(5_000_000));
        assert_eq!(roster.get(lost).unwrap().from(), Millis(NOW.0 - 60_000));
        // Never before what counts for it.
        let mut young = with("young", None);
        young.entry.since = Millis(NOW.0 - 10);
        let young = roster.put(young, NOW, true);
        assert_eq!(roster.get(young).unwrap().next(), Some(NOW));
    }

    #[test]
    fn one_who_stood_by_does_not_go_by_old_memory_where_the_position_is_lost() {
        for (is_fresh, expected) in [(true, 5_000), (false, NOW.0 - 60_000)] {
            let mut roster = Roster::default();
            let row = roster.put(with("a", Some(at(3, 5_000))), NOW, false);
            roster.put(with("a", None), NOW, is_fresh);
            assert_eq!(roster.get(row).unwrap().from(), Millis(expected), "{is_fresh}");
        }
    }

    #[test]
    fn what_is_certain_here_is_not_taken_back_by_what_the_store_has() {
        let mut roster = Roster::default();
        let row = roster.put(with("a", Some(at(1, 5_000))), NOW, true);
        let known = roster.get_mut(row).unwrap();
        known.reached.through = Millis(9_000);
        known.note(occurrence(9_000));
        assert!(known.is_ahead());
        roster.put(with("a", Some(at(1, 5_000))), NOW, true);
        assert_eq!(roster.get(row).unwrap().from(), Millis(9_000));
        // Made anew under the same name: the ids are the same, so what was put in stays put in.
        let mut anew = with("a", Some(at(0, 6_000)));
        anew.entry.created_at = Millis(9_500);
        roster.put(anew, NOW, true);
        let known = roster.get(row).unwrap();
        assert_eq!((known.from(), known.unwritten.len()), (Millis(9_000), 0));
        // Somebody else has got further.
        roster.put(with("a", Some(at(7, 20_000))), NOW, true);
        let known = roster.get(row).unwrap();
        assert_eq!((known.from(), known.is_ahead()), (Millis(20_000), false));
    }

    #[test]
    fn one_that_had_got_ahead_of_the_clock_goes_on_once_it_is_made_anew() {
        let mut roster = Roster::default();
        let row = roster.put(with("a", Some(at(1, NOW.0 + 9_000_000))), NOW, true);
        let mut anew = with("a", Some(at(0, NOW.0)));
        (anew.entry.created_at, anew.entry.since) = (NOW, NOW);
        roster.put(anew, NOW, true);
        assert_eq!(roster.get(row).unwrap().from(), NOW);
    }

    #[test]
    fn a_move_that_is_made_takes_its_occurrences_off_and_leaves_those_that_came_after() {
        let mut roster = Roster::default();
        let row = roster.put(with("a", Some(at(1, 5_000))), NOW, true);
        let known = roster.get_mut(row).unwrap();
        let limit = MAX_OCCURRENCES as u64;
        for due in 0..limit {
            known.note(occurrence(due));
        }
        let (to, occurrences) = (known.to(9), known.unwritten.len());
        known.begun = Some(Box::new(Begun { to: to.clone(), occurrences }));
        known.note(occurrence(limit));
        known.note(occurrence(limit + 1));
        known.has_moved();
        let left: Vec<_> = known.unwritten.iter().map(|one| one.due.0).collect();
        assert_eq!((left, known.stored.clone()), (vec![limit, limit + 1], Some(to)));
    }

    #[test]
    fn one_that_is_paused_or_cannot_be_read_is_never_due_and_is_remembered() {
        let mut roster = Roster::default();
        let mut paused = with("paused", None);
        paused.entry.paused = Some(Paused { at: NOW, by: "test".to_owned(), why: None });
        let paused = roster.put(paused, NOW, true);
        let newer =
            Scheduled { entry: entry("newer", "whenever the moon is full"), position: None };
        let newer = roster.put(newer, NOW, true);
        for row in [paused, newer] {
            assert_eq!(roster.get(row).unwrap().next(), None);
        }
        let (remembered, next) = roster.remembered(0, 10, Some(4));
        assert_eq!((remembered.len(), roster.ends_at(next)), (2, true));
        assert_eq!(remembered[1].position.as_ref().map(|position| position.epoch), Some(4));
        assert_eq!(roster.remembered(1, 10, None).0[0].position, None);
    }

    #[test]
    fn a_number_is_given_again_to_another_life() {
        let mut roster = Roster::default();
        let row = roster.put(with("a", None), NOW, true);
        let life = roster.get(row).unwrap().life;
        assert_eq!(roster.remove(&"a".parse().unwrap()), Some(row));
        assert_eq!((roster.len(), roster.all().count()), (0, 0));
        assert_eq!(roster.put(with("b", None), NOW, true), row);
        assert!(roster.same(row, life).is_none());
    }
}
