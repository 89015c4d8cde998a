//! What tests share: the conformance suites, the test servers, and waiting without hoping.
//!
//! [`broker`], [`store`] and [`desk`] each hold one suite, a list of named promises that every
//! backend has to keep; a backend's test hands in a constructor and the suite does the rest. [`services`]
//! knows the servers that were started for the tests. Guards that one behaviour is one test: a
//! promise that only one backend is asked about belongs beside that backend.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test reports by panicking, and skips and case numbers are printed for people"
)]

pub mod broker;
pub mod desk;
pub mod malformed;
mod management;
pub mod raw;
pub mod services;
pub mod store;
mod suite;

use std::future::Future;
use std::time::{Duration, Instant};

/// Waits until `condition` holds, asking again and again; for what a real server does in its own
/// time and signals to nobody.
///
/// # Panics
/// When it does not hold within `deadline`; the message names `what`.
///
/// # Cancel safety
/// As safe as `condition`.
pub async fn eventually<F, Fut>(deadline: Duration, what: &str, mut condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let start = Instant::now();
    let mut pause = Duration::from_millis(2);
    while !condition().await {
        assert!(start.elapsed() < deadline, "after {deadline:?} it still is not so that {what}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
