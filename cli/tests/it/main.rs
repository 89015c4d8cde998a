//! The real binary, as people and scripts use it: one integration binary for the whole command.
//!
//! Every test has its own folder and its own free port, so all run in parallel. Child processes
//! are killed when their owner is dropped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, and print what they measured or skipped"
)]

mod bulk;
mod fleet;
mod home;
mod refusals;
mod role;
mod roles;
mod servers;
mod settings;
mod signals;
mod tasks;
