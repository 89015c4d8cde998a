//! Runs every rule on this repository; a violation here is a violation of the house's rules.
//!
//! Also reports, without judging, the files that have grown long: into the file that `LEVERET_TEST_REPORT`
//! names, which `./test.sh` prints.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::io::Write;
use std::path::Path;

use leveret_tidy::{Tree, check, long_files};

fn repository() -> Tree {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Tree::read(&root).unwrap()
}

#[test]
fn the_repository_keeps_the_rules_of_the_house() {
    let violations = check(&repository());
    let list: Vec<_> = violations.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "{} violations:\n{}", list.len(), list.join("\n"));
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test runner says by environment where to report")]
fn long_files_are_reported() {
    let mut report = String::new();
    for file in long_files(&repository()) {
        report.push_str(&format!("long file: {} {}\n", file.lines, file.path));
    }
    print!("{report}");
    if let Some(path) = std::env::var_os("LEVERET_TEST_REPORT") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(report.as_bytes()).unwrap();
    }
}
