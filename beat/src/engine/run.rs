//! One run of a beat: all its state, and what the loop does with it in each turn.
//!
//! The state belongs to the loop alone. A turn begins what there is to begin, and waits for nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use leveret_common::backend::Backend;
use leveret_common::clock::Millis;
use leveret_common::id::Owner;
use leveret_common::name::ScheduleName;
use leveret_common::store::Scheduled;
use leveret_common::telemetry::names::field;
use leveret_producer::Producer;
use tracing::warn;

use super::agenda::Agenda;
use super::announcing::Announcer;
use super::config::Config;
use super::filing::Filing;
use super::following::Follower;
use super::gate::Gate;
use super::jobs::{Event, Jobs};
use super::lead::Lead;
use super::leader::Leadership;
use super::moving::Mover;
use super::observe;
use super::patience::Trouble;
use super::roster::{Roster, Stage};
use super::status::Status;
use super::teller::Teller;

/// A clock that goes back by so much was set.
const SET_BACK: Duration = Duration::from_secs(1);
/// Clocks of two machines differ by less.
const AHEAD: Duration = Duration::from_secs(60);

/// The state of one run.
pub(super) struct Run {
    pub(super) backend: Backend,
    /// Puts tasks in while this beat leads.
    pub(super) gated: Producer,
    pub(super) owner: Owner,
    /// How often to look at the clock, at the timetable, and at who leads.
    pub(super) pace: Duration,
    pub(super) leadership: Leadership,
    pub(super) status: Arc<Status>,
    pub(super) jobs: Jobs,
    pub(super) roster: Roster,
    pub(super) follower: Follower,
    pub(super) agenda: Agenda,
    pub(super) mover: Mover,
    pub(super) filing: Filing,
    pub(super) teller: Teller,
    pub(super) announcer: Announcer,
    pub(super) lead: Lead,
    pub(super) measured: observe::Measured,
    /// The epoch under which this beat leads, as the loop saw it last.
    pub(super) term: Option<u64>,
    /// The epoch under which it acts: it leads, and has read all positions since it does.
    pub(super) acting: Option<u64>,
    /// Under which epoch it acted last, and how many looks at the timetable were answered since.
    pub(super) acted: Option<(u64, u32)>,
    observed: Instant,
    /// What the clock showed then.
    shown: Millis,
}

impl Run {
    pub(super) fn new(
        producer: &Producer,
        config: &Config,
        (status, leadership): (Arc<Status>, Leadership),
        filing: Filing,
        teller: Teller,
    ) -> Self {
        let backend = producer.backend().clone();
        let owner = Owner::mint();
        let broker = Arc::new(Gate::new(backend.broker.clone(), leadership.clone()));
        let gated = Backend { broker, ..backend.clone() };
        Self {
            gated: Producer::new(gated, producer.options().clone()),
            owner,
            pace: config.pace(),
            announcer: Announcer::new(owner, config.host.clone(), backend.clock.now()),
            shown: backend.clock.now(),
            backend,
            leadership,
            status,
            jobs: Jobs::default(),
            roster: Roster::default(),
            follower: Follower::new(),
            agenda: Agenda::new(),
            mover: Mover::default(),
            filing,
            teller,
            lead: Lead::new(config.max_lead()),
            measured: observe::Measured::default(),
            term: None,
            acting: None,
            acted: None,
            observed: Instant::now(),
        }
    }

    /// Begins whatever there is to begin.
    pub(super) fn turn(&mut self) {
        let epoch = self.leadership.epoch();
        if epoch != self.term {
            self.stand_down();
            self.term = epoch;
            self.announcer.now();
            if epoch.is_some() {
                self.follower.read_anew();
            }
        }
        if let Some(epoch) = self.acting {
            self.acted = Some((epoch, 0));
        }
        self.follow();
        self.reconcile();
        self.fire();
        self.move_on();
        self.announce();
        self.observe();
    }

    /// Returns how long there is nothing to do.
    pub(super) fn idle_for(&self) -> Duration {
        let wait = |at: Instant| at.saturating_duration_since(Instant::now());
        // What the file says waits for as long as this beat stands by.
        let files = self.acts().and_then(|_| self.filing.wakes());
        let own = [self.follower.wakes(), files, Some(self.announcer.next)];
        let due = self.acting.and_then(|_| self.agenda.idle_for(self.now(), self.lead.get()));
        let moves = self.acting.and_then(|_| self.mover.wakes()).map(wait);
        let own = own.into_iter().flatten().map(wait);
        // The clock may jump, and the right to lead end: never longer than this.
        own.chain(due).chain(moves).fold(self.pace, Duration::min)
    }

