//! Any text and any bytes where the door reads one: what is none gets a problem that says so, never a
//! failure of ours, and each line of a batch gets its one answer.

use std::collections::BTreeSet;

use futures_util::stream;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::world::{PAYLOAD, World};

/// Draws that many values; whoever fails shows the one it failed on.
fn drawn<S: Strategy>(strategy: &S, count: usize) -> Vec<S::Value> {
    let mut runner = TestRunner::default();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// Writes a text as a part of an address.
fn part(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[^.].{0,60}",
        2 => "[0-9a-f]{47,49}",
        2 => "[0-9a-f-]{30,40}",
        1 => "[a-z%/ ][a-z.%/ ]{0,20}",
        1 => "[a-z:*\"\\\\<>= -]{1,40}",
    ]
}

#[tokio::test]
async fn any_text_as_a_cursor_an_id_or_a_filter_is_answered_with_a_page_or_a_problem() {
    let world = World::new().await;
    world.put_in(serde_json::json!({ "kind": "a" })).await;
    let doors = ["/v1/dead?cursor=", "/v1/schedules?cursor=", "/v1/dead?filter=", "/v1/tasks/"];
    let texts = drawn(&any_text(), 120);
    for door in doors {
        for text in &texts {
            let path = format!("{door}{}", part(text));
            for path in [Some(path.clone()), (door == doors[3]).then(|| path + "/explain")] {
                let Some(path) = path else { continue };
                let response = world.get(&path).send().await.unwrap();
                let status = response.status().as_u16();
                assert!(matches!(status, 200 | 400 | 404), "{status} for {path}");
                let body = response.text().await.unwrap();
                let told: serde_json::Value = serde_json::from_str(&body).unwrap();
                let is_typed = told["type"].as_str().is_some_and(|t| t.starts_with("/problems/"));
                assert_eq!(is_typed, status != 200, "{path}: {body}");
            }
        }
    }
}

#[tokio::test]
async fn any_place_that_may_be_written_is_a_page() {
    let world = World::new().await;
    for place in drawn(&(any::<u64>(), any::<u128>()), 60) {
        let path = format!("/v1/dead?cursor={:016x}{:032x}", place.0, place.1);
        assert_eq!(world.ask(&path).await["letters"], serde_json::json!([]), "{path}");
    }
}

/// A line, and whether it is a task.
fn any_line() -> impl Strategy<Value = (Vec<u8>, bool)> {
    prop_oneof![
        4 => Just((b"{\"kind\":\"a\",\"id\":\"@\"}".to_vec(), true)),
        2 => vec(any::<u8>().prop_filter("one line", |byte| *byte != b'\n'), 0..40)
            .prop_map(|bytes| (bytes, false)),
        1 => Just((b"{\"kind\":\"a\",\"delay\":5}".to_vec(), false)),
        1 => Just((b" \t\r".to_vec(), false)),
        1 => (0..200_000_usize).prop_map(|len| (vec![b'x'; PAYLOAD + len], false)),
    ]
}

#[tokio::test]
async fn each_line_of_any_batch_gets_one_answer_in_order_and_each_task_is_put_in_once() {
    let world = World::new().await;
    let batches = drawn(&(vec(any_line(), 0..12), vec(50..9_000_usize, 1..4)), 60);
    let (mut accepted, mut ids) = (0, BTreeSet::new());
    for (number, (lines, lengths)) in batches.into_iter().enumerate() {
        let (mut body, mut asked, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
        for (place, (line, is_task)) in lines.iter().enumerate() {
            let name = format!("{number}-{place}");
            let line = String::from_utf8(line.clone())
                .map_or(line.clone(), |text| text.replace('@', &name).into_bytes());
            if !line.trim_ascii().is_empty() {
                asked.push(place as u64 + 1);
                tasks.push(*is_task);
            }
            body.extend_from_slice(&line);
            body.push(b'\n');
        }
        let (mut pieces, mut rest, mut lengths) =
            (Vec::new(), body.as_slice(), lengths.iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((*lengths.next().unwrap()).min(rest.len()));
            pieces.push(Ok::<_, std::io::Error>(piece.to_vec()));
            rest = after;
        }
        let answers = world.put_lines_in(reqwest::Body::wrap_stream(stream::iter(pieces))).await;
        let numbers: Vec<_> = answers.iter().map(|one| one["line"].as_u64().unwrap()).collect();
        assert_eq!(numbers, asked, "{}", String::from_utf8_lossy(&body));
        for (answer, is_task) in answers.iter().zip(tasks) {
            assert_eq!(answer["id"].is_string(), is_task, "{answer}");
            assert_eq!(answer["error"]["type"].is_string(), !is_task, "{answer}");
            if let Some(id) = answer["id"].as_str() {
                accepted += 1;
                ids.insert(id.to_owned());
            }
        }
    }
    assert_eq!(ids.len() as u64, accepted);
    assert_eq!(world.depth("default").await, accepted, "as many rest there as were accepted");
}
