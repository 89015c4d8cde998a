//! What was expected, and what became of it.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat};
use leveret_beat::definition::Wanted;
use leveret_beat::timing::Timing;
use leveret_common::clock::Millis;
use leveret_common::id::TaskId;
use leveret_common::name::{Namespace, ScheduleName};
use leveret_common::schedule::{Definition, Misfire};

use crate::error::Error;

/// One schedule.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub schedule: ScheduleName,
    /// When it is due, in its own words.
    pub when: String,
    /// What it names while the run lasts.
    pub occurrences: Vec<Judged>,
    /// Instants that were performed and that the schedule does not name.
    pub foreign: Vec<String>,
    pub(crate) timing: Timing,
    pub(crate) misfire: Misfire,
}

/// One occurrence.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The instant.
    pub due: Millis,
    /// With its jitter.
    pub planned: Millis,
    /// How often it was performed.
    pub runs: u32,
    /// How late its first attempt began, in ms; negative when it was early.
    pub late: Option<i64>,
}

impl Judged {
    /// Returns the instant as a task finds it in its environment.
    #[must_use]
    pub fn text(&self) -> String {
        text(self.due)
    }
}

impl Row {
    /// Has an occurrence expected.
    pub(crate) fn expect(&mut self, due: Millis) {
        let planned = self.timing.planned(due);
        self.occurrences.push(Judged { due, planned, runs: 0, late: None });
    }

    /// Returns the id of the task of an occurrence.
    pub(crate) fn task(&self, namespace: &Namespace, due: Millis) -> TaskId {
        TaskId::of_occurrence(namespace, &self.schedule, due, None)
    }

    /// Lists what should have held and did not.
    pub(crate) fn failures(&self) -> Vec<String> {
        let name = &self.schedule;
        let of = |one: &Judged| {
            let due = one.text();
            match (one.runs, one.late) {
                (1, Some(late)) if late < 0 => Some(format!("{name} at {due}: {late} ms early")),
                (1, Some(_)) => None,
                (1, None) => Some(format!("{name} at {due}: nobody knows when it began")),
                (runs, _) => Some(format!("{name} at {due}: performed {runs} times")),
            }
        };
        let foreign = self.foreign.iter().map(|due| format!("{name} is not due at {due}"));
        self.occurrences.iter().filter_map(of).chain(foreign).collect()
    }
}

/// Reads a timetable file; nothing of it is expected yet.
pub(crate) fn read(file: &str) -> Result<Vec<Row>, Error> {
    let wrong = |why: String| Error::unexpected("the timetable", why);
    let wanted = Wanted::from_toml(file);
    if let Some(flaw) = wanted.flaws.first() {
        return Err(wrong(flaw.to_string()));
    }
    let row = |(schedule, definition): (ScheduleName, Definition)| {
        let timing = Timing::new(&schedule, &definition)
            .map_err(|problems| wrong(format!("{schedule}: {problems:?}")))?;
        let Definition { when, misfire, .. } = definition;
        let (occurrences, foreign) = (Vec::new(), Vec::new());
        Ok(Row { schedule, when, occurrences, foreign, timing, misfire })
    };
    wanted.schedules.into_iter().map(row).collect()
}

/// Computes what is due after `began`, up to and with `ended`.
pub(crate) fn expected(file: &str, began: Millis, ended: Millis) -> Result<Vec<Row>, Error> {
    let mut rows = read(file)?;
    for row in &mut rows {
        let dues = row.timing.upcoming(before(began)).take_while(|due| *due <= ended);
        let is_within = |due: &Millis| {
            let planned = row.timing.planned(*due);
            planned > began && planned <= ended
        };
        let dues: Vec<Millis> = dues.filter(is_within).collect();
        dues.into_iter().for_each(|due| row.expect(due));
    }
    Ok(rows)
}

/// A jitter may carry an occurrence into the run that was named before it.
fn before(began: Millis) -> Millis {
    Millis(began.0.saturating_sub(60_000))
}

/// Counts the expected occurrences that were performed.
pub(super) fn count(rows: &[Row], performed: &BTreeMap<(String, String), u32>) -> usize {
    let has = |row: &Row, one: &Judged| performed.contains_key(&key(row, one));
    rows.iter().map(|row| row.occurrences.iter().filter(|one| has(row, one)).count()).sum()
}

