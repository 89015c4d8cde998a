//! When a publishing channel is to be replaced because it goes on refusing what others take.
//!
//! RabbitMQ 3.10 looks up who leads a quorum queue when a channel first publishes to it. Was that a node which has
//! just died, the channel refuses every message for the queue for as long as the node is away, although another one
//! leads by then; a new channel does not. Guards that a queue which is really full costs no more than a channel now
//! and then.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// How long a queue may refuse everything before its channel is doubted.
const DOUBT: Duration = Duration::from_secs(2);
/// How long a new channel is trusted.
const TRUST: Duration = Duration::from_secs(10);

/// When a route was refused first and last, and never taken between.
#[derive(Debug, Clone, Copy)]
struct Refused {
    first: Instant,
    last: Instant,
}

/// Which routes are refused.
#[derive(Debug, Default)]
pub(super) struct Stale {
    refused: HashMap<(String, String), Refused>,
    replaced: Option<Instant>,
}

impl Stale {
    /// Remembers whether a message was taken.
    pub(super) fn note(&mut self, exchange: &str, routing: &str, taken: bool, now: Instant) {
        if taken && self.refused.is_empty() {
            return;
        }
        let route = (exchange.to_owned(), routing.to_owned());
        if taken {
            self.refused.remove(&route);
        } else {
            self.refused.entry(route).or_insert(Refused { first: now, last: now }).last = now;
        }
    }

    /// Tells whether the channel is to be replaced now; then the next one is trusted for a while.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_trusted = self.replaced.is_some_and(|at| now.duration_since(at) < TRUST);
        let is_due = self.refused.values().any(|one| one.last - one.first >= DOUBT);
        if is_trusted || !is_due {
            return false;
        }
        self.refused.clear();
        self.replaced = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_only_refuses_a_route_is_replaced_and_its_successor_trusted() {
        let (mut stale, now) = (Stale::default(), Instant::now());
        stale.note("tasks", "mail", false, now);
        assert!(!stale.is_due(now));
        stale.note("tasks", "other", true, now + DOUBT);
        assert!(!stale.is_due(now + DOUBT), "nobody knows whether it would be refused now");
        stale.note("tasks", "mail", false, now + DOUBT);
        assert!(stale.is_due(now + DOUBT));
        for after in [DOUBT, 2 * DOUBT] {
            stale.note("tasks", "mail", false, now + after);
        }
        assert!(!stale.is_due(now + 2 * DOUBT));
        assert!(stale.is_due(now + DOUBT + TRUST));
    }

    #[test]
    fn a_channel_that_takes_a_message_of_the_route_is_kept() {
        let (mut stale, now) = (Stale::default(), Instant::now());
        stale.note("tasks", "mail", false, now);
        stale.note("tasks", "mail", true, now + DOUBT / 2);
        assert!(!stale.is_due(now + DOUBT));
    }
}
