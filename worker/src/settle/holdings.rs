//! Which claims this worker holds right now: what its heartbeat lists and a reset writes again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leveret_common::broker::Receipt;
use leveret_common::envelope::Order;
use leveret_common::id::{Fence, TaskId};
use leveret_common::ledger::{Held, Hold};

use super::journey::Claimed;
use crate::fetch::Arrived;

/// The claims of one worker: those it holds, and how many it has asked for.
#[derive(Default)]
pub struct Holdings {
    held: Mutex<HashMap<(TaskId, Fence), Holding>>,
    asking: Mutex<HashMap<TaskId, u32>>,
}

struct Holding {
    claimed: Claimed,
    order: Order,
    ttl: Duration,
    delivery: Arrived,
    decided: bool,
}

impl Holdings {
    fn lock(&self) -> MutexGuard<'_, HashMap<(TaskId, Fence), Holding>> {
        // A panic elsewhere leaves the map whole: each change is one call.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_asking(&self) -> MutexGuard<'_, HashMap<TaskId, u32>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a claim of this task is being asked for, until the guard is dropped.
    ///
    /// Between the ledger's answer and [`hold`](Self::hold) the claim is ours and not yet held:
    /// another copy of the task must not take it for an orphan.
    #[must_use]
    pub fn ask(&self, id: TaskId) -> AskGuard<'_> {
        *self.lock_asking().entry(id).or_default() += 1;
        AskGuard { holdings: self, id }
    }

    /// Remembers a claim until the guard is dropped.
    #[must_use]
    pub fn hold<'a>(
        &'a self,
        arrived: &Arrived,
        claimed: Claimed,
        order: Order,
        ttl: Duration,
    ) -> HoldGuard<'a> {
        let key = (arrived.envelope.id, claimed.hold.fence);
        let holding = Holding { claimed, order, ttl, delivery: arrived.clone(), decided: false };
        self.lock().insert(key, holding);
        HoldGuard { holdings: self, key }
    }

    /// Tells whether a claim of ours may be alive: this one is held, or one is being asked for.
    #[must_use]
    pub fn may_hold(&self, id: TaskId, hold: Hold) -> bool {
        // Asked for first, held then: looked at in that order, none is missed in between.
        self.lock_asking().contains_key(&id)
            || self.lock().get(&(id, hold.fence)).is_some_and(|held| held.claimed.hold == hold)
    }

    /// Lists what a heartbeat renews.
    #[must_use]
    pub fn list(&self) -> Vec<(TaskId, Fence)> {
        self.lock().keys().copied().collect()
    }

    /// Lists the claims to write again after a reset: undecided ones whose delivery is still ours
    /// (rule L5). The others come again through the broker, or are marked on an absent entry.
    #[must_use]
    pub fn to_reassert(&self) -> Vec<Held> {
        let still_ours = |holding: &&Holding| {
            let receipt: Receipt = holding.delivery.receipt;
            !holding.decided && holding.delivery.consumer.holds(receipt)
        };
        self.lock()
            .values()
            .filter(still_ours)
            .map(|holding| Held {
                id: holding.delivery.envelope.id,
                hold: holding.claimed.hold,
                token: holding.claimed.token,
                order: holding.order,
                toll: holding.claimed.toll,
                ttl: holding.ttl,
            })
            .collect()
    }
}

/// Ends the asking when dropped.
pub struct AskGuard<'a> {
    holdings: &'a Holdings,
    id: TaskId,
}

impl Drop for AskGuard<'_> {
    fn drop(&mut self) {
        let mut asking = self.holdings.lock_asking();
        if let Some(count) = asking.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                asking.remove(&self.id);
            }
        }
    }
}

/// Forgets the claim when dropped.
pub struct HoldGuard<'a> {
    holdings: &'a Holdings,
    key: (TaskId, Fence),
}

impl HoldGuard<'_> {
    /// Notes that the outcome is recorded.
    pub fn decided(&self) {
        if let Some(holding) = self.holdings.lock().get_mut(&self.key) {
            holding.decided = true;
        }
    }
}

impl Drop for HoldGuard<'_> {
    fn drop(&mut self) {
        self.holdings.lock().remove(&self.key);
    }
}
