//! What a sender is told that waits for its task outside of Leveret.
//!
//! Best effort by contract: ledger and records hold what became of a task, and a notice is a copy
//! for whoever cannot ask them. Who waits where is in the task's `lv-reply-to`.

use std::time::Duration;

use crate::clock::Millis;
use crate::ledger::Failure;

/// What became of a task, for the sender that waits for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Where the sender waits, as the task's `lv-reply-to` has it.
    pub to: String,
    /// When it was decided.
    pub at: Millis,
    /// What became of it.
    pub news: News,
    /// How long it is kept, where the task says so itself.
    pub ttl: Option<Duration>,
}

/// What became of a task.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// It is done, with this result: JSON text.
    Done(Option<String>),
    /// It failed, and comes again.
    Retrying(Failure),
    /// It failed for good.
    Dead(Failure),
    /// Somebody cancelled it.
    Cancelled,
    /// It was not started in time.
    Expired,
}
