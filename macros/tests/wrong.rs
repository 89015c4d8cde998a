//! What a user is told whose handler or attribute is wrong: the messages of the compiler, word for word.
//!
//! They are compared with the files beside the cases; `TRYBUILD=overwrite cargo test -p leveret-macros` writes
//! those anew, to be read before they are kept. Most of the words are the compiler's own and differ from version
//! to version, so only the one that wrote the files is asked.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking, and skips are printed"
)]

use std::process::Command;

/// The compiler whose words the files have.
const WRITTEN_BY: &str = "rustc 1.95.";

#[test]
fn wrong_handlers_and_attributes_do_not_compile_and_say_why() {
    let version = Command::new("rustc").arg("--version").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    if version.starts_with(WRITTEN_BY) {
        trybuild::TestCases::new().compile_fail("tests/wrong/*.rs");
    } else {
        println!("SKIPPED: the messages were written by {WRITTEN_BY}x, and this is {version}");
    }
}
