//! The gateway: the HTTP door through which tasks are put in, asked for and operated on.
//!
//! [`Gateway`] binds and serves; [`Config`] holds every limit; [`Tokens`] says who may come in.
//! `docs/http-api.md` is the reference of the door, and [`openapi`](openapi()) writes it for programs.
//!
//! # Reading order
//!
//! Behind the door, `guard` decides whether a request is let in at all, `route` what it is about,
//! [`operations`] does what was asked and knows no HTTP, `answer`, `stream` and `problem` write
//! what is said. Routes and answers bring their own descriptions; `openapi` makes one document of
//! them. This crate decides nothing about a task's fate.
//!
//! # Guarantees
//!
//! A web page cannot reach a gateway through the browser of somebody who can (`guard`), a
//! gateway without tokens serves its own machine only (`server`), and every answer that is not a
//! success is a problem document of RFC 9457 that says how to mend it (`problem`).
//!
//! # Examples
//!
//! A program's own gateway, beside its workers:
//!
//! ```no_run
//! use leveret_common::backend::Backend;
//! use leveret_gateway::{Config, Gateway, GatewayError};
//! use leveret_producer::{Options, Producer};
//! use tokio_util::sync::CancellationToken;
//!
//! # async fn example(backend: Backend, stop: CancellationToken) -> Result<(), GatewayError> {
//! let producer = Producer::new(backend, Options::default());
//! let bound = Gateway::new(producer, Config::default()).bind().await?;
//! println!("http://{}", bound.local_addr());
//! bound.run(stop).await;
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

mod answer;
mod body;
mod config;
mod connection;
mod cursor;
mod error;
mod guard;
mod lines;
mod media;
mod openapi;
pub mod operations;
mod problem;
mod request;
mod route;
mod server;
mod sort;
mod stream;
mod telemetry;
mod token;
mod write_limit;

pub use self::config::Config;
pub use self::connection::{Limits, serve};
pub use self::error::GatewayError;
pub use self::openapi::openapi;
pub use self::server::{Bound, Gateway, IsWorkerReady, RenderMetrics};
pub use self::token::{TokenFileError, Tokens};
