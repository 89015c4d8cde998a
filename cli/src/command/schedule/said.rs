//! What a schedule says, put together from flags, from a file, or from what is there and flags.
//!
//! Fields are kept as the JSON text that they are, so that args which are only passed on stay byte for
//! byte. What a value may be is the gateway's to say.

use std::collections::BTreeMap;
use std::path::Path;

use leveret_beat::definition::{FIELDS, Wanted, Written};
use leveret_producer::nearest;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt;
use toml::Table;

use crate::args::Said;
use crate::error::Error;
use crate::feed::input;

/// Largest file of one schedule.
const MAX_FILE: u64 = 9 << 20;

/// The fields of a schedule.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Fields(BTreeMap<String, Box<RawValue>>);

impl Fields {
    /// Reads the fields of a JSON object.
    pub(super) fn read(what: &str, json: &str) -> Result<Self, Error> {
        serde_json::from_str(json).map(Self).map_err(|error| Error::Argument {
            what: what.to_owned(),
            why: format!("it is not one JSON object: {error}"),
        })
    }

    fn set(&mut self, name: &str, value: Box<RawValue>) {
        self.0.insert(name.to_owned(), value);
    }

    fn set_to(&mut self, name: &str, value: impl Serialize) {
        // Texts, numbers and lists of texts can always be written.
        if let Ok(value) = to_raw_value(&value) {
            self.set(name, value);
        }
    }

    fn get(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    /// Takes away what a schedule says about `name`.
    pub(super) fn clear(&mut self, name: &str) -> Result<(), Error> {
        // As the flags are written.
        let name = name.replace('-', "_");
        if !FIELDS.contains(&name.as_str()) {
            let why = nearest::unknown("field", &name, &FIELDS);
            return Err(Error::Argument { what: "--clear".to_owned(), why });
        }
        self.0.remove(&name);
        Ok(())
    }

    /// Puts what the flags say over what is there.
    pub(super) fn put(&mut self, said: &Said) -> Result<(), Error> {
        let texts = [
            ("when", &said.when),
            ("zone", &said.zone),
            ("kind", &said.kind),
            ("queue", &said.queue),
            ("class", &said.class),
            ("start", &said.start),
            ("end", &said.end),
            ("overlap", &said.overlap),
            ("description", &said.description),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                self.set_to(name, text);
            }
        }
        for (name, span) in
            [("expires", said.expires), ("timeout", said.timeout), ("jitter", said.jitter)]
        {
            if let Some(span) = span {
                self.set_to(name, span);
            }
        }
        if let Some(args) = &said.args {
            self.set("args", document(args)?);
        }
        if let Some(attempts) = said.max_attempts {
            self.set_to("max_attempts", attempts);
        }
        if !said.exclude.is_empty() {
            self.set_to("exclude", &said.exclude);
        }
        if !said.tags.is_empty() {
            let mut tags = members(self.get("tags"));
            let added = said.tags.iter().map(|(name, value)| (name.clone(), Value::from(&**value)));
            tags.extend(added);
            self.set_to("tags", tags);
        }
        self.put_misfire(said);
        Ok(())
    }

    /// A policy alone is written as its word, as people do.
    fn put_misfire(&mut self, said: &Said) {
        let rest = [
            ("after", said.misfire_after.map(|span| Value::from(span.to_string()))),
            ("window", said.misfire_window.map(|span| Value::from(span.to_string()))),
            ("max", said.misfire_max.map(Value::from)),
        ];
        if said.misfire.is_none() && rest.iter().all(|(_, value)| value.is_none()) {
            return;
        }
        let mut misfire = match self.get("misfire") {
            Some(Value::String(policy)) => Map::from_iter([("policy".to_owned(), policy.into())]),
            other => members(other),
        };
        if let Some(policy) = &said.misfire {
            misfire.insert("policy".to_owned(), Value::from(policy.as_str()));
        }
        for (name, value) in rest {
            if let Some(value) = value {
                misfire.insert(name.to_owned(), value);
            }
        }
        match misfire.get("policy") {
            Some(policy) if misfire.len() == 1 => {
                let policy = policy.clone();
                self.set_to("misfire", policy);
            }
            _ => self.set_to("misfire", misfire),
        }
    }

