//! The fields of a JSON object as a person wrote them, read one by one.
//!
//! Responsible for names and forms; what a value may be is for those who ask. An absent field and
//! `null` are the same. All mistakes are collected, so that a writer learns them in one answer.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use chrono::DateTime;
use leveret_common::clock::Millis;
use leveret_common::duration;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::Problem;
use crate::nearest;

/// An object that is being read, and what is wrong with it so far.
#[derive(Debug)]
pub struct Fields<'a> {
    fields: Vec<(String, &'a RawValue)>,
    problems: Vec<Problem>,
}

impl<'a> Fields<'a> {
    /// Begins to read `json`, an object with fields of these names. Unknown and repeated ones are
    /// noted.
    ///
    /// # Errors
    /// When it is not one JSON object.
    pub fn read(json: &'a [u8], names: &[&'static str]) -> Result<Self, serde_json::Error> {
        let listed: Listed<'a> = serde_json::from_slice(json)?;
        let problems = wrong_names(&listed.0, names);
        Ok(Self { fields: listed.0, problems })
    }

    /// Notes that a field is wrong.
    pub fn refuse(&mut self, field: &str, why: impl fmt::Display) {
        self.problems.push(Problem::new(field, why));
    }

    /// Tells whether a field is noted as wrong.
    #[must_use]
    pub fn is_refused(&self, field: &str) -> bool {
        self.problems.iter().any(|problem| problem.field == field)
    }

    /// Reads a field with `read`; nothing where it is absent, `null` or wrong.
    pub fn take<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&'a RawValue) -> Result<T, String>,
    ) -> Option<T> {
        let (_, raw) = self.fields.iter().find(|(field, _)| field == name)?;
        if raw.get() == "null" {
            return None;
        }
        read(raw).map_err(|why| self.refuse(name, why)).ok()
    }

    /// Reads a field that has to be there; `what` completes *"it is missing; it …"*.
    pub fn demand<T>(
        &mut self,
        name: &str,
        what: &str,
        read: impl FnOnce(&'a RawValue) -> Result<T, String>,
    ) -> Option<T> {
        let found = self.take(name, read);
        if found.is_none() && !self.is_refused(name) {
            self.refuse(name, format!("it is missing; it {what}"));
        }
        found
    }

    /// Ends the reading with everything that is wrong.
    #[must_use]
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

/// Returns the problems with unknown and repeated names; at most as many as there are names.
fn wrong_names(fields: &[(String, &RawValue)], names: &[&'static str]) -> Vec<Problem> {
    let mut seen: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for (name, _) in fields {
        if seen.contains(&name.as_str()) {
            found.push(Problem::new(name.as_str(), "it stands there twice; give it once"));
        } else if names.contains(&name.as_str()) {
            // A name is only compared with those that exist, so that this stays linear.
            seen.push(name);
        } else {
            found.push(Problem::new(name.as_str(), nearest::unknown("field", name, names)));
        }
    }
    found.truncate(names.len());
    found
}

/// Reads text.
///
/// # Errors
/// A sentence, when it is of another sort.
pub fn text(raw: &RawValue) -> Result<String, String> {
    serde_json::from_str(raw.get())
        .map_err(|_| format!("it is {}; write text, such as \"mail\"", sort(raw)))
}

/// Reads text that has a form of its own: a name, a class.
///
/// # Errors
/// A sentence, when it is of another sort, or what its form says.
pub fn parsed<T: std::str::FromStr>(raw: &RawValue) -> Result<T, String>
where
    T::Err: fmt::Display,
{
    text(raw)?.parse::<T>().map_err(|error| error.to_string())
}

/// Reads a duration: text with a unit.
///
/// # Errors
/// A sentence, when it is of another sort, has no unit or is none.
pub fn span(raw: &RawValue) -> Result<Duration, String> {
    let text = match serde_json::from_str::<String>(raw.get()) {
        Ok(text) => text,
        // The reader of durations says best what is wrong with a bare number.
        Err(_) if sort(raw) == "a number" => raw.get().to_owned(),
        Err(_) => {
            return Err(format!("it is {}; write text with a unit, such as \"30s\"", sort(raw)));
        }
    };
    duration::parse(&text).map_err(|error| error.to_string())
}

/// Reads an instant: RFC 3339 with an offset. What is finer than a millisecond is rounded up, so
/// that nothing is early.
///
/// # Errors
/// A sentence, when it is none, or is before 1970.
pub fn instant(raw: &RawValue) -> Result<Millis, String> {
    let form = "write RFC 3339 with an offset, such as \"2030-01-31T08:00:00Z\"";
    let text: String =
        serde_json::from_str(raw.get()).map_err(|_| format!("it is {}; {form}", sort(raw)))?;
    let at =
        DateTime::parse_from_rfc3339(&text).map_err(|_| format!("it is not an instant; {form}"))?;
    let millis = u64::try_from(at.timestamp_millis()).map_err(|_| {
        "it is before 1970; leave it out where anything earlier is meant".to_owned()
    })?;
    let finer = at.timestamp_subsec_nanos() % 1_000_000;
    Ok(Millis(millis + u64::from(finer > 0)))
}

/// Reads a whole number; `range` is for the sentence, the value is not held against it.
///
/// # Errors
/// A sentence, when it is none.
pub fn number(raw: &RawValue, range: &std::ops::RangeInclusive<u32>) -> Result<u32, String> {
    let (least, most) = (range.start(), range.end());
    serde_json::from_str(raw.get())
        .map_err(|_| format!("it is {}; write a whole number within {least} and {most}", sort(raw)))
}

/// Reads tags: an object of text.
///
/// # Errors
/// A sentence, when it is of another sort.
pub fn tags(raw: &RawValue) -> Result<BTreeMap<String, String>, String> {
    serde_json::from_str(raw.get()).map_err(|_| {
        "it is not an object of text; write one, such as {\"tenant\": \"42\"}".to_owned()
    })
}

/// Names what sort of JSON value it is.
#[must_use]
pub fn sort(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'"') => "text",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        Some(_) | None => "a number",
    }
}

