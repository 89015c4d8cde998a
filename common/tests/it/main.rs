//! The one integration test binary of `leveret-common`: the wire format, the conformance suites on
//! every backend, and what only one backend promises.
//!
//! Servers come from the environment (`scripts/services.sh`); without them those tests skip aloud,
//! and fail where `CI=true`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking and print for people"
)]

mod conformance;
mod embedded;
mod envelope;
mod protocol_page;
mod rabbitmq;
mod redis;
