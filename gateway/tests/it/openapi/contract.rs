//! Holds answers against the document: every answer that a test of the gateway reads comes by here.
//!
//! Stricter than the document: a member that it does not describe is refused.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};

/// The document as it is served.
pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&leveret_gateway::openapi()).unwrap());

/// The same with no room for members that it does not describe.
static STRICT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = DOCUMENT.clone();
    close(&mut document["components"]["schemas"]);
    document
});

/// What can be asked of no operation: its answer is a problem that belongs to none.
const NOWHERE: [&str; 4] = [
    "/problems/unknown-route",
    "/problems/wrong-method",
    "/problems/unauthorized",
    "/problems/foreign-page",
];

/// Panics where the document does not allow this answer at this path.
#[track_caller]
pub(crate) fn hold(path: &str, status: u16, headers: &HeaderMap, text: &str) {
    let media = headers[CONTENT_TYPE].to_str().unwrap().split(';').next().unwrap().to_owned();
    if media == "application/problem+json" {
        let problem: Value = serde_json::from_str(text).unwrap();
        check("#/components/schemas/Problem", &problem).unwrap();
        if NOWHERE.contains(&problem["type"].as_str().unwrap()) {
            return;
        }
    }
    let mut refused = Vec::new();
    for (name, response) in answers(path, status) {
        match fits(response, &media, headers, text) {
            Ok(()) => return,
            Err(why) => refused.push(format!("{name}: {why}")),
        }
    }
    panic!("no operation of {path} answers {status} with this: {refused:#?}\n{text}");
}

/// Lists what the operations at a path may answer with this status.
fn answers(path: &str, status: u16) -> Vec<(String, &'static Value)> {
    let Some(item) = item(path) else { return Vec::new() };
    let answer = |(method, operation): (&String, &'static Value)| {
        let response = operation["responses"].get(status.to_string())?;
        let response = match response["$ref"].as_str() {
            Some(to) => DOCUMENT.pointer(to.trim_start_matches('#')).unwrap(),
            None => response,
        };
        Some((format!("{method} {status}"), response))
    };
    item.as_object().unwrap().iter().filter_map(answer).collect()
}

/// Finds what the document says of a path; one that is written out goes before one with a part
/// that varies.
pub(crate) fn item(path: &str) -> Option<&'static Value> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let fitting = paths.iter().filter(|(template, _)| {
        let (template, path) = (template.split('/'), path.split('/'));
        template.clone().count() == path.clone().count()
            && template.zip(path).all(|(part, given)| part == given || part.starts_with('{'))
    });
    Some(fitting.min_by_key(|(template, _)| template.matches('{').count())?.1)
}

fn fits(response: &Value, media: &str, headers: &HeaderMap, text: &str) -> Result<(), String> {
    let Some(content) = response["content"].get(media) else {
        return Err(format!("there is no {media}"));
    };
    for name in response["headers"].as_object().into_iter().flatten().map(|(name, _)| name) {
        // Lines are about many tasks, and have no place to point at.
        if media != "application/x-ndjson" && !headers.contains_key(name) {
            return Err(format!("the header {name} is missing"));
        }
    }
    let schema = &content["schema"];
    match media {
        "application/x-ndjson" => text.lines().try_for_each(|line| {
            let line = serde_json::from_str(line).map_err(|error| error.to_string())?;
            check_schema(schema, &line)
        }),
        "application/problem+json" => {
            let problem: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
            let told = format!("`{}`", problem["type"].as_str().unwrap_or_default());
            match response["description"].as_str().unwrap().contains(&told) {
                true => Ok(()),
                false => Err(format!("{told} is not among its problems")),
            }
        }
        "application/json" => {
            let answer = serde_json::from_str(text).map_err(|error| error.to_string())?;
            check_schema(schema, &answer)
        }
        _ => Ok(()),
    }
}

fn check_schema(schema: &Value, answer: &Value) -> Result<(), String> {
    match schema["$ref"].as_str() {
        Some(place) => check(place, answer),
        None => errors(&validator(schema), answer),
    }
}

/// Checks a value against a schema of the document.
pub(crate) fn check(place: &str, value: &Value) -> Result<(), String> {
    static KNOWN: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap();
    let build = || Arc::new(validator(&json!({ "$ref": place })));
    let found = Arc::clone(known.entry(place.to_owned()).or_insert_with(build));
    drop(known);
    errors(&found, value)
}

fn errors(validator: &Validator, value: &Value) -> Result<(), String> {
    let errors = validator.iter_errors(value);
    let told: Vec<_> = errors.map(|error| format!("{}: {error}", error.instance_path())).collect();
    if told.is_empty() { Ok(()) } else { Err(told.join("; ")) }
}

/// Makes a validator of a schema that points into the document.
pub(crate) fn validator(schema: &Value) -> Validator {
    let mut schema = schema.clone();
    schema["components"] = json!({ "schemas": STRICT["components"]["schemas"] });
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

/// Says of every object that lists its members that there are no others.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("type") == Some(&json!("object")) && object.contains_key("properties") {
                object.entry("additionalProperties").or_insert(json!(false));
            }
            object.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[test]
fn an_answer_that_the_document_does_not_have_is_refused() {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, "application/json".parse().unwrap())]);
    let held = |path: &str, status, answer: Value| {
        let headers = headers.clone();
        let hold = move || hold(path, status, &headers, &answer.to_string());
        std::panic::catch_unwind(hold).is_ok()
    };
    let alive = |more: Value| {
        let mut answer = json!({ "status": "alive", "version": "1" });
        answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        answer
    };
    assert!(held("/livez", 200, alive(json!({}))));
    assert!(!held("/livez", 200, alive(json!({ "more": 1 }))), "a member more");
    assert!(!held("/livez", 200, json!({ "status": "alive" })), "a member less");
    assert!(!held("/livez", 200, alive(json!({ "version": 1 }))), "of another type");
    assert!(!held("/livez", 201, alive(json!({}))), "another status");
    assert!(!held("/lives", 200, alive(json!({}))), "another path");
    let queue = json!({ "queue": "mail", "paused": null, "workers": 0, "dead": 0, "lanes": [{}] });
    assert!(!held("/v1/queues/mail", 200, queue), "deep within");
    let task = json!({ "id": "x", "state": "queued", "attempt": 0, "history": [] });
    assert!(!held("/v1/tasks/x", 200, task), "an id that is none");
    let accepted = json!({ "id": "01a1fe9d-e25d-74da-9fbc-f0afb0f05a0e", "state": "queued",
        "queue": "mail", "class": "high" });
    assert!(!held("/v1/tasks", 202, accepted), "without its Location");
}
