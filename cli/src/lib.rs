//! Leveret: a task broker and a worker fleet.
//!
//! This crate is the front door. Programs find what they need in [`prelude`]; the `leveret`
//! command is [`run`]. Everything else lives in the crates below and is re-exported as
//! [`common`], [`producer`], [`beat`], [`worker`] and [`gateway`].
//!
//! A [`prelude::Task`] is a type of args that knows its kind. To put tasks in,
//! [`prelude::Producer`]; to perform them, [`prelude::Handlers`] and a [`prelude::Worker`], both on
//! one [`prelude::Backend`]: RabbitMQ and Redis, or one SQLite file. What was accepted ends as done or
//! as a dead letter, whatever is killed meanwhile; it runs at least once. How handlers are written,
//! step by step, is in `docs/handlers.md`.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use leveret::prelude::*;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, Task)]
//! #[task(kind = "order.total", timeout = "30s")]
//! struct Total { prices: Vec<u64> }
//!
//! #[derive(Clone)]
//! struct Vat(u64);
//!
//! async fn total(args: Total, State(vat): State<Vat>) -> Result<u64, TaskError> {
//!     let net: u64 = args.prices.iter().sum();
//!     Ok(net + net * vat.0 / 100)
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = leveret::common::config::Settings::default();
//! let spawner = Spawner::new();
//! let backend = Backend::open(&settings, "shop", Arc::new(SystemClock), &spawner).await?;
//!
//! let handlers = Handlers::new().state(Vat(19)).handle(total);
//! let worker = Worker::new(backend.clone(), handlers, leveret::worker::Config::default())?;
//! let stop = CancellationToken::new();
//! let running = spawner.spawn(worker.run(stop.clone()));
//!
//! let producer = Producer::new(backend.clone(), leveret::producer::Options::default());
//! producer.enqueue(Total { prices: vec![3, 4] }).key("order-7").await?;
//!
//! stop.cancel();
//! running.await??;
//! backend.broker.close().await;
//! # Ok(())
//! # }
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

mod ago;
mod args;
mod assemble;
mod client;
mod command;
mod confirm;
mod error;
mod exit;
mod feed;
mod kinds;
mod probe;
mod progress;
mod report;
mod signals;
mod timekeeper;

/// The examples of the guide, compiled as they are read.
#[cfg(doctest)]
#[doc = include_str!("../../docs/handlers.md")]
struct HandlersPage;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

pub use leveret_beat as beat;
pub use leveret_common as common;
pub use leveret_gateway as gateway;
pub use leveret_producer as producer;
pub use leveret_worker as worker;

/// What most programs need.
pub mod prelude {
    pub use leveret_common::backend::Backend;
    pub use leveret_common::clock::SystemClock;
    pub use leveret_common::id::{Fence, TaskId};
    pub use leveret_common::name::{Class, KindName, QueueName, ScheduleName};
    pub use leveret_common::retry::RetryPolicy;
    pub use leveret_common::schedule::Definition;
    pub use leveret_common::spawn::Spawner;
    pub use leveret_macros::Task;
    pub use leveret_producer::task::Task;
    pub use leveret_producer::{Accepted, EnqueueError, Enqueuer, Producer, Request};
    pub use leveret_worker::handler::{
        Attempt, Batch, Batched, Cancel, Checkpoint, Extract, FromRef, Progress, State, Tags,
        from_fn,
    };
    pub use leveret_worker::{
        Execution, Handler, Handlers, Kind, Registry, Reply, TaskError, Worker,
    };
    pub use tokio_util::sync::CancellationToken;
}

use crate::args::CommandLine;
use crate::error::Error;
use crate::exit::Exit;

/// Performs a command line, the program's name first, and returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(told) => {
            // Help and version are data and go to stdout; whoever closed it has seen enough.
            let _ = told.print();
            return if told.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() };
        }
    };
    match perform(line) {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            report::complain(&error);
            error.exit().into()
        }
    }
}

fn perform(line: CommandLine) -> Result<(), Error> {
    leveret_common::failpoint::arm();
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|source| Error::System { operation: "start threads", source })?;
    let ended = runtime.block_on(command::perform(line));
    // Does not wait for what a second signal cut, nor for a read of a terminal that never ends.
    runtime.shutdown_background();
    ended
}
