//! Which claims this worker holds right now: what its heartbeat lists and a reset writes again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leveret_common::broker::Receipt;
use leveret_common::envelope::Order;
use leveret_common::id::{Fence, TaskId};
use leveret_common::ledger::{Held, Hold};
use leveret_common::sabotage::{Break, breaks};
use tokio_util::sync::CancellationToken;

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
    /// A parked copy stands for the delivery.
    detached: bool,
    /// Cancelled when somebody cancels the task.
    cancel: CancellationToken,
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
        let delivery = arrived.clone();
        let cancel = CancellationToken::new();
        let holding = Holding {
            claimed,
            order,
            ttl,
            delivery,
            decided: false,
            detached: false,
            cancel: cancel.clone(),
        };
        self.lock().insert(key, holding);
        HoldGuard { holdings: self, key, cancel }
    }

    /// Tells whether a claim of ours may be alive: this one is held, or one is being asked for.
    #[must_use]
    pub fn may_hold(&self, id: TaskId, hold: Hold) -> bool {
        // Asked for first, held then: looked at in that order, none is missed in between.
        self.lock_asking().contains_key(&id)
            || self.lock().get(&(id, hold.fence)).is_some_and(|held| held.claimed.hold == hold)
    }

    /// Passes on that a task was cancelled; false when it is not held, or was told before.
    pub fn cancel(&self, id: TaskId, fence: Fence) -> bool {
        let held = self.lock();
        let Some(holding) = held.get(&(id, fence)) else { return false };
        let is_news = !holding.cancel.is_cancelled();
        holding.cancel.cancel();
        is_news
    }

    /// Lists the claims whose task may still be cancelled.
    #[must_use]
    pub fn undecided(&self) -> Vec<(TaskId, Hold)> {
        let held = self.lock();
        let open = held.iter().filter(|(_, held)| !held.decided && !held.cancel.is_cancelled());
        open.map(|((id, _), holding)| (*id, holding.claimed.hold)).collect()
    }

    /// Lists what a heartbeat renews.
    #[must_use]
    pub fn list(&self) -> Vec<(TaskId, Fence)> {
        if breaks(Break::HeartbeatListsNothing) {
            return Vec::new();
        }
        self.lock().keys().copied().collect()
    }

    /// Lists the claims to write again after a reset: undecided ones that are detached or whose
    /// delivery is still ours (rule L5). The others come again through the broker, or are marked
    /// on an absent entry.
    #[must_use]
    pub fn to_reassert(&self) -> Vec<Held> {
        let still_ours = |holding: &&Holding| {
            let receipt: Receipt = holding.delivery.receipt;
            !holding.decided && (holding.detached || holding.delivery.consumer.holds(receipt))
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
    cancel: CancellationToken,
}

impl HoldGuard<'_> {
    /// Returns what is cancelled when somebody cancels the task.
    #[must_use]
    pub fn cancel(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Notes that the outcome is recorded.
    pub fn decided(&self) {
        if let Some(holding) = self.holdings.lock().get_mut(&self.key) {
            holding.decided = true;
        }
    }

    /// Notes that a parked copy stands for the delivery: the claim outlives it.
    pub fn detached(&self) {
        if let Some(holding) = self.holdings.lock().get_mut(&self.key) {
            holding.detached = true;
        }
    }
}

impl Drop for HoldGuard<'_> {
    fn drop(&mut self) {
        self.holdings.lock().remove(&self.key);
    }
}
