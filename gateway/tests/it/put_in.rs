//! `POST /v1/tasks` with one task.

use std::time::Duration;

use leveret_common::broker::PublishError;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{PAYLOAD, World, json, problem};

#[tokio::test]
async fn a_task_is_accepted_and_rests_in_its_lane() {
    let world = World::new().await;
    let task = json!({
        "kind": "email.welcome", "args": { "user_id": 7 }, "queue": "mail", "class": "high",
        "tags": { "tenant": "42" }, "timeout": "30s", "expires": "2h", "max_attempts": 3,
    });
    let response = world.put_in(task).await;
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let accepted = json(response, 202).await;
    assert_eq!((&accepted["state"], &accepted["queue"]), (&json!("queued"), &json!("mail")));
    assert_eq!(accepted.get("repeated"), None);
    assert_eq!(world.depth("mail.high").await, 1);
    let shown = json(world.get(&location).send().await.unwrap(), 200).await;
    assert_eq!(shown["id"], accepted["id"]);
    assert_eq!((&shown["kind"], &shown["class"]), (&json!("email.welcome"), &json!("high")));
    assert_eq!((&shown["attempt"], &shown["tags"]["tenant"]), (&json!(0), &json!("42")));
}

#[tokio::test]
async fn a_delay_and_an_instant_make_a_delayed_task() {
    let world = World::new().await;
    let delayed = json(world.put_in(json!({ "kind": "a", "delay": "1h" })).await, 202).await;
    assert_eq!(delayed["state"], "delayed");
    let at = json!({ "kind": "a", "at": "2096-02-29T12:00:00.5+02:00" });
    let delayed = json(world.put_in(at).await, 202).await;
    assert_eq!(delayed["next_at"], "2096-02-29T10:00:00.500Z");
    let both = json!({ "kind": "a", "at": "2096-02-29T12:00:00Z", "delay": "1h" });
    let refused = problem(world.put_in(both).await, 400, "invalid-task").await;
    assert_eq!(refused["errors"][0]["field"], "at");
}

#[tokio::test]
async fn a_key_is_answered_with_its_first_task_and_refused_for_other_args() {
    let world = World::new().await;
    let task = |n: u32| json!({ "kind": "a", "args": n, "key": "k" });
    let first = json(world.put_in(task(1)).await, 202).await;
    let again = json(world.put_in(task(1)).await, 200).await;
    assert_eq!((&again["id"], &again["repeated"]), (&first["id"], &json!(true)));
    let refused = problem(world.put_in(task(2)).await, 409, "key-conflict").await;
    assert_eq!(refused["id"], first["id"]);
    assert_eq!(world.depth("default").await, 1);
}

#[tokio::test]
async fn the_idempotency_key_header_is_the_key() {
    let world = World::new().await;
    let post = |task: serde_json::Value| world.post().header("Idempotency-Key", "k").json(&task);
    let first = json(world.put_in(json!({ "kind": "a", "key": "k" })).await, 202).await;
    for same in [json!({ "kind": "a" }), json!({ "kind": "a", "key": "k" })] {
        let again = json(post(same).send().await.unwrap(), 200).await;
        assert_eq!(again["id"], first["id"]);
    }
    let both = post(json!({ "kind": "a", "key": "other" })).send().await.unwrap();
    assert_eq!(problem(both, 400, "invalid-task").await["errors"][0]["field"], "key");
}

#[tokio::test]
async fn all_mistakes_of_a_request_are_told_at_once() {
    let world = World::new().await;
    let task = json!({ "kind": "a b", "quue": "mail", "delay": 30, "id": "", "tags": [], "max_attempts": 0 });
    let refused = problem(world.put_in(task).await, 400, "invalid-task").await;
    let errors = refused["errors"].as_array().unwrap();
    let mut fields: Vec<_> = errors.iter().map(|e| e["field"].as_str().unwrap()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["delay", "id", "kind", "max_attempts", "quue", "tags"]);
    let why = |field: &str| errors.iter().find(|e| e["field"] == field).unwrap()["why"].to_string();
    assert!(why("quue").contains("did you mean"), "{}", why("quue"));
    assert!(why("delay").contains("30s"), "{}", why("delay"));
}

