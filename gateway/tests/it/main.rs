//! The gateway over real HTTP on every backend: each rule of the door, by name.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, and say what they skip"
)]

mod any_text;
mod ask;
mod batch;
mod bulk;
mod cancel;
mod dead;
mod doctor;
mod explain;
mod faults;
mod fleet;
mod guard;
mod openapi;
mod process;
mod put_in;
mod schedules;
mod transfer;
mod walkers;
mod world;
