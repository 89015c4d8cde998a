//! Prove it: runs that are too long or too large for the tests, with the shipped binary and servers of
//! their own.
//!
//! Read in this order: [`ground`] (the servers), [`process`] (what runs on them), [`watch`] (what it
//! costs), [`backlog`], [`timetable`] and [`schedules`] (runs). A run checks what it claims and fails where it does not hold; figures
//! are those of the machine it ran on.
//!
//! The fault matrix is [`chaos`]: its rows play on servers of [`node`], through a [`proxy`], with the processes of a
//! [`fleet`], and the [`oracle`] judges them.
//!
//! What does not exist yet: latency, and other queues measured beside Leveret.

pub mod backlog;
pub mod chaos;
pub mod error;
pub mod fleet;
pub mod ground;
pub mod oracle;
pub mod process;
pub mod proxy;
pub mod report;
pub mod schedules;
pub mod timetable;
pub mod watch;

/// Servers of a run's own.
pub use leveret_nodes as node;
