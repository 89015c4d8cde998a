//! The contract of Leveret: what every other crate agrees on.
//!
//! A *task* is one request to do work, of a *kind*, with *args*. A *broker* moves it, a *ledger*
//! decides who may run it, *records* answer what became of it. This crate performs no task and opens
//! no HTTP port; programs come in through the crate `leveret`.
//!
//! # Reading order
//!
//! | read | for |
//! | --- | --- |
//! | [`name`], [`id`] | what things are called |
//! | [`envelope`] | how a task looks on the wire, whoever wrote it |
//! | [`retry`] | when a failed task comes back |
//! | [`schedule`] | a timetable entry |
//! | [`ledger`] | who may run a task, as a pure state machine |
//! | [`broker`], [`store`] | the seams, each with its two implementations |
//! | [`backend`] | the one place that chooses between these |
//! | [`desk`] | dead letters: how they are read and replayed |
//!
//! Beside them stand:
//!
//! | module | has |
//! | --- | --- |
//! | `config` (feature `config`) | what can be set, from file, environment and flags |
//! | [`clock`], [`spawn`] | the one place that reads the clock, the one that starts what runs beside |
//! | [`duration`], [`size`], [`filter`] | what people write: `1h30m`, `64KiB`, `kind:email.* age>1h` |
//! | [`shape`], `address` (feature `address`) | which args a kind takes, which addresses a worker may call |
//! | [`telemetry`], [`diagnose`] | logs and metrics, what `leveret doctor` finds |
//! | [`decorator`], [`failpoint`] | what is the same around every seam, where tests stop the process |
//! | [`sabotage`] | which rule a test breaks on purpose |
//! | `embedded` (feature `embedded`) | broker and store in one SQLite file |
//! | `testkit` (feature `testkit`) | the suites that every backend has to pass |
//!
//! # Guarantees
//!
//! Who may run a task, and that the same outcome is published once it is decided, is [`ledger`]'s; the
//! order of steps on which safety stands is the worker's (`leveret_worker::settle::journey`). The
//! cleanliness of outgoing headers is [`envelope`]'s. That the same text means the same id everywhere is
//! [`id`]'s. The limits of each buffer are `config`'s. Rules with a letter and a number (C1, L4) are those
//! of `docs/guarantees.md`.
//!
//! # Examples
//!
//! A sender's own key always means the same task, in every process and language:
//!
//! ```
//! use leveret_common::id::TaskId;
//! use leveret_common::name::{KindName, Namespace};
//!
//! let namespace: Namespace = "leveret".parse()?;
//! let kind: KindName = "email.welcome".parse()?;
//! let id = TaskId::from_key(&namespace, &kind, "welcome-7")?;
//! assert_eq!(id.to_string(), "45263ad4-b2e0-52bc-aca1-9598b8453138");
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
pub mod sabotage;
pub mod schedule;
pub mod shape;
pub mod size;
pub mod spawn;
pub mod store;
pub mod telemetry;
#[cfg(feature = "testkit")]
pub mod testkit;
