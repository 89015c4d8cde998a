//! The submission: one task as a sender writes it in JSON.
//!
//! The gateway reads tasks with it, and workers the follow-ups that programs write. Responsible for
//! names and forms of the fields; what a value may be is the draft's matter. An absent field and
//! `null` are the same; absent args are `null`. All mistakes are collected, so that a sender
//! learns them in one answer.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use chrono::DateTime;
use leveret_common::clock::Millis;
use leveret_common::duration;
use leveret_common::name::Class;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::Problem;
use crate::nearest;
use crate::request::Request;

/// The fields of a task.
const FIELDS: [&str; 12] = [
    "kind",
    "args",
    "queue",
    "class",
    "delay",
    "at",
    "key",
    "id",
    "expires",
    "timeout",
    "max_attempts",
    "tags",
];

/// What was read, and what is wrong with it already.
#[derive(Debug)]
pub struct Submission {
    /// The request, without the fields that are wrong.
    pub request: Request,
    /// What is wrong with the others.
    pub problems: Vec<Problem>,
}

impl Submission {
    /// Reads a task from `json`; `key` is the `Idempotency-Key` header.
    ///
    /// # Errors
    /// A sentence, when the text is not one JSON object.
    pub fn read(json: &[u8], key: Option<&str>) -> Result<Self, String> {
        let fields: Fields<'_> = serde_json::from_slice(json).map_err(|error| {
            format!(
                "it is not one JSON object, such as {{\"kind\": \"email.welcome\", \"args\": {{}}}}: \
                 {error}"
            )
        })?;
        let mut reader = Reader { fields: fields.0, problems: Vec::new() };
        reader.check_names();
        let kind = reader.take("kind", text);
        if kind.is_none() && !reader.problems.iter().any(|problem| problem.field == "kind") {
            reader.refuse("kind", "it is missing; it names what to do, such as \"email.welcome\"");
        }
        let args = reader.take("args", |raw| Ok(raw.get().to_owned()));
        let mut request =
            Request::from_json(kind.unwrap_or_default(), args.unwrap_or("null".into()));
        reader.fill(&mut request);
        if let Some(key) = reader.key(key) {
            request = request.key(key);
        }
        Ok(Self { request, problems: reader.problems })
    }
}

struct Reader<'a> {
    fields: Vec<(String, &'a RawValue)>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn refuse(&mut self, field: &str, why: impl fmt::Display) {
        self.problems.push(Problem::new(field, why));
    }

    /// Notes unknown and repeated fields.
    fn check_names(&mut self) {
        let mut seen: Vec<&str> = Vec::new();
        let mut found = Vec::new();
        for (name, _) in &self.fields {
            if seen.contains(&name.as_str()) {
                found.push(Problem::new(name.as_str(), "it stands there twice; give it once"));
            } else if !FIELDS.contains(&name.as_str()) {
                found.push(Problem::new(name.as_str(), nearest::unknown("field", name, &FIELDS)));
            }
            // A name is only compared with those that exist, so that this stays linear.
            if FIELDS.contains(&name.as_str()) {
                seen.push(name);
            }
        }
        self.problems.extend(found.into_iter().take(FIELDS.len()));
    }

    /// Reads a field with `read`; nothing where it is absent, `null` or wrong.
    fn take<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&RawValue) -> Result<T, String>,
    ) -> Option<T> {
        let (_, raw) = self.fields.iter().find(|(field, _)| field == name)?;
        if raw.get() == "null" {
            return None;
        }
        read(raw).map_err(|why| self.refuse(name, why)).ok()
    }

    fn fill(&mut self, request: &mut Request) {
        let mut filled = std::mem::replace(request, Request::from_json("", ""));
        if let Some(queue) = self.take("queue", text) {
            filled = filled.queue(queue);
        }
        if let Some(class) = self.take("class", class) {
            filled = filled.class(class);
        }
        if let Some(delay) = self.take("delay", span) {
            filled = filled.delay(delay);
        }
        if let Some(at) = self.take("at", instant) {
            filled = filled.at(at);
        }
        if let Some(id) = self.take("id", text) {
            filled = filled.id(id);
        }
        if let Some(expires) = self.take("expires", span) {
            filled = filled.expires(expires);
        }
        if let Some(timeout) = self.take("timeout", span) {
            filled = filled.timeout(timeout);
        }
        if let Some(attempts) = self.take("max_attempts", number) {
            filled = filled.max_attempts(attempts);
        }
        for (name, value) in self.take("tags", tags).unwrap_or_default() {
            filled = filled.tag(name, value);
        }
        *request = filled;
    }

    /// Settles the key: the field and the header are the same thing.
    fn key(&mut self, header: Option<&str>) -> Option<String> {
        let field = self.take("key", text);
        match (field, header) {
            (Some(field), Some(header)) if field != header => {
                self.refuse("key", "it differs from the Idempotency-Key header; send one of them");
                None
            }
            (Some(field), _) => Some(field),
            (None, header) => header.map(str::to_owned),
        }
    }
}

