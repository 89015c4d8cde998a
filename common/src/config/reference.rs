//! The tables of `docs/configuration.md`.
//!
//! Compiled for tests only. Responsible for writing [`KEYS`] and [`KIND_KEYS`] down as Markdown. The prose around them is
//! the page's own. A test compares page and tables; it rewrites them when `LEVERET_TEST_BLESS` is
//! set.

use super::keys::{KEYS, Key};
use super::kinds::{KIND_KEYS, KindKey};

/// Returns a page with each generated part replaced by what the tables say now.
///
/// A part stands between `<!-- begin NAME -->` and `<!-- end NAME -->`; `None` if one is missing.
fn rewrite(page: &str) -> Option<String> {
    let page = replace(page, "keys", &key_table())?;
    replace(&page, "kinds", &kind_table())
}

fn replace(page: &str, part: &str, table: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- begin {part} -->\n"), format!("<!-- end {part} -->"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{table}\n{end}{after}"))
}

fn key_table() -> String {
    let head = "| key | default | value | what it is |\n| --- | --- | --- | --- |\n";
    let row = |key: &Key| {
        let default = key.default.map_or_else(|| "absent".to_owned(), |text| format!("`{text}`"));
        format!("| `{}` | {default} | {} | {} |\n", key.path, key.form.describe(), key.help)
    };
    KEYS.iter().fold(head.to_owned(), |table, key| table + &row(key))
}

fn kind_table() -> String {
    let head = "| key | of | default | value | what it is |\n| --- | --- | --- | --- | --- |\n";
    KIND_KEYS.iter().fold(head.to_owned(), |table, key| {
        let KindKey { name, form, help, .. } = key;
        let of = key.of.word().map_or_else(|| "every kind".to_owned(), |word| format!("`{word}`"));
        let default = key.default.map_or_else(|| "absent".to_owned(), |text| format!("`{text}`"));
        table + &format!("| `{name}` | {of} | {default} | {form} | {help} |\n")
    })
}

#[test]
fn the_documentation_lists_every_key_as_the_table_has_it() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let page = std::fs::read_to_string(path).unwrap();
    let rewritten = rewrite(&page).expect("the page marks the begin and end of both tables");
    if super::environment::read().contains_key("LEVERET_TEST_BLESS") {
        std::fs::write(path, rewritten).unwrap();
        return;
    }
    assert!(page == rewritten, "run this test with LEVERET_TEST_BLESS=1 to rewrite {path}");
}
