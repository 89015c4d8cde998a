//! `POST /v1/tasks` with one task per line.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::world::{PAYLOAD, World, problem};

#[tokio::test]
async fn each_line_is_answered_in_order_and_a_bad_one_stops_no_other() {
    let world = World::new().await;
    let large = json!({ "kind": "a", "args": "x".repeat(PAYLOAD) });
    let huge = json!({ "kind": "a", "args": "x".repeat(PAYLOAD + 100_000) });
    let body = format!(
        "{}\nnot json\n\n{}\n{}\n{}\n{}\n{}",
        json!({ "kind": "a", "id": "n1" }),
        json!({ "kind": "a", "delay": 5 }),
        large,
        huge,
        json!({ "kind": "a", "key": "k", "args": 1 }),
        json!({ "kind": "a", "key": "k", "args": 2 }),
    );
    let lines = world.put_lines_in(body).await;
    let numbers: Vec<_> = lines.iter().map(|line| line["line"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 4, 5, 6, 7, 8]);
    let kind = |line: &Value| line["error"]["type"].as_str().unwrap_or("none").to_owned();
    let kinds: Vec<_> = lines.iter().map(kind).collect();
    assert_eq!(
        kinds,
        [
            "none",
            "/problems/invalid-task",
            "/problems/invalid-task",
            "/problems/too-large",
            "/problems/too-large",
            "none",
            "/problems/key-conflict",
        ]
    );
    assert_eq!(lines[2]["error"]["errors"][0]["field"], "delay");
    assert!(lines[0]["id"].is_string() && lines[0].get("error").is_none());
    assert_eq!(world.depth("default").await, 2);
}

#[tokio::test]
async fn the_first_answer_comes_while_the_batch_is_still_being_sent() {
    let world = World::new().await;
    let (send, receive) = mpsc::channel::<String>(1);
    let pieces = stream::unfold(receive, |mut receive| async {
        receive.recv().await.map(|piece| (Ok::<_, std::io::Error>(piece), receive))
    });
    let post = world.post().header("content-type", "application/x-ndjson");
    send.send("{\"kind\":\"a\"}\n".to_owned()).await.unwrap();
    let sent = post.body(reqwest::Body::wrap_stream(pieces)).send();
    let response = timeout(Duration::from_secs(20), sent).await.unwrap().unwrap();
    let mut answers = response.bytes_stream();
    let first = timeout(Duration::from_secs(20), answers.next()).await.unwrap().unwrap().unwrap();
    assert!(first.starts_with(b"{\"line\":1,"), "{first:?}");
    send.send("{\"kind\":\"a\"}".to_owned()).await.unwrap();
    drop(send);
    let second = timeout(Duration::from_secs(20), answers.next()).await.unwrap().unwrap().unwrap();
    assert!(second.starts_with(b"{\"line\":2,"), "{second:?}");
    assert!(answers.next().await.is_none());
    assert_eq!(world.depth("default").await, 2);
}

#[tokio::test]
async fn a_batch_is_read_up_to_its_limit_and_says_where_it_stopped() {
    let world = World::with(|config| config.max_batch = 1_200).await;
    let lines = world.put_lines_in("{\"kind\":\"a\"}\n".repeat(5_000)).await;
    assert_eq!(lines.len(), 1_201);
    let last = lines.last().unwrap();
    assert_eq!((&last["line"], &last["error"]["status"]), (&json!(1_201), &json!(413)));
    assert!(last["error"]["detail"].as_str().unwrap().contains("gateway.max_batch"), "{last}");
    assert_eq!(world.depth("default").await, 1_200);
}

#[tokio::test]
async fn a_body_over_its_limit_is_refused_at_once_or_read_up_to_it() {
    let world = World::with(|config| config.max_body = 1_000).await;
    let body = "{\"kind\":\"a\"}\n".repeat(100);
    let media = "application/x-ndjson";
    let announced = world.post().header("content-type", media).body(body.clone());
    problem(announced.send().await.unwrap(), 413, "too-large").await;
    assert_eq!(world.depth("default").await, 0);
    let pieces = body.as_bytes().chunks(130).map(|p| Ok::<_, std::io::Error>(p.to_vec()));
    let pieces = stream::iter(pieces.collect::<Vec<_>>());
    let lines = world.put_lines_in(reqwest::Body::wrap_stream(pieces)).await;
    assert_eq!(lines.last().unwrap()["error"]["type"], "/problems/too-large");
    let accepted = lines.iter().filter(|line| line["id"].is_string()).count();
    assert!(accepted > 0 && accepted < 100, "{accepted}");
    assert_eq!(world.depth("default").await, accepted as u64);
}

#[tokio::test]
async fn a_batch_that_falls_silent_is_ended() {
    let world = World::with(|config| config.idle_timeout = Duration::from_millis(50)).await;
    let first = stream::iter([Ok::<_, std::io::Error>("{\"kind\":\"a\"}\n")]);
    let body = reqwest::Body::wrap_stream(first.chain(stream::pending()));
    let request = world.post().header("content-type", "application/x-ndjson").body(body);
    let response = request.send().await.unwrap();
    let text = timeout(Duration::from_secs(20), response.text()).await.unwrap().unwrap();
    let last = text.lines().last().unwrap();
    assert!(last.contains("/problems/slow-body"), "{text}");
    assert_eq!(world.depth("default").await, 1);
}

#[tokio::test]
async fn one_key_for_a_whole_batch_is_refused() {
    let world = World::new().await;
    let post = world.post().header("content-type", "application/x-ndjson");
    let post = post.header("Idempotency-Key", "k").body("{\"kind\":\"a\"}\n");
    problem(post.send().await.unwrap(), 400, "invalid-request").await;
    assert_eq!(world.depth("default").await, 0);
}

#[tokio::test]
async fn a_client_that_reads_only_after_it_has_sent_everything_is_served() {
    let world = World::with(|config| config.max_batch = 100_000).await;
    let lines = 40_000;
    let body = format!("{}\n", "x".repeat(700)).repeat(lines);
    let address = world.url.trim_start_matches("http://").parse().unwrap();
    // With room for little on its side, neither the answers nor what it sends fit into the
    // connection's buffers: if one waits for the other, both wait for ever.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let exchange = async {
        let head = "POST /v1/tasks HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                    content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        for piece in body.as_bytes().chunks(100_000) {
            let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            stream.write_all(&chunk).await.unwrap();
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = timeout(Duration::from_secs(60), exchange).await.unwrap();
    assert_eq!(answer.matches("{\"line\":").count(), lines);
}
