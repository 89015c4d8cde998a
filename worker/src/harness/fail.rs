//! How a harness fails: as an assertion does. The one place of this crate that panics on purpose.

use std::fmt::Display;

/// Fails the test.
#[track_caller]
#[allow(clippy::panic, reason = "a test fails by panicking, and only tests have a harness")]
pub(super) fn fail(why: &str) -> ! {
    panic!("{why}")
}

/// Returns what there is; an error fails the test.
#[track_caller]
pub(super) fn or_fail<T>(answer: Result<T, impl Display>, to_do: &str) -> T {
    match answer {
        Ok(answer) => answer,
        Err(error) => fail(&format!("the harness failed to {to_do}: {error}")),
    }
}
