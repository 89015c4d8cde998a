//! Whole stories of a worker: what a user sees of a task's life, the same on every backend.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[macro_use]
mod place;

mod drain;
mod endings;
mod exec;
mod intake;
