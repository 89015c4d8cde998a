//! Dead letters: listed, counted, shown, and one at a time replayed, edited or discarded.

use leveret_common::envelope::Order;
use leveret_common::envelope::{HeaderValue, header};
use leveret_common::id::TaskId;
use leveret_common::ledger::Marking;
use leveret_common::name::QueueName;
use serde_json::{Value, json};

use crate::world::{PAYLOAD, World, everywhere, json, letter, letters, problem};

everywhere! {
    letters_of_all_queues_are_one_list_newest_first,
    a_letter_is_shown_with_its_args,
    a_replayed_letter_starts_anew_and_says_who_did_it,
    an_edited_copy_is_a_new_task_that_names_the_dead_one,
    a_discarded_letter_is_gone_and_says_who_took_it,
    a_letter_that_is_there_twice_is_gone_once_it_is_discarded_or_edited,
}

fn args(page: &Value) -> Vec<String> {
    let letters = page["letters"].as_array().unwrap();
    letters.iter().map(|letter| letter["args"].to_string()).collect()
}

async fn letters_of_all_queues_are_one_list_newest_first(world: World) {
    let (mut mail, mut files) = (Vec::new(), Vec::new());
    for n in 0..30_u64 {
        let wire = letter("email.welcome", &n.to_string(), 1_700_000_000_000 + n);
        if n % 3 == 0 { files.push(wire) } else { mail.push(wire) }
    }
    world.bury("mail", &mail).await;
    world.bury("files", &files).await;
    let expected: Vec<String> = (0..30).rev().map(|n| n.to_string()).collect();
    assert_eq!(args(&world.ask("/v1/dead").await), expected);
    // Page by page it is the same list.
    let (mut seen, mut path) = (Vec::new(), "/v1/dead?limit=7".to_owned());
    loop {
        let page = world.ask(&path).await;
        seen.extend(args(&page));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/dead?limit=7&cursor={next}");
    }
    assert_eq!(seen, expected);
    let files = world.ask("/v1/dead?filter=queue:files%20kind:email.*").await;
    assert_eq!(args(&files).len(), 10);
    assert_eq!(files["letters"][0]["queue"], "files");
}

async fn a_letter_is_shown_with_its_args(world: World) {
    let long = format!("{{\"text\":\"{}\"}}", "x".repeat(6_000));
    let short = letter("email.welcome", "{\"n\":1}", 1_700_000_000_007);
    let ids = world.bury("mail", &[short, letter("email.welcome", &long, 1_700_000_000_008)]).await;
    let shown = world.ask(&format!("/v1/dead/{}", ids[0])).await;
    assert_eq!((&shown["args"], &shown["args_whole"]), (&json!({ "n": 1 }), &json!(true)));
    for (field, value) in [
        ("queue", json!("mail")),
        ("kind", json!("email.welcome")),
        ("origin", json!("mail.high")),
        ("attempt", json!(3)),
        ("replay", json!(0)),
        ("reason", json!("handler")),
        ("error_class", json!("smtp")),
        ("error", json!("the server refused")),
        ("died_at", json!("2023-11-14T22:13:20.007Z")),
        ("tags", json!({ "tenant": "42" })),
    ] {
        assert_eq!(shown[field], value, "{shown}");
    }
    let cut = world.ask(&format!("/v1/dead/{}", ids[1])).await;
    assert_eq!((&cut["args_whole"], &cut["args_size"]), (&json!(false), &json!(long.len())));
    assert!(cut["args"].as_str().unwrap().len() <= 4_096, "{cut}");
    let whole = world.ask(&format!("/v1/dead/{}?full=true", ids[1])).await;
    assert_eq!(whole["args"]["text"].as_str().unwrap().len(), 6_000);
    world.dead_rest_at(2).await;
}

async fn a_replayed_letter_starts_anew_and_says_who_did_it(world: World) {
    let ids = world.bury("mail", &letters("email.welcome", 3)).await;
    let path = format!("/v1/dead/{}/replay", ids[1]);
    let post = world.post_to(&path).header("Leveret-By", "deploy@box").json(&json!({}));
    let replayed = json(post.send().await.unwrap(), 202).await;
    assert_eq!(replayed, json!({ "id": ids[1], "replay": 1 }));
    world.dead_rest_at(2).await;
    let wire = world.take_from("mail.high").await;
    assert_eq!(wire.message_id, Some(ids[1].to_string()));
    assert_eq!((wire.number(header::REPLAY), wire.number(header::ATTEMPT)), (Some(1), Some(1)));
    let task = world.ask(&format!("/v1/tasks/{}", ids[1])).await;
    assert_eq!(task["state"], "queued");
    assert_eq!(
        (&task["acts"][0]["action"], &task["acts"][0]["by"]),
        (&json!("replayed"), &json!("deploy@box"))
    );
    assert_eq!(args(&world.ask("/v1/dead").await), ["2", "0"]);
    // Once more: it is no letter any more.
    let again = world.post_to(&path).json(&json!({})).send().await.unwrap();
    let told = problem(again, 404, "unknown-letter").await;
    assert!(told["detail"].as_str().unwrap().contains("queued"), "{told}");
}

