//! Firing: what is due is put in, and what became of it is noted.
//!
//! A schedule is with one chunk at most, so that its occurrences keep their order. One that could
//! not be put in is tried again later, apart from the others: a queue in trouble holds up no more
//! than its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use leveret_common::clock::Millis;
use leveret_common::failpoint;
use leveret_common::schedule::Overlap;
use leveret_common::store::Cause;

use super::catch_up::Look;
use super::deciding::{Decision, after_previous, at_first};
use super::departures::Road;
use super::jobs::Event;
use super::observe;
use super::overlap::{self, Question};
use super::patience::Trouble;
use super::publisher::{CHUNK, Chunk, Firing, Sent, send};
use super::roster::{Row, Stage};
use super::run::Run;
use super::steps::{Answer, Step, take};

/// Most schedules that are looked at before the loop turns.
const TURN: usize = 1_000;
/// How long a turn may take to decide; what is left is for the next one.
const TURN_TAKES: Duration = Duration::from_millis(50);
/// A decision that has not gone after so long is made anew.
const STALE: Duration = Duration::from_secs(1);
/// How far occurrences that are left out are counted, of all schedules of one turn.
const COUNTED: u64 = 100_000;
/// Most questions about previous occurrences that are asked together.
const QUESTIONS: usize = 500;
/// The first and the longest wait before what failed is tried again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How often the previous occurrence is looked at for which another one waits.
const LOOK_AT_PREVIOUS: Duration = Duration::from_millis(500);

impl Run {
    /// Sets when the next occurrence of a schedule is to be put in, unless something is being done
    /// about it.
    pub(super) fn schedule(&mut self, row: u32) {
        // One that failed waits for its next try.
        let is_free = |known: &&Row| known.stage == Stage::Idle && known.failures == 0;
        let Some(known) = self.roster.get(row).filter(is_free) else { return };
        let acts = self.acting.is_some();
        let planned = known.next().filter(|_| acts);
        let is_early = known.entry.definition.overlap == Overlap::Allow;
        let waits = acts && known.is_on() && known.reached.queued.is_some();
        self.agenda.early.set(row, planned.filter(|_| is_early));
        self.agenda.on_time.set(row, planned.filter(|_| !is_early));
        self.agenda.under_way.set(row, None);
        match waits {
            true => self.agenda.waiting.insert(row),
            false => self.agenda.waiting.remove(&row),
        };
    }

    /// Puts in what is due.
    pub(super) fn fire(&mut self) {
        let Some(epoch) = self.acts() else { return };
        let now = self.now();
        let until = now.after(self.lead.get());
        for row in self.agenda.unpark() {
            self.schedule_anew(row);
        }
        let agenda = &mut self.agenda;
        let (begun, elapsed) = (Instant::now(), agenda.elapsed());
        let mut turn = Vec::new();
        while turn.len() < TURN {
            let again = agenda.again.take(elapsed);
            let next = again.or_else(|| agenda.on_time.take(now));
            let Some(row) = next.or_else(|| agenda.early.take(until)) else { break };
            turn.push(row);
        }
        let count_to = COUNTED / (turn.len() as u64).max(1);
        let look = Look { now, until, most: CHUNK, count_to };
        for row in turn {
            match begun.elapsed() < TURN_TAKES {
                true => self.consider(row, &look),
                false => self.schedule_anew(row),
            }
        }
        self.look_at_waiting(&Look { until: now, ..look });
        self.ask(epoch);
        self.send(epoch);
    }

    /// Decides what is done about a schedule that is due; asks first where that depends on the
    /// previous occurrence.
    fn consider(&mut self, row: u32, look: &Look) {
        let Some(known) = self.roster.get(row).filter(|known| known.stage == Stage::Idle) else {
            return;
        };
        let road = self.road_of(known);
        if self.agenda.departures.room(&road) == 0 {
            let planned = known.next();
            return self.agenda.park(road, row, planned);
        }
        let Some(known) = self.roster.get_mut(row) else { return };
        match at_first(known, look) {
            Decision::Ask(previous, planned) => {
                known.stage = Stage::Checked;
                let cancels = known.entry.definition.overlap == Overlap::Cancel;
                let question = Question { row, life: known.life, previous, cancels };
                self.agenda.questions.push(question);
                self.agenda.under_way.set(row, Some(planned));
            }
            Decision::Take(steps) => self.carry_out(row, steps),
        }
    }

