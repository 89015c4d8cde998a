//! What is the same for every backend, written once around the seams.
//!
//! [`Observed`] counts, times and logs; `Faulty` (feature `testkit`) makes chosen calls fail, as
//! a bad network would. Neither changes what an operation means, and both are put on by whoever
//! builds a [`crate::backend::Backend`].

#[cfg(feature = "testkit")]
mod faulty;
mod observed;
#[cfg(test)]
mod stub;

#[cfg(feature = "testkit")]
pub use faulty::{Faults, Faulty, LedgerCall, Moment, ScheduleCall};
pub use observed::Observed;
