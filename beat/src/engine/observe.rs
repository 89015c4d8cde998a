//! What the engine counts and measures, under the names of [`names`].

use std::collections::HashSet;
use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::name::ScheduleName;
use leveret_common::store::{Cause, Fate, Occurrence, Skip};
use leveret_common::telemetry::names::{self, label};
use metrics::{counter, gauge, histogram};

use super::roster::Row;

/// So many schedules have a metric of their own.
const MEASURED: usize = 1_000;

/// The schedules that have a metric of their own, for as long as the beat runs.
#[derive(Debug, Default)]
pub(super) struct Measured(HashSet<ScheduleName>);

impl Measured {
    /// Counts what became of occurrences of one schedule.
    pub(super) fn count(&mut self, row: &Row, all: &[Occurrence]) {
        occurrences(all);
        let fired = all.iter().rev().find(|one| matches!(one.fate, Fate::Fired { .. }));
        let Some(fired) = fired else { return };
        let name = &row.entry.name;
        if !self.0.contains(name) {
            if self.0.len() == MEASURED {
                return;
            }
            self.0.insert(name.clone());
        }
        gauge!(names::LAST_SUCCESS, label::SCHEDULE => name.to_string()).set(seconds(fired.at));
    }
}

fn occurrences(occurrences: &[Occurrence]) {
    for Occurrence { cause, fate, at, planned, .. } in occurrences {
        let (outcome, count) = match (fate, cause) {
            (Fate::Waiting, _) => ("waiting", 1),
            (Fate::Skipped { why: Skip::Missed, count }, _) => ("missed", *count),
            (Fate::Skipped { why: Skip::Overlap, count }, _) => ("overlap", *count),
            (Fate::Skipped { why: Skip::Refused, count }, _) => ("refused", *count),
            (Fate::Fired { .. }, Cause::CatchUp) => ("caught-up", 1),
            (Fate::Fired { .. }, Cause::Queued) => ("queued", 1),
            (Fate::Fired { .. }, Cause::Clock | Cause::RunNow | Cause::Backfill) => ("fired", 1),
        };
        counter!(names::OCCURRENCES, label::OUTCOME => outcome).increment(count);
        if matches!((fate, cause), (Fate::Fired { .. }, Cause::Clock)) {
            histogram!(names::LATENESS_SECONDS).record(at.since(*planned).as_secs_f64());
        }
    }
}

/// Counts tries that failed.
pub(super) fn failed(count: usize) {
    counter!(names::OCCURRENCES, label::OUTCOME => "failed").increment(count as u64);
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^52")]
fn seconds(at: Millis) -> f64 {
    at.0 as f64 / 1_000.0
}

/// Shows the state of the beat.
pub(super) fn state(leads: bool, schedules: usize, lead: Duration, lag: Duration) {
    gauge!(names::BEAT_LEADS).set(f64::from(u8::from(leads)));
    gauge!(names::SCHEDULES).set(f64::from(u32::try_from(schedules).unwrap_or(u32::MAX)));
    gauge!(names::LEAD_SECONDS).set(lead.as_secs_f64());
    gauge!(names::LAG_SECONDS).set(lag.as_secs_f64());
}
