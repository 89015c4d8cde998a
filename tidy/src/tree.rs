//! The source tree as texts: what the rules look at, and what they say about it.
//!
//! Walks the folder once and skips what is built or not text; the rules are in [`crate::rules`]. A tree made
//! in memory behaves like one on disk, so that every rule is tried on a tree that breaks it.

use std::fmt;
use std::io;
use std::path::Path;

use walkdir::{DirEntry, WalkDir};

/// Folders that nobody wrote: build output, the repository's own data, the embedded backend's files,
/// packages of other languages, the vendored viewer of the HTTP API.
const SKIPPED_FOLDERS: [&str; 8] =
    ["target", ".git", "leveret-data", ".venv", "node_modules", "dist", "dist-tests", "swagger-ui"];

/// One text file.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its path from the root, with `/` between the parts.
    pub path: String,
    /// What it says.
    pub text: String,
}

impl Source {
    /// Returns whether it is Rust.
    #[must_use]
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Returns a violation in one of its lines, counted from 0.
    #[must_use]
    pub fn violation(&self, line: usize, what: impl Into<String>) -> Violation {
        Violation { path: self.path.clone(), line: Some(line + 1), what: what.into() }
    }
}

/// Every text file below a root.
#[derive(Debug)]
pub struct Tree {
    sources: Vec<Source>,
}

impl Tree {
    /// Reads all text files below a folder; files that are not UTF-8 are left out.
    ///
    /// # Errors
    ///
    /// When a folder or file cannot be read.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut sources = Vec::new();
        let walk = WalkDir::new(root).sort_by_file_name().into_iter().filter_entry(is_written);
        for entry in walk {
            let entry = entry?;
            if !entry.file_type().is_file() {
                continue;
            }
            let relative = entry.path().strip_prefix(root).map_err(io::Error::other)?;
            let path = relative.to_string_lossy().replace('\\', "/");
            if let Ok(text) = String::from_utf8(std::fs::read(entry.path())?) {
                sources.push(Source { path, text });
            }
        }
        Ok(Self { sources })
    }

    /// Makes a tree of paths and their texts.
    #[must_use]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let source = |(path, text): &(&str, &str)| Source {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        Self { sources: files.iter().map(source).collect() }
    }

    /// Returns all files, ordered by path.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Returns the Rust files.
    pub fn rust(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|source| source.is_rust())
    }

    /// Returns the file at a path.
    ///
    /// # Errors
    ///
    /// A violation when it is not there: a rule that reads nothing would pass for ever.
    pub fn source(&self, path: &str) -> Result<&Source, Violation> {
        self.sources.iter().find(|source| source.path == path).ok_or_else(|| Violation {
            path: path.to_owned(),
            line: None,
            what: "is not there, and a rule reads it".to_owned(),
        })
    }
}

fn is_written(entry: &DirEntry) -> bool {
    !entry.file_type().is_dir()
        || !SKIPPED_FOLDERS.iter().any(|skipped| entry.file_name() == *skipped)
}

/// A place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The file.
    pub path: String,
    /// The line, counted from 1; none when it is about the whole file.
    pub line: Option<usize>,
    /// What is wrong and how to mend it.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(formatter, "{}:{line}: {}", self.path, self.what),
            None => write!(formatter, "{}: {}", self.path, self.what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_on_disk_holds_texts_and_nothing_that_was_built() {
        let root = std::env::temp_dir().join(format!("leveret-tidy-{}", std::process::id()));
        for folder in ["a/src", "target/debug"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::fs::write(root.join("a/src/lib.rs"), "//! Text.\n").unwrap();
        std::fs::write(root.join("a/picture.png"), [0xff, 0xfe, 0x00]).unwrap();
        std::fs::write(root.join("target/debug/out.rs"), "built").unwrap();
        let tree = Tree::read(&root);
        std::fs::remove_dir_all(&root).unwrap();
        let paths: Vec<_> = tree.unwrap().sources.into_iter().map(|source| source.path).collect();
        assert_eq!(paths, ["a/src/lib.rs"]);
    }

    #[test]
    fn a_file_that_is_not_there_is_a_violation() {
        let tree = Tree::of(&[("README.md", "")]);
        assert!(tree.source("README.md").is_ok());
        let violation = tree.source("docs/gone.md").unwrap_err();
        assert_eq!(violation.to_string(), "docs/gone.md: is not there, and a rule reads it");
    }
}
