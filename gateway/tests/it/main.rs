//! The gateway over real HTTP on the embedded backend: each rule of the door, by name.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod ask;
mod batch;
mod guard;
mod process;
mod put_in;
mod world;
