//! What was done to a fleet, and how its processes ended.
//!
//! Acts are written down as they happen; deaths are learned from the processes themselves, so a worker that was
//! killed by a task or a failpoint is in the log like one that was killed on purpose. Guards that nobody dies
//! unnoticed: an end that nothing announced is told.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leveret_common::clock::{Clock, Millis, SystemClock};
use tokio::sync::watch;

use super::role::{Death, Role};
use crate::oracle::Event;

/// The log of a fleet.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Written>>);

#[derive(Debug, Default)]
struct Written {
    events: Vec<Event>,
    met: Vec<Met>,
    /// Whether nobody's death is a surprise.
    all_doomed: bool,
}

/// A process that was started.
#[derive(Debug)]
struct Met {
    pid: u32,
    name: String,
    log: std::path::PathBuf,
    death: watch::Receiver<Option<Death>>,
    began: Millis,
    /// When it was asked to drain.
    asked: Option<Millis>,
    /// Whether its death was to be.
    is_doomed: bool,
}

impl Log {
    /// Writes something down.
    pub fn note(&self, event: Event) {
        self.open().events.push(event);
    }

    /// Writes a sentence down.
    pub fn tell(&self, what: impl Into<String>) {
        self.note(Event::Told { at: SystemClock.now(), what: what.into() });
    }

    /// Learns of a process.
    pub(super) fn meet(&self, role: &Role) {
        self.open().met.push(Met {
            pid: role.pid(),
            name: role.name().to_owned(),
            log: role.log().to_owned(),
            death: role.death_to_come(),
            began: SystemClock.now(),
            asked: None,
            is_doomed: false,
        });
    }

    /// Learns that the death of a process is no surprise.
    pub fn doom(&self, pid: u32) {
        for met in self.open().met.iter_mut().filter(|met| met.pid == pid) {
            met.is_doomed = true;
        }
    }

    /// Learns that whoever dies now is no surprise, or is one again: a task kills its workers.
    pub fn doom_all(&self, doomed: bool) {
        let mut written = self.open();
        written.all_doomed = doomed;
        let dead = written.met.iter_mut().filter(|met| met.death.borrow().is_some());
        dead.for_each(|met| met.is_doomed |= !doomed);
    }

    /// Learns that a process was asked to drain.
    pub(super) fn ask(&self, pid: u32) {
        let now = SystemClock.now();
        for met in self.open().met.iter_mut().filter(|met| met.pid == pid) {
            met.asked.get_or_insert(now);
        }
    }

    /// Returns all that happened, by time.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let written = self.open();
        let mut events = written.events.clone();
        for met in &written.met {
            if let Some(death) = *met.death.borrow() {
                events.push(met.ended(&death));
            }
        }
        let workers = written.met.iter().filter(|met| met.performs_tasks());
        let lives = workers.map(|met| (met.began, met.death.borrow().map(|death| death.at)));
        events.extend(unmanned(lives.collect(), SystemClock.now()));
        events.sort_by_key(Event::began);
        events
    }

    /// Returns the processes that perform no tasks.
    #[must_use]
    pub fn others(&self) -> BTreeSet<u32> {
        let written = self.open();
        written.met.iter().filter(|met| !met.performs_tasks()).map(|met| met.pid).collect()
    }

    /// Tells which processes ended although nobody meant them to, or not as they should.
    #[must_use]
    pub fn surprises(&self) -> Vec<String> {
        let written = self.open();
        let told = |met: &Met| {
            let death = (*met.death.borrow())?;
            let is_fine =
                written.all_doomed || met.is_doomed || (met.asked.is_some() && death.is_clean());
            let (name, pid, status, log) = (&met.name, met.pid, death.status, met.log.display());
            (!is_fine).then(|| format!("leveret {name} ({pid}) ended with {status}; see {log}"))
        };
        written.met.iter().filter_map(told).collect()
    }

    fn open(&self) -> MutexGuard<'_, Written> {
        // Each entry is whole by itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells when nobody worked, of workers that began and, where they did, ended.
fn unmanned(mut lives: Vec<(Millis, Option<Millis>)>, now: Millis) -> Vec<Event> {
    lives.sort_unstable();
    let mut found = Vec::new();
    let mut until = lives.first().map_or(now, |(began, _)| *began);
    for (began, ended) in lives.into_iter().chain([(now, None)]) {
        if began > until {
            found.push(Event::Unmanned { from: until, to: began });
        }
        until = until.max(ended.unwrap_or(now));
    }
    found
}

impl Met {
    fn performs_tasks(&self) -> bool {
        ["worker", "dev"].contains(&self.name.as_str())
    }

    fn ended(&self, death: &Death) -> Event {
        match self.asked {
            Some(from) if death.is_clean() => Event::Drained { pid: self.pid, from, to: death.at },
            _ => Event::Killed { pid: self.pid, at: death.at },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_works_between_the_last_death_and_the_next_start() {
        let lives = |all: &[(u64, Option<u64>)]| {
            let lives = all.iter().map(|(began, ended)| (Millis(*began), ended.map(Millis)));
            unmanned(lives.collect(), Millis(100))
        };
        let gap = |from, to| Event::Unmanned { from: Millis(from), to: Millis(to) };
        assert_eq!(lives(&[(10, Some(20)), (15, Some(40)), (60, None)]), [gap(40, 60)]);
        assert_eq!(lives(&[(10, Some(20))]), [gap(20, 100)]);
        assert_eq!(lives(&[(10, None), (15, Some(20))]), []);
        assert_eq!(lives(&[]), []);
    }
}
