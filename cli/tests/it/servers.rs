//! The roles as processes of their own, on RabbitMQ and Redis.

use std::time::{Duration, Instant};

use leveret_common::testkit::services::{self, VirtualHost};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::home::Home;
use crate::role::{Role, eventually};

/// The claims of a killed worker are free after this.
const HEARTBEAT_TTL: Duration = Duration::from_millis(1_500);

/// A folder whose configuration names the servers and a kind that runs until the test frees it.
fn home(host: &VirtualHost, redis: &str) -> Home {
    let home = Home::new();
    let (folder, namespace) = (home.path().display(), services::fresh_namespace());
    let script = format!(
        "echo $$ >> {folder}/runs; while ! [ -e {folder}/free ]; do sleep 0.02; done; echo 1"
    );
    home.write(
        "leveret.toml",
        &format!(
            "namespace = \"{namespace}\"\nbroker.url = \"{}\"\nstore.url = \"{redis}\"\n\
             gateway.listen = \"127.0.0.1:0\"\n\
             [worker]\nlisten = \"127.0.0.1:0\"\nheartbeat = \"500ms\"\nheartbeat_ttl = \"{}ms\"\n\
             [kinds.\"test.held\"]\nexec = [\"sh\", \"-c\", \"{script}\"]\n",
            host.url,
            HEARTBEAT_TTL.as_millis(),
        ),
    );
    home
}

fn worker(home: &Home) -> Role<'_> {
    let worker = Role::start(home, &["worker", "-o", "jsonl"]);
    eventually(Duration::from_secs(20), || worker.status_of("/readyz") == Some(200));
    worker
}

fn gateway(home: &Home) -> Role<'_> {
    let gateway = Role::start(home, &["gateway", "-o", "jsonl"]);
    eventually(Duration::from_secs(20), || gateway.status_of("/readyz") == Some(200));
    gateway
}

fn enqueue_held(gateway: &Role<'_>, home: &Home) {
    gateway.ask(&["task", "enqueue", "test.held", "--id", "held"]).succeeds();
    eventually(Duration::from_secs(20), || home.has("runs"));
}

fn a_killed_worker_is_replaced(host: &VirtualHost, redis: &str) {
    let home = home(host, redis);
    let gateway = gateway(&home);
    let first = worker(&home);
    enqueue_held(&gateway, &home);
    let second = worker(&home);
    drop(first);
    let killed = Instant::now();
    home.write("free", "");
    let task = gateway.ask(&["task", "wait", "held", "--timeout", "30s", "-o", "json"]);
    let took = killed.elapsed();
    let task = task.succeeds().json();
    assert_eq!((&task["state"], &task["attempt"]), (&json!("done"), &json!(1)));
    assert!(took < HEARTBEAT_TTL + Duration::from_secs(5), "{took:?}");
    assert_eq!(second.status_of("/readyz"), Some(200));
}

fn a_drained_worker_charges_nothing(host: &VirtualHost, redis: &str) {
    let home = home(host, redis);
    let gateway = gateway(&home);
    let mut first = Role::start(&home, &["worker", "-o", "jsonl", "--worker-grace", "0s"]);
    enqueue_held(&gateway, &home);
    first.send(Signal::SIGTERM);
    first.says("SIGTERM: draining");
    let (code, said) = first.ends();
    assert_eq!(code, Some(0), "{said}");
    home.write("free", "");
    let _second = worker(&home);
    let task = gateway.ask(&["task", "wait", "held", "--timeout", "30s", "-o", "json"]);
    let task = task.succeeds().json();
    assert_eq!((&task["state"], &task["attempt"]), (&json!("done"), &json!(1)));
    assert_eq!(task["history"].as_array().map(Vec::len), Some(1), "{task}");
}

#[tokio::test]
async fn a_task_is_done_elsewhere_when_its_worker_is_killed_on_rabbitmq_3_and_redis_7() {
    if let (Some(host), Some(redis)) = (services::rabbitmq_3().await, services::redis_7()) {
        a_killed_worker_is_replaced(&host, &redis);
    }
}

#[tokio::test]
async fn a_task_is_done_elsewhere_when_its_worker_is_killed_on_rabbitmq_4_and_redis_8() {
    if let (Some(host), Some(redis)) = (services::rabbitmq_4().await, services::redis_8()) {
        a_killed_worker_is_replaced(&host, &redis);
    }
}

#[tokio::test]
async fn a_drain_charges_no_attempt_on_rabbitmq_3_and_redis_7() {
    if let (Some(host), Some(redis)) = (services::rabbitmq_3().await, services::redis_7()) {
        a_drained_worker_charges_nothing(&host, &redis);
    }
}

#[tokio::test]
async fn a_drain_charges_no_attempt_on_rabbitmq_4_and_redis_8() {
    if let (Some(host), Some(redis)) = (services::rabbitmq_4().await, services::redis_8()) {
        a_drained_worker_charges_nothing(&host, &redis);
    }
}
