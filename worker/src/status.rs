//! What a worker says of its own state: alive, ready, quiet, draining.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use leveret_common::name::QueueName;
use leveret_common::store::WorkerState;

use crate::contact::Contact;
use crate::control::Controls;
use crate::lanes::Lanes;

/// The state of a worker, for probes.
pub struct Status {
    draining: AtomicBool,
    store: AtomicBool,
    lanes: Arc<Lanes>,
    controls: Arc<Controls>,
}

impl Status {
    pub(crate) fn new(lanes: Arc<Lanes>, controls: Arc<Controls>) -> Self {
        Self { draining: AtomicBool::default(), store: AtomicBool::default(), lanes, controls }
    }

    /// Tells whether the worker takes tasks: it is [well](Self::is_well), and was not asked to be
    /// quiet.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state() == WorkerState::Running && self.is_well()
    }

    /// Tells whether nothing is wrong: the broker knows each consumer that there should be, the
    /// store answers, and no drain has begun. A paused queue should have no consumer.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let mut wanted = self.lanes.names().filter(|lane| self.controls.takes(lane));
        !self.is_draining()
            && self.store.load(Ordering::SeqCst)
            && wanted.all(|lane| self.lanes.is_consuming(lane))
    }

    /// Tells whether a drain has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Says what the worker does with new tasks.
    #[must_use]
    pub fn state(&self) -> WorkerState {
        match (self.is_draining(), self.controls.is_quiet()) {
            (true, _) => WorkerState::Draining,
            (false, true) => WorkerState::Quiet,
            (false, false) => WorkerState::Running,
        }
    }

    /// Names those of its queues that are paused.
    #[must_use]
    pub fn paused(&self) -> BTreeSet<QueueName> {
        self.controls.paused()
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    pub(crate) fn heard_from_store(&self, contact: &Contact, ttl: Duration) {
        self.store.store(!contact.lapsed(ttl), Ordering::SeqCst);
    }

    pub(crate) fn lost_store(&self) {
        self.store.store(false, Ordering::SeqCst);
    }
}
