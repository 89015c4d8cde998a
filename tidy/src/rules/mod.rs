//! The rules: a table of small functions, each from a tree to its violations.
//!
//! Responsible for running them all; what each looks for is in the modules. A new rule is one function, one
//! row here and one test with a tree that breaks it.

mod bounds;
mod imports;
mod limits;
mod links;
mod pages;
mod text;
mod vendors;

use crate::tree::{Tree, Violation};

/// Finds the places in a tree that break one rule.
pub type Rule = fn(&Tree) -> Vec<Violation>;

/// Every rule.
pub const RULES: &[Rule] = &[
    text::some_rust_is_looked_at,
    text::every_file_says_what_it_is_for,
    text::no_module_is_a_drawer,
    text::nothing_is_left_for_later,
    text::no_test_is_switched_off,
    text::each_language_has_its_own_files,
    text::no_path_of_one_machine,
    imports::crates_import_only_what_is_below_them,
    vendors::only_its_home_depends_on_a_vendor,
    vendors::a_vendor_is_used_in_its_own_folder,
    bounds::every_queue_has_a_bound,
    limits::every_limit_is_on_the_page_as_in_the_code,
    pages::every_config_key_is_documented,
    links::links_lead_somewhere,
    links::every_page_is_in_the_summary,
];

/// Runs every rule and returns all violations, ordered by place.
#[must_use]
pub fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations: Vec<_> = RULES.iter().flat_map(|rule| rule(tree)).collect();
    violations.sort();
    violations
}

/// A file where one should look for the second thing in it.
#[derive(Debug, PartialEq, Eq)]
pub struct LongFile {
    /// The file.
    pub path: String,
    /// How many lines it has, its tests apart.
    pub lines: usize,
}

/// Lines, tests apart, from which a file is worth a second look.
const LONG: usize = 300;

/// Finds the Rust files of more than 300 lines, tests apart, longest first. This is reported, not judged.
#[must_use]
pub fn long_files(tree: &Tree) -> Vec<LongFile> {
    let mut long: Vec<_> = tree
        .rust()
        .filter(|source| !source.path.split('/').any(|part| part == "tests" || part == "tests.rs"))
        .map(|source| LongFile {
            path: source.path.clone(),
            lines: source.text.lines().take_while(|line| *line != "#[cfg(test)]").count(),
        })
        .filter(|file| file.lines > LONG)
        .collect();
    long.sort_by_key(|file| std::cmp::Reverse(file.lines));
    long
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_tree_passes_no_check() {
        let violations = check(&Tree::of(&[]));
        assert!(violations.iter().any(|violation| violation.path == "Cargo.toml"));
        assert!(violations.iter().any(|violation| violation.what.contains("no Rust file")));
    }

    #[test]
    fn a_long_file_is_reported_without_its_tests() {
        let line = "fn f() {}\n";
        let long = line.repeat(301);
        let tested = format!("{}#[cfg(test)]\n{}", line.repeat(300), line.repeat(50));
        let tree = Tree::of(&[
            ("a/src/long.rs", &long),
            ("a/src/tested.rs", &tested),
            ("a/tests/long.rs", &long),
            ("a/src/x/tests.rs", &long),
        ]);
        assert_eq!(long_files(&tree), [LongFile { path: "a/src/long.rs".to_owned(), lines: 301 }]);
    }
}
