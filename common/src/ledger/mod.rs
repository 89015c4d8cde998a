//! The ledger's rules as a pure state machine: who may run a task, and what became of it.
//!
//! [`Entry`] is what is kept under a task's id; [`rules`] are the transitions, without clock or
//! I/O. The embedded backend runs these functions inside a transaction, Redis runs the same rules
//! as Lua scripts, and the property tests of the worker run them with crashes, pauses and wipes.
//! The rules' names (C1 … P3) are those of `docs/guarantees.md`.

pub mod packed;
mod request;
pub mod rules;

use serde::{Deserialize, Serialize};

pub use self::request::{
    Answer, Cancel, Cancelling, Claim, Decide, Held, Mark, Marking, Release, Ruling, Takeover,
};
use crate::broker::Destination;
use crate::clock::Millis;
use crate::envelope::Wire;
use crate::envelope::{DeadReason, Order};
use crate::id::{Fence, Owner, Token};

/// Who holds a claim: valid only as this exact pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hold {
    /// The worker incarnation.
    pub owner: Owner,
    /// The fence it was given.
    pub fence: Fence,
}

/// What is kept under a task's id.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// Somebody runs it.
    Running(Running),
    /// Its outcome is decided; the publishes may not have happened yet.
    Finishing(Running, Decision),
    /// A message of this order is on its way through the broker.
    Waiting(Waiting),
    /// Over, for this replay and those before it.
    Settled(Settled),
}

/// A claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// Who holds it.
    pub hold: Hold,
    /// The request that made it.
    pub token: Token,
    /// When it was made: the ledger's time in µs.
    pub claimed_at: u64,
    /// The message it is for.
    pub order: Order,
    /// What starts and crashes it has cost so far.
    pub toll: Toll,
    /// Whether somebody asked to cancel it.
    pub cancel: bool,
}

/// What a task has cost so far, within one replay and one life of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Toll {
    /// How often it was claimed to be started.
    pub starts: u32,
    /// How many workers died with it.
    pub crashes: u32,
    /// The fence whose owner the last crash was charged to; given back when that owner turns out
    /// to live (rule P3). Zero: none.
    pub charged: Fence,
}

/// Between two messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The message that is awaited; those before it are ignored.
    pub order: Order,
    /// The fence of the last claim.
    pub fence: Fence,
    /// What it has cost so far.
    pub toll: Toll,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The replay that ended; a message of a greater one starts again.
    pub replay: u32,
    /// How.
    pub ending: Ending,
}

/// The four endings that an entry remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Completed.
    Done,
    /// A dead letter.
    Dead(DeadReason),
    /// Cancelled by its sender or an operator.
    Cancelled,
    /// Not started before its expiry.
    Expired,
}

/// What failed in an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The error class, such as `timeout`, `panic`, `exit` or the handler's own.
    pub class: String,
    /// The message, with its causes.
    pub message: String,
    /// When.
    pub at: Millis,
}

/// What an attempt decided. Written once, before anything of it is published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It succeeded.
    Done {
        /// What the handler answered: JSON text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<String>,
    },
    /// It failed and comes again.
    Retry {
        /// When the next attempt is due.
        not_before: Millis,
        /// What failed.
        failure: Failure,
    },
    /// It asks to come again without having failed.
    Snooze {
        /// When the next attempt is due.
        not_before: Millis,
    },
    /// It will not be tried again by itself.
    Dead {
        /// Why.
        reason: DeadReason,
        /// What failed.
        failure: Failure,
    },
}

impl Outcome {
    /// Returns the outcome's name in records and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::Retry { .. } => "retry",
            Self::Snooze { .. } => "snooze",
            Self::Dead { .. } => "dead",
        }
    }
}

/// An outcome and the follow-ups to publish with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What the attempt decided.
    pub outcome: Outcome,
    /// Tasks that the handler enqueued as part of its success.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub follow_ups: Vec<FollowUp>,
}

/// A task to enqueue when its parent succeeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FollowUp {
    /// Where to.
    pub to: Destination,
    /// What.
    pub wire: Wire,
}