#[tokio::test]
async fn a_parameter_is_refused_and_not_passed_over() {
    let world = World::new().await;
    let post = world.post_to("/v1/tasks?delay=1h").json(&json!({ "kind": "a" }));
    let refused = problem(post.send().await.unwrap(), 400, "invalid-request").await;
    assert_eq!(refused["errors"][0]["field"], "delay");
    assert_eq!(world.depth("default").await, 0);
}

#[tokio::test]
async fn what_is_no_json_object_is_refused() {
    let world = World::new().await;
    for body in ["", "{", "[]", "{\"kind\":\"a\"} x"] {
        let post = world.post().header("content-type", "application/json").body(body);
        problem(post.send().await.unwrap(), 400, "invalid-task").await;
    }
    assert_eq!(world.depth("default").await, 0);
}

#[tokio::test]
async fn absent_args_are_null_and_given_ones_are_kept_byte_for_byte() {
    let world = World::new().await;
    for (task, args) in [
        (r#"{"kind":"a"}"#, "null"),
        (r#"{"kind":"a","queue":null,"args": { "n" : 1.50 }}"#, r#"{ "n" : 1.50 }"#),
    ] {
        let post = world.post().header("content-type", "application/json").body(task);
        json(post.send().await.unwrap(), 202).await;
        assert_eq!(world.take_from("default").await.body, args);
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_anything_is_sent() {
    let world = World::new().await;
    let args = json!({ "kind": "a", "args": "x".repeat(PAYLOAD) });
    let refused = problem(world.put_in(args).await, 413, "too-large").await;
    assert!(refused["detail"].as_str().unwrap().contains("limits.payload"), "{refused}");
    let body = json!({ "kind": "a", "args": "x".repeat(8 << 20) });
    problem(world.put_in(body.clone()).await, 413, "too-large").await;
    // Without a length in its head, too.
    let pieces = body
        .to_string()
        .into_bytes()
        .chunks(65_536)
        .map(|p| Ok::<_, std::io::Error>(p.to_vec()))
        .collect::<Vec<_>>();
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let post = world.post().header("content-type", "application/json").body(body);
    problem(post.send().await.unwrap(), 413, "too-large").await;
    assert_eq!(world.depth("default").await, 0);
}

#[tokio::test]
async fn a_publish_that_fails_says_whether_to_try_again() {
    type Case = (fn() -> PublishError, u16, &'static str);
    let cases: [Case; 5] = [
        (|| PublishError::Blocked("memory".into()), 503, "unavailable"),
        (|| PublishError::Unavailable("no connection".into()), 503, "unavailable"),
        (|| PublishError::Rejected("full".into()), 503, "unavailable"),
        (
            || PublishError::Unknown { within: Duration::from_secs(1), why: "cut".into() },
            504,
            "unconfirmed",
        ),
        (|| PublishError::TooLarge { size: 2, limit: 1 }, 413, "too-large"),
    ];
    for (failure, status, name) in cases {
        // A new one each time: after such an answer the broker is asked before the next.
        let world = World::new().await;
        world.broker.fail_with(failure);
        let response = world.put_in(json!({ "kind": "a" })).await;
        let retry_after = response.headers().contains_key("retry-after");
        let told = problem(response, status, name).await;
        assert_eq!(retry_after, status >= 500, "{told}");
        assert_eq!(told["id"].is_string(), status >= 500, "{told}");
    }
}

#[tokio::test]
async fn only_json_and_ndjson_bodies_are_taken() {
    let world = World::new().await;
    for media in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
    {
        let post = world.post().header("content-type", media).body(r#"{"kind":"a"}"#);
        problem(post.send().await.unwrap(), 415, "unsupported-media-type").await;
    }
    let bare = world.post().body(r#"{"kind":"a"}"#).send().await.unwrap();
    problem(bare, 415, "unsupported-media-type").await;
    let packed = world.post().json(&json!({ "kind": "a" })).header("content-encoding", "gzip");
    problem(packed.send().await.unwrap(), 415, "unsupported-media-type").await;
    assert_eq!(world.depth("default").await, 0);
}

#[tokio::test]
async fn a_client_that_sends_too_much_before_it_reads_still_sees_why_it_is_refused() {
    let world = World::new().await;
    let size = 12 << 20;
    let mut stream = TcpStream::connect(world.url.trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST /v1/tasks HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {size}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; size]).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}
