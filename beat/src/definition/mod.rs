//! Schedules as people write them: one as a JSON object, many as a file or as lines.
//!
//! [`read`] and [`Written`] are the form at every door: durations with a unit, instants in RFC
//! 3339. [`Wanted`] is what one source wants the timetable to hold, [`check`] holds a schedule
//! against every rule. All mistakes are told at once. When a schedule is due is for
//! [`crate::timing`].

mod check;
mod file;
mod json;
mod lines;
mod parts;
mod wanted;
mod write;

pub use self::check::{MAX_DESCRIPTION, RESERVED, check, request};
pub(crate) use self::file::gather;
pub use self::json::{FIELDS, Named, read, read_named};
pub(crate) use self::wanted::Fingerprint;
pub use self::wanted::{Flaw, Wanted};
pub use self::write::{Line, Written, instant};
