//! A worker's contact with the store, by its own monotonic clock (rules L4 and L6).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Remembers when the heartbeat was last renewed, and since when without a break.
#[derive(Debug, Default)]
pub struct Contact(Mutex<Option<Times>>);

#[derive(Debug, Clone, Copy)]
struct Times {
    renewed: Instant,
    /// Absent after a failed renewal.
    unbroken_since: Option<Instant>,
}

impl Contact {
    fn lock(&self) -> MutexGuard<'_, Option<Times>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a renewal that was begun at `begun`. `kept` says whether the last heartbeat was still
    /// there. Tells whether the contact was broken.
    ///
    /// The time counts from before the request: the heartbeat's life began no later than that.
    pub fn renewed(&self, begun: Instant, kept: bool, ttl: Duration) -> bool {
        let mut times = self.lock();
        let in_time = times.filter(|last| kept && begun.duration_since(last.renewed) < ttl);
        let unbroken = in_time.and_then(|last| last.unbroken_since);
        *times = Some(Times { renewed: begun, unbroken_since: Some(unbroken.unwrap_or(begun)) });
        unbroken.is_none()
    }

    /// Notes a failed renewal: the unbroken time begins anew with the next one.
    pub fn failed(&self) {
        if let Some(times) = self.lock().as_mut() {
            times.unbroken_since = None;
        }
    }

    /// Tells whether the last renewal is older than `ttl`, or there was none: claims may be lost.
    #[must_use]
    pub fn lapsed(&self, ttl: Duration) -> bool {
        self.lock().is_none_or(|times| times.renewed.elapsed() >= ttl)
    }

    /// Tells whether every other owner had one `ttl` to speak since contact began.
    #[must_use]
    pub fn settled_in(&self, ttl: Duration) -> bool {
        let since = self.lock().and_then(|times| times.unbroken_since);
        !self.lapsed(ttl) && since.is_some_and(|since| since.elapsed() >= ttl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(15);

    #[test]
    fn a_new_worker_has_to_settle_in() {
        let contact = Contact::default();
        assert!(contact.lapsed(TTL) && !contact.settled_in(TTL));
        let long_ago = Instant::now() - TTL;
        assert!(contact.renewed(long_ago, false, TTL), "the first one is no continuation");
        assert!(contact.lapsed(TTL));
        assert!(!contact.renewed(long_ago + TTL / 2, true, TTL));
        assert!(!contact.lapsed(TTL) && contact.settled_in(TTL));
    }

    #[test]
    fn an_absent_a_late_and_a_failed_renewal_begin_the_time_anew() {
        let begin = Instant::now() - 3 * TTL;
        let steps: [fn(&Contact, Instant) -> bool; 3] = [
            |contact, begin| contact.renewed(begin + 2 * TTL + TTL / 2, false, TTL),
            |contact, begin| contact.renewed(begin + 3 * TTL - TTL / 4, true, TTL),
            |contact, begin| {
                contact.failed();
                contact.renewed(begin + 2 * TTL + TTL / 2, true, TTL);
                true
            },
        ];
        for step in steps {
            let contact = Contact::default();
            contact.renewed(begin, false, TTL);
            contact.renewed(begin + TTL / 2, true, TTL);
            contact.renewed(begin + TTL, true, TTL);
            contact.renewed(begin + TTL + TTL * 2 / 3, true, TTL);
            assert!(step(&contact, begin));
            assert!(!contact.settled_in(TTL));
        }
    }

    #[test]
    fn after_a_failed_renewal_one_unbroken_ttl_is_enough() {
        let begin = Instant::now() - 3 * TTL;
        let contact = Contact::default();
        contact.renewed(begin, false, TTL);
        contact.failed();
        for half in 3..=5 {
            contact.renewed(begin + TTL / 2 * half, true, TTL);
        }
        assert!(contact.settled_in(TTL));
    }
}
