//! What a beat says of its own state: whether it is well, and whether it leads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::leader::Leadership;

/// The state of a beat, for probes.
#[derive(Debug)]
pub struct Status {
    lease: Duration,
    /// Whether the timetable has been read.
    read: AtomicBool,
    /// When the store last answered.
    heard: Mutex<Option<Instant>>,
    leadership: Leadership,
    schedules: AtomicU64,
}

impl Status {
    pub(super) const fn new(lease: Duration, leadership: Leadership) -> Self {
        Self {
            lease,
            read: AtomicBool::new(false),
            heard: Mutex::new(None),
            leadership,
            schedules: AtomicU64::new(0),
        }
    }

    /// Tells whether the beat could lead: it has read the timetable, and the store has answered
    /// within the time of a lease.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.trouble().is_none()
    }

    /// Says in words what keeps the beat from being ready; nothing where it is.
    #[must_use]
    pub fn trouble(&self) -> Option<&'static str> {
        let heard = *self.heard();
        if heard.is_none_or(|at| at.elapsed() > self.lease) {
            return Some("the store is out of reach");
        }
        (!self.read.load(Ordering::SeqCst)).then_some("the timetable has not been read yet")
    }

    /// Tells whether the beat leads: whether it is the one that puts occurrences in.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.epoch().is_some()
    }

    /// Returns the epoch under which the beat leads; none where it stands by.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.leadership.epoch()
    }

    /// Returns how many schedules the beat has in memory.
    #[must_use]
    pub fn schedules(&self) -> u64 {
        self.schedules.load(Ordering::SeqCst)
    }

    pub(super) fn heard_from_store(&self) {
        *self.heard() = Some(Instant::now());
    }

    /// Notes that the timetable has been read, and how many schedules it has.
    pub(super) fn has_read(&self, schedules: usize) {
        self.schedules.store(schedules as u64, Ordering::SeqCst);
        self.read.store(true, Ordering::SeqCst);
    }

    fn heard(&self) -> MutexGuard<'_, Option<Instant>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
