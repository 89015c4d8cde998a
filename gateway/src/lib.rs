//! The gateway: the HTTP door through which tasks are put in, asked for and operated on.
//!
//! [`Gateway`] binds and serves; [`Config`] holds every limit; [`Tokens`] says who may come in.
//! Behind the door, `guard` decides whether a request is let in at all, `route` what it is about,
//! [`operations`] does what was asked and knows no HTTP, `answer`, `stream` and `problem` write
//! what is said. This crate decides nothing about a task's fate. `docs/http-api.md` is the
//! reference of the door.
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
mod body;
mod config;
mod connection;
mod cursor;
mod error;
mod guard;
mod lines;
mod media;
pub mod operations;
mod problem;
mod request;
mod route;
mod server;
mod stream;
mod telemetry;
mod token;
mod write_limit;

pub use self::config::Config;
pub use self::error::GatewayError;
pub use self::server::{Bound, Gateway, IsWorkerReady, RenderMetrics};
pub use self::token::{TokenFileError, Tokens};
