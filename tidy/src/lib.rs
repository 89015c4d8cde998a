//! Leveret's tidy: the rules of the house that neither rustc, clippy nor cargo-deny knows.
//!
//! Reads the source tree as text and reports every violation of every rule at once. It judges no style that
//! a tool could format and no design; what may call what (clock, environment, spawning) is in `clippy.toml`,
//! what may be depended on in `deny.toml`, and a page that shows a table of the code is compared with it
//! beside that code. Guards that a rule never passes because it looked at nothing: a file that a rule reads
//! and does not find is a violation.
//!
//! Reading order: [`Tree`], then [`RULES`] and its modules, then `tests/tidy.rs`, which runs it all.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

mod rules;
mod tree;

pub use rules::{LongFile, RULES, Rule, check, long_files};
pub use tree::{Source, Tree, Violation};