    /// Goes on after a job.
    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::Looked(seen) => self.looked(seen),
            Event::Read(page) => self.read(page),
            Event::Restored(next) => self.restored(next),
            Event::Sent(chunk, sent) => self.sent(chunk, sent),
            Event::Answered(questions, answers) => self.answered(questions, answers),
            Event::Moved(moves, answers) => self.moved(moves, answers),
            Event::Announced(beats) => self.announced(beats),
            Event::Reread(read) => self.reread(read),
            Event::Reconciled(reconciled) => self.reconciled(reconciled),
        }
    }

    /// Tells whether everything that was begun is done and written.
    pub(super) fn is_done(&self) -> bool {
        !self.agenda.is_sending() && (self.acts().is_none() || self.mover.is_done())
    }

    /// Returns the epoch under which this beat may act at this moment.
    pub(super) fn acts(&self) -> Option<u64> {
        self.acting.filter(|epoch| self.leadership.epoch() == Some(*epoch))
    }

    /// Acts under `epoch` from now on: all positions are read.
    pub(super) fn act(&mut self, epoch: u64) {
        self.acting = Some(epoch);
        self.acted = Some((epoch, 0));
        self.filing.hold_under(epoch);
        for row in self.roster.all().collect::<Vec<_>>() {
            if let Some(known) = self.roster.get_mut(row) {
                known.failures = 0;
            }
            self.schedule(row);
            self.move_later(row);
        }
        self.look_ahead();
    }

    /// Says so where schedules have got further than the clock: it was wrong once, or is now.
    fn look_ahead(&self) {
        let now = self.now().after(AHEAD);
        let ahead = self.roster.all().filter_map(|row| self.roster.get(row));
        let ahead: Vec<_> = ahead.filter(|known| known.reached.through > now).collect();
        if let Some(first) = ahead.first() {
            warn!(
                { field::COUNT } = ahead.len(), { field::SCHEDULE } = %first.entry.name,
                "schedules have got further than this clock shows, because it was set back or \
                 another one was ahead; they are not due until then, delete and make them anew to \
                 go on now"
            );
        }
    }

    /// Acts no more. What is on its way is not called back, and what becomes of it is noted.
    pub(super) fn stand_down(&mut self) {
        self.acting = None;
        for row in self.agenda.clear() {
            if let Some(known) = self.roster.get_mut(row) {
                known.stage = Stage::Idle;
            }
        }
        self.mover.clear();
        for row in self.roster.all().collect::<Vec<_>>() {
            if let Some(known) = self.roster.get_mut(row) {
                known.to_move = false;
            }
        }
    }

    /// Takes a schedule in, new or changed.
    pub(super) fn put(&mut self, scheduled: Scheduled) {
        let now = self.now();
        let row = self.roster.put(scheduled, now, self.led_lately().is_some());
        self.schedule(row);
        self.move_later(row);
    }

    /// Forgets a schedule.
    pub(super) fn remove(&mut self, name: &ScheduleName) {
        if let Some(row) = self.roster.remove(name) {
            self.agenda.forget(row);
        }
    }

    /// Says that the store was no help.
    pub(super) fn tell(&self, trouble: &Trouble) {
        warn!({ field::ERROR } = %trouble, "the store is no help now, trying again");
    }

    pub(super) fn now(&self) -> Millis {
        self.backend.clock.now()
    }

    /// Says so where the clock was set back: what was put in by the clock as it was is not put in
    /// again, so that nothing is due until the clock has caught up.
    fn look_at_clock(&mut self) {
        let (shown, now) = (self.shown, self.now());
        self.shown = now;
        if now.after(SET_BACK) < shown {
            let elapsed = u64::try_from(shown.since(now).as_millis()).unwrap_or(u64::MAX);
            warn!(
                { field::ELAPSED_MS } = elapsed,
                "the clock was set back, nothing is due until it has caught up"
            );
        }
    }

    fn observe(&mut self) {
        if self.observed.elapsed() >= self.pace {
            self.measure();
        }
    }

    /// Writes down the state for whoever measures.
    pub(super) fn measure(&mut self) {
        self.observed = Instant::now();
        self.look_at_clock();
        let oldest = self.acting.and_then(|_| self.agenda.oldest());
        let lag = oldest.map_or(Duration::ZERO, |planned| self.now().since(planned));
        observe::state(self.term.is_some(), self.roster.len(), self.lead.get(), lag);
    }
}
