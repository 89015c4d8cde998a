//! What was done to a fleet, and how its processes ended.
//!
//! Acts are written down as they happen; deaths are learned from the processes themselves, so a worker that was
//! killed by a task or a failpoint is in the log like one that was killed on purpose. Guards that nobody dies
//! unnoticed: an end that nothing announced is told.

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
        events.sort_by_key(Event::began);
        events
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

impl Met {
    fn ended(&self, death: &Death) -> Event {
        match self.asked {
            Some(from) if death.is_clean() => Event::Drained { pid: self.pid, from, to: death.at },
            _ => Event::Killed { pid: self.pid, at: death.at },
        }
    }
}
