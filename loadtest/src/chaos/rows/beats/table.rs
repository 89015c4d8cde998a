//! The timetable of a fleet, what it owes, and whether that came of it.
//!
//! The books of the fleet take occurrences under their derived ids, so that the oracle judges them like any other
//! accepted task; whatever else runs, nobody owed. That none was early is judged beside it.

use std::collections::BTreeMap;
use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;
use leveret_common::name::Namespace;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::error::{Error, while_doing};
use crate::fleet::Fleet;
use crate::node::Broker;
use crate::oracle::{Finding, History};
use crate::timetable::judge::{self, Row};
use crate::timetable::owed::{Between, Owed, Spell};

/// A schedule of each timetable here, which shows that its beat is at work.
const TICK: &str = "tick";
/// The kind of every schedule.
const KIND: &str = "ok";
/// How long all work may take to end.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a beat may take to put something in.
const SOON: Duration = Duration::from_secs(60);
/// How far back a store goes that knows no position, and a little more.
const LOOK_BACK: Duration = Duration::from_secs(70);
/// What was due so shortly before an end may not have been put in.
pub(super) const JUST: Duration = Duration::from_secs(2);
/// How long after it was put in a task may start: it was put in by the clock that was shown until then.
const ON_ITS_WAY: Duration = Duration::from_secs(10);
const MINUTE: u64 = 60_000;
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(50);

/// A timetable.
pub(super) struct Table {
    namespace: Namespace,
    schedules: Vec<(Row, Option<Owed>)>,
    /// Since when a clock was shown that is ahead by so many milliseconds.
    clocks: Vec<(Millis, i64)>,
}

impl Table {
    /// Writes a timetable into the folder of a fleet, before any beat is started.
    pub(super) fn write(fleet: &Fleet, file: &str) -> Result<Self, Error> {
        let file = format!(
            "[schedules.{TICK}]\nwhen = \"every 1s\"\nkind = \"{KIND}\"\nmisfire = \"skip\"\n{file}"
        );
        std::fs::write(fleet.folder().join("schedules.toml"), &file)
            .map_err(while_doing("write a timetable"))?;
        let namespace = fleet.settings().namespace.parse();
        let namespace: Namespace =
            namespace.map_err(|why| Error::unexpected("a namespace", format!("{why}")))?;
        let schedules = judge::read(&file)?.into_iter().map(|row| (row, None)).collect();
        Ok(Self { namespace, schedules, clocks: Vec::new() })
    }

    /// Notes that from now on beats are shown a clock that is ahead by so much.
    pub(super) fn shown(&mut self, ahead_ms: i64) {
        self.clocks.push((Fleet::now(), ahead_ms));
    }

    /// Adds what a spell owes. The first one makes the schedules; on an empty store they begin a minute earlier.
    pub(super) fn spell(&mut self, spell: &Spell) {
        let Between(first, seen) = spell.began;
        for (row, owed) in &mut self.schedules {
            let owed = owed.get_or_insert_with(|| {
                let look_back = u64::try_from(LOOK_BACK.as_millis()).unwrap_or_default();
                Owed::beginning(Between(Millis(first.0.saturating_sub(look_back)), seen))
            });
            owed.spell(&row.timing, &row.misfire, spell);
        }
    }

