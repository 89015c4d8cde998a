//! Bulk verbs on dead letters, told line by line.

use std::time::Duration;

use leveret_common::id::Owner;
use leveret_common::name::QueueName;
use leveret_common::testkit::eventually;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{World, everywhere, letters, problem};

const SOON: Duration = Duration::from_secs(20);

everywhere! {
    a_thousand_letters_that_match_are_replayed_and_the_others_stay,
    a_discard_takes_what_matches_and_no_more_than_its_limit,
    a_reindex_writes_the_list_anew,
    a_second_walker_is_refused_until_the_first_is_done,
}

/// Returns the figures of the last line, which says that it is finished.
fn totals(lines: &[Value]) -> &Value {
    let last = lines.last().unwrap();
    assert_eq!(last["finished"], true, "{last}");
    &last["totals"]
}

async fn a_thousand_letters_that_match_are_replayed_and_the_others_stay(world: World) {
    world.bury("mail", &letters("email.welcome", 1_000)).await;
    world.bury("mail", &letters("email.goodbye", 200)).await;
    let orders = json!({ "filter": "kind:email.welcome reason:handler age>1h" });
    let dry = json!({ "filter": orders["filter"], "dry_run": true });
    let found = world.order("/v1/dead/replay", dry, 200).await;
    assert_eq!((&found["matching"], &found["complete"]), (&json!(1_000), &json!(true)));
    assert_eq!(found["examples"].as_array().unwrap().len(), 5);
    assert_eq!(world.depth("mail.high").await, 0);
    let lines = world.order_lines("/v1/dead/replay", orders).await;
    let totals = totals(&lines);
    assert_eq!((&totals["taken"], &totals["replayed"]), (&json!(1_200), &json!(1_000)), "{totals}");
    assert_eq!((&totals["kept"], &totals["failed"]), (&json!(200), &json!(0)), "{totals}");
    assert!(lines.iter().any(|line| line["queue"] == "mail"), "{lines:?}");
    world.rest_at("mail.high", 1_000).await;
    world.dead_rest_at(200).await;
    let left = world.ask("/v1/dead/groups?by=kind").await;
    assert_eq!(
        (&left["total"], &left["groups"][0]["value"]),
        (&json!(200), &json!("email.goodbye"))
    );
}

async fn a_discard_takes_what_matches_and_no_more_than_its_limit(world: World) {
    world.bury("mail", &letters("email.welcome", 20)).await;
    let lines = world.order_lines("/v1/dead/discard", json!({ "all": true, "limit": 5 })).await;
    assert_eq!(totals(&lines)["discarded"], 5);
    world.dead_rest_at(15).await;
    let lines = world.order_lines("/v1/dead/discard", json!({ "filter": "tag:tenant=42" })).await;
    assert_eq!(totals(&lines)["discarded"], 15);
    world.dead_rest_at(0).await;
    assert_eq!(world.ask("/v1/dead").await["letters"], json!([]));
}

async fn a_reindex_writes_the_list_anew(world: World) {
    let queue: QueueName = "mail".parse().unwrap();
    world.bury("mail", &letters("email.welcome", 2)).await;
    world.bury_unlisted(&queue, &letters("email.goodbye", 3)).await;
    world.dead_rest_at(5).await;
    assert_eq!(world.ask("/v1/dead").await["letters"].as_array().unwrap().len(), 2);
    let lines = world.order_lines("/v1/dead/reindex", json!({ "queue": "mail" })).await;
    assert_eq!(totals(&lines)["kept"], 5, "{lines:?}");
    world.dead_rest_at(5).await;
    assert_eq!(world.ask("/v1/dead").await["letters"].as_array().unwrap().len(), 5);
}

async fn a_second_walker_is_refused_until_the_first_is_done(world: World) {
    let id = world.bury("mail", &letters("email.welcome", 3)).await[0];
    let (leases, ttl) = (&world.backend.leases, Duration::from_secs(60));
    let lease = leases.acquire("dead/mail", Owner::mint(), ttl).await.unwrap().unwrap();
    for path in ["/v1/dead/replay".to_owned(), format!("/v1/dead/{id}/replay")] {
        let orders = if path.len() > 20 { json!({}) } else { json!({ "all": true }) };
        let busy = world.post_to(&path).json(&orders).send().await.unwrap();
        assert!(busy.headers().contains_key("retry-after"));
        problem(busy, 409, "desk-busy").await;
    }
    problem(world.get("/v1/dead/export").send().await.unwrap(), 409, "desk-busy").await;
    leases.give_back(&lease).await.unwrap();
    let lines = world.order_lines("/v1/dead/replay", json!({ "all": true })).await;
    assert_eq!(totals(&lines)["replayed"], 3);
}

