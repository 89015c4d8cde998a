//! Prove it: runs that are too long or too large for the tests, with the shipped binary and servers of
//! their own.
//!
//! Read in this order: [`ground`] (the servers), [`process`] (what runs on them), [`watch`] (what it
//! costs), [`backlog`], [`timetable`] and [`schedules`] (runs). A run checks what it claims and fails where it does not hold; figures
//! are those of the machine it ran on.
//!
//! What does not exist yet: latency, soak and chaos, and other queues measured beside Leveret.

pub mod backlog;
pub mod error;
pub mod ground;
pub mod process;
pub mod report;
pub mod schedules;
pub mod timetable;
pub mod watch;
