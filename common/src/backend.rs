//! The choice of backend: the one place that knows which seams are served by what.

use std::sync::Arc;

#[cfg(feature = "config")]
mod open;

#[cfg(feature = "config")]
pub use self::open::OpenError;
use crate::broker::Broker;
use crate::clock::SharedClock;
use crate::diagnose::Diagnose;
use crate::name::Namespace;
use crate::store::{Fleet, Leases, Ledger, Letters, Records, Retention, Schedules, Signals};

/// What a process does with its backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// Anything.
    #[default]
    Any,
    /// It puts tasks in and asks about them, and never receives any: what receiving takes in memory
    /// is saved.
    Enqueue,
}

/// Everything a role needs to reach the outside: the seams, the clock and what is shared. Cheap to
/// clone; clones share everything.
///
/// [`open`](Self::open) makes one as the settings say: of RabbitMQ and Redis where they name both, else of
/// one SQLite file.
#[derive(Clone)]
pub struct Backend {
    /// Whose names these are.
    pub namespace: Namespace,
    /// Moves tasks.
    pub broker: Arc<dyn Broker>,
    /// Decides who may run a task, and remembers how it ended.
    pub ledger: Arc<dyn Ledger>,
    /// Answers questions about tasks.
    pub records: Arc<dyn Records>,
    /// Says which workers live.
    pub fleet: Arc<dyn Fleet>,
    /// Gives leases out: rights that end by themselves.
    pub leases: Arc<dyn Leases>,
    /// Carries what operators ask of workers, and remembers which queues are paused.
    pub signals: Arc<dyn Signals>,
    /// Describes dead letters.
    pub letters: Arc<dyn Letters>,
    /// Keeps the timetable.
    pub schedules: Arc<dyn Schedules>,
    /// What looks at itself when somebody asks `leveret doctor`.
    pub patients: Vec<Arc<dyn Diagnose>>,
    /// Tells the time.
    pub clock: SharedClock,
    /// How long records are kept.
    pub retention: Retention,
}
