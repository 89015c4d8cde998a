//! The settings of one beat. Every wait and every batch of the engine has its bound here.

use std::time::Duration;

/// The longest lead, 250 ms: what a worker waits for itself, so that a task is never early.
pub const LONGEST_LEAD: Duration = Duration::from_millis(250);
/// The shortest lease, 200 ms. Below it a slow store would change the leader all the time.
pub const SHORTEST_LEASE: Duration = Duration::from_millis(200);

/// Settings of one beat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How long the right to lead lives without renewal; at least [`SHORTEST_LEASE`].
    pub lease: Duration,
    /// How long before it is due an occurrence may be handed to the broker; at most
    /// [`LONGEST_LEAD`]. What is used of it follows the time that confirms take.
    pub max_lead: Duration,
    /// The machine, as others see it.
    pub host: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(5),
            max_lead: Duration::from_millis(200),
            host: "unknown".to_owned(),
        }
    }
}

impl Config {
    /// Returns the lease within its bounds.
    pub(super) fn lease(&self) -> Duration {
        self.lease.max(SHORTEST_LEASE)
    }

    /// Returns the longest lead within its bounds.
    pub(super) fn max_lead(&self) -> Duration {
        self.max_lead.min(LONGEST_LEAD)
    }

    /// Returns how often to look at the clock, at the timetable, and at who leads: each second, and
    /// more often than a lease may end.
    pub(super) fn pace(&self) -> Duration {
        (self.lease() / 5).min(Duration::from_secs(1))
    }
}
