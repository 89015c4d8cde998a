//! The submission: one task as a sender writes it in JSON.
//!
//! The gateway reads tasks with it, and workers the follow-ups that programs write. Responsible for
//! names and forms of the fields; what a value may be is the draft's matter. An absent field and
//! `null` are the same; absent args are `null`. All mistakes are collected, so that a sender
//! learns them in one answer.

use leveret_common::envelope::header::MAX_MAX_ATTEMPTS;
use leveret_common::name::Class;

use crate::error::Problem;
use crate::fields::{self, Fields};
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

/// A task as a sender writes it in JSON, the body of `POST /v1/tasks`: what was read, and what is wrong
/// with it already.
#[derive(Debug)]
pub struct Submission {
    /// The request, without the fields that are wrong.
    pub request: Request,
    /// What is wrong with the others.
    pub problems: Vec<Problem>,
}

impl Submission {
    /// The fields of a task, as a sender writes them.
    pub const FIELDS: [&'static str; 12] = FIELDS;

    /// Reads a task from `json`; `key` is the `Idempotency-Key` header.
    ///
    /// # Errors
    /// A sentence, when the text is not one JSON object.
    pub fn read(json: &[u8], key: Option<&str>) -> Result<Self, String> {
        let mut fields = Fields::read(json, &FIELDS).map_err(|error| {
            format!(
                "it is not one JSON object, such as {{\"kind\": \"email.welcome\", \"args\": {{}}}}: \
                 {error}"
            )
        })?;
        let kind =
            fields.demand("kind", "names what to do, such as \"email.welcome\"", fields::text);
        let args = fields.take("args", |raw| Ok(raw.get().to_owned()));
        let request = Request::from_json(kind.unwrap_or_default(), args.unwrap_or("null".into()));
        let mut request = filled(&mut fields, request);
        if let Some(key) = key_of(&mut fields, key) {
            request = request.key(key);
        }
        Ok(Self { request, problems: fields.into_problems() })
    }
}

fn filled(fields: &mut Fields<'_>, request: Request) -> Request {
    let mut filled = request;
    if let Some(queue) = fields.take("queue", fields::text) {
        filled = filled.queue(queue);
    }
    if let Some(class) = fields.take("class", fields::parsed::<Class>) {
        filled = filled.class(class);
    }
    if let Some(delay) = fields.take("delay", fields::span) {
        filled = filled.delay(delay);
    }
    if let Some(at) = fields.take("at", fields::instant) {
        filled = filled.at(at);
    }
    if let Some(id) = fields.take("id", fields::text) {
        filled = filled.id(id);
    }
    if let Some(expires) = fields.take("expires", fields::span) {
        filled = filled.expires(expires);
    }
    if let Some(timeout) = fields.take("timeout", fields::span) {
        filled = filled.timeout(timeout);
    }
    let attempts = |raw: &_| fields::number(raw, &(1..=MAX_MAX_ATTEMPTS));
    if let Some(attempts) = fields.take("max_attempts", attempts) {
        filled = filled.max_attempts(attempts);
    }
    for (name, value) in fields.take("tags", fields::tags).unwrap_or_default() {
        filled = filled.tag(name, value);
    }
    filled
}

/// Settles the key: the field and the header are the same thing.
fn key_of(fields: &mut Fields<'_>, header: Option<&str>) -> Option<String> {
    let field = fields.take("key", fields::text);
    match (field, header) {
        (Some(field), Some(header)) if field != header => {
            fields.refuse("key", "it differs from the Idempotency-Key header; send one of them");
            None
        }
        (Some(field), _) => Some(field),
        (None, header) => header.map(str::to_owned),
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
}
