//! A fleet whose beat, or whose one process, is shown a wrong clock; and what it owes by that clock.
//!
//! On servers only the beat is shown it: gateway, worker, handlers and servers keep the machine's. Its clock is wrong when
//! it starts, or jumps while it runs.

use std::time::Duration;

use leveret_common::clock::Millis;
use tokio::time::sleep;

use super::leading::{has_said, until_one_leads};
use super::table::{JUST, Table, before};
use crate::chaos::{Cast, Stage};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::clock::WrongClock;
use crate::fleet::role::Role;
use crate::fleet::settings::Settings;
use crate::oracle::Finding;
use crate::timetable::owed::{Between, Spell};

/// How long a beat has to do what it should not, and how long one that fires goes on.
const WATCHED: Duration = Duration::from_secs(3);
/// How long after a jump what was put in by the clock before may still be on its way.
const NOTICED: Duration = Duration::from_secs(2);
/// How exactly a moment is known at which a clock was set.
const GRAIN: Duration = Duration::from_secs(1);
/// Seconds of a minute at which a wrong clock begins: whole minutes are on time then, and not about to be missed.
const SECOND: u64 = 20;

/// A fleet with a wrong clock.
pub(super) struct Timepiece {
    pub(super) fleet: Fleet,
    pub(super) clock: WrongClock,
    pub(super) table: Table,
    /// When the present spell began, by its clock.
    began: Option<Between>,
    /// Whether something is due in it.
    fires: bool,
}

impl Timepiece {
    /// Starts a fleet without a beat; on the embedded backend nothing yet.
    pub(super) async fn new(stage: &Stage, name: &str, timetable: &str) -> Result<Self, Error> {
        // What is put in before its time says so, and a worker with the right clock would wait for it: for as long as
        // the beat's is ahead.
        let mut keys = "beat.lead = \"0ms\"\n".to_owned();
        if stage.look().is_none() {
            // Of the one process that comes back after weeks, all that the oracle asks for would be forgotten.
            keys += "retention.done = \"90d\"\nretention.record = \"90d\"\n";
        }
        let settings = Settings { keys, slots: 8, ..Settings::default() };
        let mut fleet = stage.another_fleet(name, Cast::Shipped, settings)?;
        let clock = WrongClock::new(fleet.folder(), "clock")?;
        let table = Table::write(&fleet, timetable)?;
        fleet.start_gateway("").await?;
        if !fleet.is_embedded() {
            fleet.start_worker("").await?;
        }
        Ok(Self { fleet, clock, table, began: None, fires: false })
    }

    /// Starts the beat, or the one process, with its clock at `now`, and waits until it fires by that clock.
    pub(super) async fn starts_at(&mut self, now: Millis) -> Result<(), Error> {
        let from = self.starts(now).await?;
        self.fires(from).await
    }

    /// As [`Timepiece::starts_at`], where nothing may be due: waits until it leads, and for a while.
    pub(super) async fn starts_idle_at(&mut self, now: Millis) -> Result<(), Error> {
        let from = self.starts(now).await?;
        until_one_leads(&mut self.fleet).await?;
        self.watched(from).await
    }

    async fn starts(&mut self, now: Millis) -> Result<Millis, Error> {
        let from = self.set(now)?;
        self.fleet.show_clock(Some(&self.clock));
        if self.fleet.is_embedded() {
            self.fleet.start_worker("").await?;
        } else {
            self.fleet.start_beat("").await?;
        }
        self.fleet.show_clock(None);
        Ok(from)
    }

    /// Ends the beat, or the one process, as it should end.
    pub(super) async fn ends(&mut self) -> Result<(), Error> {
        let by = self.caught_up().await?;
        if self.fleet.is_embedded() {
            self.fleet.drain_workers().await?;
        } else {
            for beat in std::mem::take(self.fleet.beats()) {
                self.fleet.drained(beat).await?;
            }
        }
        let ended = Between(by, self.clock.now());
        self.over(ended);
        Ok(())
    }

    /// Has the clock jump while it is looked at, and waits until the beat fires by it.
    pub(super) async fn jumps_to(&mut self, now: Millis) -> Result<(), Error> {
        let from = self.jumps(now).await?;
        self.fires(from).await
    }

    /// As [`Timepiece::jumps_to`], where nothing is due by the new time.
    pub(super) async fn jumps_idle_to(&mut self, now: Millis) -> Result<(), Error> {
        let from = self.jumps(now).await?;
        self.watched(from).await
    }

    /// Sets the clock to `now`, once all is put in that is due by the clock as it is.
    async fn jumps(&mut self, now: Millis) -> Result<Millis, Error> {
        let by = self.caught_up().await?;
        self.over(Between(by, self.clock.now().after(NOTICED)));
        self.set(now)
    }

    /// Waits until all is put in that was due by now, where anything is, and returns that instant.
    pub(super) async fn caught_up(&self) -> Result<Millis, Error> {
        if !self.fires {
            return Ok(before(self.clock.now(), JUST));
        }
        self.table.caught_up(&self.fleet, || self.clock.now()).await
    }

    /// Waits until the clock shows `at`, and what was due then was put in.
    pub(super) async fn passes(&self, at: Millis) {
        sleep(at.after(JUST * 2).since(self.clock.now())).await;
    }

    /// Stops what puts in, has all come to rest, and judges it.
    pub(super) async fn judged(
        mut self,
        stage: &Stage,
        mut chance: fastrand::Rng,
    ) -> Result<Finding, Error> {
        let clock = self.clock.clone();
        let ended = self.table.stop(&mut self.fleet, || clock.now()).await?;
        self.over(ended);
        let finding = self.table.judged(&self.fleet, stage.look(), &mut chance).await?;
        self.fleet.drain_workers().await?;
        Ok(finding)
    }

    /// Whether the beat, or the one process, has said something.
    pub(super) fn has_said(&mut self, words: &str) -> Result<bool, Error> {
        let roles =
            if self.fleet.is_embedded() { self.fleet.workers() } else { self.fleet.beats() };
        let log = roles.last().map(Role::log);
        let log = log.ok_or_else(|| Error::unexpected("the fleet", "has no beat"))?;
        has_said(log, words)
    }

    fn set(&mut self, now: Millis) -> Result<Millis, Error> {
        self.clock.show(now)?;
        self.table.shown(self.clock.ahead_ms());
        // Somebody may have looked in between.
        Ok(before(self.clock.now(), GRAIN))
    }

    /// Waits until something is performed that became due in this spell.
    pub(super) async fn fires(&mut self, from: Millis) -> Result<(), Error> {
        let clock = self.clock.clone();
        self.table.fires_after(&self.fleet, from, || clock.now()).await?;
        (self.began, self.fires) = (Some(Between(from, self.clock.now())), true);
        // A task of another sort shows that the rest of the fleet goes on as well.
        self.fleet.put("ok").await?;
        sleep(WATCHED).await;
        Ok(())
    }

    async fn watched(&mut self, from: Millis) -> Result<(), Error> {
        self.fleet.put("ok").await?;
        sleep(WATCHED).await;
        (self.began, self.fires) = (Some(Between(from, self.clock.now())), false);
        Ok(())
    }

    /// Ends the present spell.
    pub(super) fn over(&mut self, ended: Between) {
        if let Some(began) = self.began.take() {
            self.table.spell(&Spell { began, ended });
        }
    }
}

/// Returns a moment soon after `at` at which a wrong clock may begin.
pub(super) fn begin_after(at: Millis) -> Millis {
    let minutes = (at.0 / 1_000).saturating_sub(SECOND).div_ceil(60);
    Millis((minutes * 60 + SECOND) * 1_000)
}
