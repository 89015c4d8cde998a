//! What a running attempt says of itself: how far it is, and what the next attempt needs to go on.
//!
//! Best effort, like all records: a wipe loses it, and the task is performed from its beginning.

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::envelope::Order;
use crate::id::{Fence, TaskId};

/// The last that an attempt said. Each saying takes the place of the one before as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interim {
    /// The task.
    pub id: TaskId,
    /// Which attempt.
    pub order: Order,
    /// The claim under which it runs: whoever has an older one is not listened to any more.
    pub fence: Fence,
    /// Counts what is said under one fence: an older saying that comes late is left out.
    pub turn: u32,
    /// When.
    pub at: Millis,
    /// How far it is, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// What it does just now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the next attempt needs to go on: JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}