    /// Has a schedule decided about again, as soon as it is due.
    fn schedule_anew(&mut self, row: u32) {
        let Some(known) = self.roster.get(row).filter(|known| known.stage == Stage::Idle) else {
            return;
        };
        match known.failures > 0 && self.acting.is_some() {
            true => self.agenda.try_again(row, Duration::ZERO),
            false => self.schedule(row),
        }
    }

    /// Hands steps over to be sent; those that need no broker are taken at once.
    fn carry_out(&mut self, row: u32, steps: Vec<Step>) {
        let now = self.now();
        let Some(known) = self.roster.get_mut(row) else { return };
        let entry = known.entry.clone();
        let decided = Instant::now();
        let firing = Firing { row, life: known.life, entry, steps, decided };
        let planned = firing.dues().map(|due| due.planned).min();
        if planned.is_none() {
            self.noted(row, &firing.steps, std::iter::empty(), now);
            return self.schedule(row);
        }
        known.stage = Stage::Sent;
        let Some(road) = self.roster.get(row).map(|known| self.road_of(known)) else { return };
        self.agenda.under_way.set(row, planned);
        self.agenda.departures.add(road, firing);
    }

    /// Has the tasks looked up for which occurrences wait, a part of them at a time.
    fn look_at_waiting(&mut self, look: &Look) {
        let agenda = &mut self.agenda;
        if agenda.asking || Instant::now() < agenda.look_at_waiting {
            return;
        }
        let room = QUESTIONS.saturating_sub(agenda.questions.len());
        let round = agenda.waiting.range(agenda.next_waiting..);
        let rows: Vec<_> = round.take(room).copied().collect();
        agenda.next_waiting = rows.last().filter(|_| rows.len() == room).map_or(0, |row| row + 1);
        if agenda.next_waiting == 0 {
            agenda.look_at_waiting = Instant::now() + LOOK_AT_PREVIOUS.min(self.pace);
        }
        for row in rows {
            let Some(known) = self.roster.get(row) else { continue };
            let has_room = self.agenda.departures.room(&self.road_of(known)) > 0;
            let Some(known) = self.roster.get_mut(row) else { continue };
            // One that failed waits for its next try.
            if known.stage != Stage::Idle || known.failures > 0 || !has_room {
                continue;
            }
            let Some(previous) = known.reached.previous else {
                let steps = after_previous(known, look, true);
                self.carry_out(row, steps);
                continue;
            };
            known.stage = Stage::Checked;
            let question = Question { row, life: known.life, previous, cancels: false };
            self.agenda.questions.push(question);
        }
    }

    fn ask(&mut self, epoch: u64) {
        if self.agenda.asking || self.agenda.questions.is_empty() {
            return;
        }
        self.agenda.asking = true;
        let rest = self.agenda.questions.split_off(self.agenda.questions.len().min(QUESTIONS));
        let questions = std::mem::replace(&mut self.agenda.questions, rest);
        let (producer, leadership) = (self.gated.clone(), self.leadership.clone());
        self.jobs.start(async move {
            let answers = overlap::ask(&producer, &leadership, epoch, &questions).await;
            Event::Answered(questions, answers)
        });
    }

