//! The timetable and the beat on every backend: each promise, by name.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod asked;
mod engine;
mod sources;
mod texts;
mod timetable;
mod world;