/// Writes down how often each was performed, and how late.
pub(crate) fn judge(
    rows: &mut [Row],
    performed: &BTreeMap<(String, String), u32>,
    namespace: &Namespace,
    mut started_at: impl FnMut(TaskId) -> Result<Option<Millis>, Error>,
) -> Result<(), Error> {
    recount(rows, performed);
    for row in rows {
        for at in 0..row.occurrences.len() {
            let Judged { due, planned, runs, .. } = row.occurrences[at];
            if runs > 0 {
                let signed = |at: Millis| i64::try_from(at.0).unwrap_or(i64::MAX);
                let started = started_at(row.task(namespace, due))?;
                row.occurrences[at].late = started.map(|at| signed(at) - signed(planned));
            }
        }
    }
    Ok(())
}

/// Counts again how often each was performed, and what was and should not have been.
pub(super) fn recount(rows: &mut [Row], performed: &BTreeMap<(String, String), u32>) {
    for row in rows {
        for at in 0..row.occurrences.len() {
            let runs = performed.get(&key(row, &row.occurrences[at])).copied().unwrap_or(0);
            row.occurrences[at].runs = runs;
        }
        let own = performed.keys().filter(|(schedule, _)| schedule == row.schedule.as_str());
        row.foreign = own.map(|(_, due)| due).filter(|due| !is_due(row, due)).cloned().collect();
    }
}

/// Whether a schedule names an instant, within the run or outside of it.
fn is_due(row: &Row, text: &str) -> bool {
    let Ok(due) = DateTime::parse_from_rfc3339(text) else { return false };
    let Ok(due) = u64::try_from(due.timestamp_millis()) else { return false };
    row.timing.next(Millis(due.saturating_sub(1))) == Some(Millis(due))
}

pub(crate) fn key(row: &Row, one: &Judged) -> (String, String) {
    (row.schedule.to_string(), one.text())
}

fn text(at: Millis) -> String {
    let instant = i64::try_from(at.0).ok().and_then(DateTime::from_timestamp_millis);
    instant.unwrap_or_default().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[schedules.tick]\nwhen = \"every 10s\"\nkind = \"journal\"\n";

    /// Judges a run of half a minute after which this was performed, late by so much.
    fn failures(performed: &[(&str, u32)], late: i64) -> Vec<String> {
        // 2027-01-15T08:00:00Z.
        let began = Millis(1_800_000_000_000);
        let mut rows = expected(FILE, began, Millis(began.0 + 30_000)).unwrap_or_default();
        let runs = performed.iter().map(|(second, runs)| {
            (("tick".to_owned(), format!("2027-01-15T08:00:{second}Z")), *runs)
        });
        let mut planned = [10, 20, 30].into_iter();
        let started = |_| {
            let seconds = planned.next().unwrap_or_default();
            Ok(began.0.checked_add_signed(seconds * 1_000 + late).map(Millis))
        };
        let namespace = "timetable".parse().unwrap();
        let judged = judge(&mut rows, &runs.collect(), &namespace, started);
        assert!(judged.is_ok() && rows.len() == 1, "{judged:?} {rows:?}");
        rows[0].failures()
    }

    #[test]
    fn what_is_performed_once_and_not_early_is_right() {
        let once = [("10", 1), ("20", 1), ("30", 1)];
        assert_eq!(failures(&once, 3), [""; 0]);
        let early = failures(&once, -1);
        assert_eq!(early[0], "tick at 2027-01-15T08:00:10Z: -1 ms early", "{early:?}");
        assert_eq!(early.len(), 3);
    }

    #[test]
    fn what_is_missing_or_comes_twice_or_is_never_due_is_told() {
        let found = failures(&[("10", 2), ("11", 1), ("20", 1), ("40", 1)], 3);
        let told = [
            "tick at 2027-01-15T08:00:10Z: performed 2 times",
            "tick at 2027-01-15T08:00:30Z: performed 0 times",
            "tick is not due at 2027-01-15T08:00:11Z",
        ];
        // What is due outside of the run is nobody's fault.
        assert_eq!(found, told);
    }
}
