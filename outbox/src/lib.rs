//! The outbox: tasks that are put in with a transaction of the sender's own database.
//!
//! Guards the one thing that a sender cannot do alone: a task and the rows it is about are there
//! together or not at all. The task is a row of the table `leveret_outbox` ([`schema`]), written by the
//! sender's transaction in any language, from Rust with [`postgres::enqueue`] and [`sqlite::enqueue`].
//! The [`relay`] hands committed rows to the broker, and ends each only after the broker has
//! confirmed it; the id is fixed in the row, so whatever is handed on twice is one task.
//!
//! Read [`schema`], [`postgres`] or [`sqlite`], then [`relay`]; `docs/outbox.md` goes through it step by
//! step. Knows two databases, each in a module of its own, and of the rest only the producer: nothing here
//! performs a task.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests fail by panicking"
    )
)]

/// The examples of the page, compiled as they are read.
#[cfg(all(doctest, feature = "postgres", feature = "sqlite"))]
#[doc = include_str!("../../docs/outbox.md")]
struct Page;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod entry;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "relay")]
pub mod relay;
pub mod schema;
#[cfg(feature = "sqlite")]
pub mod sqlite;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use self::entry::EnqueueError;
pub use self::schema::Dialect;
