//! Kinds that are bound in the file: `[kinds."text.words"]`.
//!
//! Responsible for the keys of such a table. What `retry` may hold is [`crate::retry`]'s, and
//! performing the kind is the worker's: [`open`] hands it what is kept in files and variables.
//! Guards: a kind that nothing performs, or that two things would, does not load; and no text that
//! may be a secret is shown.

mod given;
mod keys;
mod open;
mod parts;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::file::{ConfigFile, KINDS, join};
use super::problem::Problem;
use super::secret::SecretUrl;
use super::suggest;
use super::value::{self, Entry, Raw};
use super::{Row, Sources};
use crate::address::Allowed;
use crate::name::{Class, KindName, QueueName};
use crate::retry::RetryPolicy;

pub use self::given::{Given, Variable};
pub use self::keys::{KIND_KEYS, KindKey, Of};
pub use self::open::{Opened, open};

/// Most arguments of a program, its name included.
pub const MAX_ARGUMENTS: usize = 256;
/// Most variables that a kind gives to its program, and most headers of its requests.
pub const MAX_NAMED: usize = 64;
/// Most addresses, networks and names that a kind may allow.
pub const MAX_ALLOWED: usize = 64;
/// The fewest characters of a secret that requests are signed with.
pub const MIN_SECRET: usize = 16;

/// A kind that a program performs, or whoever answers at a URL. [`KIND_KEYS`] has the limits of each
/// field, and what holds where it is left out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KindSettings {
    /// The program and its arguments; empty for a kind of `http`.
    pub exec: Vec<String>,
    /// Variables that the program finds in its environment.
    pub env: BTreeMap<String, Given>,
    /// Variables of the worker that the program finds in its own environment.
    pub env_pass: Vec<Variable>,
    /// The folder that the program runs in; the worker's where absent.
    pub cwd: Option<PathBuf>,
    /// Where the args are posted to; absent for a kind of `exec`.
    pub http: Option<SecretUrl>,
    /// Headers of the requests, their names in lowercase.
    pub headers: BTreeMap<String, Given>,
    /// What the requests are signed with.
    pub secret: Vec<Given>,
    /// What the URL's name may lead to beside public addresses.
    pub allow: Vec<Allowed>,
    /// The file of the JSON Schema that the args must fit.
    pub schema: Option<PathBuf>,
    /// The queue of tasks that name none.
    pub queue: Option<QueueName>,
    /// The class of tasks that name none.
    pub class: Option<Class>,
    /// The time limit; absent: `worker.timeout`.
    pub timeout: Option<Duration>,
    /// What happens after a failed attempt.
    pub retry: RetryPolicy,
}

const MEND_TABLE: &str =
    "write [kinds.\"text.words\"] on a line of its own (the name in quotes), and its keys below";
const MEND_PERFORMER: &str =
    "write exec = [\"program\", \"argument\"], or http = \"https://host/path\"";

/// Reads all kinds of a file, with a row for each value.
pub(super) fn read(
    file: &ConfigFile,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) -> (BTreeMap<KindName, KindSettings>, Vec<Row>) {
    let (mut kinds, mut rows) = (BTreeMap::new(), Vec::new());
    let Some(all) = file.top(KINDS) else { return (kinds, rows) };
    let Raw::Table(entries) = &all.value else {
        let problem = Problem::new(KINDS, "it is a table of kinds, not a value", MEND_TABLE);
        problems.push(problem.at(file.origin(all.line)));
        return (kinds, rows);
    };
    for entry in entries {
        let path = join(KINDS, &entry.name);
        let settings = read_kind(file, sources, (&path, entry), problems, &mut rows);
        match entry.name.parse::<KindName>() {
            Ok(name) => {
                kinds.insert(name, settings);
            }
            Err(error) => {
                let mend = "name the kind with words between dots, such as \"email.welcome\"";
                problems.push(Problem::new(path, error.why, mend).at(file.origin(entry.line)));
            }
        }
    }
    (kinds, rows)
}

