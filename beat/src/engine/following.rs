//! Following the timetable: all of it is read once, then what changes, each second.
//!
//! A beat that begins to lead reads all positions anew before it acts. After a wipe of the store,
//! which the timetable's incarnation tells, this memory is written back first. Guards that nothing is
//! forgotten here because the store forgot it: a row goes only where the store says so in the same
//! life of the timetable as before.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use leveret_common::name::ScheduleName;
use leveret_common::store::Scheduled;
use leveret_common::telemetry::names::field;
use tracing::{info, warn};

use super::jobs::Event;
use super::looking::{Found, Known, Seen, look, restore};
use super::patience::{Trouble, within};
use super::roster::Stage;
use super::run::Run;

/// Most schedules that are read in a page, or written again, together; halved each time the store is too slow.
const PAGE: usize = 500;
const LEAST_PAGE: usize = 8;
/// For so many looks after it led a beat knows better than nobody how far each schedule has got:
/// about a minute. While the store is away nobody leads, so that time does not count.
const FRESH: u32 = 60;

/// A page of the timetable.
#[derive(Debug)]
pub(super) struct Page {
    schedules: Vec<Scheduled>,
}

/// What is done to follow the timetable.
#[derive(Debug, Default)]
pub(super) enum Phase {
    /// It has to be read, all of it.
    #[default]
    Unread,
    /// It is being read.
    Reading(Reading),
    /// It is being written again, from this row on.
    Restoring {
        first: u32,
        /// The life that it is written to, once that has begun.
        life: Option<u64>,
    },
    /// What changes is read.
    Following,
}

#[derive(Debug)]
pub(super) struct Reading {
    /// The epoch under which this beat led when it began.
    term: Option<u64>,
    behind: Option<ScheduleName>,
    seen: HashSet<u32>,
    /// Whether the last page was read; then one look makes sure that it was one life.
    all: bool,
}

/// Follows the timetable; a part of the loop's state.
#[derive(Debug)]
pub(super) struct Follower {
    phase: Phase,
    known: Option<Known>,
    /// Whether a job of this is under way.
    busy: bool,
    /// When to look next.
    pub(super) next: Instant,
    /// Whether all has to be read anew: the positions may be others.
    anew: bool,
    /// How many schedules are read, or written again, together.
    page: usize,
    /// The schedules that a move did not find.
    doubted: Vec<u32>,
    /// Whether it was told that the store does not answer.
    told: bool,
}

impl Follower {
    pub(super) fn new() -> Self {
        let (phase, next) = (Phase::default(), Instant::now());
        Self {
            phase,
            known: None,
            busy: false,
            next,
            anew: false,
            page: PAGE,
            doubted: Vec::new(),
            told: false,
        }
    }

    /// Has all positions read before anything is done.
    pub(super) fn read_anew(&mut self) {
        self.anew = true;
        self.look_now();
    }

    /// Looks as soon as possible.
    pub(super) fn look_now(&mut self) {
        self.next = Instant::now();
    }

    /// Has the next look tell whether a schedule is gone that a move did not find.
    pub(super) fn doubt(&mut self, row: u32) {
        self.doubted.push(row);
        self.look_now();
    }

    /// Returns when there is something to do.
    pub(super) fn wakes(&self) -> Option<Instant> {
        (!self.busy).then_some(self.next)
    }
}

impl Run {
    /// Does the next thing to follow the timetable, where it is time.
    pub(super) fn follow(&mut self) {
        if self.follower.busy || Instant::now() < self.follower.next {
            return;
        }
        self.follower.busy = true;
        let (schedules, size) = (Arc::clone(&self.backend.schedules), self.follower.page);
        match &mut self.follower.phase {
            Phase::Reading(reading) if !reading.all => {
                let behind = reading.behind.clone();
                self.jobs.start(async move {
                    let page = within(schedules.page(behind.as_ref(), size)).await;
                    Event::Read(page.map(|schedules| Page { schedules }))
                });
            }
            Phase::Restoring { first, .. } => {
                let first = *first;
                let (known, next) = self.roster.remembered(first, size, self.led_lately());
                self.jobs.start(async move {
                    Event::Restored(match restore(&*schedules, &known).await {
                        Ok(life) => Ok((next, life)),
                        Err(error) => Err(error),
                    })
                });
            }
            Phase::Unread | Phase::Following | Phase::Reading(_) => {
                let known = self.follower.known;
                let doubted = self.doubted();
                self.jobs
                    .start(async move { Event::Looked(look(&*schedules, known, doubted).await) });
            }
        }
    }

