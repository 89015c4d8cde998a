//! The slot a delivery is settled in; what suspects of poison may have of it (rule P2).
//!
//! A task with a crash on its account runs only while no other suspect does, and its last allowed
//! start runs alone on the worker, so that a killer is not confused with its neighbours. Who waits
//! for a turn holds no slot, and must hold no claim either: the claims of a worker that dies are
//! charged. The number of slots may change while tasks run: fewer means that no task starts until
//! enough have ended, and a start that runs alone stays alone.

use std::sync::{Arc, Mutex as Guarded, MutexGuard as Guard, PoisonError};

use leveret_common::ledger::Toll;
use leveret_common::sabotage::{Break, breaks};
use tokio::sync::{Mutex, MutexGuard, Notify};

/// The slots of one worker.
pub struct Slots {
    inner: Arc<Inner>,
    /// Held by the one suspect that may run.
    turn: Mutex<()>,
}

struct Inner {
    count: Guarded<Count>,
    /// Held by whoever is next: first come, first served, also for those that need all slots.
    next: Mutex<()>,
    freed: Notify,
}

struct Count {
    all: usize,
    taken: usize,
    /// Whether a start runs that must have no neighbours.
    alone: bool,
}

/// What a task needs of the worker to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A slot.
    One,
    /// A slot while no other suspect runs.
    Turn,
    /// All slots.
    Alone,
}

impl Need {
    /// Tells what a task with this toll needs where the worker may die with it so often.
    #[must_use]
    pub const fn of(toll: Toll, max_crashes: u32) -> Self {
        match toll.crashes {
            0 => Self::One,
            crashes if crashes.saturating_add(1) >= max_crashes => Self::Alone,
            _ => Self::Turn,
        }
    }
}

impl Inner {
    fn count(&self) -> Guard<'_, Count> {
        // Each change is whole by itself; a panic elsewhere leaves the count right.
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_take(self: &Arc<Self>, need: Need) -> Option<Permit> {
        let mut count = self.count();
        let fits = match need {
            Need::One | Need::Turn => !count.alone && count.taken < count.all,
            Need::Alone => count.taken == 0,
        };
        if !fits {
            return None;
        }
        count.taken += 1;
        count.alone = need == Need::Alone;
        Some(Permit(Arc::clone(self)))
    }

    /// Makes a permit that is the only one the permit of a start that runs alone.
    fn try_keep_alone(&self) -> bool {
        let mut count = self.count();
        count.alone |= count.taken == 1;
        count.alone
    }

    async fn take(self: &Arc<Self>, need: Need) -> Permit {
        let _turn = self.next.lock().await;
        loop {
            // Registered before the look, so that a slot that is freed in between is not missed.
            let freed = self.freed.notified();
            if let Some(permit) = self.try_take(need) {
                return permit;
            }
            freed.await;
        }
    }
}

/// A slot that is taken until this is dropped.
pub struct Permit(Arc<Inner>);

impl Drop for Permit {
    fn drop(&mut self) {
        let mut count = self.0.count();
        count.taken -= 1;
        // Whoever runs alone holds the only permit.
        count.alone = false;
        drop(count);
        self.0.freed.notify_one();
    }
}

impl Slots {
    /// Creates `all` free slots, at least one.
    #[must_use]
    pub fn new(all: usize) -> Self {
        let count = Count { all: all.max(1), taken: 0, alone: false };
        let inner =
            Inner { count: Guarded::new(count), next: Mutex::default(), freed: Notify::new() };
        Self { inner: Arc::new(inner), turn: Mutex::default() }
    }

    /// Waits for a free slot.
    ///
    /// # Cancel safety
    /// Dropped, no slot is taken.
    pub async fn take(&self) -> Permit {
        self.inner.take(Need::One).await
    }

    /// Changes how many slots there are, to at least one. What runs goes on.
    pub fn resize(&self, all: usize) {
        self.inner.count().all = all.max(1);
        self.inner.freed.notify_one();
    }

    /// Counts the slots there are.
    #[must_use]
    pub fn all(&self) -> usize {
        self.inner.count().all
    }

    /// Counts the slots that are taken; more than there are while a smaller number takes effect.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.inner.count().taken
    }
}

/// The permits that a delivery holds.
pub struct Slot<'a> {
    slots: &'a Slots,
    permit: Option<Permit>,
    turn: Option<MutexGuard<'a, ()>>,
}

impl<'a> Slot<'a> {
    /// Creates a slot with the one permit that every delivery has.
    #[must_use]
    pub const fn new(slots: &'a Slots, permit: Permit) -> Self {
        Self { slots, permit: Some(permit), turn: None }
    }

    /// Tells whether the task may start now; what it needs beside its permit is taken for it.
    pub fn fits(&mut self, need: Need) -> bool {
        if need == Need::One || breaks(Break::ChargeNeighbours) {
            return true;
        }
        if self.turn.is_none() {
            self.turn = self.slots.turn.try_lock().ok();
        }
        self.turn.is_some() && (need == Need::Turn || self.slots.inner.try_keep_alone())
    }

    /// Waits until the task may start. It must not be claimed meanwhile.
    ///
    /// # Cancel safety
    /// Dropped, its permit and its turn are given back.
    pub async fn wait(&mut self, need: Need) {
        // The permit goes first: a suspect that waits for all of them would wait for ours.
        self.permit = None;
        let turn = match self.turn.take() {
            Some(turn) => turn,
            None => self.slots.turn.lock().await,
        };
        self.permit = Some(self.slots.inner.take(need).await);
        self.turn = Some(turn);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Waker};

    use super::*;

