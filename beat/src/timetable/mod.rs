//! What people and programs do with schedules: look, change, pause, run now, backfill, plan.
//!
//! The gateway, workers and the beat stand on the same calls. Nothing here waits for the clock: that
//! is [`crate::engine`]'s. Guards that no source overwrites what belongs to another, that every
//! change is a compare-and-set, and that whatever puts a task in can be repeated under its nonce.

mod apply;
mod change;
mod error;
mod look;
mod now;
mod plan;
mod transfer;

use leveret_common::clock::Millis;
use leveret_common::store::Schedules;
use leveret_producer::Producer;

pub use self::apply::{Applied, Left, Reason};
pub use self::error::TimetableError;
pub use self::look::{MAX_UPCOMING, Seen, Upcoming};
pub use self::now::{Backfilled, MAX_BACKFILL, PutIn, Range};
pub use self::plan::{Difference, Plan, Step, What, differences, is_same_owner};
pub(crate) use self::plan::{Planner, counted};

/// Most schedules that are read or written at a time.
pub const PAGE: usize = 1_000;

/// The timetable of one namespace. Cheap to clone; clones share everything.
///
/// Made with [`new`](Self::new). [`list`](Self::list), [`show`](Self::show), [`next`](Self::next) and
/// [`occurrences`](Self::occurrences) look; [`create`](Self::create), [`replace`](Self::replace),
/// [`delete`](Self::delete), [`pause`](Self::pause) and [`resume`](Self::resume) change one schedule;
/// [`plan`](Self::plan), [`apply`](Self::apply) and [`reconcile`](Self::reconcile) have it hold what a
/// source wants; [`run_now`](Self::run_now) and [`backfill`](Self::backfill) put tasks in beside the clock.
#[derive(Clone)]
pub struct Timetable {
    producer: Producer,
}

impl Timetable {
    /// Creates the operations on the timetable of the producer's backend.
    #[must_use]
    pub const fn new(producer: Producer) -> Self {
        Self { producer }
    }

    /// Returns what puts tasks in.
    #[must_use]
    pub const fn producer(&self) -> &Producer {
        &self.producer
    }

    fn store(&self) -> &dyn Schedules {
        self.producer.backend().schedules.as_ref()
    }

    fn now(&self) -> Millis {
        self.producer.backend().clock.now()
    }
}
