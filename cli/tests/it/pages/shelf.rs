//! What others do with a page's blocks: the façade compiles Rust, tests run programs.

use std::path::{Path, PathBuf};

use super::Done;
use super::block::Block;

/// What is known of the repository before a page is read.
pub(super) struct Shelf {
    /// What the façade's crate and the outbox's say of themselves: which pages they compile.
    pub(super) facade: String,
    /// The texts of all tests, by path.
    pub(super) tests: Vec<(String, String)>,
}

impl Shelf {
    pub(super) fn of(root: &Path) -> Self {
        let files = walkdir::WalkDir::new(root).into_iter().filter_entry(|entry| {
            !["target", ".git", "node_modules"].iter().any(|name| entry.file_name() == *name)
        });
        let is_test = |path: &PathBuf| {
            path.extension().is_some_and(|end| end == "rs")
                && path.components().any(|part| part.as_os_str() == "tests")
                // Which names programs that it does not run.
                && !path.starts_with(root.join("cli/tests/it/pages"))
        };
        let paths = files.filter_map(Result::ok).map(walkdir::DirEntry::into_path).filter(is_test);
        let read = |path: PathBuf| {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        };
        let own =
            ["cli/src/lib.rs", "cli/src/pages.rs", "outbox/src/lib.rs"].map(|name| root.join(name));
        let facade = own.map(|path| std::fs::read_to_string(path).unwrap()).concat();
        Self { facade, tests: paths.map(read).collect() }
    }

    /// The documentation tests of one of them have the page, and rustdoc does not pass the block over.
    pub(super) fn compiles(&self, block: &Block) -> Result<Done, String> {
        if block.info.contains("ignore") {
            return Err("rustdoc ignores it: say `no_run`, or mark it".to_owned());
        }
        let is_compiled = self.facade.contains(&format!("include_str!(\"../../{}\")", block.page));
        is_compiled
            .then_some(Done::Compiled)
            .ok_or_else(|| "add the page to cli/src/pages.rs".to_owned())
    }

    /// A test names the program.
    pub(super) fn run_by(&self, block: &Block) -> Result<Done, String> {
        let told = block.mark("recipe").or_else(|| block.file());
        let name = told.ok_or("its first line does not name it, so no test can run it: mark it")?;
        let has = |text: &str, word: &str| text.contains(&format!("\"{word}\""));
        // Where a program is there in several languages, a test has the endings apart.
        let apart = name.rsplit_once('.');
        let names = |text: &str| {
            has(text, name) || apart.is_some_and(|(stem, end)| has(text, stem) && has(text, end))
        };
        let test = self.tests.iter().find(|(_, text)| names(text));
        test.map(|(path, _)| Done::RunBy(path.clone()))
            .ok_or_else(|| format!("no test runs {name}"))
    }
}
