//! Points where a test can stop the process: `pass("settle.decided")`.
//!
//! Compiled to nothing without the feature `failpoints`, which no release build has. With it, the
//! environment variable `FAILPOINTS` of a child process chooses: `settle.decided=return` aborts
//! the process there, as `kill -9` would; `settle.decided=2*off->return` does so the third time.

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

/// Reads `FAILPOINTS`, once at the start of a process.
#[cfg(feature = "failpoints")]
pub fn arm() {
    // The scenario lives as long as the process: dropping it would disarm every point.
    std::mem::forget(fail::FailScenario::setup());
}

/// Does nothing: failpoints are not compiled in.
#[cfg(not(feature = "failpoints"))]
pub const fn arm() {}
