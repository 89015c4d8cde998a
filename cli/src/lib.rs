//! Leveret: a task broker and a worker fleet.
//!
//! This crate is the front door. Programs find what they need in [`prelude`]; [`dev`] is all of it in
//! one process with a program's own handlers, [`Program`] the whole command line with them, and the
//! `leveret` command is [`run`]. Everything else lives in the crates below and is re-exported as
//! [`common`], [`producer`], [`beat`], [`worker`] and [`gateway`]. Features decide what of it is
//! compiled: `docs/programs.md` lists them.
//!
//! A [`prelude::Task`] is a type of args that knows its kind. To put tasks in,
//! [`prelude::Producer`]; to perform them, [`prelude::Handlers`] and a [`prelude::Worker`], both on
//! one [`prelude::Backend`]: RabbitMQ and Redis, or one SQLite file. What was accepted ends as done or
//! as a dead letter, whatever is killed meanwhile; it runs at least once. How handlers are written,
//! step by step, is in `docs/handlers.md`; here are the parts that [`dev`] puts together.
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

#[cfg(feature = "cli")]
mod ago;
#[cfg(feature = "cli")]
mod args;
#[cfg(feature = "cli")]
mod assemble;
#[cfg(feature = "cli")]
mod client;
#[cfg(feature = "cli")]
mod command;
#[cfg(feature = "cli")]
mod confirm;
#[cfg(feature = "cli")]
mod error;
#[cfg(feature = "cli")]
mod exit;
#[cfg(feature = "cli")]
mod feed;
#[cfg(feature = "cli")]
mod kinds;
#[cfg(feature = "cli")]
mod knock;
#[cfg(feature = "cli")]
mod notify;
#[cfg(all(doctest, feature = "cli"))]
mod pages;
#[cfg(feature = "cli")]
mod probe;
#[cfg(feature = "cli")]
mod program;
#[cfg(feature = "cli")]
mod progress;
#[cfg(feature = "cli")]
mod report;
#[cfg(feature = "cli")]
mod run_error;
#[cfg(feature = "config")]
mod settings;
#[cfg(feature = "cli")]
mod signals;
#[cfg(feature = "cli")]
mod timekeeper;

#[cfg(feature = "worker")]
pub use leveret_beat as beat;
pub use leveret_common as common;
#[cfg(feature = "gateway")]
pub use leveret_gateway as gateway;
pub use leveret_producer as producer;
#[cfg(feature = "worker")]
pub use leveret_worker as worker;
/// What types derive whose args have a schema, in the version that is understood here.
#[cfg(feature = "schema")]
pub use schemars;

#[cfg(feature = "cli")]
pub use self::program::{Program, dev, run};
#[cfg(feature = "cli")]
pub use self::run_error::RunError;
#[cfg(feature = "config")]
pub use self::settings::settings;
#[cfg(feature = "testing")]
pub use leveret_worker::harness as testing;

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
    #[cfg(feature = "worker")]
    pub use leveret_worker::handler::{
        Attempt, Batch, Batched, Cancel, Checkpoint, Extract, FromRef, Progress, State, Tags,
        from_fn,
    };
    #[cfg(feature = "worker")]
    pub use leveret_worker::{
        Execution, Handler, Handlers, Kind, Registry, Reply, TaskError, Worker,
    };
    pub use tokio_util::sync::CancellationToken;
}
