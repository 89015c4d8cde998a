//! What can be said of the examples without running them; each README is run by
//! `cli/tests/it/examples/`, with the binaries that cargo builds for this test.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../idempotent-payment/books.rs"]
mod books;

use std::collections::BTreeSet;
use std::path::Path;

/// The folders that have a README.
fn examples() -> BTreeSet<String> {
    let entries = std::fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
    let entries = entries.map(|entry| entry.unwrap().path());
    let with_readme = entries.filter(|path| path.join("README.md").exists());
    with_readme.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn the_index_names_every_example_and_a_test_runs_it() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let index = std::fs::read_to_string(here.join("README.md")).unwrap();
    let tests = here.join("../cli/tests/it/examples/mod.rs");
    let tests = std::fs::read_to_string(tests).unwrap();
    let examples = examples();
    assert!(examples.len() > 5, "{examples:?}");
    for name in examples {
        assert!(index.contains(&format!("]({name}/")), "{name} is not in the index");
        // Which is about tests, and has its own.
        assert!(name == "testing" || tests.contains(&format!("\"{name}\"")), "no test runs {name}");
    }
}

#[test]
fn an_attempt_that_was_taken_over_changes_nothing_in_the_books() {
    let books = books::Books::at(":memory:").unwrap();
    books.write(7, "first", 3).unwrap();
    books.write(7, "second", 5).unwrap();
    let refused = books.write(7, "late", 4).unwrap_err();
    assert_eq!(refused.to_string(), "order 7 was written by a younger fence than 4");
    books.write(7, "second", 5).unwrap();
    books.write(8, "other", 1).unwrap();
}