    /// Takes what somebody saw who looked for changes.
    pub(super) fn looked(&mut self, seen: Result<Seen, Trouble>) {
        let Some(Seen { known, changed, forgotten }) = self.heard(seen) else { return };
        if let Some((_, looks)) = &mut self.acted {
            *looks = looks.saturating_add(1);
        }
        let before = self.follower.known.replace(known);
        // A smaller version is an older copy of the store: what happened since is lost.
        let wiped = before.is_some_and(|before| {
            before.incarnation != known.incarnation || before.version > known.version
        });
        if (wiped || forgotten) && self.roster.len() > 0 {
            warn!(
                { field::COUNT } = self.roster.len(),
                "the store has forgotten the timetable, writing it again"
            );
            self.stand_down();
            self.filing.doubt();
            self.follower.phase = Phase::Restoring { first: 0, life: known.incarnation };
            return self.follower.look_now();
        }
        let phase = std::mem::take(&mut self.follower.phase);
        let changed = match (phase, changed) {
            (Phase::Reading(reading), Some(changed)) if !self.follower.anew => {
                self.all_read(&reading);
                changed
            }
            (Phase::Following, Some(changed)) if !self.follower.anew => changed,
            _ => return self.begin_reading(),
        };
        self.follower.phase = Phase::Following;
        for (name, found) in changed {
            match found {
                Found::There(scheduled) => self.put(*scheduled),
                Found::Gone => self.remove(&name),
                Found::Unreadable => {}
            }
        }
        self.status.has_read(self.roster.len());
    }

    /// Takes a page of the timetable.
    pub(super) fn read(&mut self, page: Result<Page, Trouble>) {
        let Some(Page { schedules }) = self.heard(page) else { return };
        self.follower.look_now();
        if self.follower.anew {
            return self.begin_reading();
        }
        let Phase::Reading(mut reading) = std::mem::take(&mut self.follower.phase) else { return };
        match schedules.last() {
            Some(last) => reading.behind = Some(last.entry.name.clone()),
            // Pages may be short where schedules cannot be read, so only an empty one is the last.
            None => reading.all = true,
        }
        let (now, is_fresh) = (self.now(), self.led_lately().is_some());
        for scheduled in schedules {
            reading.seen.insert(self.roster.put(scheduled, now, is_fresh));
        }
        self.follower.phase = Phase::Reading(reading);
    }

    /// Goes on after a part of the timetable was written again.
    pub(super) fn restored(&mut self, restored: Result<(u32, Option<u64>), Trouble>) {
        let Some((next, now)) = self.heard(restored) else { return };
        self.follower.look_now();
        let Phase::Restoring { life, .. } = self.follower.phase else { return };
        self.follower.phase = if life.is_some() && life != now {
            // Wiped once more: what was written before that is lost too.
            Phase::Restoring { first: 0, life: now }
        } else if self.roster.ends_at(next) {
            // All is read in this life; the next look tells if that has ended meanwhile.
            self.follower.known = now.map(|_| Known { incarnation: now, version: 0 });
            Phase::Unread
        } else {
            Phase::Restoring { first: next, life: now }
        };
    }

    /// Returns the epoch under which this beat led, where that is not long ago.
    pub(super) fn led_lately(&self) -> Option<u64> {
        self.acted.filter(|(_, looks)| *looks < FRESH).map(|(epoch, _)| epoch)
    }

    /// Lists the schedules that are doubted still.
    fn doubted(&mut self) -> Vec<ScheduleName> {
        let roster = &self.roster;
        let is_doubted = |row: u32| roster.get(row).filter(|known| known.stage == Stage::Doubted);
        self.follower.doubted.retain(|row| is_doubted(*row).is_some());
        let doubted = self.follower.doubted.iter().filter_map(|row| is_doubted(*row));
        doubted.map(|known| known.entry.name.clone()).collect()
    }

    fn begin_reading(&mut self) {
        self.follower.anew = false;
        let (term, behind, seen) = (self.term, None, HashSet::new());
        self.follower.phase = Phase::Reading(Reading { term, behind, seen, all: false });
        self.follower.look_now();
    }

    /// Forgets what is not there any more; acts from now on, where this beat leads.
    fn all_read(&mut self, reading: &Reading) {
        let gone: Vec<_> = self.roster.all().filter(|row| !reading.seen.contains(row)).collect();
        for row in gone {
            let name = self.roster.get(row).map(|known| known.entry.name.clone());
            name.iter().for_each(|name| self.remove(name));
        }
        info!({ field::COUNT } = self.roster.len(), "the timetable is read");
        if let Some(epoch) = reading.term.filter(|_| reading.term == self.term) {
            self.act(epoch);
        }
        self.measure();
    }

    /// Takes what the store answered; looks again later where it did not.
    fn heard<T>(&mut self, answer: Result<T, Trouble>) -> Option<T> {
        self.follower.busy = false;
        self.follower.next = Instant::now() + self.pace;
        match answer {
            Ok(answer) => {
                self.follower.page = (2 * self.follower.page).min(PAGE);
                self.follower.told = false;
                self.status.heard_from_store();
                Some(answer)
            }
            Err(error) => {
                if matches!(error, Trouble::Slow) {
                    self.follower.page = (self.follower.page / 2).max(LEAST_PAGE);
                }
                if !std::mem::replace(&mut self.follower.told, true) {
                    warn!({ field::ERROR } = %error, "failed to follow the timetable, trying again each second");
                }
                None
            }
        }
    }
}
