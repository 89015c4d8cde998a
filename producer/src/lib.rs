//! The producer: puts tasks in, and asks what became of them.
//!
//! A [`Request`] is what a sender wants, in the sender's words. [`Producer`] checks it, gives it an
//! id, publishes it and answers [`Accepted`] once the broker has it safe; [`EnqueueError`] says
//! what is known when it does not. A handler enqueues through an [`Enqueuer`], a program in any
//! language writes a [`Submission`]. Read `request`, `draft`, `producer`, `bulk`, in this order.
//!
//! Guards the promise that *accepted* means *confirmed*: nothing is remembered about a task, and
//! no repetition is recognised, before the broker confirmed it. This crate performs no task.
//!
//! ```no_run
//! # use leveret_producer::{EnqueueError, Options, Producer};
//! # use leveret_common::{backend::Backend, name::Class};
//! # use std::time::Duration;
//! # async fn example(backend: Backend) -> Result<(), EnqueueError> {
//! let producer = Producer::new(backend, Options::default());
//! let accepted = producer
//!     .task("email.welcome", &serde_json::json!({ "user_id": 7 }))
//!     .queue("mail")
//!     .class(Class::High)
//!     .delay(Duration::from_secs(3_600))
//!     .key("welcome-7")
//!     .await?;
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

pub use self::cancel::CancelError;
pub use self::error::{EnqueueError, Problem, Problems};
pub use self::follow_up::{Enqueuer, FollowUpError, MAX_FOLLOW_UP_BYTES, MAX_FOLLOW_UPS};
pub use self::producer::{Accepted, Enqueue, Options, Producer};
pub use self::request::Request;
pub use self::submission::Submission;