/// The fields of an object in the order in which they stand, repeated ones included.
struct Listed<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Listed<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ListedVisitor).map(Self)
    }
}

struct ListedVisitor;

impl<'de> Visitor<'de> for ListedVisitor {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_stands_twice_is_refused_and_a_slip_is_recognised() {
        let json = br#"{"kind": "a", "kind": "b", "quue": "mail"}"#;
        let fields = Fields::read(json, &["kind", "queue"]).unwrap();
        let lines: Vec<_> =
            fields.into_problems().into_iter().map(|p| format!("{}: {}", p.field, p.why)).collect();
        assert_eq!(
            lines,
            [
                "kind: it stands there twice; give it once",
                "quue: there is no field \"quue\"; did you mean \"queue\"?",
            ]
        );
    }

    #[test]
    fn a_field_that_is_wrong_is_not_told_to_be_missing_as_well() {
        let mut fields = Fields::read(br#"{"kind": 7}"#, &["kind", "when"]).unwrap();
        assert_eq!(fields.demand("kind", "names what to do", text), None);
        assert_eq!(fields.demand("when", "says when", text), None);
        let problems = fields.into_problems();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].why.starts_with("it is a number; write text"), "{problems:?}");
        assert_eq!(problems[1].why, "it is missing; it says when");
    }

    #[test]
    fn an_instant_is_read_with_its_offset_and_rounded_up() {
        let read = |text: &str| {
            instant(&RawValue::from_string(format!("\"{text}\"")).unwrap()).map(|at| at.0)
        };
        assert_eq!(read("1970-01-01T01:00:00+01:00"), Ok(0));
        assert_eq!(read("1970-01-01T00:00:00.0011Z"), Ok(2));
        assert!(read("1970-01-01T00:00:00").is_err());
        assert!(read("1969-12-31T23:59:59Z").unwrap_err().contains("before 1970"));
    }
}
