//! What is done to the processes of a fleet; each act is in its log.

use std::time::Duration;

use leveret_common::clock::{Clock, Millis, SystemClock};
use nix::sys::signal::Signal;

use super::Fleet;
use super::role::{Death, PATIENCE, Role};
use crate::error::Error;
use crate::oracle::Event;

/// A process that stands still, since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paused {
    pid: u32,
    from: Millis,
}

impl Fleet {
    /// Kills a worker as the kernel would, and waits until it is gone.
    ///
    /// # Errors
    /// When there is none of this process id, or it does not go.
    ///
    /// # Cancel safety
    /// It is killed all the same.
    pub async fn kill_worker(&mut self, pid: u32) -> Result<Death, Error> {
        let worker = self.take_worker(pid)?;
        self.killed(worker).await
    }

    /// Kills the gateway, where it is a process of its own.
    ///
    /// # Errors
    /// When there is none, or it does not go.
    ///
    /// # Cancel safety
    /// It is killed all the same.
    pub async fn kill_gateway(&mut self) -> Result<Death, Error> {
        let gateway = self.gateway.take();
        let gateway = gateway.ok_or_else(|| Error::unexpected("the gateway", "is not running"))?;
        self.killed(gateway).await
    }

    /// Waits until a failpoint has aborted the gateway, which is the one process on the embedded backend.
    ///
    /// # Errors
    /// When it ends otherwise, or not within `patience`.
    ///
    /// # Cancel safety
    /// It is forgotten all the same.
    pub async fn gateway_aborts(&mut self, patience: Duration) -> Result<Death, Error> {
        let gateway = match self.gateway.take() {
            Some(gateway) => gateway,
            None => self
                .workers
                .pop()
                .ok_or_else(|| Error::unexpected("the gateway", "is not running"))?,
        };
        self.aborted(gateway, patience).await
    }

    /// Kills any process that was started here.
    ///
    /// # Errors
    /// When it does not go.
    ///
    /// # Cancel safety
    /// It is killed all the same.
    pub async fn killed(&self, role: Role) -> Result<Death, Error> {
        self.log.doom(role.pid());
        role.signal(Signal::SIGKILL)?;
        role.ended(PATIENCE).await
    }

    /// Waits until a failpoint has aborted a worker.
    ///
    /// # Errors
    /// When it ends otherwise, or not within `patience`.
    ///
    /// # Cancel safety
    /// It is forgotten all the same.
    pub async fn worker_aborts(&mut self, pid: u32, patience: Duration) -> Result<Death, Error> {
        let worker = self.take_worker(pid)?;
        self.aborted(worker, patience).await
    }

    /// Waits until a failpoint has aborted any process that was started here.
    ///
    /// # Errors
    /// When it ends otherwise, or not within `patience`.
    ///
    /// # Cancel safety
    /// It is killed all the same.
    pub async fn aborted(&self, role: Role, patience: Duration) -> Result<Death, Error> {
        self.log.doom(role.pid());
        let death = role.ended(patience).await?;
        if death.is_abort() {
            return Ok(death);
        }
        let what = format!("ended with {} at its failpoint", death.status);
        Err(Error::unexpected(format!("leveret {}", role.name()), what))
    }

    /// Waits until a task has killed its worker.
    ///
    /// # Errors
    /// When it ends otherwise, or not within `patience`.
    ///
    /// # Cancel safety
    /// It is forgotten all the same.
    pub async fn worker_is_killed(&mut self, pid: u32, patience: Duration) -> Result<Death, Error> {
        let worker = self.take_worker(pid)?;
        self.log.doom(pid);
        worker.ended(patience).await
    }

    /// Asks a worker to drain, and waits for its end.
    ///
    /// # Errors
    /// When it does not end, or not as it should.
    ///
    /// # Cancel safety
    /// It is asked all the same, and killed when it is forgotten.
    pub async fn drain_worker(&mut self, pid: u32) -> Result<Death, Error> {
        let worker = self.take_worker(pid)?;
        self.drained(worker).await
    }

    /// Asks all workers to drain, and waits for their ends.
    ///
    /// # Errors
    /// When one does not end, or not as it should.
    ///
    /// # Cancel safety
    /// As [`Fleet::drain_worker`].
    pub async fn drain_workers(&mut self) -> Result<(), Error> {
        for worker in std::mem::take(&mut self.workers) {
            self.drained(worker).await?;
        }
        Ok(())
    }

    /// Asks any process that was started here to drain, and waits for its end.
    ///
    /// # Errors
    /// When it does not end, or not as it should.
    ///
    /// # Cancel safety
    /// It is asked all the same, and killed when it is forgotten.
    pub async fn drained(&self, role: Role) -> Result<Death, Error> {
        self.log.ask(role.pid());
        role.signal(Signal::SIGTERM)?;
        let death = role.ended(self.settings.grace + PATIENCE).await?;
        if death.is_clean() {
            return Ok(death);
        }
        let what = format!("drains and ends with {}; see {}", death.status, role.log().display());
        Err(Error::unexpected(format!("leveret {}", role.name()), what))
    }

    /// Stops a process of the fleet where it stands.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pause(&self, role: &Role) -> Result<Paused, Error> {
        role.signal(Signal::SIGSTOP)?;
        Ok(Paused { pid: role.pid(), from: SystemClock.now() })
    }

    /// Lets a stopped process go on, and writes down for how long it stood.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resume(&self, role: &Role, paused: Paused) -> Result<(), Error> {
        let (pid, from, to) = (paused.pid, paused.from, SystemClock.now());
        self.log.note(Event::Stopped { pid, from, to });
        role.signal(Signal::SIGCONT)
    }

    /// Stops a worker where it stands.
    ///
    /// # Errors
    /// When there is none of this process id.
    pub fn pause_worker(&self, pid: u32) -> Result<Paused, Error> {
        self.pause(self.worker(pid)?)
    }

    /// Lets a stopped worker go on.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resume_worker(&self, paused: Paused) -> Result<(), Error> {
        self.resume(self.worker(paused.pid)?, paused)
    }

    fn worker(&self, pid: u32) -> Result<&Role, Error> {
        let found = self.workers.iter().find(|worker| worker.pid() == pid);
        found.ok_or_else(|| Error::unexpected("the fleet", format!("has no worker {pid}")))
    }

    fn take_worker(&mut self, pid: u32) -> Result<Role, Error> {
        let at = self.workers.iter().position(|worker| worker.pid() == pid);
        let at =
            at.ok_or_else(|| Error::unexpected("the fleet", format!("has no worker {pid}")))?;
        Ok(self.workers.remove(at))
    }
}
