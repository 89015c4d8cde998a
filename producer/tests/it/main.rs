//! The producer on the embedded backend: what it sends, what it answers, what it refuses.
//!
//! The broker and the records are watched and can be made to fail; everything else is real.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod ask;
mod bulk;
mod cancel;
mod follow_ups;
mod one;
mod world;
