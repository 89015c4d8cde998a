//! F31: clocks that are wrong, and clocks that change.
//!
//! The beat is started an hour ahead, then with the right time, an hour behind, a day ahead; and its clock jumps while it
//! runs. Each instant of each schedule is performed once at most and never early by the clock of its beat, what is caught
//! up with is what each schedule's misfire says, and a beat says that it waits. On the embedded backend all of the one
//! process has that clock. [`one_of_three`] has a wrong clock beside right ones, [`changes`] the days on which clocks are
//! put forward and back.

use leveret_common::clock::Millis;

use super::timepiece::{Timepiece, begin_after};
use super::{changes, one_of_three};
use crate::chaos::{Plan, Play, Stage};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::oracle::Finding;

pub(super) const HOUR: u64 = 3_600_000;
pub(super) const DAY: u64 = 24 * HOUR;

/// A schedule of each policy, often and seldom due.
pub(super) const POLICIES: &str = r#"
[schedules."minute.latest"]
when = "* * * * *"
zone = "Europe/Berlin"
kind = "ok"

[schedules."minute.all"]
when = "* * * * *"
kind = "ok"
misfire = { policy = "all", max = 5 }

[schedules."hour.skip"]
when = "0 * * * *"
kind = "ok"
misfire = "skip"

[schedules."hour.all"]
when = "0 * * * *"
kind = "ok"
misfire = { policy = "all", max = 3 }

[schedules."night.latest"]
when = "30 2 * * *"
zone = "Europe/Berlin"
kind = "ok"
"#;

pub(super) async fn holds(play: Play) -> Result<Finding, Error> {
    let stage = Stage::open(&play, Plan { workers: 0, ..Plan::default() }).await?;
    let mut whole = Finding::default();
    play.say("has a beat's clock wrong");
    let (jumps, spring, autumn) = tokio::try_join!(
        jumps(&stage, play.chance(1)),
        changes::forward(&stage, play.chance(2)),
        changes::back(&stage, play.chance(3)),
    )?;
    [jumps, spring, autumn].into_iter().for_each(|found| whole.add(found));
    if stage.look().is_some() {
        play.say("has one clock of three wrong");
        let (ahead, behind) = tokio::try_join!(
            one_of_three::ahead(&stage, play.chance(4)),
            one_of_three::behind(&stage, play.chance(5)),
        )?;
        whole.add(ahead);
        whole.add(behind);
    }
    Ok(whole)
}

/// Has a beat start with clocks that are wrong in both directions, and jump while it runs.
async fn jumps(stage: &Stage, chance: fastrand::Rng) -> Result<Finding, Error> {
    let mut piece = Timepiece::new(stage, "jumps", POLICIES).await?;
    let mut wrong = Vec::new();
    piece.starts_at(Fleet::now()).await?;
    piece.ends().await?;

    piece.starts_at(begin_after(Fleet::now().after_ms(HOUR))).await?;
    piece.ends().await?;
    for now in [0, HOUR] {
        piece.starts_idle_at(Millis(Fleet::now().0 - now)).await?;
        if !piece.has_said("schedules have got further than this clock shows")? {
            wrong.push(format!("a beat does not say that it waits, {now} ms behind"));
        }
        piece.ends().await?;
    }
    piece.starts_at(begin_after(Fleet::now().after_ms(DAY))).await?;
    piece.jumps_to(begin_after(piece.clock.now().after_ms(HOUR))).await?;
    piece.jumps_idle_to(Millis(piece.clock.now().0 - HOUR)).await?;
    if !piece.has_said("the clock was set back, nothing is due until it has caught up")? {
        wrong.push("a beat does not say that its clock was set back".to_owned());
    }
    piece.jumps_to(begin_after(piece.clock.now().after_ms(DAY))).await?;
    let mut finding = piece.judged(stage, chance).await?;
    finding.wrong.extend(wrong);
    Ok(finding)
}

/// Adds milliseconds to an instant.
pub(super) trait Later {
    /// Returns the instant so many milliseconds later.
    fn after_ms(self, wait: u64) -> Self;
}

impl Later for Millis {
    fn after_ms(self, wait: u64) -> Self {
        self.after(std::time::Duration::from_millis(wait))
    }
}
