//! Put tasks in on time.
//!
//! Read [`expression`]: when a timetable entry is due, as a pure function of (expression, zone,
//! instant).
//!
//! What does not exist yet: there is no beat. No timetable is read or kept, nobody is elected
//! leader, nothing is enqueued and missed occurrences are not caught up with; there is no role
//! `beat` in the binary. The rules of time come first because everything else has to agree with
//! them: an occurrence's task id is derived from its instant, so a wrong instant is a second task.
//!
//! Guarantee that lives here: the next firing is strictly later than the instant asked about, is
//! the same for everybody who asks, and a daily firing is neither left out nor doubled by a change
//! of the clocks.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests fail by panicking"
    )
)]

pub mod expression;

pub use chrono;
pub use chrono_tz;
