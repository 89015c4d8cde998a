//! What operators ask of this worker, and which queues are paused: received, remembered, obeyed.
//!
//! Signals are hints and may get lost. A cancel is also a flag in the ledger's entry, so the
//! entries of the held claims are looked at as often as the heartbeat is written; whoever asks for
//! anything else sees in the heartbeat whether it was heard. Pauses are state, read each time;
//! while the store does not answer, those that were read last hold. Intakes watch the [`Wishes`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use leveret_common::ledger::Entry;
use leveret_common::name::{Lane, QueueName};
use leveret_common::store::{Signal, StoreError};
use leveret_common::telemetry::names::field;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::shared::Shared;

/// How often signals and pauses are looked for, where the heartbeat is not more frequent.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Most slots that a worker can be given; the config's own limit.
const MAX_SLOTS: usize = 4_096;

/// How the worker is wanted to take tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wishes {
    /// How many tasks run at once.
    slots: usize,
    /// Whether it takes none at all.
    quiet: bool,
    /// The queues that nobody takes tasks from.
    paused: BTreeSet<QueueName>,
}

impl Wishes {
    /// Returns how many deliveries of `lane` may be in hand: as many as there are slots, so that
    /// one busy lane alone can fill them all, and no more, because what waits here could run
    /// elsewhere. Nothing: the lane is to have no consumer.
    #[must_use]
    pub fn prefetch(&self, lane: &Lane) -> Option<u16> {
        let takes = !self.quiet && !self.paused.contains(&lane.queue);
        takes.then(|| u16::try_from(self.slots.max(1)).unwrap_or(u16::MAX))
    }
}

/// Where the wishes are kept.
pub struct Controls(watch::Sender<Wishes>);

impl Controls {
    /// Creates the controls of a worker that takes tasks of all its lanes.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self(watch::Sender::new(Wishes { slots, quiet: false, paused: BTreeSet::new() }))
    }

    /// Returns the wishes and each change of them.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Wishes> {
        self.0.subscribe()
    }

    /// Tells whether tasks of `lane` are to be taken.
    #[must_use]
    pub fn takes(&self, lane: &Lane) -> bool {
        self.0.borrow().prefetch(lane).is_some()
    }

    /// Tells whether the worker was asked to take nothing.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.0.borrow().quiet
    }

    /// Names the paused queues.
    #[must_use]
    pub fn paused(&self) -> BTreeSet<QueueName> {
        self.0.borrow().paused.clone()
    }

    fn wish(&self, change: impl FnOnce(&mut Wishes)) {
        self.0.send_if_modified(|wishes| {
            let before = wishes.clone();
            change(wishes);
            *wishes != before
        });
    }
}

/// Receives and obeys until `end` is cancelled; a worker that is asked to stop cancels `stop`.
///
/// # Cancel safety
/// Dropped, signals that were just received may be lost: they are hints.
pub async fn run(shared: Arc<Shared>, stop: CancellationToken, end: CancellationToken) {
    let mut ticks = interval(LOOK_EVERY.min(shared.config.heartbeat));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looked = Instant::now();
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let (signals, pauses) =
            tokio::join!(shared.backend.signals.receive(shared.owner), read_pauses(&shared));
        match signals {
            Ok(signals) => signals.iter().for_each(|signal| obey(&shared, signal, &stop)),
            // The heartbeat says so already, where people see it.
            Err(error) => debug!({ field::ERROR } = %error, "signals are not received"),
        }
        if let Err(error) = pauses {
            debug!({ field::ERROR } = %error, "pauses are not read, the last known ones hold");
        }
        if looked.elapsed() >= shared.config.heartbeat {
            looked = Instant::now();
            if let Err(error) = look_for_cancels(&shared).await {
                debug!({ field::ERROR } = %error, "entries of held claims are not read");
            }
        }
    }
}

/// Reads which queues are paused.
///
/// # Errors
/// When the store does not answer: what was read before holds.
///
/// # Cancel safety
/// Reads only.
pub async fn read_pauses(shared: &Shared) -> Result<(), StoreError> {
    let pauses = shared.backend.signals.pauses().await?;
    let served = |queue: &QueueName| shared.config.queues.contains(queue);
    let paused = pauses.into_iter().map(|pause| pause.queue).filter(served).collect();
    shared.controls.wish(|wishes| wishes.paused = paused);
    Ok(())
}

fn obey(shared: &Shared, signal: &Signal, stop: &CancellationToken) {
    let owner = shared.owner;
    match *signal {
        Signal::Cancel { task, fence } => {
            if shared.holdings.cancel(task, fence) {
                info!({ field::TASK } = %task, { field::FENCE } = fence.0, "asked to stop a task");
            }
        }
        Signal::Quiet => {
            info!({ field::OWNER } = %owner, "asked to be quiet");
            shared.controls.wish(|wishes| wishes.quiet = true);
        }
        Signal::Resume => {
            info!({ field::OWNER } = %owner, "asked to take tasks again");
            shared.controls.wish(|wishes| wishes.quiet = false);
        }
        Signal::Resize { slots } => {
            let slots = usize::try_from(slots).unwrap_or(MAX_SLOTS).clamp(1, MAX_SLOTS);
            info!({ field::OWNER } = %owner, { field::COUNT } = slots, "asked to change its slots");
            shared.slots.resize(slots);
            shared.controls.wish(|wishes| wishes.slots = slots);
        }
        Signal::Stop => {
            info!({ field::OWNER } = %owner, "asked to stop");
            stop.cancel();
        }
    }
}

/// A cancel whose signal got lost is still a flag in the entry.
async fn look_for_cancels(shared: &Shared) -> Result<(), StoreError> {
    let held = shared.holdings.undecided();
    if held.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = held.iter().map(|(id, _)| *id).collect();
    let entries = shared.backend.ledger.entries(&ids).await?;
    for ((id, hold), entry) in held.into_iter().zip(entries) {
        if let Some(Entry::Running(running)) = entry
            && running.cancel
            && running.hold == hold
            && shared.holdings.cancel(id, hold.fence)
        {
            info!({ field::TASK } = %id, "found that a running task is cancelled");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(name: &str) -> Lane {
        name.parse().unwrap()
    }

    #[test]
    fn a_lane_is_taken_from_unless_its_queue_is_paused_or_the_worker_is_quiet() {
        let controls = Controls::new(70_000);
        let mut watch = controls.watch();
        assert_eq!(watch.borrow_and_update().prefetch(&lane("mail.high")), Some(u16::MAX));
        controls.wish(|wishes| wishes.paused = ["mail".parse().unwrap()].into());
        assert!(watch.has_changed().unwrap());
        assert!(!controls.takes(&lane("mail.high")) && controls.takes(&lane("video.low")));
        watch.mark_unchanged();
        controls.wish(|wishes| wishes.paused = ["mail".parse().unwrap()].into());
        assert!(!watch.has_changed().unwrap(), "the same pauses are no news");
        controls.wish(|wishes| wishes.quiet = true);
        assert!(!controls.takes(&lane("video.low")) && controls.is_quiet());
        controls.wish(|wishes| (wishes.quiet, wishes.slots) = (false, 3));
        assert_eq!(watch.borrow_and_update().prefetch(&lane("video.low")), Some(3));
    }
}
