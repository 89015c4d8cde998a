//! The document as a whole: its routes are those of the gateway and of the page, and it is sound.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use super::contract::{DOCUMENT, check};
use crate::world::{World, json, problem};

const PAGE: &str = include_str!("../../../../docs/http-api.md");
const ROUTES: &str = include_str!("../../../src/route/mod.rs");
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Lists the operations: method, path, operation.
fn operations() -> Vec<(String, &'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let of_path = |(path, item): (&'static String, &'static Value)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(move |(method, operation)| (method.to_uppercase(), path.as_str(), operation))
    };
    paths.flat_map(of_path).collect()
}

/// Puts a name in place of what varies.
fn asked(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_operation_is_answered_and_no_other_method_is_taken() {
    let world = World::new().await;
    let paths: BTreeSet<&str> = operations().into_iter().map(|(_, path, _)| path).collect();
    for path in paths {
        let taken: Vec<_> =
            operations().into_iter().filter(|(_, found, _)| *found == path).map(|o| o.0).collect();
        for method in METHODS {
            let url = format!("{}{}", world.url, asked(path));
            let request = world.client.request(method.parse::<Method>().unwrap(), url);
            let response = request.send().await.unwrap();
            if taken.iter().any(|one| one == method) {
                assert_ne!(response.status(), 405, "{method} {path}");
                continue;
            }
            let allowed = response.headers()["allow"].to_str().unwrap().to_owned();
            let told = problem(response, 405, "wrong-method").await;
            let detail = told["detail"].as_str().unwrap();
            for one in &taken {
                assert!(detail.contains(one) && allowed.contains(one), "{path}: {detail}");
            }
        }
    }
    // What is routed past the macro would be in no document.
    assert!(!ROUTES.contains(".route("), "a route that is not described");
}

#[tokio::test]
async fn the_document_is_served_as_it_is_printed() {
    let world = World::new().await;
    let response = world.get("/v1/openapi.json").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(json(response, 200).await, *DOCUMENT);
    assert_eq!(DOCUMENT["openapi"], "3.1.0");
}

/// Finds the routes that the page of the HTTP API names in its headings.
fn named_on_the_page() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in PAGE.lines().filter(|line| line.starts_with("### `")) {
        let mut last = String::new();
        for quoted in line.split('`').skip(1).step_by(2) {
            let route = match quoted.split_once(' ') {
                // `/resume` beside `POST /v1/workers/{worker}/quiet` is the same with another end.
                None if quoted.starts_with('/') => {
                    format!("{}{quoted}", last.rsplit_once('/').unwrap().0)
                }
                Some((_, path)) if path.starts_with('/') => quoted.to_owned(),
                _ => continue,
            };
            found.insert(route.clone());
            last = route;
        }
    }
    found
}

#[test]
fn the_page_of_the_api_has_the_operations_of_the_document_and_no_others() {
    let ours = operations().into_iter().map(|(method, path, _)| format!("{method} {path}"));
    let ours: BTreeSet<String> = ours.filter(|route| route != "GET /docs/{file}").collect();
    assert_eq!(named_on_the_page(), ours);
}

#[test]
fn the_page_of_the_api_has_the_problems_of_the_document_and_no_others() {
    let types = DOCUMENT["components"]["schemas"]["Problem"]["properties"]["type"]["enum"].clone();
    let types = types.as_array().unwrap().iter().map(|kind| kind.as_str().unwrap().to_owned());
    let (_, table) = PAGE.split_once("| type `/problems/…` |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let told = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let told: BTreeSet<String> = told.map(|name| format!("/problems/{name}")).collect();
    assert_eq!(told, types.collect());
}

#[test]
fn operations_have_names_of_their_own_and_say_what_they_do() {
    let mut names = BTreeSet::new();
    let tags: Vec<_> =
        DOCUMENT["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    for (method, path, operation) in operations() {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name), "{name} stands there twice");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{name}");
        let summary = operation["summary"].as_str().unwrap();
        assert!(!summary.contains('`') && !summary.ends_with('.'), "{method} {path}: {summary}");
        assert!(tags.contains(&&operation["tags"][0]), "{name}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{name}: {parameter}");
        }
        let varying = path.matches('{').count();
        let in_path = operation["parameters"].as_array().into_iter().flatten();
        assert_eq!(in_path.filter(|one| one["in"] == "path").count(), varying, "{name}");
    }
}

/// Calls `see` with everything in the document that is an object, and where it stands.
fn each(value: &Value, place: &str, see: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(object) => {
            see(place, value);
            for (name, member) in object {
                each(member, &format!("{place}/{name}"), see);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| each(item, &format!("{place}/{n}"), see));
        }
        _ => {}
    }
}

#[test]
fn what_is_pointed_at_is_there_and_nothing_else_is() {
    let mut pointed = BTreeSet::new();
    each(&DOCUMENT, "", &mut |place, value| {
        if let Some(to) = value.get("$ref").and_then(Value::as_str) {
            assert!(DOCUMENT.pointer(to.trim_start_matches('#')).is_some(), "{place}: {to}");
            pointed.insert(to.to_owned());
        }
        // Of two structs of one name only one would be seen; what stands in another is part of it.
        assert!(value.get("allOf").is_none(), "{place}");
        assert!(value.as_object().unwrap().keys().all(|key| !key.starts_with("x-")), "{place}");
    });
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        assert!(pointed.contains(&format!("#/components/schemas/{name}")), "{name}");
        let is_described = schema["description"].is_string() || name == "Json";
        assert!(is_described, "{name} has no description");
    }
}

#[test]
fn every_example_is_one_of_what_it_is_an_example_of() {
    let mut seen = 0;
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        for example in schema["examples"].as_array().into_iter().flatten() {
            seen += 1;
            let told = check(&format!("#/components/schemas/{name}"), example);
            assert_eq!(told, Ok(()), "{name}: {example}");
        }
    }
    assert!(seen > 20, "{seen}");
}

#[tokio::test]
async fn who_reads_the_document_or_a_probe_needs_no_token_and_all_others_do() {
    let world = World::with(crate::guard::with_token).await;
    for (method, path, operation) in operations() {
        let url = format!("{}{}", world.url, asked(path));
        let response =
            world.client.request(method.parse::<Method>().unwrap(), url).send().await.unwrap();
        let needs_none = operation["security"] == serde_json::json!([{}]);
        assert_eq!(response.status() != 401, needs_none, "{method} {path}");
        assert_eq!(operation["responses"].get("401").is_none(), needs_none, "{method} {path}");
    }
}
