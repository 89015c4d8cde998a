//! Rules that read one file at a time: what each starts with, what it is called, what it may not say.
//!
//! They know words and lines, not Rust: a heuristic that a reader can predict beats a parser here. The words
//! are put together from parts, because this file is checked too.

use crate::tree::{Source, Tree, Violation};

/// A tree without Rust means that the walk began in the wrong place.
pub(super) fn some_rust_is_looked_at(tree: &Tree) -> Vec<Violation> {
    let wrong_root = Violation {
        path: "Cargo.toml".to_owned(),
        line: None,
        what: "no Rust file found below this folder: is it the root?".to_owned(),
    };
    if tree.rust().next().is_none() { vec![wrong_root] } else { Vec::new() }
}

/// Every Rust file begins with `//!`: what it is responsible for, what it is not, what it guards.
pub(super) fn every_file_says_what_it_is_for(tree: &Tree) -> Vec<Violation> {
    tree.rust()
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| {
            source.violation(0, "begins without `//!`: say what the file is responsible for")
        })
        .collect()
}

const DRAWERS: [&str; 8] =
    ["util", "utils", "helper", "helpers", "misc", "types", "constants", "common"];

/// No module is named after nothing: a function without a home lacks its noun. The crate `common` is the
/// contract and the one exception, as the first part of a path.
pub(super) fn no_module_is_a_drawer(tree: &Tree) -> Vec<Violation> {
    let drawer = |source: &Source| {
        let parts = source.path.split('/').skip(1).map(|part| part.trim_end_matches(".rs"));
        parts.into_iter().find(|part| DRAWERS.contains(part)).map(str::to_owned)
    };
    tree.rust()
        .filter_map(|source| Some((source, drawer(source)?)))
        .map(|(source, name)| {
            source.violation(0, format!("`{name}` names no thing: find the noun"))
        })
        .collect()
}

/// Nothing is merged half-made with a note to make the rest.
pub(super) fn nothing_is_left_for_later(tree: &Tree) -> Vec<Violation> {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let what = "is left for later: finish it, or file an issue and write the limit down";
    tree.sources()
        .iter()
        .flat_map(|source| lines_with(source, &words, is_whole_word, what))
        .collect()
}

/// A test that is switched off proves nothing and looks as if it did.
pub(super) fn no_test_is_switched_off(tree: &Tree) -> Vec<Violation> {
    let words = [concat!("#[", "ignore")];
    let what = "switches a test off: mend the test or remove it";
    tree.rust().flat_map(|source| lines_with(source, &words, anywhere, what)).collect()
}

/// Lua is a `.lua` file and a schema is a `.sql` file, where editors and linters know them.
pub(super) fn each_language_has_its_own_files(tree: &Tree) -> Vec<Violation> {
    let words = [
        concat!("redis", ".call("),
        concat!("redis", ".pcall("),
        concat!("CREATE", " TABLE"),
        concat!("CREATE", " INDEX"),
        concat!("CREATE", " UNIQUE INDEX"),
        concat!("ALTER", " TABLE"),
        concat!("DROP", " TABLE"),
    ];
    let what = "is another language: put it into a .lua or .sql file and include it";
    tree.rust().flat_map(|source| lines_with(source, &words, anywhere, what)).collect()
}

/// Nothing depends on, or tells of, the machine that it was written on.
pub(super) fn no_path_of_one_machine(tree: &Tree) -> Vec<Violation> {
    let words = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/fa", "rm/")];
    let what = "is a path of one machine: say it relative to the repository or by a variable";
    tree.sources()
        .iter()
        .flat_map(|source| lines_with(source, &words, is_path_start, what))
        .collect()
}

/// Finds the lines that hold one of the words where `fits(before, after)` accepts its surroundings.
fn lines_with(
    source: &Source,
    words: &[&str],
    fits: fn(&str, &str) -> bool,
    what: &str,
) -> Vec<Violation> {
    let stands_in = |line: &str, word: &str| {
        line.match_indices(word).any(|(at, _)| fits(&line[..at], &line[at + word.len()..]))
    };
    let lines = source.text.lines().enumerate();
    lines
        .filter_map(|(number, line)| {
            let word = words.iter().find(|word| stands_in(line, word))?;
            Some(source.violation(number, format!("`{word}` {what}")))
        })
        .collect()
}

