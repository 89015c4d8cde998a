//! What a relay is doing, for whoever probes it.

use std::sync::{Mutex, PoisonError};

/// What keeps a relay from handing rows on, if anything.
#[derive(Debug, Default)]
pub struct Status(Mutex<Standing>);

#[derive(Debug, Default)]
struct Standing {
    trouble: Option<String>,
    stands_by: bool,
}

impl Status {
    /// Returns what keeps it from handing rows on.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.standing().trouble.clone()
    }

    /// Tells whether another relay has the outbox for itself, and this one waits for its end.
    #[must_use]
    pub fn stands_by(&self) -> bool {
        self.standing().stands_by
    }

    pub(super) fn troubled(&self, why: String) {
        self.standing().trouble = Some(why);
    }

    pub(super) fn well(&self, stands_by: bool) {
        *self.standing() = Standing { trouble: None, stands_by };
    }

    fn standing(&self) -> std::sync::MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
