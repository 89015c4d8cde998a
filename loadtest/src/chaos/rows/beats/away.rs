//! F32: no beat for thirty days.
//!
//! It is started again with its clock thirty days on. What each schedule's misfire says is put in, and nothing else: no
//! storm. On the embedded backend all of the one process comes back after thirty days.

use std::time::Duration;

use leveret_common::clock::Millis;
use serde_json::Value;

use super::clocks::{DAY, HOUR, Later};
use super::timepiece::{Timepiece, begin_after};
use crate::chaos::{Plan, Play, Stage};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::oracle::Finding;

/// How long nobody looks.
const AWAY: u64 = 30 * DAY;
/// How many occurrences of an hourly schedule that were left out are told of at least.
const LEFT_OUT: u64 = 29 * 24;
/// How many tasks there may be at most: what the limits below come to, and a minute that is not missed.
const NO_STORM: u64 = 400;

const TIMETABLE: &str = r#"
[schedules."hour.latest"]
when = "0 * * * *"
kind = "ok"

[schedules."hour.skip"]
when = "0 * * * *"
kind = "ok"
misfire = "skip"

[schedules."hour.all"]
when = "0 * * * *"
kind = "ok"
misfire = { policy = "all", max = 5 }

[schedules."hour.window"]
when = "0 * * * *"
kind = "ok"
misfire = { policy = "all", window = "3h" }

[schedules."day.all"]
when = "30 2 * * *"
zone = "Europe/Berlin"
kind = "ok"
misfire = "all"

[schedules."week.latest"]
when = "0 4 * * MON"
zone = "Europe/Berlin"
kind = "ok"

[schedules."often.all"]
when = "every 10s"
kind = "ok"
misfire = { policy = "all", max = 50 }
"#;

pub(super) async fn holds(play: Play) -> Result<Finding, Error> {
    let stage = Stage::open(&play, Plan { workers: 0, ..Plan::default() }).await?;
    let mut piece = Timepiece::new(&stage, "away", TIMETABLE).await?;
    piece.starts_at(Fleet::now()).await?;
    piece.ends().await?;
    let before = piece.fleet.journal.read()?.len() as u64;

    play.say("starts a beat after 30 days");
    // Half past, so that no hour is on time.
    let half_past = (Fleet::now().after_ms(AWAY).0 / HOUR + 1) * HOUR + HOUR / 2;
    piece.starts_at(begin_after(Millis(half_past))).await?;
    let told = left_out(&piece).await?;
    let put_in = piece.fleet.journal.read()?.len() as u64 - before;
    let mut finding = piece.judged(&stage, play.chance(1)).await?;
    finding
        .notes
        .push(format!("{put_in} tasks were put in after {:?}", Duration::from_millis(AWAY)));
    if told < LEFT_OUT {
        finding.wrong.push(format!("{told} occurrences are told of that were left out"));
    }
    if put_in > NO_STORM {
        finding.wrong.push(format!("a storm of {put_in} tasks"));
    }
    Ok(finding)
}

/// Returns how many occurrences of the schedule that skips are told of as left out.
async fn left_out(piece: &Timepiece) -> Result<u64, Error> {
    let (_, told) = piece.fleet.door.get("/v1/schedules/hour.skip/occurrences").await?;
    let occurrences = told["occurrences"].as_array().map(Vec::as_slice).unwrap_or_default();
    let missed = |one: &&Value| one["fate"] == "skipped" && one["why"] == "missed";
    Ok(occurrences.iter().filter(missed).filter_map(|one| one["count"].as_u64()).sum())
}
