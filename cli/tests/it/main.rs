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

#[macro_use]
mod ground;

mod bulk;
mod cancel;
mod dead;
mod discard;
mod doctor;
mod doors;
mod examples;
mod explain;
mod fake;
mod features;
mod home;
mod kinds;
mod letters;
mod offered;
mod outbox;
mod pages;
#[cfg(feature = "failpoints")]
mod program;
#[cfg(feature = "proofs")]
mod proofs;
mod queues;
mod refusals;
mod rights;
mod role;
mod roles;
mod sabotage;
mod schedules;
mod servers;
mod settings;
mod shipped;
mod signals;
mod story;
mod supervised;
mod tasks;
mod terminal;
mod walks;
mod workers;
