//! Texts of a kind that may be secrets: given in the file, or found elsewhere.
//!
//! Responsible for the three ways to give one, and for never showing it. A file is read when a
//! worker starts and not when the configuration is loaded: the gateway and the commands load the
//! same kinds and need none of their secrets.

use std::fmt;
use std::path::{Path, PathBuf};

use super::super::Sources;
use super::super::file::read_text;
use super::super::keys::VARIABLE_PREFIX;
use super::super::secret::REDACTED;
use super::super::value::{self, Entry, Raw};

/// Largest file that holds one such text.
const MAX_BYTES: u64 = 64 << 10;

/// A text, or where it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Given {
    /// The text.
    Text(String),
    /// A file that holds it, without the line ends at its end.
    File(PathBuf),
    /// A variable of the environment.
    Variable(Variable),
}

/// A variable of the environment, and what it held when the configuration was loaded.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value; absent where it was not set.
    pub value: Option<String>,
}

impl Given {
    /// Reads a text, `{ file = "…" }` or `{ env = "…" }`; a text has to pass `check` at once.
    pub(super) fn of(
        raw: &Raw,
        sources: &Sources,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<Self, String> {
        let Raw::Table(entries) = raw else {
            let text = value::text(raw)?;
            check(text)?;
            return Ok(Self::Text(text.to_owned()));
        };
        let [Entry { name, value, .. }] = entries.as_slice() else {
            return Err("it is a table of more or less than one of `file` and `env`".to_owned());
        };
        match name.as_str() {
            "file" => Ok(Self::File(sources.working_dir.join(value::path(value)?))),
            "env" => Variable::of(value, sources).map(Self::Variable),
            other => Err(format!("`{other}` is neither `file` nor `env`")),
        }
    }

    /// Returns the text.
    ///
    /// # Errors
    /// A sentence that says what is wrong, without the text.
    pub fn read(&self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => read_file(path),
            Self::Variable(variable) => {
                let missing = || format!("the variable {} is not set", variable.name);
                variable.value.clone().ok_or_else(missing)
            }
        }
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let text = read_text(path, MAX_BYTES)
        .map_err(|error| format!("failed to read it from {}: {error}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

impl Variable {
    /// Reads the name of a variable and looks it up.
    pub(super) fn of(raw: &Raw, sources: &Sources) -> Result<Self, String> {
        let name = value::text(raw)?.to_owned();
        check_name(&name)?;
        let value = sources.environment.get(&name).cloned();
        if value.as_ref().is_some_and(|value| value.contains(char::REPLACEMENT_CHARACTER)) {
            return Err(format!("the variable {name} holds bytes that are not UTF-8"));
        }
        Ok(Self { name, value })
    }
}

/// Refuses what is no name of a variable, and those that are Leveret's own.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err("it is no name of a variable".to_owned());
    }
    if name.starts_with(VARIABLE_PREFIX) {
        return Err(format!("names that begin with {VARIABLE_PREFIX} are Leveret's own"));
    }
    Ok(())
}

/// Writes one such text, or a list of them, hidden; where it is kept is shown.
pub(super) fn hide(raw: &Raw) -> String {
    match raw {
        Raw::Table(entries) => match entries.as_slice() {
            [Entry { name, .. }] if matches!(name.as_str(), "file" | "env") => raw.write(),
            _ => REDACTED.to_owned(),
        },
        Raw::List(items) => {
            format!("[{}]", items.iter().map(hide).collect::<Vec<_>>().join(", "))
        }
        _ => REDACTED.to_owned(),
    }
}

/// Writes a table of such texts: the names are shown.
pub(super) fn hide_each(raw: &Raw) -> String {
    let Raw::Table(entries) = raw else { return REDACTED.to_owned() };
    let entry = |entry: &Entry| format!("{} = {}", entry.name, hide(&entry.value));
    format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
}

impl fmt::Debug for Given {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => formatter.write_str(REDACTED),
            Self::File(path) => write!(formatter, "file {}", path.display()),
            Self::Variable(variable) => variable.fmt(formatter),
        }
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "variable {}", self.name)
    }
}
