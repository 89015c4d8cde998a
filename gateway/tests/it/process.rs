//! The gateway as a process part: its port, its routes, its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use leveret_common::broker::PublishError;
use leveret_common::spawn::Spawner;
use leveret_gateway::{Config, Gateway};
use leveret_producer::{Options, Producer};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::{World, json, problem};

const SOON: Duration = Duration::from_secs(15);

fn second(world: &World, listen: &str) -> Gateway {
    let producer = Producer::new(world.backend.clone(), Options::default());
    Gateway::new(producer, Config { listen: listen.parse().unwrap(), ..Config::default() })
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let world = World::new().await;
    let address = world.url.trim_start_matches("http://");
    let error = second(&world, address).bind().await.err().unwrap().to_string();
    let port = address.rsplit(':').next().unwrap();
    assert!(error.contains(&format!("port {port} is in use on 127.0.0.1")), "{error}");
    assert!(error.contains("stop the process") && error.contains("--listen"), "{error}");
}

#[tokio::test]
async fn without_tokens_it_does_not_listen_for_other_machines() {
    let world = World::new().await;
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let error = second(&world, listen).bind().await.err().unwrap().to_string();
        assert!(error.contains("gateway.token_file") && error.contains("127.0.0.1"), "{error}");
    }
}

#[tokio::test]
async fn a_path_or_method_that_is_not_there_is_answered_with_those_that_are() {
    let world = World::new().await;
    let told = problem(world.get("/v1/taks").send().await.unwrap(), 404, "unknown-route").await;
    assert!(told["detail"].as_str().unwrap().contains("POST /v1/tasks"), "{told}");
    let wrong = world.client.delete(format!("{}/v1/tasks", world.url)).send().await.unwrap();
    assert_eq!(wrong.headers()["allow"], "POST");
    problem(wrong, 405, "wrong-method").await;
}

#[tokio::test]
async fn probes_tell_what_is_wrong() {
    let world = World::new().await;
    assert_eq!(json(world.get("/livez").send().await.unwrap(), 200).await["status"], "alive");
    assert_eq!(json(world.get("/readyz").send().await.unwrap(), 200).await["status"], "ready");
    world.broker.fail_with(|| PublishError::Blocked("memory".into()));
    let told = problem(world.unready().await, 503, "unavailable").await;
    assert_eq!(told["errors"].as_array().unwrap().len(), 1);
    assert_eq!(told["errors"][0]["field"], "broker");
    assert!(told["errors"][0]["why"].as_str().unwrap().contains("memory"), "{told}");
    assert_eq!(json(world.get("/livez").send().await.unwrap(), 200).await["status"], "alive");
}

#[tokio::test]
async fn it_is_not_ready_while_the_worker_beside_it_is_not() {
    let world = World::new().await;
    let is_ready = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&is_ready);
    let gateway = second(&world, "127.0.0.1:0");
    let gateway = gateway.with_worker(Arc::new(move || seen.load(Ordering::SeqCst)));
    let bound = gateway.bind().await.unwrap();
    let url = format!("http://{}/readyz", bound.local_addr());
    Spawner::new().spawn(bound.run(world.shutdown.clone()));
    let told = problem(world.client.get(&url).send().await.unwrap(), 503, "unavailable").await;
    assert_eq!(told["errors"][0]["field"], "worker");
    is_ready.store(true, Ordering::SeqCst);
    json(world.client.get(&url).send().await.unwrap(), 200).await;
}

#[tokio::test]
async fn metrics_are_rendered_as_text() {
    let world = World::new().await;
    let response = world.get("/metrics").send().await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert_eq!(response.text().await.unwrap(), "m 1\n");
}

#[tokio::test]
async fn answers_are_neither_kept_nor_guessed_at() {
    let world = World::new().await;
    for path in ["/livez", "/nothing"] {
        let response = world.get(path).send().await.unwrap();
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    }
}

#[tokio::test]
async fn a_request_that_is_under_way_is_finished_at_the_shutdown() {
    let world = World::new().await;
    // The request is under way once its head has been read, which a body read later proves.
    let mut stream = TcpStream::connect(world.url.trim_start_matches("http://")).await.unwrap();
    let body = json!({ "kind": "a", "id": "late" }).to_string();
    let head = format!(
        "POST /v1/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 25];
    stream.read_exact(&mut first).await.unwrap();
    assert!(first.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&first));
    world.shutdown.cancel();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let probe = world.get("/livez");
    timeout(SOON, world.running).await.unwrap().unwrap();
    let refused = probe.send().await;
    assert!(refused.unwrap_err().is_connect(), "the port is free");
}

#[tokio::test]
async fn a_request_that_goes_on_too_long_does_not_hold_the_shutdown() {
    let world = World::with(|config| config.grace = Duration::from_millis(100)).await;
    let mut stream = TcpStream::connect(world.url.trim_start_matches("http://")).await.unwrap();
    let head = "POST /v1/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                expect: 100-continue\r\ncontent-length: 9\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 25];
    stream.read_exact(&mut first).await.unwrap();
    world.shutdown.cancel();
    timeout(SOON, world.running).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_wait_is_answered_at_the_shutdown_with_where_the_task_stands() {
    let world = World::new().await;
    let id = json(world.put_in(json!({ "kind": "a" })).await, 202).await["id"].clone();
    let mut stream = TcpStream::connect(world.url.trim_start_matches("http://")).await.unwrap();
    // Sent together: once the first is answered, the connection is at the second.
    let both = format!(
        "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n\
         GET /v1/tasks/{}?wait=60s HTTP/1.1\r\nhost: localhost\r\n\r\n",
        id.as_str().unwrap()
    );
    stream.write_all(both.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    world.shutdown.cancel();
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.contains("\"state\":\"queued\""), "{answer}");
    timeout(SOON, world.running).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let world = World::with(|config| config.header_timeout = Duration::from_millis(50)).await;
    let mut stream = TcpStream::connect(world.url.trim_start_matches("http://")).await.unwrap();
    stream.write_all(b"POST /v1/tasks HTTP/1.1\r\nhost: local").await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(SOON, stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection stays open");
}

#[tokio::test]
async fn a_connection_that_nobody_uses_ends() {
    let world = World::with(|config| config.header_timeout = Duration::from_millis(50)).await;
    let connect = || TcpStream::connect(world.url.trim_start_matches("http://"));
    let mut used = connect().await.unwrap();
    used.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    for mut stream in [connect().await.unwrap(), used] {
        let mut answer = Vec::new();
        let read = timeout(SOON, stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "the connection stays open");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let world = World::new().await;
    let mut stream = TcpStream::connect(world.url.trim_start_matches("http://")).await.unwrap();
    let head =
        format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "a".repeat(1 << 20));
    // The other side may have hung up by then.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = [0; 12];
    timeout(SOON, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_their_turn() {
    let world = World::with(|config| config.max_connections = 1).await;
    let first = TcpStream::connect(world.url.trim_start_matches("http://")).await.unwrap();
    let second = world.get("/livez").send();
    let mut second = std::pin::pin!(second);
    assert!(timeout(Duration::from_millis(100), second.as_mut()).await.is_err());
    drop(first);
    json(timeout(SOON, second).await.unwrap().unwrap(), 200).await;
}
