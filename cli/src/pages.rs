//! The pages with Rust in them, compiled as they are read: `cargo test -p leveret --doc`.
//!
//! A test finds the pages that are missing here.

#[doc = include_str!("../../docs/handlers.md")]
struct Handlers;

#[doc = include_str!("../../docs/long-tasks.md")]
struct LongTasks;

#[doc = include_str!("../../docs/programs.md")]
struct Programs;

#[cfg(feature = "testing")]
#[doc = include_str!("../../docs/testing.md")]
struct Testing;

#[doc = include_str!("../../docs/tutorial.md")]
struct Tutorial;
