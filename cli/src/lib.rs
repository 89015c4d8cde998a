//! Leveret: a task broker and a worker fleet.
//!
//! A *task* is one request to do work: of a *kind*, with *args*. A program puts it in, a *worker* runs
//! the *handler* of its kind, now or later, and again if that fails; whoever asks is told what became
//! of it. RabbitMQ carries the tasks and Redis remembers who is doing what. With nothing installed,
//! both are one SQLite file, and the promises are the same.
//!
//! # Begin here
//!
//! This is a whole program: a handler, and [`dev`], which is gateway, worker and beat in one process.
//!
//! ```no_run
//! use leveret::prelude::*;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, Task)]
//! #[task(kind = "email.welcome", queue = "mail", max_attempts = 8, timeout = "30s")]
//! struct Welcome { user_id: u64 }
//!
//! async fn welcome(args: Welcome, attempt: Attempt) -> Result<String, TaskError> {
//!     println!("attempt {} of {}", attempt.number, attempt.max);
//!     Ok(format!("welcome, {}", args.user_id))
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), leveret::RunError> {
//!     leveret::dev(Handlers::new().handle(welcome)).await
//! }
//! ```
//!
//! While it runs, a task is put in by a [`Producer`](prelude::Producer), by `leveret task enqueue`, or
//! over HTTP:
//!
//! ```sh
//! curl -sS http://127.0.0.1:7878/v1/tasks -H 'content-type: application/json' \
//!   -d '{"kind":"email.welcome","args":{"user_id":7}}'
//! ```
//!
//! # Reading order
//!
//! What most programs need is in the [`prelude`].
//!
//! | read | for |
//! | --- | --- |
//! | [`Task`](trait@prelude::Task) and its [derive](derive@prelude::Task) | args as a type that knows its kind, its queue and its retries |
//! | [`Handlers`](prelude::Handlers) | handlers and what they can take: [`State`](prelude::State), [`Attempt`](prelude::Attempt), [`Cancel`](prelude::Cancel), [`Progress`](prelude::Progress), [`Checkpoint`](prelude::Checkpoint), [`Enqueuer`](prelude::Enqueuer) |
//! | [`TaskError`](prelude::TaskError), [`RetryPolicy`](prelude::RetryPolicy) | what becomes of a failure |
//! | [`Reply`](prelude::Reply) | a success with tasks that follow from it |
//! | [`Producer`](prelude::Producer), [`EnqueueError`](prelude::EnqueueError) | putting tasks in, and asking what became of them |
//! | [`dev`], [`Program`], [`RunError`] | all of it in one process; a program with the whole command line; why a role ended |
//! | [`settings()`], [`Backend`](prelude::Backend), [`Worker`](prelude::Worker) | the same parts, put together by hand |
#![cfg_attr(
    feature = "testing",
    doc = "| [`testing`] | tests of a program: all of it in memory, on a clock that the test moves |"
)]
#![cfg_attr(
    not(feature = "testing"),
    doc = "| `testing`, with the feature of that name | tests of a program: all of it in memory, on a clock that the test moves |"
)]
//! | [`producer`], [`worker`], [`beat`], [`gateway`], [`common`] | the crates below, each with a front page of its own |
//!
//! Step by step, with the reasons, the same is in the book: `docs/handlers.md`, `docs/programs.md`,
//! `docs/testing.md`. The `leveret` command is [`run()`].
//!
//! # The parts
//!
//! What [`dev`] puts together, without gateway and beat:
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
//! let settings = leveret::settings()?; // leveret.toml and LEVERET_*
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
//! spawner.drained().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! What was accepted ends as done or as a dead letter, whatever is killed meanwhile; or, because
//! somebody said so, as cancelled, expired, discarded or replaced. Done means performed at least once,
//! and a second time only in the windows that `docs/guarantees.md` lists.
//!
//! # Features
//!
//! `cli`, which is on by default, is everything but `testing`. A program that only puts tasks in turns it
//! off and asks for `config` and `servers`; `docs/programs.md` has the list, and how many crates each set
//! compiles.

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

/// What most programs need, to be imported whole: `use leveret::prelude::*`. The front page says in
/// which order to read it.
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
