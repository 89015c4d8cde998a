//! What is asked of the ledger, and what it answers.

use std::time::Duration;

use super::{Decision, Ending, Hold, Toll};
use crate::clock::Millis;
use crate::envelope::{DeadReason, Order};
use crate::id::{Fence, Owner, TaskId, Token};

/// Asks for the right to run a task.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The task.
    pub id: TaskId,
    /// The message in hand.
    pub order: Order,
    /// Who asks.
    pub owner: Owner,
    /// Marks the request: repeated with the same token, it gets its claim again, under a new
    /// fence.
    pub token: Token,
    /// Not to be started after this instant.
    pub expires_at: Option<Millis>,
    /// How many crashes make the task a dead letter.
    pub max_crashes: u32,
    /// How long the entry is kept: the time limit plus the retention.
    pub ttl: Duration,
}

/// Asks to take a task over from a holder that is expected to be dead.
#[derive(Debug, Clone)]
pub struct Takeover {
    /// The claim to make instead.
    pub claim: Claim,
    /// The holder that must still be in the entry.
    pub expected: Hold,
    /// Whether the holder is only an orphaned claim of a living owner: no crash is charged.
    pub orphan: bool,
}

/// What the ledger says to a claim or a takeover.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Run it.
    Claimed {
        /// The fence to finish with.
        fence: Fence,
        /// What the task has cost so far, this start included.
        toll: Toll,
    },
    /// Its outcome is decided already: publish it and mark it, then claim the delivery again.
    /// The numbers are the entry's own, not the delivery's (rule C4).
    Resume {
        /// The fence to mark with.
        fence: Fence,
        /// The order that was decided.
        order: Order,
        /// What was decided.
        decision: Decision,
    },
    /// Somebody holds it.
    Busy {
        /// Who.
        hold: Hold,
        /// For how long, by the ledger's own time.
        age: Duration,
    },
    /// It is over: ack.
    Settled(Ending),
    /// The message is older than what the entry waits for or runs: ack.
    Stale,
    /// The holder changed meanwhile: claim again.
    Again,
}

/// Records an outcome before anything of it is published.
#[derive(Debug, Clone)]
pub struct Decide {
    /// The task.
    pub id: TaskId,
    /// Under which claim.
    pub hold: Hold,
    /// The message that was run.
    pub order: Order,
    /// What the attempt decided.
    pub decision: Decision,
    /// How long the entry is kept.
    pub ttl: Duration,
}

/// Records that an outcome is published.
#[derive(Debug, Clone)]
pub struct Mark {
    /// The task.
    pub id: TaskId,
    /// Under which claim.
    pub hold: Hold,
    /// The order that was decided.
    pub order: Order,
    /// What to remember.
    pub marking: Marking,
    /// How long the entry is kept.
    pub ttl: Duration,
}

/// What a mark leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marking {
    /// The task is completed.
    Done,
    /// Its dead letter is confirmed.
    Dead(DeadReason),
    /// The message of the next attempt is confirmed.
    Waiting,
}

/// Gives a claim back: the same message may be claimed again, at no cost.
#[derive(Debug, Clone)]
pub struct Release {
    /// The task.
    pub id: TaskId,
    /// Under which claim.
    pub hold: Hold,
    /// How long the entry is kept.
    pub ttl: Duration,
}

/// A claim that its holder writes again after the ledger was reset.
#[derive(Debug, Clone)]
pub struct Held {
    /// The task.
    pub id: TaskId,
    /// The claim.
    pub hold: Hold,
    /// The request that made it.
    pub token: Token,
    /// The message it is for.
    pub order: Order,
    /// What it has cost so far.
    pub toll: Toll,
    /// How long the entry is kept.
    pub ttl: Duration,
}

/// Asks that a task not be run (rule K1).
#[derive(Debug, Clone)]
pub struct Cancel {
    /// The task.
    pub id: TaskId,
    /// The greatest replay of which a message is known; 0 where none was replayed.
    pub replay: u32,
    /// How long a cancelled task is remembered at least: what is left of the delay, plus the
    /// retention. The entry of one that runs is kept as long as before.
    pub ttl: Duration,
}

/// What the ledger says to a cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelling {
    /// It is cancelled: whatever message of it comes is acked.
    Cancelled,
    /// It runs, and its holder is to stop it; it ends as cancelled unless it succeeds first.
    Asked(Hold),
    /// Its outcome is decided already.
    TooLate,
    /// It was over before.
    Over(Ending),
}

/// What the ledger says to a decide, a mark or a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// It is recorded.
    Accepted,
    /// The task was cancelled meanwhile, and that is recorded: publish nothing, ack.
    Cancelled,
    /// The claim is no longer valid: claim the delivery again and obey that answer.
    Refused,
}