fn read_kind(
    file: &ConfigFile,
    sources: &Sources,
    (path, entry): (&str, &Entry),
    problems: &mut Vec<Problem>,
    rows: &mut Vec<Row>,
) -> KindSettings {
    let mut kind = KindSettings::default();
    let Raw::Table(values) = &entry.value else {
        let problem = Problem::new(path, "it is a table of a kind's keys, not a value", MEND_TABLE);
        problems.push(problem.at(file.origin(entry.line)));
        return kind;
    };
    for value in values {
        match read_value(&mut kind, sources, path, value) {
            Ok(shown) => rows.push(Row {
                key: join(path, &value.name),
                value: Some(shown),
                origin: file.origin(value.line),
            }),
            Err(problem) => problems.push(problem.at(file.origin(value.line))),
        }
    }
    if let Some(problem) = disagreement(path, values) {
        problems.push(problem.at(file.origin(entry.line)));
    }
    problems.extend(misplaced(path, values).map(|(line, problem)| problem.at(file.origin(line))));
    if let Some(name) = kind.env_pass.iter().find(|pass| kind.env.contains_key(&pass.name)) {
        let why = format!("{} stands in `env` as well", name.name);
        let problem = Problem::new(join(path, "env_pass"), why, "remove one of the two");
        problems.push(problem.at(file.origin(entry.line)));
    }
    kind
}

fn has(values: &[Entry], name: &str) -> bool {
    values.iter().any(|value| value.name == name)
}

/// Refuses a kind that nothing performs, or that two would.
fn disagreement(path: &str, values: &[Entry]) -> Option<Problem> {
    // A table that is no key is most often a dotted name without its quotes.
    let is_dotted = |value: &Entry| {
        matches!(value.value, Raw::Table(_)) && KIND_KEYS.iter().all(|key| key.name != value.name)
    };
    let why = match (has(values, "exec"), has(values, "http")) {
        (true, true) => "it has both `exec` and `http`, and one performs it",
        (false, false) if !values.iter().any(is_dotted) => {
            "it has neither `exec` nor `http`, so nothing performs it"
        }
        _ => return None,
    };
    Some(Problem::new(path, why, MEND_PERFORMER))
}

/// Refuses keys that only the other sort of kinds has.
fn misplaced<'a>(
    path: &'a str,
    values: &'a [Entry],
) -> impl Iterator<Item = (usize, Problem)> + 'a {
    let sort = match (has(values, "exec"), has(values, "http")) {
        (true, false) => Some("exec"),
        (false, true) => Some("http"),
        // What is missing or too much is said already.
        _ => None,
    };
    values.iter().filter_map(move |value| {
        let key = KIND_KEYS.iter().find(|key| key.name == value.name)?;
        let (sort, needs) = (sort?, key.of.word()?);
        if sort == needs {
            return None;
        }
        let why = format!("it is a key of kinds that have `{needs}`; this one has `{sort}`");
        Some((value.line, Problem::new(join(path, &value.name), why, "remove it")))
    })
}

/// Gives a value to its key, and returns it as it may be shown.
fn read_value(
    kind: &mut KindSettings,
    sources: &Sources,
    path: &str,
    entry: &Entry,
) -> Result<String, Box<Problem>> {
    let path = join(path, &entry.name);
    let Some(key) = KIND_KEYS.iter().find(|key| key.name == entry.name) else {
        let names = || KIND_KEYS.iter().map(|key| key.name);
        let mend = match (suggest::nearest(&entry.name, names()), &entry.value) {
            (Some(meant), _) => format!("did you mean {meant}?"),
            (None, Raw::Table(_)) => MEND_TABLE.to_owned(),
            (None, _) => {
                format!("remove it; a kind has {}", names().collect::<Vec<_>>().join(", "))
            }
        };
        return Err(Problem::new(path, "a kind has no such key", mend).into());
    };
    let shown = (key.show)(&entry.value);
    match (key.set)(kind, &entry.value, sources) {
        Ok(()) => Ok(shown),
        Err(why) => {
            let problem = Problem::new(path, why, format!("write {}", key.form));
            Err(problem.with_value(value::cut(&shown)).into())
        }
    }
}

#[cfg(test)]
mod tests;
