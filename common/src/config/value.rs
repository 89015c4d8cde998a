//! A value as it was written, and its readers.
//!
//! Responsible for turning what a file, a variable or a flag says into typed values. It does not
//! know which key it reads for; each refusal says what is wrong, and the key's form says what to
//! write instead. A bare number is never taken for a duration or a size.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::choice::Choice;
use crate::duration;
use crate::name::InvalidName;
use crate::size::ByteSize;

/// A value before its key has given it a type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    /// From the environment or a flag, where everything is text.
    Untyped(String),
    /// A string of the file.
    Text(String),
    /// A whole number of the file.
    Integer(i128),
    /// A number with a fraction of the file.
    Float(f64),
    /// `true` or `false` in the file.
    Boolean(bool),
    /// An array of the file.
    List(Vec<Raw>),
    /// A table of the file, each entry with the line of its name.
    Table(Vec<Entry>),
    /// What no key takes: a date or time.
    Other(String),
}

/// One name and its value in a table of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) value: Raw,
}

/// Longest value that is quoted in a message, in characters.
const QUOTED: usize = 80;

pub(super) fn text(raw: &Raw) -> Result<&str, String> {
    match raw {
        Raw::Untyped(text) | Raw::Text(text) => Ok(text),
        other => Err(format!("it is {}, not text in quotes", other.noun())),
    }
}

pub(super) fn name<T: FromStr<Err = InvalidName>>(raw: &Raw) -> Result<T, String> {
    text(raw)?.parse().map_err(|error: InvalidName| error.why)
}

pub(super) fn path(raw: &Raw) -> Result<PathBuf, String> {
    match text(raw)? {
        "" => Err("it is empty".to_owned()),
        path if path.contains('\0') => Err("it holds a NUL character".to_owned()),
        path => Ok(PathBuf::from(path)),
    }
}

pub(super) fn address(raw: &Raw) -> Result<SocketAddr, String> {
    text(raw)?.parse().map_err(|_| "it is not an IP address and a port".to_owned())
}

pub(super) fn duration(raw: &Raw, min: Duration, max: Duration) -> Result<Duration, String> {
    let written = match raw {
        Raw::Integer(number) => number.to_string(),
        Raw::Float(number) => number.to_string(),
        other => text(other)?.to_owned(),
    };
    let duration = duration::parse(&written).map_err(|error| error.to_string())?;
    within(duration, min, max, duration::format)
}

pub(super) fn size(raw: &Raw, min: ByteSize, max: ByteSize) -> Result<ByteSize, String> {
    let written = match raw {
        Raw::Integer(number) => number.to_string(),
        other => text(other)?.to_owned(),
    };
    let size = written.parse::<ByteSize>().map_err(|error| error.to_string())?;
    within(size, min, max, |size| size.to_string())
}

pub(super) fn integer(raw: &Raw, min: u32, max: u32) -> Result<u32, String> {
    let number = match raw {
        Raw::Integer(number) => *number,
        Raw::Untyped(text) => text.parse().map_err(|_| "it is not a whole number".to_owned())?,
        other => return Err(format!("it is {}, not a whole number", other.noun())),
    };
    let number = within(number, i128::from(min), i128::from(max), |number| number.to_string())?;
    u32::try_from(number).map_err(|_| "it is not a whole number".to_owned())
}

pub(super) fn boolean(raw: &Raw) -> Result<bool, String> {
    match raw {
        Raw::Boolean(value) => Ok(*value),
        Raw::Untyped(text) => text.parse().map_err(|_| "it is neither true nor false".to_owned()),
        other => Err(format!("it is {}, not true or false", other.noun())),
    }
}

pub(super) fn choice<T: Choice>(raw: &Raw) -> Result<T, String> {
    let text = text(raw)?;
    let member = T::ALL.iter().copied().find(|member| member.word() == text);
    member.ok_or_else(|| "it is not one of the words that are allowed".to_owned())
}

/// Reads an array of the file, or text with commas from elsewhere.
pub(super) fn list<T>(
    raw: &Raw,
    max_items: usize,
    read: impl Fn(&Raw) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let items = match raw {
        Raw::List(items) => items.clone(),
        Raw::Untyped(text) => {
            text.split(',').map(|item| Raw::Untyped(item.trim().to_owned())).collect()
        }
        other => return Err(format!("it is {}, not a list in brackets", other.noun())),
    };
    if items.is_empty() {
        return Err("the list is empty".to_owned());
    }
    if items.len() > max_items {
        return Err(format!("it has {} items; at most {max_items} are allowed", items.len()));
    }
    let (mut values, mut wrong) = (Vec::with_capacity(items.len()), Vec::new());
    for (index, item) in items.iter().enumerate() {
        match read(item) {
            Ok(value) => values.push(value),
            Err(why) => wrong.push(format!("in item {} ({item}): {why}", index + 1)),
        }
    }
    if wrong.is_empty() { Ok(values) } else { Err(wrong.join("; ")) }
}

/// Reads a list in which nothing may stand twice.
pub(super) fn set<T: PartialEq>(
    raw: &Raw,
    max_items: usize,
    read: impl Fn(&Raw) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let items = list(raw, max_items, read)?;
    match (1..items.len()).find(|&index| items[..index].contains(&items[index])) {
        Some(index) => Err(format!("item {} stands there twice", index + 1)),
        None => Ok(items),
    }
}

fn within<T: PartialOrd>(
    value: T,
    min: T,
    max: T,
    show: impl Fn(T) -> String,
) -> Result<T, String> {
    if value < min {
        return Err(format!("it is less than {}", show(min)));
    }
    if value > max {
        return Err(format!("it is more than {}", show(max)));
    }
    Ok(value)
}

impl Raw {
    fn noun(&self) -> &'static str {
        match self {
            Self::Untyped(_) | Self::Text(_) => "text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number with a fraction",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(_) => "a date or time",
        }
    }

    /// Turns a value of the file into what serde reads.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Untyped(text) | Self::Text(text) | Self::Other(text) => text.as_str().into(),
            Self::Integer(number) => i64::try_from(*number)
                .map_or_else(|_| number.to_string().into(), serde_json::Value::from),
            Self::Float(number) => (*number).into(),
            Self::Boolean(value) => (*value).into(),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Table(entries) => {
                let pair = |entry: &Entry| (entry.name.clone(), entry.value.to_json());
                entries.iter().map(pair).collect()
            }
        }
    }

    /// Writes the value as the file would, escaped.
    pub(super) fn write(&self) -> String {
        match self {
            Self::Untyped(text) | Self::Text(text) => format!("{text:?}"),
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Boolean(value) => value.to_string(),
            Self::List(items) => {
                let items = items.iter().map(Self::write).collect::<Vec<_>>();
                format!("[{}]", items.join(", "))
            }
            Self::Table(entries) => {
                let entry = |entry: &Entry| format!("{} = {}", entry.name, entry.value.write());
                format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
            Self::Other(text) => text.clone(),
        }
    }
}

impl fmt::Display for Raw {
    /// Writes the value as the file would, cut to fit a message.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&cut(&self.write()))
    }
}

/// Cuts what was written to fit a message.
pub(super) fn cut(written: &str) -> String {
    if written.chars().count() <= QUOTED {
        return written.to_owned();
    }
    format!("{}…", written.chars().take(QUOTED).collect::<String>())
}
