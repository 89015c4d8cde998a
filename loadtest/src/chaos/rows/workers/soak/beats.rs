//! Faults of the leading beat: another one takes its place, and no instant is left out.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::super::wait::SOON;
use super::Soak;
use super::processes::stands_still;
use crate::error::Error;
use crate::fleet::role::Role;

/// Within this another beat leads (row F27).
const TAKEOVER: Duration = Duration::from_secs(10);
/// Five leases of the play.
const STOPPED: Duration = Duration::from_secs(5);
/// Steps of putting in what is due.
const STEPS: [&str; 4] = ["beat.due", "beat.sent", "beat.confirmed", "beat.saved"];

impl Soak {
    pub(super) async fn kill_leader(&mut self) -> Result<(), Error> {
        let leader = self.leader(None, SOON).await?;
        self.kill_beat(leader).await?;
        self.leader(Some(leader), TAKEOVER).await?;
        self.stage.fleet.start_beat("").await.map(drop)
    }

    /// Has a beat lead that aborts at a step by chance.
    pub(super) async fn abort_leader(&mut self) -> Result<(), Error> {
        let failpoints = self.step(&STEPS);
        let leader = self.leader(None, SOON).await?;
        let others: Vec<u32> = self.stage.fleet.beats().iter().map(Role::pid).collect();
        for other in others.into_iter().filter(|other| *other != leader) {
            self.kill_beat(other).await?;
        }
        // It stands by until nobody else is there.
        let doomed = self.stage.fleet.start("beat", &failpoints).await?;
        self.kill_beat(leader).await?;
        let death = self.stage.fleet.aborted(doomed, SOON).await?;
        self.stage.happened("the leading beat was not aborted", death.is_abort())?;
        for _ in 0..2 {
            self.stage.fleet.start_beat("").await?;
        }
        self.leader(None, SOON).await.map(drop)
    }

    pub(super) async fn stop_leader(&mut self) -> Result<(), Error> {
        let leader = self.leader(None, SOON).await?;
        let role = self.take_beat(leader)?;
        let paused = self.stage.fleet.pause(&role)?;
        let began = Instant::now();
        let other = self.leader(Some(leader), TAKEOVER).await;
        sleep(STOPPED.saturating_sub(began.elapsed())).await;
        let is_still = stands_still(leader);
        let resumed = self.stage.fleet.resume(&role, paused);
        self.stage.fleet.beats().push(role);
        other?;
        resumed?;
        self.stage.happened("the leading beat did not stand still", is_still?)
    }

    async fn kill_beat(&mut self, pid: u32) -> Result<(), Error> {
        let role = self.take_beat(pid)?;
        let death = self.stage.fleet.killed(role).await?;
        self.stage.happened("the beat was not killed", death.is_kill())
    }

    fn take_beat(&mut self, pid: u32) -> Result<Role, Error> {
        let beats = self.stage.fleet.beats();
        let at = beats.iter().position(|beat| beat.pid() == pid);
        let at = at.ok_or_else(|| Error::unexpected("the fleet", format!("has no beat {pid}")))?;
        Ok(beats.remove(at))
    }

    /// Waits until a beat leads that is not `other`, and returns its process id.
    pub(super) async fn leader(
        &mut self,
        other: Option<u32>,
        patience: Duration,
    ) -> Result<u32, Error> {
        let began = Instant::now();
        loop {
            let answer = self.stage.fleet.door.get("/v1/beats").await;
            // Who has just been started, or has lost its store, does not answer at first.
            let beats = answer.map(|(_, answer)| answer["beats"].clone()).unwrap_or_default();
            let leads = beats.as_array().into_iter().flatten().find(|beat| beat["leads"] == true);
            let pid = leads.and_then(|beat| u32::try_from(beat["pid"].as_u64()?).ok());
            match pid {
                Some(pid) if Some(pid) != other => return Ok(pid),
                _ if began.elapsed() > patience => {
                    let what = format!("do not lead after {patience:?}: {beats}");
                    return Err(Error::unexpected("the beats", what));
                }
                _ => sleep(Duration::from_millis(50)).await,
            }
        }
    }
}