    /// Says what the schedule is called.
    pub(super) fn named(mut self, name: &str) -> Self {
        self.set_to("name", name);
        self
    }
}

/// Reads a schedule from a file: one JSON object, or one TOML table, as a timetable file has it below
/// `[schedules."…"]`.
///
/// # Cancel safety
/// Only reads.
pub(super) async fn from_file(name: &str, file: &Path) -> Result<Fields, Error> {
    let shown = input::shown(file);
    let mut text = String::new();
    let mut opened = input::open(file).await?.take(MAX_FILE);
    let read = opened.read_to_string(&mut text).await;
    read.map_err(|error| Error::unreadable(&shown, &error))?;
    if text.trim_start().starts_with('{') {
        return Fields::read(&shown, &text);
    }
    let unreadable = |why: String| Error::Argument { what: shown.clone(), why };
    let says: Table =
        text.parse().map_err(|error: toml::de::Error| unreadable(error.to_string()))?;
    // As it stands in a timetable file, so that it is read by the same rules.
    let below =
        |name: &str, table| Table::from_iter([(name.to_owned(), toml::Value::Table(table))]);
    let file = below("schedules", below(name, says));
    let wanted = Wanted::from_toml(&file.to_string());
    match (wanted.schedules.values().next(), wanted.flaws.is_empty()) {
        (Some(definition), true) => {
            let json = serde_json::to_string(&Written::new(definition));
            Fields::read(&shown, &json.map_err(|error| unreadable(error.to_string()))?)
        }
        _ => {
            let problems = wanted.flaws.into_iter().map(|flaw| flaw.problem).collect();
            Err(Error::invalid(format!("read {shown}"), problems))
        }
    }
}

fn members(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

fn document(args: &str) -> Result<Box<RawValue>, Error> {
    serde_json::from_str(args).map_err(|error| Error::Argument {
        what: "--args".to_owned(),
        why: format!("it is not one JSON document: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(there: &str, said: &Said) -> String {
        let mut fields = Fields::read("it", there).unwrap();
        fields.put(said).unwrap();
        serde_json::to_string(&fields).unwrap()
    }

    #[test]
    fn what_is_given_is_put_over_what_is_there_and_the_rest_stays_byte_for_byte() {
        let there = r#"{"when":"@daily","kind":"a.b","args":{"n":1.00000000000000000001}}"#;
        let said = Said { when: Some("@hourly".to_owned()), ..Said::default() };
        let body = r#"{"args":{"n":1.00000000000000000001},"kind":"a.b","when":"@hourly"}"#;
        assert_eq!(put(there, &said), body);
    }

    #[test]
    fn tags_and_misfire_are_added_to() {
        let there = r#"{"misfire":"all","tags":{"a":"1"}}"#;
        let said = Said {
            misfire_max: Some(7),
            tags: vec![("b".to_owned(), "2".to_owned())],
            ..Said::default()
        };
        let body: Value = serde_json::from_str(&put(there, &said)).unwrap();
        assert_eq!(body["misfire"], serde_json::json!({ "policy": "all", "max": 7 }));
        assert_eq!(body["tags"], serde_json::json!({ "a": "1", "b": "2" }));
        let alone = Said { misfire: Some("skip".to_owned()), ..Said::default() };
        assert_eq!(put("{}", &alone), r#"{"misfire":"skip"}"#);
    }

    #[test]
    fn a_field_that_is_none_cannot_be_cleared() {
        let mut fields = Fields::read("it", r#"{"zone":"UTC","max_attempts":3}"#).unwrap();
        fields.clear("max-attempts").unwrap();
        assert!(fields.clear("zon").unwrap_err().to_string().contains("did you mean \"zone\"?"));
        let named = serde_json::to_string(&fields.named("a")).unwrap();
        assert_eq!(named, r#"{"name":"a","zone":"UTC"}"#);
    }
}