    /// Waits until an occurrence is performed that was due after `after`, by a clock that `now` tells.
    pub(super) async fn fires_after(
        &self,
        fleet: &Fleet,
        after: Millis,
        now: impl Fn() -> Millis,
    ) -> Result<(), Error> {
        let tick =
            self.schedules.iter().map(|(row, _)| row).find(|row| row.schedule.as_str() == TICK);
        let tick = tick.ok_or_else(|| Error::unexpected("the timetable", "does not tick"))?;
        let began = Instant::now();
        loop {
            let history = fleet.journal.read()?;
            let due = tick.timing.upcoming(after).take_while(|due| *due <= now());
            let mut due = due.map(|due| history.of(tick.task(&self.namespace, due)));
            if due.any(|runs| !runs.is_empty()) {
                return Ok(());
            }
            if began.elapsed() > SOON {
                return Err(Error::unexpected("the beats", format!("put nothing in for {SOON:?}")));
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until all is put in that was due by now, and returns that instant: something later is performed.
    pub(super) async fn caught_up(
        &self,
        fleet: &Fleet,
        now: impl Fn() -> Millis,
    ) -> Result<Millis, Error> {
        let by = now();
        self.fires_after(fleet, by, now).await.map(|()| by)
    }

    /// Ends what the fleet puts in, and tells when that was by the clock of its beats: they are drained, and the one
    /// process is told to pause.
    pub(super) async fn stop(
        &self,
        fleet: &mut Fleet,
        now: impl Fn() -> Millis,
    ) -> Result<Between, Error> {
        let by = self.caught_up(fleet, &now).await?;
        if fleet.is_embedded() {
            for (row, _) in &self.schedules {
                let path = format!("/v1/schedules/{}/pause", row.schedule);
                let (status, told) = fleet.door.post(&path, &json!({})).await?;
                if status != 200 {
                    return Err(Error::unexpected(path, format!("answers {status}: {told}")));
                }
            }
            sleep(JUST).await;
        } else {
            for beat in std::mem::take(fleet.beats()) {
                fleet.drained(beat).await?;
            }
        }
        Ok(Between(by, now().after(ON_ITS_WAY)))
    }

    /// Returns the whole minutes between two instants, both included, that a schedule was performed for: asked one by
    /// one, whatever its expression says.
    pub(super) fn performed(
        &self,
        fleet: &Fleet,
        name: &str,
        (from, to): (Millis, Millis),
    ) -> Result<Vec<Millis>, Error> {
        let history = fleet.journal.read()?;
        let minutes =
            (from.0.div_ceil(MINUTE)..=to.0 / MINUTE).map(|minute| Millis(minute * MINUTE));
        let row = self.schedules.iter().map(|(row, _)| row);
        let row = row.clone().find(|row| row.schedule.as_str() == name);
        let ran = |due: &Millis| {
            row.is_some_and(|row| !history.of(row.task(&self.namespace, *due)).is_empty())
        };
        Ok(minutes.filter(ran).collect())
    }

    /// Has the fleet come to rest, and judges it.
    pub(super) async fn judged(
        mut self,
        fleet: &Fleet,
        broker: Option<&Broker>,
        chance: &mut fastrand::Rng,
    ) -> Result<Finding, Error> {
        let now = Fleet::now();
        {
            let mut books = fleet.books.open();
            for (row, owed) in
                self.schedules.iter().filter_map(|(row, owed)| Some((row, owed.as_ref()?)))
            {
                let id = |due: &Millis| row.task(&self.namespace, *due);
                owed.surely.iter().for_each(|due| books.accept(id(due), KIND, now));
                owed.perhaps.iter().for_each(|due| books.leave_unknown(id(due)));
            }
        }
        let mut finding = fleet.settle_down(broker, PATIENCE, chance).await?;
        finding.wrong.extend(self.failures(&fleet.journal.read()?, fleet.is_embedded())?);
        Ok(finding)
    }

    /// Lists what was not performed exactly once, or early by the clock that its beat was shown.
    fn failures(&mut self, history: &History, is_embedded: bool) -> Result<Vec<String>, Error> {
        let mut performed = BTreeMap::new();
        for (row, owed) in &mut self.schedules {
            for due in all(owed.as_ref()) {
                let runs = history.of(row.task(&self.namespace, due)).len();
                let is_owed = owed.as_ref().is_some_and(|owed| owed.surely.contains(&due));
                if runs == 0 && !is_owed {
                    continue;
                }
                row.expect(due);
                // Of the one process that is killed with its worker, the oracle says which second runs may be.
                let runs = u32::try_from(runs).unwrap_or(u32::MAX);
                let runs = if is_embedded { runs.min(1) } else { runs };
                if let Some(one) = row.occurrences.last().filter(|_| runs > 0) {
                    performed.insert(judge::key(row, one), runs);
                }
            }
        }
        let clocks = std::mem::take(&mut self.clocks);
        let started = |id: TaskId| Ok(history.of(id).first().map(|run| shown(&clocks, run.began)));
        let (mut rows, _): (Vec<Row>, Vec<_>) = self.schedules.drain(..).unzip();
        judge::judge(&mut rows, &performed, &self.namespace, started)?;
        Ok(rows.iter().flat_map(Row::failures).collect())
    }
}

/// Lists what surely or perhaps came.
fn all(owed: Option<&Owed>) -> impl Iterator<Item = Millis> {
    let dues = owed.into_iter().flat_map(|owed| owed.surely.union(&owed.perhaps).copied());
    dues.collect::<Vec<_>>().into_iter()
}

/// Returns what the clock that is furthest ahead has shown of those by which a task may have been put in.
fn shown(clocks: &[(Millis, i64)], at: Millis) -> Millis {
    let ends = clocks.iter().skip(1).map(|(since, _)| *since).chain([Millis(u64::MAX)]);
    let lately = clocks.iter().zip(ends);
    let lately = lately.filter(|((since, _), end)| *since <= at && end.after(ON_ITS_WAY) >= at);
    let ahead = lately.map(|((_, ahead), _)| *ahead).max().unwrap_or_default();
    Millis(at.0.saturating_add_signed(ahead))
}

pub(super) fn before(at: Millis, span: Duration) -> Millis {
    Millis(at.0.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
}
