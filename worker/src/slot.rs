//! The slot a delivery is settled in; what suspects of poison may have of it (rule P2).
//!
//! A task with a crash on its account runs only while no other suspect does, and its last allowed
//! start runs alone on the worker, so that a killer is not confused with its neighbours.

use std::sync::Arc;

use leveret_common::ledger::Toll;
use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// The slots of one worker.
pub struct Slots {
    free: Arc<Semaphore>,
    all: u32,
    /// Held by the one suspect that may run.
    suspect: Mutex<()>,
}

impl Slots {
    /// Creates `all` free slots.
    #[must_use]
    pub fn new(all: usize) -> Self {
        let all = u32::try_from(all).unwrap_or(u32::MAX);
        Self { free: Arc::new(Semaphore::new(all as usize)), all, suspect: Mutex::new(()) }
    }

    /// Waits for a free slot.
    ///
    /// # Cancel safety
    /// Dropped, no slot is taken.
    pub async fn take(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Counts the slots that are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        (self.all as usize).saturating_sub(self.free.available_permits())
    }
}

/// The permits that a delivery holds.
pub struct Slot<'a> {
    slots: &'a Slots,
    permit: Option<OwnedSemaphorePermit>,
    suspect: Option<MutexGuard<'a, ()>>,
}

impl<'a> Slot<'a> {
    /// Creates a slot with the one permit that every delivery has.
    #[must_use]
    pub const fn new(slots: &'a Slots, permit: OwnedSemaphorePermit) -> Self {
        Self { slots, permit: Some(permit), suspect: None }
    }

    /// Waits until a task with this toll may start; false when `stop` is cancelled first.
    ///
    /// # Cancel safety
    /// Dropped, the permits are given back.
    pub async fn fit(&mut self, toll: Toll, max_crashes: u32, stop: &CancellationToken) -> bool {
        if stop.is_cancelled() {
            return false;
        }
        if toll.crashes == 0 || self.suspect.is_some() {
            return true;
        }
        let alone = toll.crashes.saturating_add(1) >= max_crashes;
        let permits = if alone { self.slots.all } else { 1 };
        // The permit goes first: a suspect that waits for all of them would wait for ours.
        self.permit = None;
        let turn = async {
            let suspect = self.slots.suspect.lock().await;
            (suspect, Arc::clone(&self.slots.free).acquire_many_owned(permits).await)
        };
        tokio::select! {
            () = stop.cancelled() => false,
            (suspect, permit) = turn => {
                self.suspect = Some(suspect);
                self.permit = permit.ok();
                self.permit.is_some()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Waker};

    use super::*;

    const MAX_CRASHES: u32 = 3;

    fn crashed(crashes: u32) -> Toll {
        Toll { crashes, ..Toll::default() }
    }

    /// Polls once: nothing here waits for anything but permits.
    macro_rules! waits {
        ($future:expr) => {
            $future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
        };
    }

    #[tokio::test]
    async fn one_suspect_runs_at_a_time_and_innocents_beside_it() {
        let (slots, stop) = (Slots::new(4), CancellationToken::new());
        let mut first = Slot::new(&slots, slots.take().await.unwrap());
        let mut second = Slot::new(&slots, slots.take().await.unwrap());
        let mut innocent = Slot::new(&slots, slots.take().await.unwrap());
        assert!(first.fit(crashed(1), MAX_CRASHES, &stop).await);
        assert!(innocent.fit(crashed(0), MAX_CRASHES, &stop).await);
        let mut fit = Box::pin(second.fit(crashed(1), MAX_CRASHES, &stop));
        assert!(waits!(fit));
        assert_eq!(slots.taken(), 2, "a suspect that waits holds no slot");
        drop(first);
        assert!(fit.await);
    }

    #[tokio::test]
    async fn the_last_allowed_start_runs_alone() {
        let (slots, stop) = (Slots::new(2), CancellationToken::new());
        let neighbour = Slot::new(&slots, slots.take().await.unwrap());
        let mut killer = Slot::new(&slots, slots.take().await.unwrap());
        let mut fit = Box::pin(killer.fit(crashed(MAX_CRASHES - 1), MAX_CRASHES, &stop));
        assert!(waits!(fit));
        drop(neighbour);
        assert!(fit.await);
        let mut next = Box::pin(slots.take());
        assert!(waits!(next), "nobody starts beside it");
        drop(killer);
        assert!(next.await.is_some());
    }

    #[tokio::test]
    async fn a_drain_ends_the_wait() {
        let (slots, stop) = (Slots::new(2), CancellationToken::new());
        let mut first = Slot::new(&slots, slots.take().await.unwrap());
        let mut second = Slot::new(&slots, slots.take().await.unwrap());
        assert!(first.fit(crashed(1), MAX_CRASHES, &stop).await);
        let mut fit = Box::pin(second.fit(crashed(1), MAX_CRASHES, &stop));
        assert!(waits!(fit));
        stop.cancel();
        assert!(!fit.await);
    }
}
