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
use utoipa::ToSchema;

use crate::openapi::written::ScheduleDefinition;
use crate::openapi::{fleet, name};
use crate::operations::schedules::{Coming, Listed, ScheduleView};
use crate::operations::time::text as time;

/// A schedule: what it says, where it comes from, and what comes next of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Schedule)]
pub(crate) struct ScheduleAnswer {
    #[schema(value_type = name::ScheduleName)]
    name: ScheduleName,
    /// What it says, as it is written and without its name. What is at its default is left out.
    #[schema(value_type = ScheduleDefinition)]
    definition: Box<RawValue>,
    /// When it is due, in words; `null` where it cannot be read.
    #[schema(required = true)]
    words: Option<String>,
    /// What is wrong with it, where it cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<ProblemAnswer>,
    #[schema(value_type = fleet::Source)]
    source: Source,
    /// Counts the changes, from 1.
    revision: u32,
    #[schema(value_type = name::Instant)]
    created_at: String,
    #[schema(value_type = name::Instant)]
    changed_at: String,
    /// Who paused it; `null` where nobody did.
    #[schema(required = true)]
    paused: Option<PausedAnswer>,
    /// What is due next; `null` where it is paused or over.
    #[schema(required = true)]
    next: Option<UpcomingAnswer>,
    /// The newest of its occurrences, without the state of its task.
    #[schema(required = true)]
    last: Option<OccurrenceAnswer>,
    /// What is right and yet hardly meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// What is wrong with a field of a schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScheduleProblem)]
struct ProblemAnswer {
    field: String,
    why: String,
}

/// Who paused a schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SchedulePause)]
struct PausedAnswer {
    by: String,
    #[schema(value_type = name::Instant)]
    at: String,
    /// In their words; `null` where they said nothing.
    #[schema(required = true)]
    why: Option<String>,
}

/// An instant to come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Upcoming)]
pub(crate) struct UpcomingAnswer {
    #[schema(value_type = name::Instant)]
    due: String,
    /// The same, as the wall clock of its zone shows it.
    #[schema(examples("2026-11-22T02:00:00.000+01:00"))]
    local: String,
    /// The same with the schedule's jitter: when its task is put in.
    #[schema(value_type = name::Instant)]
    planned: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_change: Option<ClockChangeAnswer>,
}

/// What the clocks of the zone do on that day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClockChange)]
struct ClockChangeAnswer {
    /// When they change, as the wall clock shows it after the change.
    at: String,
    /// By how much, such as `1h` or `-1h`.
    by: String,
}

/// What became of an occurrence, or of several that were left out together.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Occurrence)]
pub(crate) struct OccurrenceAnswer {
    /// The instant that the schedule named.
    #[schema(value_type = name::Instant)]
    due: String,
    /// The same with the schedule's jitter.
    #[schema(value_type = name::Instant)]
    planned: String,
    #[schema(value_type = fleet::Cause)]
    cause: Cause,
    /// `fired`, `skipped` or `waiting`.
    #[schema(value_type = fleet::Fate)]
    fate: &'static str,
    /// Its task, where it was fired.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::TaskId>)]
    task: Option<TaskId>,
    /// Where the task stands, where somebody looked and knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::State>)]
    state: Option<&'static str>,
    /// Why it was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<fleet::Skip>)]
    why: Option<Skip>,
    /// How many were left out together, the last of which was `due`.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    /// When it was decided.
    #[schema(value_type = name::Instant)]
    at: String,
    /// Milliseconds from `planned` to the broker's confirm.
    #[serde(skip_serializing_if = "Option::is_none")]
    lateness_ms: Option<u64>,
    /// The revision of the schedule.
    revision: u32,
    /// Who asked for it.
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

/// A page of schedules, by name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SchedulePage)]
pub(crate) struct SchedulesAnswer {
    schedules: Vec<ScheduleAnswer>,
    /// The `cursor` of the next page; `null` where this is the last.
    #[schema(required = true)]
    next: Option<String>,
}

impl From<Listed> for SchedulesAnswer {
    fn from(Listed { schedules, next }: Listed) -> Self {
        let schedules = schedules.into_iter().map(ScheduleAnswer::from).collect();
        Self { schedules, next: next.map(|name| name.to_string()) }
    }
}

/// What comes next of a schedule, whether or not it is paused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpcomingList)]
pub(crate) struct ComingAnswer {
    #[schema(value_type = name::ScheduleName)]
    name: ScheduleName,
    /// By whose clock it is due.
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
