//! The gateway: the HTTP door through which tasks are put in and asked for.
//!
//! [`Gateway`] binds and serves; [`Config`] holds every limit; [`Tokens`] says who may come in.
//! Behind the door, `guard` decides whether a request is let in at all, `routes` what it is about,
//! `submission` reads one task, `batch` many, `operations` does what was asked, `answer` and
//! `problem` write what is said. This crate decides nothing about a task's fate.
//!
//! Guards: a web page cannot reach a gateway through the browser of somebody who can (`guard`), a
//! gateway without tokens serves its own machine only (`server`), and every answer that is not a
//! success is a problem document of RFC 9457 that says how to mend it (`problem`).

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests fail by panicking"
    )
)]

mod answer;
mod batch;
mod body;
mod config;
mod connection;
mod error;
mod guard;
mod health;
mod lines;
mod media;
mod nearest;
mod operations;
mod problem;
mod routes;
mod server;
mod submission;
mod tasks;
mod telemetry;
mod token;

pub use self::config::Config;
pub use self::error::GatewayError;
pub use self::server::{Bound, Gateway, IsWorkerReady, RenderMetrics};
pub use self::token::{TokenFileError, Tokens};