fn text(raw: &RawValue) -> Result<String, String> {
    serde_json::from_str(raw.get())
        .map_err(|_| format!("it is {}; write text, such as \"mail\"", sort(raw)))
}

fn class(raw: &RawValue) -> Result<Class, String> {
    text(raw)?.parse::<Class>().map_err(|error| error.to_string())
}

fn span(raw: &RawValue) -> Result<Duration, String> {
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

fn instant(raw: &RawValue) -> Result<Millis, String> {
    let form = "write RFC 3339 with an offset, such as \"2030-01-31T08:00:00Z\"";
    let text: String =
        serde_json::from_str(raw.get()).map_err(|_| format!("it is {}; {form}", sort(raw)))?;
    let at =
        DateTime::parse_from_rfc3339(&text).map_err(|_| format!("it is not an instant; {form}"))?;
    let millis = u64::try_from(at.timestamp_millis()).map_err(|_| {
        "it is before 1970; leave it out to have the task started at once".to_owned()
    })?;
    // Never early: what is finer than a millisecond is rounded up.
    let finer = at.timestamp_subsec_nanos() % 1_000_000;
    Ok(Millis(millis + u64::from(finer > 0)))
}

fn number(raw: &RawValue) -> Result<u32, String> {
    serde_json::from_str(raw.get())
        .map_err(|_| format!("it is {}; write a whole number within 1 and 1000", sort(raw)))
}

fn tags(raw: &RawValue) -> Result<BTreeMap<String, String>, String> {
    serde_json::from_str(raw.get()).map_err(|_| {
        "it is not an object of text; write one, such as {\"tenant\": \"42\"}".to_owned()
    })
}

/// Names what sort of JSON value it is.
fn sort(raw: &RawValue) -> &'static str {
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
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(FieldsVisitor).map(Self)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with the fields of a task")
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

    fn problems(json: &str, key: Option<&str>) -> Vec<String> {
        let submission = Submission::read(json.as_bytes(), key).unwrap();
        let line = |problem: &Problem| format!("{}: {}", problem.field, problem.why);
        submission.problems.iter().map(line).collect()
    }

    #[test]
    fn every_wrong_form_is_told_at_once_and_says_what_to_write() {
        let found = problems(
            r#"{"kind": 7, "delay": 30, "at": "tomorrow", "timeout": true, "max_attempts": 1.5,
                "tags": {"a": 1}, "class": "urgent", "quue": "mail", "expires": "5"}"#,
            None,
        );
        assert_eq!(found.len(), 9, "{found:#?}");
        let has = |text: &str| assert!(found.iter().any(|line| line.contains(text)), "{found:#?}");
        has("quue: there is no field \"quue\"; did you mean \"queue\"?");
        has("kind: it is a number; write text");
        has("delay: it has no unit; write 30s for seconds");
        has("at: it is not an instant; write RFC 3339");
        has("timeout: it is true or false; write text with a unit");
        has("class: class \"urgent\" is not valid: use one of critical");
        has("expires: it has no unit; write 5s");
    }

    #[test]
    fn what_is_no_object_is_refused_with_the_place() {
        for json in ["", "[]", "{\"kind\": }", "{} {}", "\"x\"", "{\"kind\":\"a\"", "\u{7f}"] {
            let error = Submission::read(json.as_bytes(), None).unwrap_err();
            assert!(error.starts_with("it is not one JSON object"), "{json}: {error}");
        }
    }

    #[test]
    fn a_field_that_stands_twice_is_refused() {
        assert_eq!(
            problems(r#"{"kind": "a", "kind": "b"}"#, None),
            ["kind: it stands there twice; give it once"]
        );
    }

    #[test]
    fn the_key_and_the_header_are_the_same_thing() {
        assert!(problems(r#"{"kind": "a", "key": "k"}"#, Some("k")).is_empty());
        assert!(problems(r#"{"kind": "a"}"#, Some("k")).is_empty());
        assert_eq!(problems(r#"{"kind": "a", "key": "k"}"#, Some("other")).len(), 1);
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