fn anywhere(_before: &str, _after: &str) -> bool {
    true
}

fn is_whole_word(before: &str, after: &str) -> bool {
    let in_word = |character: char| character.is_alphanumeric() || character == '_';
    !before.ends_with(in_word) && !after.starts_with(in_word)
}

/// `cli/work/` is a folder of ours and `https://host/root/` a page; only a path from the root is meant.
fn is_path_start(before: &str, _after: &str) -> bool {
    !before.ends_with(|character: char| character.is_alphanumeric() || "_-.~})".contains(character))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Rule;

    /// The lines of the one file that the rule objects to.
    fn lines(rule: Rule, path: &str, text: &str) -> Vec<usize> {
        rule(&Tree::of(&[(path, text)])).into_iter().filter_map(|found| found.line).collect()
    }

    #[test]
    fn a_file_without_module_doc_is_found() {
        let rule = every_file_says_what_it_is_for;
        assert_eq!(lines(rule, "a/src/b.rs", "use x;\n//! Late.\n"), [1]);
        assert_eq!(lines(rule, "a/src/b.rs", "//! Early.\n"), []);
        assert_eq!(lines(rule, "a/b.sql", "SELECT 1"), []);
    }

    #[test]
    fn a_drawer_is_found_as_file_and_as_folder() {
        for path in
            ["a/src/util.rs", "a/src/helpers/mod.rs", "a/tests/common/mod.rs", "a/src/types.rs"]
        {
            assert_eq!(lines(no_module_is_a_drawer, path, ""), [1], "{path}");
        }
        for path in ["common/src/lib.rs", "a/src/utility.rs", "docs/types.md"] {
            assert_eq!(lines(no_module_is_a_drawer, path, ""), [], "{path}");
        }
    }

    #[test]
    fn a_note_to_finish_later_is_found_in_any_file() {
        let rule = nothing_is_left_for_later;
        for path in ["a/src/b.rs", "test.sh", "docs/x.md"] {
            assert_eq!(lines(rule, path, &format!("fine\n# {}: more\n", concat!("TO", "DO"))), [2]);
        }
        assert_eq!(lines(rule, "a/src/b.rs", &format!("// {}", concat!("FIX", "ME"))), [1]);
        assert_eq!(
            lines(rule, "a/src/b.rs", &format!("let {}_LIST = 1;", concat!("TO", "DO"))),
            []
        );
    }

    #[test]
    fn a_test_that_is_switched_off_is_found() {
        let rule = no_test_is_switched_off;
        let off = concat!("#[", "ignore");
        assert_eq!(lines(rule, "a/tests/b.rs", &format!("#[test]\n{off}]\n")), [2]);
        assert_eq!(lines(rule, "a/tests/b.rs", &format!("{off} = \"slow\"]\n")), [1]);
        assert_eq!(lines(rule, "a/tests/b.rs", "#[test]\n"), []);
    }

    #[test]
    fn lua_and_schemas_are_found_in_rust_only() {
        let rule = each_language_has_its_own_files;
        let lua = concat!("redis", ".call('GET', KEYS[1])");
        let sql = concat!("CREATE", " TABLE t (a)");
        assert_eq!(lines(rule, "a/src/b.rs", &format!("{lua}\n\"{sql}\"")), [1, 2]);
        assert_eq!(lines(rule, "a/src/b.lua", lua), []);
        assert_eq!(lines(rule, "a/src/b.sql", sql), []);
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let rule = no_path_of_one_machine;
        for parts in [["\"/wo", "rk/x\""], ["cd /ro", "ot/x"], ["(/fa", "rm/x)"], ["/ro", "ot/"]] {
            assert_eq!(lines(rule, "docs/x.md", &parts.concat()), [1], "{parts:?}");
        }
        for parts in [["cli/wo", "rk/x"], ["$HOME/net", "work/x"], ["https://host/ro", "ot/x"]] {
            assert_eq!(lines(rule, "docs/x.md", &parts.concat()), [], "{parts:?}");
        }
    }

    #[test]
    fn a_tree_without_rust_is_found() {
        assert_eq!(some_rust_is_looked_at(&Tree::of(&[("README.md", "")])).len(), 1);
        assert_eq!(some_rust_is_looked_at(&Tree::of(&[("a/src/lib.rs", "")])).len(), 0);
    }
}
