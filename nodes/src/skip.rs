//! What a test does where a generation, or the right to mount, is not on this machine: it skips aloud, and fails in CI, so
//! that a gap is never taken for a pass.

use crate::Error;

/// Returns what was started; nothing, said aloud, where what it needs is not on this machine.
///
/// # Panics
/// Where it did not start for another reason, or `CI=true`.
#[allow(clippy::disallowed_methods, reason = "tests are told of CI this way")]
#[allow(
    clippy::panic,
    clippy::print_stdout,
    reason = "a test reports by panicking, and a skip is printed"
)]
pub fn or_skip<T>(started: Result<T, Error>) -> Option<T> {
    match started {
        Ok(server) => Some(server),
        Err(missing @ (Error::NotHere(_) | Error::NoMount(_)))
            if std::env::var("CI").as_deref() != Ok("true") =>
        {
            println!("SKIPPED: {missing}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}