    /// Polls once: nothing here waits for anything but permits.
    macro_rules! waits {
        ($future:expr) => {
            $future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
        };
    }

    #[test]
    fn a_suspect_needs_a_turn_and_its_last_allowed_start_everything() {
        let need = |crashes, max| Need::of(Toll { crashes, ..Toll::default() }, max);
        assert_eq!([0, 1, 2].map(|crashes| need(crashes, 3)), [Need::One, Need::Turn, Need::Alone]);
        assert_eq!([0, 1].map(|crashes| need(crashes, 2)), [Need::One, Need::Alone]);
        assert_eq!(need(u32::MAX, u32::MAX), Need::Alone);
    }

    #[tokio::test]
    async fn one_suspect_runs_at_a_time_and_innocents_beside_it() {
        let slots = Slots::new(4);
        let mut first = Slot::new(&slots, slots.take().await);
        let mut second = Slot::new(&slots, slots.take().await);
        let mut innocent = Slot::new(&slots, slots.take().await);
        assert!(first.fits(Need::Turn) && innocent.fits(Need::One));
        assert!(!second.fits(Need::Turn) && !second.fits(Need::Alone));
        assert_eq!(slots.taken(), 3, "its claim may be given back first");
        let mut wait = Box::pin(second.wait(Need::Turn));
        assert!(waits!(wait));
        assert_eq!(slots.taken(), 2, "a suspect that waits holds no slot");
        assert!(first.fits(Need::Turn), "it has its turn already");
        drop(first);
        wait.await;
        assert!(second.fits(Need::Turn));
    }

    #[tokio::test]
    async fn a_suspect_that_nobody_else_crowds_waits_for_nothing() {
        let slots = Slots::new(2);
        let mut only = Slot::new(&slots, slots.take().await);
        assert!(only.fits(Need::Turn));
        // One more worker has died with it since: what it holds is looked at anew.
        assert!(only.fits(Need::Alone));
        let mut next = Box::pin(slots.take());
        assert!(waits!(next), "nobody starts beside it");
        drop(only);
        next.await;
    }

    #[tokio::test]
    async fn a_turn_is_not_enough_for_a_start_that_needs_everything() {
        let slots = Slots::new(2);
        let neighbour = Slot::new(&slots, slots.take().await);
        let mut suspect = Slot::new(&slots, slots.take().await);
        assert!(suspect.fits(Need::Turn) && !suspect.fits(Need::Alone));
        let mut wait = Box::pin(suspect.wait(Need::Alone));
        assert!(waits!(wait));
        drop(neighbour);
        wait.await;
        assert!(suspect.fits(Need::Alone));
    }

    #[tokio::test]
    async fn the_last_allowed_start_runs_alone() {
        let slots = Slots::new(2);
        let neighbour = Slot::new(&slots, slots.take().await);
        let mut killer = Slot::new(&slots, slots.take().await);
        assert!(!killer.fits(Need::Alone));
        let mut wait = Box::pin(killer.wait(Need::Alone));
        assert!(waits!(wait));
        let mut next = Box::pin(slots.take());
        assert!(waits!(next), "nobody overtakes a start that waits for all");
        drop(neighbour);
        wait.as_mut().await;
        assert!(waits!(next), "nobody starts beside it");
        drop(wait);
        drop(killer);
        next.await;
    }

    #[tokio::test]
    async fn who_gives_up_waiting_is_in_nobodys_way() {
        let slots = Slots::new(2);
        let neighbour = Slot::new(&slots, slots.take().await);
        let mut killer = Slot::new(&slots, slots.take().await);
        let mut wait = Box::pin(killer.wait(Need::Alone));
        assert!(waits!(wait));
        drop(wait);
        let mut other = Slot::new(&slots, slots.take().await);
        assert!(other.fits(Need::Turn));
        drop(neighbour);
    }

    #[tokio::test]
    async fn a_start_that_runs_alone_stays_alone_when_slots_are_added() {
        let slots = Slots::new(2);
        let mut killer = Slot::new(&slots, slots.take().await);
        assert!(killer.fits(Need::Alone));
        let mut next = Box::pin(slots.take());
        slots.resize(8);
        assert!(waits!(next), "there is room, and it is not for neighbours");
        drop(killer);
        next.await;
    }

    #[tokio::test]
    async fn a_start_waits_for_all_slots_however_many_there_are_by_then() {
        for smaller_or_larger in [1, 8] {
            let slots = Slots::new(4);
            let neighbours =
                [Slot::new(&slots, slots.take().await), Slot::new(&slots, slots.take().await)];
            let mut killer = Slot::new(&slots, slots.take().await);
            let mut wait = Box::pin(killer.wait(Need::Alone));
            assert!(waits!(wait));
            slots.resize(smaller_or_larger);
            for neighbour in neighbours {
                assert!(waits!(wait), "a neighbour runs");
                drop(neighbour);
            }
            wait.await;
        }
    }

    #[tokio::test]
    async fn more_slots_are_taken_at_once_and_fewer_as_tasks_end() {
        let slots = Slots::new(1);
        let first = slots.take().await;
        let mut second = Box::pin(slots.take());
        assert!(waits!(second));
        slots.resize(2);
        let second = second.await;
        let mut third = Box::pin(slots.take());
        slots.resize(1);
        assert!(waits!(third));
        drop(first);
        assert!(waits!(third), "one of one is taken");
        assert_eq!((slots.all(), slots.taken()), (1, 1));
        drop(second);
        third.await;
        slots.resize(0);
        assert_eq!(slots.all(), 1, "a worker without slots would take tasks and keep them");
    }
}
