//! F31: one of three beats has a wrong clock, and leads; then it is killed, and one with the right clock goes on.

use std::time::Duration;

use leveret_common::clock::Millis;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::changes::text;
use super::clocks::{HOUR, Later, POLICIES};
use super::leading::{TAKEOVER, has_said, until_one_leads};
use super::table::{JUST, before};
use super::timepiece::{Timepiece, begin_after};
use crate::chaos::Stage;
use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::clock::WrongClock;
use crate::oracle::Finding;
use crate::timetable::owed::{Between, Spell};

/// How long a wrong clock may stay untold.
const TOLD: Duration = Duration::from_secs(30);
/// For how long nothing comes.
const WATCHED: Duration = Duration::from_secs(3);

/// Plays one that is an hour ahead: the others say that they wait, and what it put in is not put in again when their
/// clocks have come there.
pub(super) async fn ahead(stage: &Stage, chance: fastrand::Rng) -> Result<Finding, Error> {
    let mut play = begin(stage, "ahead", begin_after(Fleet::now().after_ms(HOUR))).await?;
    let from = play.leader_is_killed().await?;
    sleep(WATCHED).await;
    let mut wrong = Vec::new();
    let mut waits = false;
    for beat in play.piece.fleet.beats().iter() {
        waits |= has_said(beat.log(), "schedules have got further than this clock shows")?;
    }
    let (_, told) = play.piece.fleet.door.get("/v1/schedules/tick").await?;
    let next = told["next"]["due"].as_str().unwrap_or_default();
    if next < text(Millis(Fleet::now().0 + HOUR / 2)).as_str() || told["warnings"].is_null() {
        wrong.push(format!("the gateway does not tell that a schedule waits: {told}"));
    }
    if !waits {
        wrong.push("no beat says that it waits for what another one's clock showed".to_owned());
    }
    let at = Fleet::now();
    let ended = Between(before(at, JUST), at.after(JUST));
    play.piece.table.spell(&Spell { began: Between(from, at), ended });
    play.right.show(begin_after(play.piece.clock.now()))?;
    let from = play.right.now();
    play.goes_on(stage, from, chance, wrong).await
}

/// Plays one that is an hour behind: the others catch up with what it left.
pub(super) async fn behind(stage: &Stage, chance: fastrand::Rng) -> Result<Finding, Error> {
    let mut play = begin(stage, "behind", Millis(Fleet::now().0 - HOUR)).await?;
    let from = play.leader_is_killed().await?;
    play.goes_on(stage, from, chance, Vec::new()).await
}

/// A fleet in which the leader's clock is wrong.
struct OneOfThree {
    piece: Timepiece,
    /// The clock of the others.
    right: WrongClock,
    wrong: Vec<String>,
    recovered: Duration,
}

async fn begin(stage: &Stage, name: &str, shows: Millis) -> Result<OneOfThree, Error> {
    let mut piece = Timepiece::new(stage, name, POLICIES).await?;
    piece.starts_at(shows).await?;
    let right = WrongClock::new(piece.fleet.folder(), "right")?;
    piece.fleet.show_clock(Some(&right));
    for _ in 0..2 {
        piece.fleet.start_beat("").await?;
    }
    piece.fleet.show_clock(None);
    let mut play = OneOfThree { piece, right, wrong: Vec::new(), recovered: Duration::ZERO };
    play.is_told().await?;
    Ok(play)
}

impl OneOfThree {
    /// Waits until the doctor names the clock that is wrong.
    async fn is_told(&mut self) -> Result<(), Error> {
        let pid = self.piece.fleet.beats().first().map(|beat| beat.pid().to_string());
        let pid = pid.unwrap_or_default();
        let began = Instant::now();
        loop {
            let (_, told) = self.piece.fleet.door.get("/v1/doctor").await?;
            let findings = told["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
            let tells = |finding: &&Value| {
                finding["part"] == "beats"
                    && finding["check"] == "clocks"
                    && finding["found"].as_str().is_some_and(|found| found.contains(&pid))
            };
            if findings.iter().any(|finding| tells(&finding)) {
                break;
            }
            if began.elapsed() > TOLD {
                self.wrong.push(format!(
                    "the doctor does not tell that the clock of beat {pid} is wrong"
                ));
                break;
            }
            sleep(Duration::from_millis(250)).await;
        }
        let beat = self.piece.fleet.beats().first().map(|beat| beat.log().to_owned());
        if let Some(log) = beat
            && !has_said(&log, "the clocks of this machine and of the store may differ")?
        {
            self.wrong.push("the beat does not say that its clock is wrong".to_owned());
        }
        Ok(())
    }

    /// Kills the leader, and waits until another one leads; returns since when, by its clock.
    async fn leader_is_killed(&mut self) -> Result<Millis, Error> {
        let at = self.piece.caught_up().await?;
        let leader = self.piece.fleet.beats().remove(0);
        let killed = Instant::now();
        self.piece.fleet.killed(leader).await?;
        self.piece.over(Between(at, self.piece.clock.now()));
        let from = self.right.now();
        self.piece.table.shown(0);
        until_one_leads(&mut self.piece.fleet).await?;
        self.recovered = killed.elapsed();
        if self.recovered > TAKEOVER {
            self.wrong.push(format!("another beat led only {:?} after the kill", self.recovered));
        }
        Ok(from)
    }

    /// Waits until those with the right clock fire, from an instant of it on, and judges.
    async fn goes_on(
        mut self,
        stage: &Stage,
        from: Millis,
        chance: fastrand::Rng,
        wrong: Vec<String>,
    ) -> Result<Finding, Error> {
        self.piece.clock = self.right.clone();
        self.piece.table.shown(self.right.ahead_ms());
        self.piece.fires(from).await?;
        let mut finding = self.piece.judged(stage, chance).await?;
        finding.wrong.extend(self.wrong);
        finding.wrong.extend(wrong);
        finding.recovered = Some(self.recovered);
        Ok(finding)
    }
}
