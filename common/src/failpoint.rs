//! Points where a test can stop the process: `pass("settle.decided")`.
//!
//! Compiled to nothing without the feature `failpoints`, which no release build has. With it, the
//! environment variable `FAILPOINTS` of a child process chooses: `settle.decided=return` aborts
//! the process there, as `kill -9` would; `settle.decided=2*off->return` does so the third time.
//! A few give a [`number`] in the place of a fixed one: with `envelope.version=return(2)` a process is
//! one of a newer version, for a rolling upgrade, `intake.deploy_window=return(5000)` shortens the
//! ten minutes of a deploy, and with `broker.new_queue=return(0)` a queue that was just made is used at once.

/// Whether failpoints are compiled in.
pub const COMPILED_IN: bool = cfg!(feature = "failpoints");

/// Aborts the process here when a test asked for it.
#[cfg(feature = "failpoints")]
pub fn pass(name: &str) {
    fail::fail_point!(name, |_| std::process::abort());
}

/// Does nothing: failpoints are not compiled in.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub const fn pass(_name: &str) {}

/// Returns the number that a test has given in the place of a fixed one; nothing where none did.
#[cfg(feature = "failpoints")]
#[must_use]
pub fn number(name: &str) -> Option<u64> {
    fail::fail_point!(name, |given| given.and_then(|given| given.parse().ok()));
    None
}

/// Returns nothing: failpoints are not compiled in.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
#[must_use]
pub const fn number(_name: &str) -> Option<u64> {
    None
}

/// Reads `FAILPOINTS`, once at the start of a process.
#[cfg(feature = "failpoints")]
pub fn arm() {
    // The scenario lives as long as the process: dropping it would disarm every point.
    std::mem::forget(fail::FailScenario::setup());
}

/// Does nothing: failpoints are not compiled in.
#[cfg(not(feature = "failpoints"))]
pub const fn arm() {}
