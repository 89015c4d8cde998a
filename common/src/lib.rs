//! The contract of Leveret: what every other crate agrees on.
//!
//! Read in this order: [`name`] and [`id`] (what things are called), [`envelope`] (how a task
//! looks on the wire), [`retry`] (when a failed task comes back), [`schedule`] (a timetable entry),
//! [`ledger`] (who may run a task,
//! as a pure state machine), then the seams [`broker`] and [`store`] with their backends,
//! [`backend`], the one place that chooses between them, and [`desk`] (dead letters: how they are
//! read and replayed).
//!
//! Guarantees that live here: the order of steps that keeps an accepted task from being lost is
//! `ledger`'s; the cleanliness of outgoing headers is `envelope`'s; the limits of each buffer are
//! `config`'s. This crate performs no task and opens no HTTP port.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests fail by panicking"
    )
)]

#[cfg(feature = "address")]
pub mod address;
pub mod backend;
pub mod broker;
pub mod clock;
#[cfg(feature = "config")]
pub mod config;
pub mod decorator;
pub mod desk;
pub mod diagnose;
pub mod duration;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod envelope;
pub mod failpoint;
pub mod filter;
pub mod id;
pub mod ledger;
pub mod name;
pub mod retry;
pub mod schedule;
pub mod shape;
pub mod size;
pub mod spawn;
pub mod store;
pub mod telemetry;
#[cfg(feature = "testkit")]
pub mod testkit;
