//! F31: beats that run while the clocks of Europe/Berlin are put forward, and back.
//!
//! What has to come of it stands here in instants, beside what is computed from the expressions.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use leveret_common::clock::Millis;
use tokio::time::sleep;

use super::table::before;
use super::timepiece::Timepiece;
use crate::chaos::Stage;
use crate::error::Error;
use crate::oracle::Finding;

/// How long before the first of its instants a beat is started.
const EARLY: Duration = Duration::from_secs(600);
/// How long before an instant the clock is put: the beat has to notice, and to fire.
const SHORTLY: Duration = Duration::from_secs(8);
/// How often it is looked whether what was put in is performed.
const LOOKS: usize = 40;

const TIMETABLE: &str = r#"
[schedules.fixed]
when = "30 2 * * *"
zone = "Europe/Berlin"
kind = "ok"
misfire = "skip"

[schedules.repeating]
when = "*/30 2 * * *"
zone = "Europe/Berlin"
kind = "ok"
misfire = "skip"

[schedules.hourly]
when = "30 * * * *"
zone = "Europe/Berlin"
kind = "ok"
misfire = "skip"

[schedules.minute]
when = "* * * * *"
zone = "Europe/Berlin"
kind = "ok"
misfire = "skip"
"#;

/// The instants at which a beat is at work, and of those what each schedule has to bring.
struct Day {
    instants: &'static [&'static str],
    brings: [(&'static str, &'static [&'static str]); 3],
}

/// 02:00 +01:00 becomes 03:00 +02:00 at 01:00 UTC.
const FORWARD: Day = Day {
    instants: &["2025-03-30T00:30:00Z", "2025-03-30T01:00:00Z", "2025-03-30T01:30:00Z"],
    brings: [
        ("fixed", &["2025-03-30T01:00:00Z"]),
        ("repeating", &["2025-03-30T01:00:00Z"]),
        ("hourly", &["2025-03-30T00:30:00Z", "2025-03-30T01:30:00Z"]),
    ],
};

/// 03:00 +02:00 becomes 02:00 +01:00 at 01:00 UTC.
const BACK: Day = Day {
    instants: &["2025-10-26T00:30:00Z", "2025-10-26T01:00:00Z", "2025-10-26T01:30:00Z"],
    brings: [
        ("fixed", &["2025-10-26T00:30:00Z"]),
        ("repeating", &["2025-10-26T00:30:00Z", "2025-10-26T01:00:00Z", "2025-10-26T01:30:00Z"]),
        ("hourly", &["2025-10-26T00:30:00Z", "2025-10-26T01:30:00Z"]),
    ],
};

/// Plays the day on which clocks are put forward.
pub(super) async fn forward(stage: &Stage, chance: fastrand::Rng) -> Result<Finding, Error> {
    play(stage, "forward", &FORWARD, chance).await
}

/// Plays the day on which clocks are put back.
pub(super) async fn back(stage: &Stage, chance: fastrand::Rng) -> Result<Finding, Error> {
    play(stage, "back", &BACK, chance).await
}

async fn play(
    stage: &Stage,
    name: &str,
    day: &Day,
    chance: fastrand::Rng,
) -> Result<Finding, Error> {
    let mut piece = Timepiece::new(stage, name, TIMETABLE).await?;
    let instants: Vec<Millis> = day.instants.iter().filter_map(|text| instant(text)).collect();
    if let Some(first) = instants.first() {
        piece.starts_at(before(*first, EARLY)).await?;
    }
    for at in &instants {
        piece.jumps_to(before(*at, SHORTLY)).await?;
        piece.passes(*at).await;
    }
    let (mut wrong, until) = (Vec::new(), piece.clock.now());
    let from = instants.first().map_or(until, |first| before(*first, EARLY * 2));
    for (schedule, brings) in &day.brings {
        let mut performed = Vec::new();
        // What was put in last may still be on its way.
        for _ in 0..LOOKS {
            let found = piece.table.performed(&piece.fleet, schedule, (from, until))?;
            performed = found.into_iter().map(text).collect::<Vec<String>>();
            if performed == *brings {
                break;
            }
            sleep(Duration::from_millis(250)).await;
        }
        if performed != *brings {
            wrong.push(format!("{schedule} was performed at {performed:?}, not at {brings:?}"));
        }
    }
    let mut finding = piece.judged(stage, chance).await?;
    finding.wrong.extend(wrong);
    Ok(finding)
}

fn instant(text: &str) -> Option<Millis> {
    let at = DateTime::parse_from_rfc3339(text).ok()?;
    u64::try_from(at.timestamp_millis()).ok().map(Millis)
}

/// Returns an instant as it is written.
pub(super) fn text(at: Millis) -> String {
    let at = i64::try_from(at.0).ok().and_then(DateTime::from_timestamp_millis);
    at.unwrap_or_default().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
