//! Rows of the fault matrix that are short enough for every run of the tests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, and print what they measured or skipped"
)]

mod chaos;
