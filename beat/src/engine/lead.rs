//! The lead: how long before it is planned an occurrence is handed to the broker.
//!
//! Follows the time that confirms have taken lately, so that a task is in its lane when it is
//! planned, and not that much later. Never makes a task early: its envelope says when it may start,
//! and what is left of the lead a worker waits for without a slot.

use std::collections::VecDeque;
use std::time::Duration;

/// How many of the last confirms are looked at.
const RECENT: usize = 256;
/// Before the first confirm.
const FIRST: Duration = Duration::from_millis(20);
/// Added to what confirms took: a timer's grain, twice.
const MARGIN: Duration = Duration::from_millis(2);

/// Adapts the lead.
#[derive(Debug, Clone)]
pub(super) struct Lead {
    most: Duration,
    recent: VecDeque<Duration>,
    lead: Duration,
}

impl Lead {
    /// Creates a lead that is never longer than `most`.
    pub(super) fn new(most: Duration) -> Self {
        Self { most, recent: VecDeque::with_capacity(RECENT), lead: FIRST.min(most) }
    }

    /// Notes how long a chunk took, from when it could have been handed over to its confirm.
    pub(super) fn note(&mut self, took: Duration) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(took);
        let mut sorted: Vec<_> = self.recent.iter().copied().collect();
        let last = sorted.len() - 1;
        let (_, took, _) = sorted.select_nth_unstable(last * 99 / 100);
        self.lead = took.saturating_add(MARGIN).min(self.most);
    }

    /// Returns the lead as it is now.
    pub(super) const fn get(&self) -> Duration {
        self.lead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_millis(200);
    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_follows_the_slowest_confirms_but_for_one_in_a_hundred() {
        let mut lead = Lead::new(MOST);
        assert_eq!(lead.get(), FIRST);
        for took in 1..=99 {
            lead.note(took * MS);
        }
        assert_eq!(lead.get(), 98 * MS + MARGIN);
        // One that took far longer does not count, a second one does.
        lead.note(Duration::from_secs(9));
        assert_eq!(lead.get(), 99 * MS + MARGIN);
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let mut lead = Lead::new(MOST);
        lead.note(Duration::from_secs(9));
        assert_eq!(lead.get(), MOST);
        let mut none = Lead::new(Duration::ZERO);
        none.note(5 * MS);
        assert_eq!(none.get(), Duration::ZERO);
    }

    #[test]
    fn a_slow_time_is_forgotten() {
        let mut lead = Lead::new(MOST);
        (0..RECENT).for_each(|_| lead.note(150 * MS));
        assert_eq!(lead.get(), 150 * MS + MARGIN);
        (0..RECENT).for_each(|_| lead.note(3 * MS));
        assert_eq!(lead.get(), 3 * MS + MARGIN);
        assert_eq!(lead.recent.len(), RECENT);
    }
}
