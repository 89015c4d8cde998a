//! Which exchanges take messages and confirm none of them, because the queue behind them has no leader.
//!
//! A quorum queue that has lost its majority, or that its broker came back with and forgot to have a leader elected
//! for (`docs/guarantees.md`), is declared and bound like any other: only what is sent there tells. Guards that
//! whoever can go another way does, and that the first way is tried again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long an exchange that confirmed nothing is gone round.
const AROUND: Duration = Duration::from_secs(60);

/// What confirms nothing, since when.
#[derive(Debug, Clone, Default)]
pub(in crate::broker::rabbitmq) struct Silent(Arc<Mutex<HashMap<String, Instant>>>);

impl Silent {
    /// Remembers that no confirm came in time.
    pub(super) fn note(&self, exchange: &str, now: Instant) {
        let mut silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if silent.insert(exchange.to_owned(), now).is_none() {
            tracing::warn!(exchange, "a queue confirms nothing");
        }
    }

    /// Remembers that a confirm came.
    pub(super) fn heard(&self, exchange: &str) {
        let mut silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !silent.is_empty() && silent.remove(exchange).is_some() {
            tracing::info!(exchange, "a queue confirms again");
        }
    }

    /// Forgets all of it.
    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Tells whether an exchange is to be gone round.
    pub(in crate::broker::rabbitmq) fn is(&self, exchange: &str, now: Instant) -> bool {
        let silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        silent.get(exchange).is_some_and(|since| now.duration_since(*since) < AROUND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_confirmed_nothing_is_gone_round_until_it_confirms_or_a_minute_is_over() {
        let (silent, now) = (Silent::default(), Instant::now());
        silent.note("delay", now);
        assert!(silent.is("delay", now) && !silent.is("tasks", now));
        assert!(!silent.is("delay", now + AROUND));
        silent.heard("delay");
        assert!(!silent.is("delay", now));
    }
}
