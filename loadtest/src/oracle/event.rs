//! What was done to the system while it worked, each with its time.

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;

/// One thing that was done to the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A process of the fleet ended without a word: killed, aborted, crashed.
    Killed {
        /// Its process.
        pid: u32,
        /// When it was gone.
        at: Millis,
    },
    /// A process was asked to end, and ended.
    Drained {
        /// Its process.
        pid: u32,
        /// When it was asked.
        from: Millis,
        /// When it was gone.
        to: Millis,
    },
    /// A process was stopped and continued.
    Stopped {
        /// Its process.
        pid: u32,
        /// When it was stopped.
        from: Millis,
        /// When it went on.
        to: Millis,
    },
    /// Workers could not reach the store: a partition, a hanging or a dead store.
    CutOff {
        /// The worker's process; absent where it was all of them.
        pid: Option<u32>,
        /// Since when.
        from: Millis,
        /// Until when.
        to: Millis,
    },
    /// The store lost all it had.
    Wiped {
        /// When.
        at: Millis,
    },
    /// The store lost what it had learned last.
    RolledBack {
        /// The oldest that may be gone.
        from: Millis,
        /// When it ended.
        to: Millis,
    },
    /// The broker, or the way to it, was away.
    BrokerLost {
        /// Since when.
        from: Millis,
        /// Until when.
        to: Millis,
    },
    /// The fleet had no worker.
    Unmanned {
        /// Since when.
        from: Millis,
        /// Until when.
        to: Millis,
    },
    /// Somebody replayed a dead letter.
    Replayed {
        /// Its task.
        id: TaskId,
        /// When.
        at: Millis,
    },
    /// Something else, for whoever reads the log of a play.
    Told {
        /// When.
        at: Millis,
        /// What.
        what: String,
    },
}

impl Event {
    /// Returns when it began.
    #[must_use]
    pub const fn began(&self) -> Millis {
        match self {
            Self::Killed { at, .. }
            | Self::Wiped { at }
            | Self::Replayed { at, .. }
            | Self::Told { at, .. } => *at,
            Self::Drained { from, .. }
            | Self::Stopped { from, .. }
            | Self::CutOff { from, .. }
            | Self::RolledBack { from, .. }
            | Self::BrokerLost { from, .. }
            | Self::Unmanned { from, .. } => *from,
        }
    }

    /// Returns when it was over.
    #[must_use]
    pub const fn ended(&self) -> Millis {
        match self {
            Self::Killed { at, .. }
            | Self::Wiped { at }
            | Self::Replayed { at, .. }
            | Self::Told { at, .. } => *at,
            Self::Drained { to, .. }
            | Self::Stopped { to, .. }
            | Self::CutOff { to, .. }
            | Self::RolledBack { to, .. }
            | Self::BrokerLost { to, .. }
            | Self::Unmanned { to, .. } => *to,
        }
    }

    /// Whether the store may know less after it, or have been told less while it lasted.
    #[must_use]
    pub const fn touches_store(&self) -> bool {
        matches!(self, Self::CutOff { .. } | Self::Wiped { .. } | Self::RolledBack { .. })
    }
}
