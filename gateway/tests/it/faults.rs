//! Servers that block, fall silent or hang: what clients are told, and when.

use std::time::{Duration, Instant};

use leveret_common::broker::PublishError;
use leveret_common::envelope::Order;
use leveret_common::id::TaskId;
use leveret_common::ledger::{Decide, Decision, Outcome};
use leveret_common::testkit::eventually;
use reqwest::{RequestBuilder, Response};
use serde_json::json;

use crate::world::{Freezer, Servers, World, json, letter, letters, problem};

/// What is promised to a client of a blocked broker or an absent store.
const PROMISED: Duration = Duration::from_secs(2);

async fn in_time(request: RequestBuilder) -> Response {
    let began = Instant::now();
    let response = request.send().await.unwrap();
    assert!(began.elapsed() <= PROMISED, "answered after {:?}", began.elapsed());
    response
}

fn task(world: &World) -> RequestBuilder {
    world.post().json(&json!({ "kind": "a" }))
}

#[tokio::test]
async fn while_the_broker_blocks_every_enqueue_is_refused_in_time_and_not_sent() {
    let world = World::new().await;
    world.broker.fail_with(|| PublishError::Blocked("low on memory".into()));
    let first = in_time(task(&world)).await;
    assert_eq!(first.headers()["retry-after"], "2");
    problem(first, 503, "unavailable").await;
    let sent = world.broker.published();
    for _ in 0..20 {
        let refused = problem(in_time(task(&world)).await, 503, "unavailable").await;
        assert!(refused["detail"].as_str().unwrap().contains("low on memory"), "{refused}");
    }
    assert_eq!(world.broker.published(), sent, "nothing more is handed to a broker that blocks");
    world.broker.recover();
    eventually(Duration::from_secs(20), "tasks are accepted again", || async {
        task(&world).send().await.unwrap().status() == 202
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_falls_silent_and_is_not_well_is_not_waited_for() {
    let world = World::new().await;
    world.broker.fall_silent();
    // It may have arrived: the id is there to repeat it with.
    let first = in_time(task(&world)).await;
    assert!(first.headers().contains_key("retry-after"));
    assert!(problem(first, 504, "unconfirmed").await["id"].is_string());
    problem(in_time(task(&world)).await, 503, "unavailable").await;
}

#[tokio::test]
async fn a_broker_that_is_slow_and_well_is_waited_for() {
    let world = World::new().await;
    world.broker.be_slow();
    let asked = task(&world).send();
    let recovering = async {
        // Once it was looked at, the patience of an enqueue has run out once.
        eventually(Duration::from_secs(20), "the broker was looked at", || async {
            world.broker.looked_at() > 0
        })
        .await;
        world.broker.recover();
    };
    let (response, ()) = tokio::join!(asked, recovering);
    json(response.unwrap(), 202).await;
}

#[tokio::test]
async fn many_lines_are_refused_one_by_one_while_the_broker_blocks() {
    let world = World::new().await;
    world.broker.fail_with(|| PublishError::Blocked("low on disk".into()));
    let lines = world.put_lines_in("{\"kind\":\"a\"}\n".repeat(1_500)).await;
    assert_eq!(lines.len(), 1_500);
    assert!(lines.iter().all(|line| line["error"]["status"] == 503), "{:?}", lines[0]);
    assert_eq!(world.broker.published(), 1);
}

/// Requests that walk the dead letters of `mail`, one of which is `id`.
fn walks(world: &World, id: TaskId) -> Vec<RequestBuilder> {
    let line = json!({ "queue": "mail", "wire": letter("a", "1", 7) }).to_string();
    let import = world.post_to("/v1/dead/import").header("content-type", "application/x-ndjson");
    let all = |path: &str| world.post_to(path).json(&json!({ "all": true }));
    vec![
        all("/v1/dead/replay"),
        all("/v1/dead/discard"),
        world.post_to("/v1/dead/reindex"),
        world.post_to(&format!("/v1/dead/{id}/replay")),
        world.post_to(&format!("/v1/dead/{id}/discard")),
        world.get(&format!("/v1/dead/{id}?full=true")),
        world.get("/v1/dead/export"),
        import.body(line),
    ]
}

#[tokio::test]
async fn while_the_broker_is_away_everybody_who_needs_it_is_told_so_in_time() {
    let world = World::new().await;
    let letter = world.bury("mail", &letters("a", 2)).await[0];
    let waiting = world.accepted(json!({ "kind": "a" })).await;
    let ended = world.accepted(json!({ "kind": "a" })).await;
    let hold = world.claim(ended).await;
    let decision = Decision { outcome: Outcome::Done { result: None }, follow_ups: Vec::new() };
    let (order, ttl) = (Order::FIRST, Duration::from_secs(60));
    let decide = Decide { id: ended, hold, order, decision, ttl };
    world.backend.ledger.decide(&[decide]).await.unwrap();
    world.broker.be_away();
    let looks = ["/v1/queues", "/v1/queues/mail", "/v1/dead/groups"].map(|path| world.get(path));
    for request in looks.into_iter().chain(walks(&world, letter)) {
        let told = in_time(request).await;
        assert!(told.headers().contains_key("retry-after"));
        problem(told, 503, "unavailable").await;
    }
    // What the store knows is told all the same.
    for (id, place) in [(waiting, "lane"), (ended, "blocked"), (TaskId::mint(), "unknown")] {
        let told = in_time(world.get(&format!("/v1/tasks/{id}/explain"))).await;
        assert_eq!(json(told, 200).await["custody"]["place"], place);
    }
    json(in_time(world.get("/v1/dead")).await, 200).await;
    world.broker.recover();
    eventually(Duration::from_secs(20), "queues are shown again", || async {
        world.get("/v1/queues").send().await.unwrap().status() == 200
    })
    .await;
    world.dead_rest_at(2).await;
}

#[tokio::test]
async fn while_the_broker_blocks_queues_are_shown_and_no_letter_is_moved() {
    let world = World::new().await;
    let letter = world.bury("mail", &letters("a", 2)).await[0];
    world.broker.fall_silent();
    for request in walks(&world, letter) {
        let told = problem(in_time(request).await, 503, "unavailable").await;
        assert!(told["detail"].as_str().unwrap().contains("low on memory"), "{told}");
    }
    for path in ["/v1/queues", "/v1/dead/groups"] {
        json(in_time(world.get(path)).await, 200).await;
    }
    world.dead_rest_at(2).await;
}

#[tokio::test]
async fn while_the_store_hangs_everybody_is_answered_in_time() {
    let freezer = Freezer::new();
    let Some(world) = World::freezing(Servers::Older, &freezer).await else { return };
    let id = world.accepted(json!({ "kind": "a" })).await;
    freezer.freeze();
    // The broker has it safe: the record is lost, the task is not.
    json(in_time(task(&world)).await, 202).await;
    let keyed = world.post().json(&json!({ "kind": "a", "key": "k" }));
    json(in_time(keyed).await, 202).await;
    for path in [
        format!("/v1/tasks/{id}"),
        format!("/v1/tasks/{id}/explain"),
        "/v1/dead".to_owned(),
        "/v1/queues".to_owned(),
        "/v1/workers".to_owned(),
    ] {
        let told = in_time(world.get(&path)).await;
        assert!(told.headers().contains_key("retry-after"), "{path}");
        problem(told, 503, "unavailable").await;
    }
    // These ask first.
    for path in [format!("/v1/tasks/{id}/cancel"), "/v1/workers/all/quiet".to_owned()] {
        problem(in_time(world.post_to(&path)).await, 503, "unavailable").await;
    }
    // These may be done: the request is on its way.
    for path in ["/v1/queues/mail/pause", "/v1/queues/mail/resume"] {
        let told = in_time(world.post_to(path)).await;
        assert!(told.headers().contains_key("retry-after"), "{path}");
        problem(told, 504, "unconfirmed").await;
    }
    let bulk = world.post_to("/v1/dead/replay").json(&json!({ "all": true }));
    problem(in_time(bulk).await, 503, "unavailable").await;
    let sick = world.ask("/v1/doctor").await;
    assert_eq!(sick["healthy"], false, "{sick:#}");
}

/// Makes the schedule `s`.
async fn scheduled(world: &World) {
    let schedule = json!({ "name": "s", "when": "@daily", "kind": "a" });
    world.order("/v1/schedules", schedule, 201).await;
}

fn backfill(world: &World) -> RequestBuilder {
    let range = json!({ "from": "2024-01-01T00:00:00Z", "to": "2024-01-03T00:00:00Z" });
    world.post_to("/v1/schedules/s/backfill").json(&range)
}

#[tokio::test]
async fn while_the_store_hangs_the_timetable_is_away_and_nothing_of_it_is_changed() {
    let freezer = Freezer::new();
    let Some(world) = World::freezing(Servers::Older, &freezer).await else { return };
    scheduled(&world).await;
    let before = world.ask("/v1/schedules/s").await;
    freezer.freeze();
    let other = json!({ "when": "@hourly", "kind": "a" });
    let named = json!({ "name": "t", "when": "@hourly", "kind": "a" });
    let lines = |path: &str| {
        let request = world.post_to(path).header("content-type", "application/x-ndjson");
        request.body(named.to_string())
    };
    let looks = ["", "/s", "/s/next", "/s/occurrences", "/export"];
    let looks = looks.map(|path| world.get(&format!("/v1/schedules{path}")));
    let verbs = ["pause", "resume", "run"];
    let verbs = verbs.map(|verb| world.post_to(&format!("/v1/schedules/s/{verb}")));
    let changes = [
        world.get("/v1/beats"),
        world.post_to("/v1/schedules").json(&named),
        world.put_to("/v1/schedules/s").json(&other),
        world.delete_at("/v1/schedules/s"),
        backfill(&world),
        lines("/v1/schedules/plan"),
        lines("/v1/schedules/import"),
    ];
    for request in looks.into_iter().chain(verbs).chain(changes) {
        let told = in_time(request).await;
        assert!(told.headers().contains_key("retry-after"), "{}", told.url());
        problem(told, 503, "unavailable").await;
    }
    freezer.thaw();
    eventually(Duration::from_secs(20), "schedules are shown again", || async {
        world.get("/v1/schedules").send().await.unwrap().status() == 200
    })
    .await;
    let shown = world.ask("/v1/schedules").await;
    assert_eq!(shown["schedules"], json!([before]));
}

#[tokio::test]
async fn while_the_broker_is_away_only_tasks_of_schedules_are_refused() {
    let world = World::new().await;
    scheduled(&world).await;
    world.broker.be_away();
    let run = || world.post_to("/v1/schedules/s/run").header("idempotency-key", "k");
    // The first may have arrived; after that nothing is sent.
    for (request, status, sort) in
        [(run(), 504, "unconfirmed"), (backfill(&world), 503, "unavailable")]
    {
        let told = in_time(request).await;
        assert!(told.headers().contains_key("retry-after"));
        let told = problem(told, status, sort).await;
        assert!(told["detail"].as_str().unwrap().contains("ask again"), "{told}");
    }
    for path in ["/v1/schedules", "/v1/schedules/s", "/v1/schedules/s/next", "/v1/beats"] {
        json(in_time(world.get(path)).await, 200).await;
    }
    json(in_time(world.post_to("/v1/schedules/s/pause")).await, 200).await;
    world.broker.recover();
    eventually(Duration::from_secs(20), "a task is put in", || async {
        run().send().await.unwrap().status().is_success()
    })
    .await;
    world.rest_at("default.normal", 1).await;
}

#[tokio::test]
async fn a_run_whose_task_may_be_in_says_which_and_can_be_repeated() {
    let world = World::new().await;
    scheduled(&world).await;
    world.broker.fall_silent();
    let run = || world.post_to("/v1/schedules/s/run").header("idempotency-key", "k");
    let told = problem(in_time(run()).await, 504, "unconfirmed").await;
    world.broker.recover();
    eventually(Duration::from_secs(20), "it is known to be in", || async {
        let again = run().send().await.unwrap();
        if !again.status().is_success() {
            return false;
        }
        let again: serde_json::Value = again.json().await.unwrap();
        assert_eq!(again["id"], told["id"]);
        true
    })
    .await;
}

#[tokio::test]
async fn readiness_is_looked_at_once_a_second_however_often_it_is_asked() {
    let world = World::new().await;
    let began = Instant::now();
    for _ in 0..200 {
        json(world.get("/readyz").send().await.unwrap(), 200).await;
    }
    let looks = u64::from(world.broker.looked_at());
    assert!(looks <= began.elapsed().as_secs() + 1, "{looks} looks in {:?}", began.elapsed());
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_given_up() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::with(|config| config.write_timeout = Duration::from_millis(200)).await;
    let address = world.url.trim_start_matches("http://").parse().unwrap();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let letters: Vec<_> = (0..1_500).map(|n| letter("a", &format!("\"{n:09000}\""), n)).collect();
    world.bury("mail", &letters).await;
    stream.write_all(b"GET /v1/dead/export HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    // The walk ends, and with it the right to walk the queue, although nobody reads on.
    let (leases, owner) = (&world.backend.leases, leveret_common::id::Owner::mint());
    let ttl = Duration::from_secs(5);
    assert_eq!(leases.acquire("dead/mail", owner, ttl).await.unwrap(), None);
    eventually(Duration::from_secs(20), "the export was given up", || async {
        leases.acquire("dead/mail", owner, ttl).await.unwrap().is_some()
    })
    .await;
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    assert!(rest.len() < 9_000 * 1_500, "{}", rest.len());
    assert!(!String::from_utf8_lossy(&rest).contains("finished"));
}
