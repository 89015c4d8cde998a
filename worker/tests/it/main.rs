//! Whole stories of a worker: what a user sees of a task's life, the same on every backend.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, and skips are printed for people"
)]

#[macro_use]
mod place;

#[macro_use]
mod away;
mod any_input;
mod batches;
mod blocked;
mod cancel;
mod classes;
mod control;
mod delays;
mod detached;
mod drain;
mod endings;
mod exec;
mod follow_ups;
mod handlers;
mod harness;
mod intake;
mod layers;
mod letters;
mod poison;
mod push;
mod receiver;
mod recipes;
mod robbed;
mod saying;
mod schedules;
mod shaped;
mod suspects;
mod times;