#[tokio::test]
async fn a_queue_that_somebody_else_walks_is_passed_over_and_told() {
    let world = World::new().await;
    world.bury("files", &letters("files.scan", 2)).await;
    world.bury("mail", &letters("email.welcome", 2)).await;
    let ttl = Duration::from_secs(60);
    world.backend.leases.acquire("dead/mail", Owner::mint(), ttl).await.unwrap().unwrap();
    let lines = world.order_lines("/v1/dead/discard", json!({ "all": true })).await;
    let told = lines.iter().find(|line| line["queue"] == "mail").unwrap();
    assert_eq!(told["error"]["type"], "/problems/desk-busy");
    let last = lines.last().unwrap();
    assert_eq!(last["error"]["type"], "/problems/desk-busy");
    assert_eq!((&last["totals"]["discarded"], last.get("finished")), (&json!(2), None));
}

#[tokio::test]
async fn a_rate_spreads_replays_over_time() {
    let world = World::new().await;
    world.bury("mail", &letters("email.welcome", 3)).await;
    let began = std::time::Instant::now();
    let orders = json!({ "all": true, "rate": 4.0, "queue": "later", "class": "low" });
    let lines = world.order_lines("/v1/dead/replay", orders).await;
    assert_eq!(totals(&lines)["replayed"], 3);
    // At four a second, the second and third come a quarter of a second apart.
    assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
    world.rest_at("later.low", 3).await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_walk_and_loses_no_letter() {
    let world = World::new().await;
    world.bury("mail", &letters("email.welcome", 50)).await;
    let mut stream = TcpStream::connect(world.url.trim_start_matches("http://")).await.unwrap();
    let body = json!({ "all": true, "rate": 1.0 }).to_string();
    let request = format!(
        "POST /v1/dead/replay HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    drop(stream);
    // The next walker comes in once the first has let go, which is long before it were done.
    eventually(SOON, "the walk is over", || async {
        let walked = world.post_to("/v1/dead/reindex").json(&json!({})).send().await.unwrap();
        let is_done = walked.status() == 200;
        // To its end: what it has in hand is counted nowhere.
        walked.text().await.unwrap();
        is_done
    })
    .await;
    let replayed = world.depth("mail.high").await;
    let queue: QueueName = "mail".parse().unwrap();
    let left = world.dead_depth(&queue).await;
    assert!(replayed >= 1 && left >= 30, "{replayed} {left}");
    assert_eq!(replayed + left, 50);
}

#[tokio::test]
async fn the_time_limit_of_a_request_does_not_cut_a_stream() {
    let world = World::with(|config| config.request_timeout = Duration::from_secs(1)).await;
    world.bury("mail", &letters("email.welcome", 4)).await;
    let orders = json!({ "all": true, "rate": 2.0 });
    let lines = world.order_lines("/v1/dead/replay", orders).await;
    assert_eq!(totals(&lines)["replayed"], 4);
}

#[tokio::test]
async fn a_walk_is_ended_and_told_when_the_gateway_stops() {
    let world = World::new().await;
    world.bury("mail", &letters("email.welcome", 50)).await;
    let post = world.post_to("/v1/dead/replay").json(&json!({ "all": true, "rate": 1.0 }));
    let response = post.send().await.unwrap();
    world.shutdown.cancel();
    let text = tokio::time::timeout(SOON, response.text()).await.unwrap().unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["error"]["type"], "/problems/unavailable", "{text}");
    assert!(last["totals"]["replayed"].as_u64().unwrap() >= 1, "{text}");
}

#[tokio::test]
async fn nothing_is_done_to_everything_by_accident() {
    let world = World::new().await;
    world.bury("mail", &letters("email.welcome", 1)).await;
    for (path, orders, field) in [
        ("/v1/dead/replay", json!({}), "filter"),
        ("/v1/dead/discard", json!({ "filter": "  " }), "filter"),
        ("/v1/dead/discard", json!({ "filter": "queue" }), "filter"),
        ("/v1/dead/replay", json!({ "all": true, "rate": 0 }), "rate"),
        ("/v1/dead/discard", json!({ "all": true, "queue": "mail" }), "queue"),
        ("/v1/dead/replay", json!({ "all": true, "class": "urgent" }), "body"),
        ("/v1/dead/replay", json!({ "al": true }), "body"),
        ("/v1/dead/reindex", json!({ "queue": "No" }), "body"),
    ] {
        let told = world.post_to(path).json(&orders).send().await.unwrap();
        let told = problem(told, 400, "invalid-request").await;
        assert_eq!(told["errors"][0]["field"], field, "{told}");
    }
    let bare = world.post_to("/v1/dead/discard").body("{\"all\":true}").send().await.unwrap();
    problem(bare, 415, "unsupported-media-type").await;
    world.dead_rest_at(1).await;
}
