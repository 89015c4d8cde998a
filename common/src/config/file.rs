//! The file: `leveret.toml`.
//!
//! Responsible for finding, reading and parsing it, and for the line of each value; the only user
//! of the TOML crate. What a value means is its key's. Guards: a name in the file is a key, a
//! table of keys or a problem, never ignored.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::assignment::{Assignment, mend_unknown};
use super::keys::{KEYS, Key};
use super::problem::{Origin, Problem};
use super::value::{Entry, Raw};
use super::{FILE_NAME, Sources};

/// Largest file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// The table of kinds, which [`super::kinds`] reads.
pub(super) const KINDS: &str = "kinds";

/// A parsed file.
pub(super) struct ConfigFile {
    name: String,
    entries: Vec<Entry>,
}

/// Reads the file, if there is one or one was named.
pub(super) fn read(sources: &Sources) -> Result<Option<ConfigFile>, Vec<Problem>> {
    let path = sources.file.clone().unwrap_or_else(|| PathBuf::from(FILE_NAME));
    let name = path.display().to_string();
    let text = match read_text(&sources.working_dir.join(path), MAX_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && sources.file.is_none() => {
            return Ok(None);
        }
        Err(error) => {
            let why = format!("failed to read the configuration file: {error}");
            let mend = "name a readable TOML file with --config, or leave the flag out to use \
                        leveret.toml if it exists";
            return Err(vec![Problem::new(name, why, mend)]);
        }
    };
    parse(name, &text).map(Some)
}

/// Reads a whole file of at most `max_bytes` of UTF-8.
pub(super) fn read_text(path: &Path, max_bytes: u64) -> std::io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(max_bytes + 1).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read <= max_bytes) {
        return Ok(text);
    }
    let why = format!("it is larger than {max_bytes} bytes");
    Err(std::io::Error::new(ErrorKind::FileTooLarge, why))
}

fn parse(name: String, text: &str) -> Result<ConfigFile, Vec<Problem>> {
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(ConfigFile { name, entries: lines.entries(table.get_ref()) });
    }
    let problem = |error: toml::de::Error| {
        let line = error.span().map_or(1, |span| lines.number(span.start));
        let why = format!("failed to parse the file as TOML: {}", error.message());
        let mend = "correct the line; tables are [name], values are name = \"text\", 5 or true";
        Problem::new(format!("{name}:{line}"), why, mend)
    };
    Err(errors.into_iter().map(problem).collect())
}

impl ConfigFile {
    /// Returns the origin of what stands in a line.
    pub(super) fn origin(&self, line: usize) -> Origin {
        Origin::File { file: self.name.clone(), line }
    }

    /// Returns the entry of a table at the top of the file.
    pub(super) fn top(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// Gives every value except those of the kinds to its key.
    pub(super) fn assign(&self, assignments: &mut Vec<Assignment>, problems: &mut Vec<Problem>) {
        for entry in self.entries.iter().filter(|entry| entry.name != KINDS) {
            self.assign_entry("", entry, assignments, problems);
        }
    }

    fn assign_entry(
        &self,
        table: &str,
        entry: &Entry,
        assignments: &mut Vec<Assignment>,
        problems: &mut Vec<Problem>,
    ) {
        let path = join(table, &entry.name);
        let origin = self.origin(entry.line);
        if let Some(key) = Key::find(&path) {
            assignments.push(Assignment { key, origin, raw: entry.value.clone() });
            return;
        }
        match &entry.value {
            // The entries of an unknown table are reported one by one: each can be suggested for.
            Raw::Table(entries) if is_table(&path) || !entries.is_empty() => {
                for entry in entries {
                    self.assign_entry(&path, entry, assignments, problems);
                }
            }
            _ if is_table(&path) => {
                let why = "it is a table of keys, not a value";
                let mend = format!("write [{path}] on a line of its own, and its keys below");
                problems.push(Problem::new(path, why, mend).at(origin));
            }
            _ => {
                let mend = mend_unknown(&path);
                problems.push(Problem::new(path, "there is no such key", mend).at(origin));
            }
        }
    }
}

/// Writes a path as TOML does: a part that is not a bare word is quoted, so that the one key
/// `"broker.url"` is not taken for the key `url` of the table `broker`.
pub(super) fn join(table: &str, name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let name = if !name.is_empty() && name.chars().all(is_bare) {
        name.to_owned()
    } else {
        format!("{name:?}")
    };
    if table.is_empty() { name } else { format!("{table}.{name}") }
}

fn is_table(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// Offsets of the line ends of a text.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(offset, _)| offset).collect())
    }

    fn number(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }

    /// Turns a table into entries in the order of the file.
    fn entries(&self, table: &DeTable<'_>) -> Vec<Entry> {
        let mut entries = table
            .iter()
            .map(|(name, value)| Entry {
                name: name.get_ref().to_string(),
                line: self.number(name.span().start),
                value: self.raw(value.get_ref()),
            })
            .collect::<Vec<_>>();
        entries.sort_by_key(|entry| entry.line);
        entries
    }

    fn raw(&self, value: &DeValue<'_>) -> Raw {
        match value {
            DeValue::String(text) => Raw::Text(text.to_string()),
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| Raw::Other(number.to_string()), Raw::Integer),
            DeValue::Float(number) => {
                number.as_str().parse().map_or_else(|_| Raw::Other(number.to_string()), Raw::Float)
            }
            DeValue::Boolean(value) => Raw::Boolean(*value),
            DeValue::Datetime(moment) => Raw::Other(moment.to_string()),
            DeValue::Array(items) => {
                Raw::List(items.iter().map(|item| self.raw(item.get_ref())).collect())
            }
            DeValue::Table(table) => Raw::Table(self.entries(table)),
        }
    }
}
