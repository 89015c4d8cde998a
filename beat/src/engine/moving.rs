//! Moving on: positions are written after the confirm, by compare-and-set.
//!
//! What could not be written is written later; meanwhile this beat goes by its own memory. Somebody
//! else's move is taken over, and one under a later epoch ends this beat's right to act.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use leveret_common::failpoint;
use leveret_common::store::{Advance, Advanced, Position};
use leveret_common::telemetry::names::field;
use tracing::warn;

use super::jobs::Event;
use super::patience::{Trouble, within};
use super::roster::{Begun, Stage};
use super::run::Run;

/// Most positions that are written together.
const BATCH: usize = 500;
/// Most writes under way.
const WRITES: usize = 2;
/// The first and the longest wait before positions are written again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Positions that are being written: the rows, with their lives and the epoch.
#[derive(Debug)]
pub(super) struct Moves {
    epoch: u64,
    rows: Vec<(u32, u64)>,
}

/// What is to be written; a part of the loop's state.
#[derive(Debug, Default)]
pub(super) struct Mover {
    /// The schedules that have got further than the store knows.
    ahead: VecDeque<u32>,
    writing: usize,
    failures: u32,
    not_before: Option<Instant>,
}

impl Mover {
    /// Tells whether nothing is to be written, or being written.
    pub(super) fn is_done(&self) -> bool {
        self.ahead.is_empty() && self.writing == 0
    }

    /// Returns when there is something to do.
    pub(super) fn wakes(&self) -> Option<Instant> {
        let is_due = !self.ahead.is_empty() && self.writing < WRITES;
        is_due.then(|| self.not_before.unwrap_or_else(Instant::now))
    }

    /// Forgets what is not being written yet.
    pub(super) fn clear(&mut self) {
        self.ahead.clear();
        (self.failures, self.not_before) = (0, None);
    }
}

impl Run {
    /// Has a position written, where the store does not know it yet.
    pub(super) fn move_later(&mut self, row: u32) {
        let acts = self.acting.is_some();
        let Some(known) = self.roster.get_mut(row) else { return };
        let is_free = !known.to_move && !known.moving && known.stage != Stage::Doubted;
        if acts && is_free && known.is_ahead() {
            known.to_move = true;
            self.mover.ahead.push_back(row);
        }
    }

    /// Writes positions.
    pub(super) fn move_on(&mut self) {
        let Some(epoch) = self.acts() else { return };
        while self.mover.wakes().is_some_and(|at| at <= Instant::now()) {
            let rows = self.mover.ahead.len().min(BATCH);
            let rows: Vec<_> = self.mover.ahead.drain(..rows).collect();
            let (mut moves, mut batch) = (Moves { epoch, rows: Vec::new() }, Vec::new());
            for row in rows {
                if let Some((life, advance)) = self.begin_move(row, epoch) {
                    moves.rows.push((row, life));
                    batch.push(advance);
                }
            }
            if batch.is_empty() {
                continue;
            }
            self.mover.writing += 1;
            let (schedules, leadership) = (self.backend.schedules.clone(), self.leadership.clone());
            self.jobs.start(async move {
                let answers = if leadership.epoch() == Some(epoch) {
                    within(schedules.advance(&batch)).await
                } else {
                    Ok(Vec::new())
                };
                Event::Moved(moves, answers)
            });
        }
    }

    fn begin_move(&mut self, row: u32, epoch: u64) -> Option<(u64, Advance)> {
        let known = self.roster.get_mut(row)?;
        known.to_move = false;
        if known.moving || !known.is_ahead() {
            return None;
        }
        known.moving = true;
        let (expected, to) = (known.stored.as_ref().map(|stored| stored.seq), known.to(epoch));
        let occurrences = known.unwritten.clone();
        known.begun = Some(Box::new(Begun { to: to.clone(), occurrences: occurrences.len() }));
        Some((known.life, Advance { name: known.entry.name.clone(), expected, to, occurrences }))
    }

    /// Notes what became of moves.
    pub(super) fn moved(&mut self, moves: Moves, answers: Result<Vec<Advanced>, Trouble>) {
        self.mover.writing -= 1;
        let answers = match answers {
            Ok(answers) => {
                self.status.heard_from_store();
                (self.mover.failures, self.mover.not_before) = (0, None);
                answers
            }
            Err(error) => {
                self.tell(&error);
                let (first, longest) = BACKOFF;
                let wait = first.saturating_mul(1 << self.mover.failures.min(16)).min(longest);
                self.mover.failures += 1;
                self.mover.not_before = Some(Instant::now() + wait);
                Vec::new()
            }
        };
        let any = answers.contains(&Advanced::Moved);
        let mut answers = answers.into_iter();
        for (row, life) in moves.rows {
            let answer = answers.next();
            let Some(known) = self.roster.same(row, life) else { continue };
            known.moving = false;
            match answer {
                Some(Advanced::Moved) => known.has_moved(),
                Some(Advanced::Elsewhere(position)) => self.elsewhere(row, position, moves.epoch),
                Some(Advanced::Gone) => self.doubt(row),
                None => {}
            }
            self.move_later(row);
            self.schedule(row);
        }
        if any {
            failpoint::pass("beat.saved");
        }
    }

    /// Takes over a position that somebody else has moved.
    fn elsewhere(&mut self, row: u32, position: Position, epoch: u64) {
        let Some(known) = self.roster.get_mut(row) else { return };
        if known.begun.as_ref().is_some_and(|begun| begun.to == position) {
            // An earlier try was written, and its answer lost.
            return known.has_moved();
        }
        let is_later = position.epoch > epoch;
        known.compare(position);
        if is_later && self.leadership.epoch() == Some(epoch) {
            warn!({ field::EPOCH } = epoch, "another beat leads under a later epoch");
            self.leadership.resign(epoch);
        }
    }

    /// Puts nothing of a schedule in that the store does not know, until a look has told whether it
    /// was deleted or the store was wiped.
    fn doubt(&mut self, row: u32) {
        self.agenda.forget(row);
        self.follower.doubt(row);
        if let Some(known) = self.roster.get_mut(row).filter(|known| known.stage == Stage::Idle) {
            (known.stage, known.failures) = (Stage::Doubted, 0);
        }
    }
}
