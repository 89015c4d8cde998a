//! What a worker says of its own state: alive, ready, draining.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leveret_common::broker::Consumer;

use crate::contact::Contact;

/// The state of a worker, for probes.
#[derive(Default)]
pub struct Status {
    draining: AtomicBool,
    store: AtomicBool,
    consumers: Mutex<Vec<Option<Arc<dyn Consumer>>>>,
}

impl Status {
    /// Tells whether the worker takes tasks: the broker knows each of its consumers, the store
    /// answers, and no drain has begun.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let consumers = self.consumers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |consumer: &Option<Arc<dyn Consumer>>| {
            consumer.as_ref().is_some_and(|consumer| consumer.is_consuming())
        };
        !self.is_draining()
            && self.store.load(Ordering::SeqCst)
            && !consumers.is_empty()
            && consumers.iter().all(known)
    }

    /// Tells whether a drain has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    pub(crate) fn expect_lanes(&self, lanes: usize) {
        let mut consumers = self.consumers.lock().unwrap_or_else(PoisonError::into_inner);
        consumers.clear();
        consumers.resize(lanes, None);
    }

    pub(crate) fn consuming(&self, lane: usize, consumer: Option<Arc<dyn Consumer>>) {
        let mut consumers = self.consumers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = consumers.get_mut(lane) {
            *place = consumer;
        }
    }

    pub(crate) fn heard_from_store(&self, contact: &Contact, ttl: Duration) {
        self.store.store(!contact.lapsed(ttl), Ordering::SeqCst);
    }

    pub(crate) fn lost_store(&self) {
        self.store.store(false, Ordering::SeqCst);
    }
}
