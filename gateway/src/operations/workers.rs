//! Workers: what their heartbeats say, and what they are asked to do.

use std::time::Duration;

use leveret_common::id::Owner;
use leveret_common::store::{Heartbeat, Signal};

use super::{OperationError, Operations, stored, written};

/// Most names that an error lists.
const LISTED: usize = 10;

impl Operations {
    /// Lists the living workers, by host and process.
    ///
    /// # Errors
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn workers(&self) -> Result<Vec<Heartbeat>, OperationError> {
        let mut workers = stored("list the workers", self.backend().fleet.workers()).await?;
        workers.sort_by_key(name);
        Ok(workers)
    }

    /// Returns how old a heartbeat is; zero where its worker's clock is ahead of ours.
    #[must_use]
    pub fn age_of(&self, heartbeat: &Heartbeat) -> Duration {
        self.now().since(heartbeat.info.at)
    }

    /// Finds the workers that are called `text`: an owner's id, a prefix that only one has,
    /// `host:pid`, or `all`.
    ///
    /// # Errors
    /// [`OperationError::UnknownWorker`]; [`OperationError::Invalid`] when several begin so.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn workers_called(&self, text: &str) -> Result<Vec<Heartbeat>, OperationError> {
        let workers = self.workers().await?;
        if text == "all" {
            return Ok(workers);
        }
        let names = |workers: &[Heartbeat]| {
            let named = workers.iter().take(LISTED);
            let names: Vec<_> = named.map(|w| format!("{} ({})", w.owner, name(w))).collect();
            names.join(", ")
        };
        let plain = text.replace('-', "").to_ascii_lowercase();
        let is_meant = |worker: &Heartbeat| {
            name(worker) == text
                || (!plain.is_empty() && worker.owner.to_string().starts_with(&plain))
        };
        let found: Vec<_> = workers.iter().filter(|worker| is_meant(worker)).cloned().collect();
        match found.as_slice() {
            [_] => Ok(found),
            [] => {
                let why = match workers.as_slice() {
                    [] => "no worker lives".to_owned(),
                    workers => format!("there are {}", names(workers)),
                };
                Err(OperationError::UnknownWorker { text: text.chars().take(80).collect(), why })
            }
            many => {
                let why = format!("several workers are called so: {}", names(many));
                Err(OperationError::invalid("worker", why))
            }
        }
    }

    /// Leaves a signal for the workers that are called `text`, and returns who they are. They take
    /// it within about a second.
    ///
    /// # Errors
    /// As [`Operations::workers_called`], [`OperationError::Unconfirmed`], or what the store says.
    ///
    /// # Cancel safety
    /// Dropped, any of them may or may not have been told.
    pub async fn ask_workers(
        &self,
        text: &str,
        signal: Signal,
    ) -> Result<Vec<Owner>, OperationError> {
        let workers = self.workers_called(text).await?;
        let owners: Vec<Owner> = workers.iter().map(|worker| worker.owner).collect();
        for owner in &owners {
            let sent = self.backend().signals.send(*owner, std::slice::from_ref(&signal));
            written("tell the worker", sent).await?;
        }
        Ok(owners)
    }
}

/// Names a worker's process.
#[must_use]
pub fn name(worker: &Heartbeat) -> String {
    format!("{}:{}", worker.info.host, worker.info.pid)
}
