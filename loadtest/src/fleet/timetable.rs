//! What a fleet owes by its timetable: each instant that its schedules name, once.
//!
//! What is due is computed by the run of schedules ([`timetable`](crate::timetable)), from the file and not from what a
//! beat says. Each occurrence is a task like any other, under an id that follows from its schedule and its instant: the
//! oracle counts it as accepted when it is due, so one that is left out is lost, a second run of it needs a window, and a
//! task for an instant that no schedule names is one that nobody sent.

use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;
use leveret_common::name::Namespace;

use super::Fleet;
use crate::error::Error;
use crate::oracle::{Accepted, Evidence};
use crate::timetable::expected;

/// The kind of the tasks of all schedules.
const KIND: &str = "ok";
/// For so long before and after, an occurrence may be put in or not: beats begin and stop at no exact instant.
const MAYBE: Duration = Duration::from_secs(120);

/// From when to when each instant of a timetable is owed; nothing where one of them is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Due {
    /// When beats were at work.
    pub from: Option<Millis>,
    /// When they were told to put in nothing more.
    pub to: Option<Millis>,
}

/// An occurrence.
struct Occurrence {
    id: TaskId,
    planned: Millis,
}

impl Fleet {
    /// Adds what is due by the timetable to what was accepted.
    pub(super) fn add_due(&self, accepted: &mut Accepted) -> Result<(), Error> {
        let Some(from) = self.due.from else { return Ok(()) };
        let to = self.due.to.unwrap_or(from);
        for one in self.occurrences(from, to)? {
            accepted.accept(one.id, KIND, one.planned);
        }
        let before = Millis(from.0.saturating_sub(Fleet::millis(MAYBE)));
        for (since, until) in [(before, from), (to, to.after(MAYBE))] {
            for one in self.occurrences(since, until)? {
                accepted.leave_unknown(one.id);
            }
        }
        Ok(())
    }

    /// Tells of occurrences that ran before they were due.
    pub(super) fn early(&self, evidence: &Evidence) -> Result<Vec<String>, Error> {
        let Due { from: Some(from), to: Some(to) } = self.due else { return Ok(Vec::new()) };
        let mut early = Vec::new();
        for one in self.occurrences(from, to)? {
            let first = evidence.history.of(one.id).first();
            early.extend(first.filter(|run| run.began < one.planned).map(|run| {
                format!("{} was due at {} and ran at {}", one.id, one.planned.0, run.began.0)
            }));
        }
        Ok(early)
    }

    /// Counts the instants that are owed.
    ///
    /// # Errors
    /// When the timetable cannot be read.
    pub fn count_due(&self) -> Result<usize, Error> {
        let Due { from: Some(from), to: Some(to) } = self.due else { return Ok(0) };
        Ok(self.occurrences(from, to)?.len())
    }

    fn occurrences(&self, from: Millis, to: Millis) -> Result<Vec<Occurrence>, Error> {
        let settings = self.settings();
        let namespace: Namespace = settings
            .namespace
            .parse()
            .map_err(|why| Error::unexpected("the namespace", format!("{why}")))?;
        let rows = expected(settings.timetable, from, to)?;
        let of = |row: &crate::timetable::Row| {
            let one = |due: Millis, planned| Occurrence { id: row.task(&namespace, due), planned };
            row.occurrences.iter().map(|judged| one(judged.due, judged.planned)).collect::<Vec<_>>()
        };
        Ok(rows.iter().flat_map(of).collect())
    }

    fn millis(lasts: Duration) -> u64 {
        u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Backend, Settings, Ways};
    use super::*;
    use crate::oracle::{History, judge};

    const FILE: &str = "[schedules.tick]\nwhen = \"every 10s\"\nkind = \"ok\"\n";
    /// 2027-01-15T08:00:00Z.
    const BEGAN: u64 = 1_800_000_000_000;

    /// A fleet whose timetable counts for half a minute.
    fn fleet(folder: &Path) -> Fleet {
        let settings = Settings { timetable: FILE, ..Settings::default() };
        let ways = Ways::all(&Backend::Embedded);
        let mut fleet = Fleet::new(folder, Path::new("/bin/false"), &ways, settings).unwrap();
        fleet.due = Due { from: Some(Millis(BEGAN)), to: Some(Millis(BEGAN + 30_000)) };
        fleet
    }

    /// Judges runs that began so many ms after the instant that is so many seconds after the beginning.
    fn failures(runs: &[(u64, i64)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let fleet = fleet(folder.path());
        let namespace = "chaos".parse().unwrap();
        let mut lines = String::new();
        for (fence, (second, late)) in runs.iter().enumerate() {
            let due = BEGAN + second * 1_000;
            let id = TaskId::of_occurrence(&namespace, &"tick".parse().unwrap(), Millis(due), None);
            let at = due.checked_add_signed(*late).unwrap();
            lines +=
                &format!("begin {id} 1 {fence} 0 7 {at}000\nend {id} 1 {fence} 0 7 {at}000 0\n");
        }
        let mut evidence = Evidence { history: History::read(&lines), ..Evidence::default() };
        fleet.add_due(&mut evidence.accepted).unwrap();
        let mut failures = judge(&evidence).failures();
        failures.extend(fleet.early(&evidence).unwrap());
        failures
    }

    #[test]
    fn each_instant_once_and_not_early_is_right() {
        assert_eq!(failures(&[(10, 3), (20, 3), (30, 3)]), [""; 0]);
        // What is due shortly before or after may be there or not.
        assert_eq!(failures(&[(0, 3), (10, 3), (20, 3), (30, 3), (40, 3)]), [""; 0]);
    }

    #[test]
    fn an_instant_that_is_left_out_or_comes_twice_or_early_or_is_none_is_told() {
        assert_eq!(failures(&[(10, 3), (30, 3)]).len(), 1);
        assert_eq!(failures(&[(10, 3), (20, 3), (20, 900), (30, 3)]).len(), 1);
        assert_eq!(failures(&[(10, -1), (20, 3), (30, 3)]).len(), 1);
        assert_eq!(failures(&[(10, 3), (15, 3), (20, 3), (30, 3)]).len(), 1);
    }
}
