//! Put tasks in on time.
//!
//! Read in this order: [`expression`] and [`timing`] (when a schedule is due, as a pure function),
//! [`definition`] (a schedule as people write it, and every rule that it has to keep),
//! [`timetable`] (what people and programs do with schedules: look, change, pause, run now,
//! backfill, plan), [`engine`] (the beat itself: it leads, finds out what is due, puts it in and
//! writes down how far it got).
//!
//! Workers and the gateway stand on the first four; only a process that is a beat runs the last.
//!
//! Guarantees that live here: the next occurrence is strictly later than the instant asked about, is
//! the same for everybody who asks, and is neither left out nor doubled by a change of the clocks; an
//! occurrence has one task, whoever finds it due, because the task's id is derived from it; no
//! source of schedules overwrites what is another's.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests fail by panicking"
    )
)]

pub mod definition;
pub mod engine;
pub mod expression;
pub mod timetable;
pub mod timing;

pub use chrono;
pub use chrono_tz;