async fn an_edited_copy_is_a_new_task_that_names_the_dead_one(world: World) {
    let mut wire = letter("email.welcome", "{\"n\":1}", 1_700_000_000_000);
    wire.headers.insert(header::KEY.to_owned(), HeaderValue::from("k"));
    let dead = world.bury("mail", &[wire]).await[0];
    let path = format!("/v1/dead/{dead}/replay");
    let large = json!({ "args": "x".repeat(PAYLOAD) });
    problem(world.post_to(&path).json(&large).send().await.unwrap(), 413, "too-large").await;
    let orders = json!({ "args": { "n": 2 }, "queue": "later", "class": "low" });
    let replaced = world.order(&path, orders, 202).await;
    assert_eq!(replaced["replaces"], dead.to_string());
    let id: TaskId = replaced["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id, dead.edited(0, br#"{"n":2}"#));
    let wire = world.take_from("later.low").await;
    assert_eq!(
        (wire.message_id.as_deref(), &wire.body[..]),
        (Some(&*id.to_string()), &b"{\"n\":2}"[..])
    );
    assert_eq!(wire.text(header::REPLAY_OF), Some(&*dead.to_string()));
    assert_eq!((wire.text(header::KEY), wire.text(header::ERROR)), (None, None));
    let copy = world.ask(&format!("/v1/tasks/{id}")).await;
    assert_eq!((&copy["state"], &copy["queue"]), (&json!("queued"), &json!("later")));
    let told = world.ask(&format!("/v1/tasks/{dead}")).await;
    assert_eq!((&told["state"], &told["acts"][0]["with"]), (&json!("replaced"), &json!(id)));
    world.dead_rest_at(0).await;
}

async fn a_letter_that_is_there_twice_is_gone_once_it_is_discarded_or_edited(world: World) {
    let queue: QueueName = "mail".parse().unwrap();
    let sent = letters("email.welcome", 30);
    let ids = world.bury("mail", &sent).await;
    // As a killed walk leaves it behind: the copies are the first and the last of the queue.
    world.bury_unlisted(&queue, &sent[..2]).await;
    world.dead_rest_at(32).await;
    let discarded = world.order(&format!("/v1/dead/{}/discard", ids[0]), json!({}), 200).await;
    assert_eq!(discarded["state"], "discarded");
    world.dead_rest_at(30).await;
    let edited = json!({ "args": { "n": 2 } });
    let replaced = world.order(&format!("/v1/dead/{}/replay", ids[1]), edited, 202).await;
    world.dead_rest_at(28).await;
    // Published once or twice, it is one task.
    let wire = world.take_from("mail.high").await;
    assert_eq!(wire.message_id.as_deref(), replaced["id"].as_str());
    world.order_lines("/v1/dead/reindex", json!({})).await;
    assert_eq!(args(&world.ask("/v1/dead").await).len(), 28);
}

async fn a_discarded_letter_is_gone_and_says_who_took_it(world: World) {
    let ids = world.bury("mail", &letters("email.welcome", 2)).await;
    let path = format!("/v1/dead/{}/discard", ids[0]);
    let post = world.post_to(&path).header("Leveret-By", "bob").send().await.unwrap();
    assert_eq!(json(post, 200).await, json!({ "id": ids[0], "state": "discarded" }));
    world.dead_rest_at(1).await;
    let task = world.ask(&format!("/v1/tasks/{}", ids[0])).await;
    assert_eq!((&task["state"], &task["acts"][0]["by"]), (&json!("discarded"), &json!("bob")));
    let told = world.get(&format!("/v1/dead/{}", ids[0])).send().await.unwrap();
    let told = problem(told, 404, "unknown-letter").await;
    assert!(told["detail"].as_str().unwrap().contains("discarded"), "{told}");
}

#[tokio::test]
async fn a_letter_whose_replay_is_on_its_way_is_hidden() {
    let world = World::new().await;
    let ids = world.bury("mail", &letters("email.welcome", 2)).await;
    let order = Order { replay: 1, attempt: 1 };
    world.claim_at(ids[0], order).await;
    assert_eq!(args(&world.ask("/v1/dead").await), ["1"]);
    let told = world.get(&format!("/v1/dead/{}", ids[0])).send().await.unwrap();
    let told = problem(told, 404, "unknown-letter").await;
    assert!(told["detail"].as_str().unwrap().contains("replay is on its way"), "{told}");
}

#[tokio::test]
async fn a_letter_of_a_task_that_is_done_is_replayed_by_force_only() {
    let world = World::new().await;
    let id = world.bury("mail", &letters("email.welcome", 1)).await[0];
    let order = Order { replay: 4, attempt: 1 };
    let hold = world.claim_at(id, order).await;
    let ttl = std::time::Duration::from_secs(60);
    let mark = leveret_common::ledger::Mark { id, hold, order, marking: Marking::Done, ttl };
    world.backend.ledger.mark(&[mark]).await.unwrap();
    let path = format!("/v1/dead/{id}/replay");
    let plain = world.post_to(&path).json(&json!({})).send().await.unwrap();
    problem(plain, 404, "unknown-letter").await;
    let forced = world.order(&path, json!({ "force": true }), 202).await;
    assert_eq!(forced, json!({ "id": id, "replay": 5 }));
    assert_eq!(world.take_from("mail.high").await.number(header::REPLAY), Some(5));
}

#[tokio::test]
async fn a_letter_that_is_not_listed_is_found_by_its_tasks_record() {
    let world = World::new().await;
    let queue: QueueName = "mail".parse().unwrap();
    let id = world.accepted(json!({ "kind": "email.welcome", "queue": "mail" })).await;
    world.take_from("mail.normal").await;
    let mut wire = letter("email.welcome", "1", 1_700_000_000_000);
    wire.message_id = Some(id.to_string());
    world.bury_unlisted(&queue, &[wire]).await;
    let hold = world.claim(id).await;
    let reason = leveret_common::envelope::DeadReason::Handler;
    let failure = leveret_common::ledger::Failure {
        class: "exit".to_owned(),
        message: "exit 65".to_owned(),
        at: leveret_common::clock::Millis(7),
    };
    let outcome = leveret_common::ledger::Outcome::Dead { reason, failure };
    let decision = leveret_common::ledger::Decision { outcome, follow_ups: Vec::new() };
    let (order, ttl) = (Order::FIRST, std::time::Duration::from_secs(60));
    let decide = leveret_common::ledger::Decide { id, hold, order, decision, ttl };
    world.backend.ledger.decide(&[decide]).await.unwrap();
    let mark =
        leveret_common::ledger::Mark { id, hold, order, marking: Marking::Dead(reason), ttl };
    world.backend.ledger.mark(&[mark]).await.unwrap();
    let shown = world.ask(&format!("/v1/dead/{id}")).await;
    assert_eq!(shown["queue"], "mail");
}

#[tokio::test]
async fn letters_are_counted_in_groups_and_a_list_that_lags_is_seen() {
    let world = World::new().await;
    world.bury("mail", &letters("email.welcome", 5)).await;
    let goodbye = world.bury("mail", &letters("email.goodbye", 2)).await;
    world.bury("files", &letters("files.scan", 1)).await;
    world.bury_unlisted(&"files".parse().unwrap(), &letters("files.scan", 3)).await;
    let counted = world.ask("/v1/dead/groups?by=kind").await;
    assert_eq!((&counted["total"], &counted["complete"]), (&json!(8), &json!(true)));
    let groups = counted["groups"].as_array().unwrap();
    let found: Vec<_> =
        groups.iter().map(|g| (g["value"].as_str().unwrap(), &g["count"])).collect();
    let expected = [("email.welcome", 5), ("email.goodbye", 2), ("files.scan", 1)];
    assert_eq!(found, expected.map(|(kind, count)| (kind, &*Box::leak(Box::new(json!(count))))));
    assert_eq!(groups[1]["example"], goodbye[1].to_string());
    assert_eq!(groups[0]["oldest"], "2023-11-14T22:13:20.000Z");
    assert_eq!(groups[0]["newest"], "2023-11-14T22:13:20.004Z");
    let queues = json!([
        { "queue": "files", "depth": 4, "listed": 1 },
        { "queue": "mail", "depth": 7, "listed": 7 },
    ]);
    assert_eq!(counted["queues"], queues);
    let reasons = world.ask("/v1/dead/groups?filter=queue:mail").await;
    assert_eq!((&reasons["groups"][0]["value"], &reasons["total"]), (&json!("handler"), &json!(7)));
}

#[tokio::test]
async fn what_is_wrong_with_a_question_is_told_with_its_place() {
    let world = World::new().await;
    for (path, field, part) in [
        ("/v1/dead?filter=colour:red", "filter", "there is no field `colour`"),
        ("/v1/dead?limit=0", "limit", "within 1 and 1000"),
        ("/v1/dead?limit=many", "limit", "invalid digit"),
        ("/v1/dead?cursor=xyz", "cursor", "none that `next`"),
        ("/v1/dead?filtre=a", "filtre", "did you mean \"filter\"?"),
        ("/v1/dead/groups?by=colour", "by", "kind, queue, reason or error-class"),
        ("/v1/dead/x?full=maybe", "full", "true or false"),
    ] {
        let told = world.get(path).send().await.unwrap();
        let told = problem(told, 400, "invalid-request").await;
        assert_eq!(told["errors"][0]["field"], field, "{told}");
        assert!(told["errors"][0]["why"].as_str().unwrap().contains(part), "{told}");
    }
    let wrong = "/v1/dead?filter=queue:mail%20colour:red";
    let told = problem(world.get(wrong).send().await.unwrap(), 400, "invalid-request").await;
    assert_eq!(told["errors"][0]["column"], 12, "{told}");
    let unknown = world.get("/v1/dead/nobody-knows").send().await.unwrap();
    problem(unknown, 404, "unknown-letter").await;
}