    /// Goes on with the schedules whose previous occurrences were looked at.
    pub(super) fn answered(
        &mut self,
        questions: Vec<Question>,
        answers: Result<Vec<bool>, Trouble>,
    ) {
        self.agenda.asking = false;
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                self.tell(&error);
                Vec::new()
            }
        };
        let now = self.now();
        let count_to = COUNTED / (questions.len() as u64).max(1);
        let look = Look { now, until: now, most: CHUNK, count_to };
        let mut answers = answers.into_iter();
        for Question { row, life, .. } in questions {
            let answer = answers.next();
            let Some(known) = self.roster.same(row, life) else { continue };
            if known.stage != Stage::Checked {
                continue;
            }
            known.stage = Stage::Idle;
            match answer {
                Some(is_over) if self.acting.is_some() => {
                    let steps = after_previous(known, &look, is_over);
                    self.carry_out(row, steps);
                }
                Some(_) => self.schedule(row),
                None => self.try_later(row),
            }
        }
    }

    /// Hands what was decided to the broker, as far as there is room.
    fn send(&mut self, epoch: u64) {
        let now = self.now();
        let early = now.after(self.lead.get());
        while let Some((road, mut firings)) = self.agenda.departures.next() {
            firings.retain(|firing| self.still_holds(firing));
            if firings.is_empty() {
                self.agenda.departures.done(&road);
                continue;
            }
            let behind = firings.iter().flat_map(|firing| {
                let is_early = firing.entry.definition.overlap == Overlap::Allow;
                let until = if is_early { early } else { now };
                let on_time = firing.dues().filter(|due| due.cause == Cause::Clock);
                on_time.map(move |due| until.since(due.planned))
            });
            let behind = behind.max().unwrap_or_default();
            let chunk = Chunk { firings, road, behind, begun: Instant::now() };
            let (producer, leadership) = (self.gated.clone(), self.leadership.clone());
            self.jobs.start(async move {
                let sent = send(&producer, &leadership, epoch, &chunk).await;
                Event::Sent(chunk, sent)
            });
        }
    }

    /// Tells whether what was decided may go. If not, it is decided anew: the schedule has changed,
    /// or it has waited for long.
    fn still_holds(&mut self, firing: &Firing) -> bool {
        let Some(known) = self.roster.same(firing.row, firing.life) else { return false };
        let is_same = Arc::ptr_eq(&known.entry, &firing.entry) && known.is_on();
        let holds = is_same && firing.decided.elapsed() < STALE;
        if !holds {
            known.stage = Stage::Idle;
            self.schedule_anew(firing.row);
        }
        holds
    }

    /// Returns the road that a task of the schedule takes.
    fn road_of(&self, known: &Row) -> Road {
        let definition = &known.entry.definition;
        let usual = || self.gated.options().lanes.get(&definition.kind).map(|lane| &lane.queue);
        let queue = definition.queue.as_ref().or_else(usual).cloned().unwrap_or_default();
        Road { again: known.failures > 0, queue }
    }

    /// Notes what became of a chunk.
    pub(super) fn sent(&mut self, chunk: Chunk, Sent(answers): Sent) {
        let Chunk { firings, road, behind, begun } = chunk;
        self.agenda.departures.done(&road);
        let now = self.now();
        let failed = answers.iter().filter(|answer| **answer == Answer::Failed).count();
        observe::failed(failed);
        let any = answers.iter().any(|answer| matches!(answer, Answer::Confirmed(_)));
        let mut answers = answers.into_iter();
        for Firing { row, life, steps, .. } in firings {
            let count = steps.iter().filter(|step| matches!(step, Step::PutIn(_))).count();
            let answers: Vec<_> = answers.by_ref().take(count).collect();
            let Some(known) = self.roster.same(row, life) else { continue };
            known.stage = Stage::Idle;
            match self.noted(row, &steps, answers.into_iter(), now) {
                true => self.schedule(row),
                false => self.try_later(row),
            }
        }
        if failed == 0 && !road.again {
            self.lead.note(behind.saturating_add(begun.elapsed()));
        }
        if any {
            failpoint::pass("beat.confirmed");
        }
    }

    /// Notes how far a schedule has got; false where something failed.
    fn noted(
        &mut self,
        row: u32,
        steps: &[Step],
        answers: impl Iterator<Item = Answer>,
        now: Millis,
    ) -> bool {
        let Some(known) = self.roster.get_mut(row) else { return true };
        let (occurrences, all) = take(known, steps, answers, now);
        self.measured.count(known, &occurrences);
        occurrences.into_iter().for_each(|occurrence| known.note(occurrence));
        if all {
            known.failures = 0;
        }
        self.move_later(row);
        all
    }

    fn try_later(&mut self, row: u32) {
        let Some(known) = self.roster.get_mut(row) else { return };
        let (first, longest) = BACKOFF;
        let wait = first.saturating_mul(1 << known.failures.min(16)).min(longest);
        known.failures = known.failures.saturating_add(1);
        self.agenda.under_way.set(row, known.next());
        if self.acting.is_some() {
            self.agenda.try_again(row, wait);
        }
    }
}
