//! Performs tasks: fetches, claims, executes, settles; gives signs of life; drains.
//!
//! Read in this order: [`handler`] (what a user writes), [`Worker`] (the parts and their order),
//! [`fetch`] (from lanes to slots), [`settle`] (from a delivery to its ack; the safety of Leveret
//! is in [`settle::journey`]), [`execute`] and [`decide`] (one attempt and what it means),
//! [`heartbeat`] and [`contact`] (who lives), [`control`] (what operators ask), `schedules` (what
//! the program declares).
//!
//! Guarantees: an accepted task ends as done or as a dead letter, whatever is killed; it runs
//! again only in the windows that `docs/guarantees.md` lists.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests fail by panicking"
    )
)]

mod config;
pub mod contact;
pub mod control;
pub mod decide;
pub mod execute;
pub mod fetch;
pub mod handler;
pub mod heartbeat;
pub mod lanes;
mod schedules;
pub mod settle;
pub mod shared;
pub mod slot;
mod status;
mod worker;

pub use self::config::Config;
pub use self::handler::{Execution, Handler, Handlers, Kind, Registry, Reply, TaskError};
pub use self::status::Status;
pub use self::worker::{Worker, WorkerError};
/// Writes the `impl` of the trait [`Task`](trait@Task), see [`leveret_macros::Task`].
pub use leveret_macros::TaskInWorker as Task;
/// The trait of typed args, and what belongs to it.
pub use leveret_producer::task;
pub use leveret_producer::task::Task;
