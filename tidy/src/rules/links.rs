//! Links of the pages: each leads to a page, to a heading or to a file that is there.
//!
//! Looks at what stands in the repository; addresses elsewhere are nobody's promise here. Guards the
//! book too: every page of `docs/` is in its summary, and none leads out of the book.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{Source, Tree, Violation};

const SUMMARY: &str = "docs/SUMMARY.md";
const BOOK: &str = "docs/";

/// Every link within the repository leads somewhere.
pub(super) fn links_lead_somewhere(tree: &Tree) -> Vec<Violation> {
    let headings: BTreeMap<&str, BTreeSet<String>> =
        pages(tree).map(|page| (page.path.as_str(), headings(&page.text))).collect();
    let is_there = |path: &str| {
        let folder = format!("{}/", path.trim_end_matches('/'));
        tree.sources().iter().any(|source| source.path == path || source.path.starts_with(&folder))
    };
    let mut violations = Vec::new();
    for page in pages(tree) {
        for (line, link) in links(&page.text) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => page.path.clone(),
                path => beside(&page.path, path),
            };
            let wrong = if !is_there(&target) {
                format!("the link `{link}` leads to {target}, which is not there")
            } else if page.path.starts_with(BOOK) && !target.starts_with(BOOK) {
                format!("the link `{link}` leads out of the book; name the file instead")
            } else if !heading.is_empty()
                && headings.get(target.as_str()).is_some_and(|all| !all.contains(heading))
            {
                format!("the link `{link}` leads to a heading that {target} does not have")
            } else {
                continue;
            };
            violations.push(page.violation(line, wrong));
        }
    }
    violations
}

/// Every page of the book is in its summary.
pub(super) fn every_page_is_in_the_summary(tree: &Tree) -> Vec<Violation> {
    let summary = match tree.source(SUMMARY) {
        Ok(summary) => summary,
        Err(violation) => return vec![violation],
    };
    let named: BTreeSet<_> =
        links(&summary.text).into_iter().map(|(_, link)| beside(SUMMARY, link)).collect();
    pages(tree)
        .filter(|page| {
            page.path.starts_with(BOOK) && page.path != SUMMARY && !named.contains(&page.path)
        })
        .map(|page| Violation {
            path: page.path.clone(),
            line: None,
            what: format!("is not in {SUMMARY}, so no reader of the book finds it"),
        })
        .collect()
}

fn pages(tree: &Tree) -> impl Iterator<Item = &Source> {
    tree.sources()
        .iter()
        .filter(|source| source.path.ends_with(".md") && !source.path.contains("node_modules/"))
}

/// The text of a page without its fenced blocks, line by line.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_fenced = false;
    text.lines().enumerate().filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        !is_fence && !is_fenced
    })
}

/// The links of a page that lead into the repository, each with its line.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        // What stands in backquotes is shown, not followed.
        let shown = |at: usize| line[..at].matches('`').count() % 2 == 1;
        for (at, _) in line.match_indices("](").filter(|(at, _)| !shown(*at)) {
            let target = line[at + 2..].split([')', ' ']).next().unwrap_or_default();
            let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
            found.extend((!is_elsewhere).then_some((number, target)));
        }
    }
    found
}

/// The path that a link on a page means, from the root.
fn beside(page: &str, link: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The names under which the headings of a page are reached, as browsers of repositories and books make
/// them: lower case, without punctuation, a number behind one that comes again.
fn headings(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for (_, line) in prose(text) {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let letter = |c: char| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        };
        let name: String = title.trim().to_lowercase().chars().filter_map(letter).collect();
        let times = seen.entry(name.clone()).or_default();
        names.insert(if *times == 0 { name } else { format!("{name}-{times}") });
        *times += 1;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(violations: &[Violation]) -> Vec<String> {
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_link_to_a_page_a_heading_or_a_file_that_is_not_there_is_found() {
        let page = "# A page\n\n[a](b.md#two-words) [b](b.md#three) [c](gone.md) [d](#a-page)\n\
                    [e](https://example.org/x) `[f](shown.md)`\n\n```md\n[g](fenced.md)\n```\n";
        let tree = Tree::of(&[("docs/a.md", page), ("docs/b.md", "## `Two` words!\n")]);
        assert_eq!(
            said(&links_lead_somewhere(&tree)),
            [
                "docs/a.md:3: the link `b.md#three` leads to a heading that docs/b.md does not have",
                "docs/a.md:3: the link `gone.md` leads to docs/gone.md, which is not there"
            ]
        );
    }

    #[test]
    fn folders_files_and_pages_above_are_reached_but_not_from_the_book() {
        let readme = "[a](docs/adr) [b](src/lib.rs) [c](LICENSE)\n";
        let tree = Tree::of(&[
            ("README.md", readme),
            ("LICENSE", ""),
            ("src/lib.rs", ""),
            ("docs/adr/1.md", "[up](../a.md#x-1)\n"),
            ("docs/a.md", "# X\n## X\n[out](../README.md)\n"),
        ]);
        assert_eq!(
            said(&links_lead_somewhere(&tree)),
            ["docs/a.md:3: the link `../README.md` leads out of the book; name the file instead"]
        );
    }

    #[test]
    fn a_page_that_no_summary_names_is_found() {
        let tree =
            Tree::of(&[(SUMMARY, "- [A](a.md)\n"), ("docs/a.md", ""), ("docs/adr/1.md", "")]);
        let found = every_page_is_in_the_summary(&tree);
        assert_eq!(
            said(&found),
            ["docs/adr/1.md: is not in docs/SUMMARY.md, so no reader of the book finds it"]
        );
        assert_eq!(every_page_is_in_the_summary(&Tree::of(&[])).len(), 1);
    }
}
