//! Puts tasks in on time.
//!
//! A *schedule* says when which task is due, an *occurrence* is one such instant, the *timetable* is
//! all schedules, and a *beat* is a process that puts in what is due.
//!
//! # Reading order
//!
//! | read | for |
//! | --- | --- |
//! | [`expression`], [`timing`] | when a schedule is due, as a pure function |
//! | [`definition`] | a schedule as people write it, and every rule that it has to keep |
//! | [`timetable`] | what people and programs do: look, change, pause, run now, backfill, plan |
//! | [`engine`] | the beat: it leads, finds what is due, puts it in, writes down how far it got |
//!
//! Workers and the gateway stand on the first four; only a process that is a beat runs the last.
//!
//! # Guarantees
//!
//! The next occurrence is strictly later than the instant asked about, is
//! the same for everybody who asks, and is neither left out nor doubled by a change of the clocks; an
//! occurrence has one task, whoever finds it due, because the task's id is derived from it; no
//! source of schedules overwrites what is another's.
//!
//! # Examples
//!
//! In the night in which 02:30 does not exist, the nightly report is due at 03:00:
//!
//! ```
//! use leveret_beat::chrono::{DateTime, Utc};
//! use leveret_beat::chrono_tz::Europe::Berlin;
//! use leveret_beat::expression::Expression;
//!
//! let nightly: Expression = "30 2 * * *".parse()?;
//! let evening: DateTime<Utc> = "2027-03-27T20:00:00Z".parse()?;
//! let due = nightly.next(Berlin, evening).ok_or("never")?;
//! assert_eq!(due.to_rfc3339(), "2027-03-28T01:00:00+00:00");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
