//! Pages of the documentation that must name everything of a kind there is in the code.
//!
//! Only for tables whose own crate cannot compare them; metrics and log fields are compared in
//! `common/src/telemetry/names.rs`, dead reasons in `common/src/envelope/reason.rs`.

use crate::tree::{Source, Tree, Violation};

const KEYS: &str = "common/src/config/keys.rs";
const CONFIGURATION: &str = "docs/configuration.md";

/// Every key of the configuration has its place on the page about it.
pub(super) fn every_config_key_is_documented(tree: &Tree) -> Vec<Violation> {
    let (keys, page) = match (tree.source(KEYS), tree.source(CONFIGURATION)) {
        (Ok(keys), Ok(page)) => (keys, page),
        (keys, page) => return [keys.err(), page.err()].into_iter().flatten().collect(),
    };
    let paths = key_paths(keys);
    if paths.is_empty() {
        return vec![
            keys.violation(0, "holds no table `KEYS` of `key(\"path\", …)` that tidy can read"),
        ];
    }
    paths
        .into_iter()
        .filter(|(_, path)| !page.text.contains(&format!("`{path}`")))
        .map(|(line, path)| keys.violation(line, format!("key `{path}` is not in {CONFIGURATION}")))
        .collect()
}

/// The first text after each `key(` of the table, with its line.
fn key_paths(keys: &Source) -> Vec<(usize, &str)> {
    let table =
        keys.text.lines().enumerate().skip_while(|(_, line)| !line.starts_with("pub const KEYS"));
    let mut paths = Vec::new();
    let mut expects_path = false;
    for (number, line) in table.take_while(|(_, line)| *line != "];") {
        expects_path |= line.trim_start().starts_with("key(");
        if let Some(path) = line.split('"').nth(1).filter(|_| expects_path) {
            paths.push((number, path));
            expects_path = false;
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "fn key() {}\npub const KEYS: &[Key] = &[\n    key(\n        \"broker.url\",\n        None,\n        \
                         \"help\",\n    ),\n    key(\"data\", Some(\"x\"), \"help\"),\n];\nkey(\"later\");\n";

    #[test]
    fn a_key_that_no_page_names_is_found() {
        let tree = Tree::of(&[(KEYS, TABLE), (CONFIGURATION, "| `broker.url` | data |\n")]);
        let found = every_config_key_is_documented(&tree);
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["common/src/config/keys.rs:8: key `data` is not in docs/configuration.md"]
        );
        let tree = Tree::of(&[(KEYS, TABLE), (CONFIGURATION, "`broker.url` `data`")]);
        assert_eq!(every_config_key_is_documented(&tree), []);
    }

    #[test]
    fn a_missing_page_a_missing_table_and_an_unreadable_one_are_found() {
        assert_eq!(every_config_key_is_documented(&Tree::of(&[])).len(), 2);
        assert_eq!(every_config_key_is_documented(&Tree::of(&[(KEYS, TABLE)])).len(), 1);
        let other = Tree::of(&[(KEYS, "pub static ROWS: u8 = 0;"), (CONFIGURATION, "`data`")]);
        assert_eq!(every_config_key_is_documented(&other).len(), 1);
    }
}
