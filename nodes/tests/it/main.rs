//! Servers do what they are asked to.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod life;
