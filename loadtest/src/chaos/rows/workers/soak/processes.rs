//! Faults of workers, and of the gateway that may be killed.

use std::fs;
use std::time::Duration;

use tokio::time::sleep;

use super::super::super::wait::SOON;
use super::Soak;
use crate::error::{Error, while_doing};
use crate::fleet::role::Role;
use crate::ground::On;

/// Steps of settling at which a worker is aborted; each comes in time under the load.
const STEPS: [&str; 9] = [
    "settle.delivered",
    "settle.claimed",
    "settle.ended",
    "settle.decided",
    "settle.confirmed",
    "settle.marked",
    "settle.acked",
    "settle.parked-copy",
    "settle.let-go",
];
/// Steps of the one process, with nothing but its timetable to do.
const STEPS_OF_ONE: [&str; 9] = [
    "settle.delivered",
    "settle.claimed",
    "settle.ended",
    "settle.marked",
    "settle.acked",
    "beat.due",
    "beat.sent",
    "beat.confirmed",
    "beat.saved",
];
/// Steps of putting a task in.
const ENQUEUE: [&str; 4] = ["enqueue.due", "enqueue.sent", "enqueue.confirmed", "enqueue.recorded"];
/// How often such a step is passed before, at most.
const PASSED: u32 = 4;
/// How long the gateway is away.
const AWAY: Duration = Duration::from_secs(2);

impl Soak {
    pub(super) async fn kill_worker(&mut self) -> Result<(), Error> {
        let victim = self.youngest()?;
        let death = self.stage.fleet.kill_worker(victim).await?;
        self.stage.happened("the worker was not killed", death.is_kill())?;
        self.stage.fleet.start_worker("").await.map(drop)
    }

    /// Has a worker take the place of the youngest that aborts at a step by chance.
    pub(super) async fn abort_worker(&mut self) -> Result<(), Error> {
        let is_one = self.stage.play().on == On::Embedded;
        let failpoints = self.step(if is_one { &STEPS_OF_ONE } else { &STEPS });
        let victim = self.youngest()?;
        self.stage.fleet.kill_worker(victim).await?;
        // It may be gone before it is ready.
        let doomed = self.stage.fleet.launch_worker(&failpoints)?;
        let death = self.stage.fleet.worker_aborts(doomed, SOON).await?;
        self.stage.happened("the worker was not aborted", death.is_abort())?;
        self.stage.fleet.start_worker("").await.map(drop)
    }

    pub(super) async fn drain_worker(&mut self) -> Result<(), Error> {
        let victim = self.youngest()?;
        let death = self.stage.fleet.drain_worker(victim).await?;
        self.stage.happened("the worker did not drain", death.is_clean())?;
        self.stage.fleet.start_worker("").await.map(drop)
    }

    pub(super) async fn stop_worker(&mut self) -> Result<(), Error> {
        let ttl = self.stage.fleet.settings().heartbeat_ttl;
        let victim = self.youngest()?;
        let paused = self.stage.fleet.pause_worker(victim)?;
        sleep(ttl * 3).await;
        let is_still = stands_still(victim)?;
        self.stage.fleet.resume_worker(paused)?;
        self.stage.happened("the worker did not stand still", is_still)
    }

    pub(super) async fn kill_gateway(&mut self) -> Result<(), Error> {
        let repeated = self.stage.fleet.books.open().repeated;
        self.end_gateway().await?;
        sleep(AWAY).await;
        self.begin_gateway("").await?;
        let is_felt = self.stage.fleet.books.open().repeated > repeated;
        self.stage.happened("no client had to repeat its request", is_felt)
    }

    /// Has a gateway take the place of the second that aborts at a step by chance.
    pub(super) async fn abort_gateway(&mut self) -> Result<(), Error> {
        let failpoints = self.step(&ENQUEUE);
        self.end_gateway().await?;
        // Requests come when the door leads to it, and not before it is ready.
        self.begin_gateway(&failpoints).await?;
        let doomed = self.take_gateway()?;
        let death = self.stage.fleet.aborted(doomed, SOON).await?;
        self.stage.happened("the gateway was not aborted", death.is_abort())?;
        self.begin_gateway("").await
    }

    async fn begin_gateway(&mut self, failpoints: &str) -> Result<(), Error> {
        let gateway = self.stage.fleet.start("gateway", failpoints).await?;
        self.door.lead_to(gateway.url());
        self.second = Some(gateway);
        Ok(())
    }

    async fn end_gateway(&mut self) -> Result<(), Error> {
        let gateway = self.take_gateway()?;
        let death = self.stage.fleet.killed(gateway).await?;
        self.stage.happened("the gateway was not killed", death.is_kill())
    }

    fn take_gateway(&mut self) -> Result<Role, Error> {
        self.second.take().ok_or_else(|| Error::unexpected("the second gateway", "is not running"))
    }

    /// Returns the worker that was started last; the first one lives through all of it.
    fn youngest(&mut self) -> Result<u32, Error> {
        let youngest = self.stage.workers().last().map(Role::pid);
        youngest.ok_or_else(|| Error::unexpected("the stage", "has no worker"))
    }

    /// Returns a step by chance, and how often it is passed before it aborts the process.
    pub(super) fn step(&mut self, steps: &[&str]) -> String {
        let chance = self.stage.chance();
        let passed = chance.u32(0..=PASSED);
        let step = chance.choice(steps).copied().unwrap_or_default();
        let step = if passed == 0 {
            format!("{step}=return")
        } else {
            format!("{step}={passed}*off->return")
        };
        self.stage.say(format!("aborts a process at {step}"));
        step
    }
}

/// Waits until a process that was stopped stands still, and tells whether it does.
pub(super) fn stands_still(pid: u32) -> Result<bool, Error> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    let stat = stat.map_err(while_doing("look at a process"))?;
    // The name before the state may hold anything but its end.
    Ok(stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T')))
}
