//! Performs tasks: fetches, claims, executes, settles; gives signs of life; drains.
//!
//! A *handler* is an async fn that performs a *kind*. A worker hands it the args of one task at a
//! time for each of its *slots*, and *settles* what comes of it: the outcome is safe elsewhere before the
//! delivery is acked.
//!
//! # Reading order
//!
//! | read | for |
//! | --- | --- |
//! | [`handler`], [`Handlers`], [`TaskError`] | what a program writes |
//! | [`Worker`], [`Config`] | the parts, their order and their limits |
//! | [`fetch`] | from lanes to slots |
//! | [`settle`] | from a delivery to its ack; the safety of Leveret is in [`settle::journey`] |
//! | [`execute`], [`decide`] | one attempt, and what it means |
//! | [`slot`] | how many run at once, and who has to run alone |
//! | [`heartbeat`], [`contact`] | who lives |
//! | [`control`] | what operators ask |
//! | [`lanes`], [`shared`] | what these parts know in common |
//! | `harness`, with the feature `testing` | the same pipeline a step at a time, for the tests of programs |
//!
//! A program needs the first two rows. The rest is for whoever wants to know why a task is where it is;
//! rules with a letter and a number (C1, L4) are those of `docs/guarantees.md`.
//!
//! # Guarantees
//!
//! An accepted task ends as done or as a dead letter, whatever is killed, unless somebody cancels it or
//! its time to start is over; it runs again only in the windows that `docs/guarantees.md` lists. A drain
//! and a shutdown charge no attempt.
//!
//! # Examples
//!
//! ```
//! use leveret_worker::handler::{Attempt, State};
//! use leveret_worker::{Handlers, TaskError};
//!
//! #[derive(Clone)]
//! struct Mailer;
//!
//! async fn remind(user: u64, State(_): State<Mailer>, attempt: Attempt) -> Result<u64, TaskError> {
//!     if user == 0 {
//!         return Err(TaskError::dead("nobody has the number 0")); // no other attempt
//!     }
//!     println!("attempt {} of {}", attempt.number, attempt.max);
//!     Ok(user)
//! }
//!
//! let handlers = Handlers::new().state(Mailer).handle_as("email.remind", remind);
//! # drop(handlers);
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

mod config;
pub mod contact;
pub mod control;
pub mod decide;
pub mod execute;
pub mod fetch;
pub mod handler;
#[cfg(feature = "testing")]
pub mod harness;
pub mod heartbeat;
pub mod lanes;
mod sabotage;
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
pub use leveret_macros::TaskInWorker as Task;
pub use leveret_producer::task;
pub use leveret_producer::task::Task;
