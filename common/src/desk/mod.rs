//! The dead-letter desk: dead letters are walked, described, replayed and discarded here.
//!
//! Responsible for the rules R1 to R3 of `docs/guarantees.md`: a letter leaves its queue only after
//! its copy (a replay in a lane, or itself at the tail) is confirmed, so a crash may double a
//! letter and never lose one; a replay is the same task under the next `lv-replay`, so doubled
//! replays run once. [`letter`] says what a letter is, [`walk`] takes a queue through a plan, and
//! [`keeper`] mends by itself what nobody should have to look after.

pub mod entries;
pub mod keeper;
pub mod letter;
pub mod walk;

pub use self::keeper::Keeper;
pub use self::walk::{Desk, DeskError, Plan, Verdict, Walked};
