//! Of schedules: what they say, what comes next of them and what became of their occurrences.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use leveret_beat::chrono_tz::Tz;
use leveret_beat::definition::Written;
use leveret_beat::timetable::{Seen, Upcoming};
use leveret_beat::timing::{Timing, explain};
use leveret_common::clock::Millis;
use leveret_common::duration::DurationText;
use leveret_common::id::TaskId;
use leveret_common::name::ScheduleName;
use leveret_common::schedule::Source;
use leveret_common::store::{Cause, Fate, Occurrence, Paused, ScheduleEntry, Skip};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::operations::schedules::{Coming, Listed, ScheduleView};
use crate::operations::time::text as time;

/// What is said of a schedule.
#[derive(Debug, Serialize)]
pub(crate) struct ScheduleAnswer {
    name: ScheduleName,
    definition: Box<RawValue>,
    words: Option<String>,
    /// What is wrong with it, where it cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<ProblemAnswer>,
    source: Source,
    revision: u32,
    created_at: String,
    changed_at: String,
    paused: Option<PausedAnswer>,
    next: Option<UpcomingAnswer>,
    last: Option<OccurrenceAnswer>,
    /// What is right and yet hardly meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ProblemAnswer {
    field: String,
    why: String,
}

#[derive(Debug, Serialize)]
struct PausedAnswer {
    by: String,
    at: String,
    why: Option<String>,
}

/// An instant to come.
#[derive(Debug, Serialize)]
pub(crate) struct UpcomingAnswer {
    due: String,
    /// The same, as the wall clock of its zone shows it.
    local: String,
    planned: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_change: Option<ClockChangeAnswer>,
}

/// What the clocks of the zone do on that day.
#[derive(Debug, Serialize)]
struct ClockChangeAnswer {
    at: String,
    by: String,
}

/// What became of an occurrence, or of several that were left out together.
#[derive(Debug, Serialize)]
pub(crate) struct OccurrenceAnswer {
    due: String,
    planned: String,
    cause: Cause,
    fate: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<TaskId>,
    /// Where the task stands, where somebody looked and knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Skip>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lateness_ms: Option<u64>,
    revision: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

impl From<ScheduleView> for ScheduleAnswer {
    fn from(view: ScheduleView) -> Self {
        let ScheduleView { entry, timing, next, last, warnings } = view;
        let zone = timing.as_ref().map_or(Tz::UTC, Timing::zone);
        let words = timing.as_ref().ok().map(Timing::words);
        let problems = timing.err().unwrap_or_default().into_iter();
        let definition = definition(&entry);
        let ScheduleEntry { name, source, revision, paused, created_at, changed_at, .. } = entry;
        Self {
            name,
            definition,
            words,
            problems: problems
                .map(|problem| ProblemAnswer { field: problem.field, why: problem.why })
                .collect(),
            source,
            revision,
            created_at: time(created_at),
            changed_at: time(changed_at),
            paused: paused.map(PausedAnswer::from),
            next: next.map(|next| UpcomingAnswer::new(zone, next)),
            last: last.map(|last| OccurrenceAnswer::new(last, None)),
            warnings,
        }
    }
}

/// Writes what a schedule says as it is read.
fn definition(entry: &ScheduleEntry) -> Box<RawValue> {
    // A struct of texts and numbers can always be written.
    serde_json::value::to_raw_value(&Written::new(&entry.definition)).unwrap_or_default()
}

impl From<Paused> for PausedAnswer {
    fn from(Paused { at, by, why }: Paused) -> Self {
        Self { by, at: time(at), why }
    }
}

impl UpcomingAnswer {
    fn new(zone: Tz, Upcoming { due, planned }: Upcoming) -> Self {
        let instant = instant(due).map(|due| explain::upcoming(zone, due));
        let local =
            |shown: &explain::Upcoming| shown.local.to_rfc3339_opts(SecondsFormat::Millis, true);
        Self {
            due: time(due),
            local: instant.as_ref().map_or_else(|| time(due), local),
            planned: time(planned),
            clock_change: instant.and_then(|shown| shown.clock_change).map(|change| {
                let sign = if change.by < TimeDelta::zero() { "-" } else { "" };
                let by = DurationText(change.by.abs().to_std().unwrap_or_default());
                let at = change.at.to_rfc3339_opts(SecondsFormat::Millis, true);
                ClockChangeAnswer { at, by: format!("{sign}{by}") }
            }),
        }
    }
}

fn instant(at: Millis) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(i64::try_from(at.0).ok()?)
}

impl OccurrenceAnswer {
    fn new(occurrence: Occurrence, state: Option<&'static str>) -> Self {
        let Occurrence { due, cause, fate, at, planned, revision, by } = occurrence;
        let (fate, task, left_out) = match fate {
            Fate::Fired { task } => ("fired", Some(task), None),
            Fate::Skipped { why, count } => ("skipped", None, Some((why, count))),
            Fate::Waiting => ("waiting", None, None),
        };
        // What somebody asked for is not late.
        let is_of_the_clock = matches!(cause, Cause::Clock | Cause::CatchUp | Cause::Queued);
        let lateness = (task.is_some() && is_of_the_clock).then(|| at.since(planned));
        Self {
            due: time(due),
            planned: time(planned),
            cause,
            fate,
            task,
            state,
            why: left_out.map(|(why, _)| why),
            count: left_out.map(|(_, count)| count),
            at: time(at),
            lateness_ms: lateness.map(millis),
            revision,
            by,
        }
    }
}

impl From<Seen> for OccurrenceAnswer {
    fn from(Seen { occurrence, state }: Seen) -> Self {
        Self::new(occurrence, state.map(|state| state.as_str()))
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A page of schedules.
#[derive(Debug, Serialize)]
pub(crate) struct SchedulesAnswer {
    schedules: Vec<ScheduleAnswer>,
    next: Option<String>,
}

impl From<Listed> for SchedulesAnswer {
    fn from(Listed { schedules, next }: Listed) -> Self {
        let schedules = schedules.into_iter().map(ScheduleAnswer::from).collect();
        Self { schedules, next: next.map(|name| name.to_string()) }
    }
}

/// What comes next of a schedule.
#[derive(Debug, Serialize)]
pub(crate) struct ComingAnswer {
    name: ScheduleName,
    zone: &'static str,
    next: Vec<UpcomingAnswer>,
}

impl ComingAnswer {
    pub(crate) fn new(name: ScheduleName, Coming { timing, upcoming }: Coming) -> Self {
        let zone = timing.zone();
        let next = upcoming.into_iter().map(|next| UpcomingAnswer::new(zone, next)).collect();
        Self { name, zone: zone.name(), next }
    }
}
