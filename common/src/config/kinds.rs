//! Kinds that are bound in the file: `[kinds."text.words"]`.
//!
//! Responsible for the keys of such a table. What `retry` may hold is [`crate::retry`]'s, and
//! performing the program is the worker's. Guards: a kind without a program does not load.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Row;
use super::file::{ConfigFile, KINDS, join};
use super::problem::Problem;
use super::suggest;
use super::value::{self, Entry, Raw};
use crate::name::{Class, KindName, QueueName};
use crate::retry::RetryPolicy;

/// Most arguments of a program, its name included.
pub const MAX_ARGUMENTS: usize = 256;
/// The shortest and longest time limit of a kind.
const TIMEOUT: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(30 * 86_400));

/// A kind that a program performs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KindSettings {
    /// The program and its arguments; never empty once loaded.
    pub exec: Vec<String>,
    /// The queue of tasks that name none.
    pub queue: Option<QueueName>,
    /// The class of tasks that name none.
    pub class: Option<Class>,
    /// The time limit; absent: `worker.timeout`.
    pub timeout: Option<Duration>,
    /// What happens after a failed attempt.
    pub retry: RetryPolicy,
}

/// One key of a kind's table.
#[derive(Debug)]
pub struct KindKey {
    /// Its name in the table.
    pub name: &'static str,
    /// What its value looks like.
    pub form: &'static str,
    /// What holds when it is left out; `None` if it may not be.
    pub default: Option<&'static str>,
    /// One line of help.
    pub help: &'static str,
    set: fn(&mut KindSettings, &Raw) -> Result<(), String>,
}

/// Every key of a kind's table.
pub const KIND_KEYS: &[KindKey] = &[
    KindKey {
        name: "exec",
        form: "a list of texts: a program and its arguments",
        default: None,
        help: "The program that performs the kind: args on stdin, result on stdout.",
        set: |kind, raw| program(raw).map(|exec| kind.exec = exec),
    },
    KindKey {
        name: "queue",
        form: "a queue",
        default: Some("default"),
        help: "The queue of tasks that name none.",
        set: |kind, raw| value::name(raw).map(|queue| kind.queue = Some(queue)),
    },
    KindKey {
        name: "class",
        form: "critical, high, normal or low",
        default: Some("normal"),
        help: "The class of tasks that name none.",
        set: |kind, raw| value::name(raw).map(|class| kind.class = Some(class)),
    },
    KindKey {
        name: "timeout",
        form: "a duration from 10ms to 30d",
        default: Some("worker.timeout"),
        help: "How long one attempt may take.",
        set: |kind, raw| {
            value::duration(raw, TIMEOUT.0, TIMEOUT.1).map(|limit| kind.timeout = Some(limit))
        },
    },
    KindKey {
        name: "retry",
        form: "a table such as { backoff = \"exponential\", base = \"1s\", max_attempts = 8 }",
        default: Some("{ backoff = \"exponential\", jitter = \"equal\", max_attempts = 8 }"),
        help: "What happens after a failed attempt.",
        set: |kind, raw| policy(raw).map(|policy| kind.retry = policy),
    },
];

const MEND_TABLE: &str =
    "write [kinds.\"text.words\"] on a line of its own (the name in quotes), and its keys below";

/// Reads all kinds of a file, with a row for each value.
pub(super) fn read(
    file: &ConfigFile,
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
        let settings = read_kind(file, &path, entry, problems, &mut rows);
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
    path: &str,
    entry: &Entry,
    problems: &mut Vec<Problem>,
    rows: &mut Vec<Row>,
) -> KindSettings {
    let mut kind = KindSettings::default();
    let Raw::Table(values) = &entry.value else {
        let problem = Problem::new(path, "it is a table of a kind's keys, not a value", MEND_TABLE);
        problems.push(problem.at(file.origin(entry.line)));
        return kind;
    };
    let mut has_program = false;
    for value in values {
        // A table below a kind is most often a dotted name without its quotes.
        has_program |= value.name == "exec" || matches!(value.value, Raw::Table(_));
        match read_value(&mut kind, path, value) {
            Ok(()) => rows.push(Row {
                key: join(path, &value.name),
                value: Some(value.value.write()),
                origin: file.origin(value.line),
            }),
            Err(problem) => problems.push(problem.at(file.origin(value.line))),
        }
    }
    if !has_program {
        let mend = "write exec = [\"program\", \"argument\"]";
        let problem = Problem::new(path, "it has no `exec`, so nothing performs it", mend);
        problems.push(problem.at(file.origin(entry.line)));
    }
    kind
}

fn read_value(kind: &mut KindSettings, path: &str, entry: &Entry) -> Result<(), Box<Problem>> {
    let path = join(path, &entry.name);
    let Some(key) = KIND_KEYS.iter().find(|key| key.name == entry.name) else {
        let names = KIND_KEYS.iter().map(|key| key.name);
        let mend = match (suggest::nearest(&entry.name, names), &entry.value) {
            (Some(meant), _) => format!("did you mean {meant}?"),
            (None, Raw::Table(_)) => MEND_TABLE.to_owned(),
            (None, _) if entry.name == "http" => {
                "only programs can be bound so far: write exec = [\"program\", \"argument\"]"
                    .to_owned()
            }
            (None, _) => "remove it; a kind has exec, queue, class, timeout and retry".to_owned(),
        };
        return Err(Problem::new(path, "a kind has no such key", mend).into());
    };
    (key.set)(kind, &entry.value).map_err(|why| {
        let problem = Problem::new(path, why, format!("write {}", key.form));
        problem.with_value(entry.value.to_string()).into()
    })
}

fn program(raw: &Raw) -> Result<Vec<String>, String> {
    let argument = |raw: &Raw| match value::text(raw)? {
        text if text.contains('\0') => Err("it holds a NUL character".to_owned()),
        text => Ok(text.to_owned()),
    };
    let program = value::list(raw, MAX_ARGUMENTS, argument)?;
    match program.first() {
        Some(name) if name.is_empty() => Err("the program's name is empty".to_owned()),
        Some(_) | None => Ok(program),
    }
}

fn policy(raw: &Raw) -> Result<RetryPolicy, String> {
    let Raw::Table(_) = raw else { return Err("it is not a table".to_owned()) };
    serde_json::from_value(raw.to_json()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_defaults_are_those_of_the_code() {
        for key in KIND_KEYS.iter().filter(|key| key.name == "retry") {
            let text = format!("retry = {}", key.default.unwrap());
            let table: toml::Table = toml::from_str(&text).unwrap();
            let policy: RetryPolicy = table["retry"].clone().try_into().unwrap();
            assert_eq!(policy, RetryPolicy::default());
        }
        assert_eq!(QueueName::default().as_str(), "default");
        assert_eq!(Class::default().as_str(), "normal");
    }
}
