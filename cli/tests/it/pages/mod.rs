//! Every fenced block of the pages: compiled, run, read, or left for a reason that stands beside it.
//!
//! Rust is compiled as documentation of the façade, `sh` that calls `leveret` or `curl` is run beside
//! a real `leveret dev` in a folder of its page's, with what it prints compared where the page shows
//! it; TOML is read as configuration or timetable by the program itself, JSON is read as JSON. Programs
//! of other languages are run by tests that know what they need. [`block`] says how a page marks a
//! block that none of this fits.

mod block;
mod printed;
mod reader;
mod session;
mod shelf;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use leveret_common::testkit::services::variable;

use self::block::Block;
use self::reader::Reader;
use self::shelf::Shelf;
use crate::home::Home;

/// The marks of the page that is also read as it is, without a renderer that hides comments: under
/// the first line of a block.
const README: [(&str, &str, &str); 7] = [
    (
        "cargo run -p leveret -- dev",
        "not run",
        "it starts `dev`, as this test does, and the whole test suite",
    ),
    ("{\"id\":\"04e8e9ae", "output", ""),
    ("leveret() {", "exits", "6"),
    ("leveret task enqueue text.words --id essay", "first", "sed -i s/xargs/xargz/ leveret.toml"),
    ("leveret dead replay --filter", "first", "sed -i s/xargz/xargs/ leveret.toml"),
    (
        "export LEVERET_BROKER_URL",
        "not run",
        "needs servers; worker, gateway and beat are run by `loadtest/tests/it/chaos.rs`",
    ),
    ("proof() {", "not run", "takes many minutes"),
];

/// What became of a block.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Done {
    Compiled,
    Run,
    Compared,
    Read,
    RunBy(String),
    Shown,
    Written,
    Left(String),
}

impl Done {
    const fn word(&self) -> &'static str {
        match self {
            Self::Compiled => "compiled",
            Self::Run => "run",
            Self::Compared => "compared",
            Self::Read => "read",
            Self::RunBy(_) => "run elsewhere",
            Self::Shown => "only shown",
            Self::Written => "written for the next",
            Self::Left(_) => "left",
        }
    }
}

/// A block, and what became of it or why it is wrong.
type Outcome = (Block, Result<Done, String>);

#[test]
fn every_block_of_every_page_is_compiled_run_or_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let pages = block::pages(root);
    assert!(pages.len() > 10, "where are the pages?");
    let shelf = Shelf::of(root);
    let shelf = &shelf;
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let walk = |(page, blocks): (String, Vec<Block>)| {
            let reader = std::thread::Builder::new().name(page.clone());
            reader.spawn_scoped(scope, move || walk(&page, blocks, shelf)).unwrap()
        };
        let walks: Vec<_> = pages.into_iter().map(walk).collect();
        walks.into_iter().flat_map(|walk| walk.join().unwrap()).collect()
    });
    tell(&outcomes);
    let wrong: Vec<_> = outcomes
        .iter()
        .filter_map(|(block, done)| {
            Some(format!("{}:{}: {}", block.page, block.line, done.as_ref().err()?))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} blocks are not as they should be:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}

#[test]
fn what_does_not_hold_is_found() {
    let page = "```sh\nleveret version; leveret dead show nobody\n```\n\n```text\nleveret 7\n```\n\n\
                ```json\n{]\n```\n\n```toml\nworker.slotz = 3\n```\n\n```\nwhat?\n```\n\n\
                ```rust,ignore\nfn f() {}\n```\n\n```go\n// gone.go\n```\n\n\
                <!-- not run -->\n```python\n```\n\n<!-- run: python3 -->\n```python\nassert False\n```\n\n\
                ```sh\nls\n```\n\n```sh\nf() { leveret dead show nobody; }\nf\nf | cat\n```\n\n\
                ```python\n# stem.py\n```\n";
    let tests = vec![("x.rs".to_owned(), "\"stem\"".to_owned())];
    let shelf = Shelf { facade: String::new(), tests };
    let outcomes = walk("docs/x.md", block::read("docs/x.md", page), &shelf);
    let told: Vec<_> = outcomes.into_iter().map(|(_, done)| done.unwrap_err()).collect();
    let expected = [
        "it ended with [\"5\"]",
        "it printed:\nleveret 0",
        "key must be a string",
        "worker.slots",
        "name its language",
        "rustdoc ignores it",
        "no test runs gone.go",
        "it does not say why",
        "AssertionError",
        "neither leveret nor curl",
        "it ended with [\"5\", \"5\"]",
        "no test runs stem.py",
    ];
    assert_eq!(told.len(), expected.len());
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.contains(expected), "{expected:?} is not told: {told}");
    }
}

/// Takes the blocks of a page in their order, as a reader does.
fn walk(page: &str, mut blocks: Vec<Block>, shelf: &Shelf) -> Vec<Outcome> {
    if page == "README.md" {
        let marks = |block: &Block| {
            let own = README.iter().filter(|(begins, ..)| block.text.starts_with(begins));
            own.map(|(_, mark, says)| ((*mark).to_owned(), (*says).to_owned())).collect::<Vec<_>>()
        };
        blocks.iter_mut().for_each(|block| block.marks.extend(marks(block)));
    }
    let home = Home::new();
    let mut reader = Reader::new(&home);
    let mut outcomes: Vec<Outcome> = Vec::new();
    for block in blocks {
        let done = reader.take(&block, outcomes.last().map(|(before, _)| before), shelf);
        outcomes.push((block, done));
    }
    outcomes
}

/// Prints how many blocks of each language were taken how, and why some were left.
fn tell(outcomes: &[Outcome]) {
    let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    let mut report = String::new();
    for (block, done) in outcomes {
        let word = done.as_ref().map_or("wrong", Done::word);
        *counts.entry((block.language.clone(), word)).or_default() += 1;
        if let Ok(Done::Left(why)) = done {
            report.push_str(&format!("snippet left: {}:{}: {why}\n", block.page, block.line));
        }
    }
    for ((language, word), count) in counts {
        report.push_str(&format!("snippets: {language} {word} {count}\n"));
    }
    print!("{report}");
    if let Some(path) = variable("LEVERET_TEST_REPORT") {
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(report.as_bytes()).unwrap();
    }
}
