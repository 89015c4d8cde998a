//! The producer: puts tasks in, and asks what became of them.
//!
//! A [`Task`] is what a sender wants as a type, a [`Request`] the same in the sender's words. [`Producer`] checks it, gives it an
//! id, publishes it and answers [`Accepted`] once the broker has it safe; [`EnqueueError`] says
//! what is known when it does not. A handler enqueues through an [`Enqueuer`], a program in any
//! language writes a [`Submission`].
//!
//! Guards the promise that *accepted* means *confirmed*: nothing is remembered about a task, and
//! no repetition is recognised, before the broker confirmed it. This crate performs no task.
//!
//! # Reading order
//!
//! | read | for |
//! | --- | --- |
//! | [`task`] | args as a type that knows its kind, by derive or by hand |
//! | [`Request`], [`Enqueue`] | what can be said of one task, and its limits |
//! | [`Producer`], [`Options`] | putting tasks in, one or many; asking, waiting, cancelling |
//! | [`Accepted`], [`EnqueueError`] | what is known afterwards, and whether to repeat |
//! | [`Enqueuer`], [`FollowUpError`] | the same out of a handler |
//! | [`Submission`], [`Written`], [`fields`], [`nearest`] | requests as people write them: over HTTP, in an outbox |
//!
//! # Examples
//!
//! ```no_run
//! # use leveret_producer::{EnqueueError, Options, Producer};
//! # use leveret_common::{backend::Backend, name::Class};
//! # use std::time::Duration;
//! # async fn example(backend: Backend) -> Result<(), EnqueueError> {
//! #[derive(serde::Serialize, leveret_producer::Task)]
//! #[task(kind = "email.welcome", queue = "mail")]
//! struct Welcome { user_id: u64 }
//!
//! let producer = Producer::new(backend, Options::default());
//! producer.enqueue(Welcome { user_id: 7 }).await?;
//! let accepted = producer
//!     .enqueue(Welcome { user_id: 8 })
//!     .class(Class::High)
//!     .delay(Duration::from_secs(3_600))
//!     .key("welcome-8")
//!     .await?;
//! producer.task("report.build", &serde_json::json!({ "month": 5 })).await?;
//! println!("{} is {}", accepted.id, accepted.state.as_str());
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

mod bulk;
mod cancel;
mod draft;
mod error;
pub mod fields;
mod find;
mod follow_up;
mod known;
mod labels;
pub mod nearest;
mod producer;
mod request;
mod submission;
pub mod task;
mod written;

pub use self::cancel::CancelError;
pub use self::error::{EnqueueError, Problem, Problems};
pub use self::follow_up::{Enqueuer, FollowUpError, MAX_FOLLOW_UP_BYTES, MAX_FOLLOW_UPS};
pub use self::producer::{Accepted, Enqueue, Options, Producer};
pub use self::request::Request;
pub use self::submission::Submission;
pub use self::task::{Defaults, Task};
pub use self::written::Written;
pub use leveret_macros::TaskInProducer as Task;
