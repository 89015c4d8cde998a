//! Dead letters carried out and in.

use leveret_common::envelope::{HeaderValue, header};
use serde_json::{Value, json};

use crate::world::{World, everywhere, letter, letters, lines, problem};

everywhere! {
    what_is_exported_discarded_and_imported_is_what_it_was,
}

async fn import(world: &World, body: String) -> Vec<Value> {
    let post = world.post_to("/v1/dead/import").header("content-type", "application/x-ndjson");
    lines(post.body(body).send().await.unwrap()).await
}

async fn what_is_exported_discarded_and_imported_is_what_it_was(world: World) {
    let mut sent = letters("email.welcome", 300);
    let tag = |n: usize| (format!("{n:0>255}"), HeaderValue::from(format!("{n:0>256}")));
    let tags = HeaderValue::Table((0..header::MAX_TAGS).map(tag).collect());
    sent[7].headers.insert(header::TAGS.to_owned(), tags);
    world.bury("mail", &sent).await;
    world.bury("mail", &letters("email.goodbye", 5)).await;
    let before = world.ask("/v1/dead?limit=1000&filter=kind:email.welcome").await;
    let path = "/v1/dead/export?filter=kind:email.welcome";
    let exported = lines(world.get(path).send().await.unwrap()).await;
    assert_eq!(exported.last().unwrap(), &json!({ "finished": true, "exported": 300 }));
    assert_eq!(exported[0]["queue"], "mail");
    assert_eq!(exported[0]["wire"]["type"], "email.welcome");
    world.dead_rest_at(305).await;
    world.order_lines("/v1/dead/discard", json!({ "filter": "kind:email.welcome" })).await;
    world.dead_rest_at(5).await;
    let body: String = exported.iter().map(|line| format!("{line}\n")).collect();
    let imported = import(&world, body).await;
    assert_eq!(imported.len(), 300);
    assert!(imported.iter().all(|line| line["id"].is_string()), "{imported:?}");
    world.dead_rest_at(305).await;
    let after = world.ask("/v1/dead?limit=1000&filter=kind:email.welcome").await;
    assert_eq!(after["letters"], before["letters"]);
    let tagged = after["letters"].as_array().unwrap().iter().find(|letter| letter["args"] == 7);
    assert_eq!(tagged.unwrap()["tags"].as_object().unwrap().len(), header::MAX_TAGS);
}

#[tokio::test]
async fn each_line_of_an_import_is_answered_and_a_bad_one_stops_no_other() {
    let world = World::new().await;
    let good = json!({ "queue": "mail", "wire": letter("a", "1", 7) });
    let mut stray = letter("a", "2", 7);
    stray.headers.remove("lv-reason");
    let body = format!(
        "{good}\nnot json\n{}\n\n{}\n{good}",
        json!({ "queue": "No", "wire": letter("a", "1", 7) }),
        json!({ "queue": "mail", "wire": stray }),
    );
    let told = import(&world, body).await;
    let numbers: Vec<_> = told.iter().map(|line| line["line"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3, 5, 6]);
    let is_in: Vec<_> = told.iter().map(|line| line["id"].is_string()).collect();
    assert_eq!(is_in, [true, false, false, false, true]);
    assert!(told[3]["error"]["detail"].as_str().unwrap().contains("lv-reason"), "{told:?}");
    world.dead_rest_at(2).await;
    // The same letter twice is one in the list.
    assert_eq!(world.ask("/v1/dead").await["letters"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_import_has_its_limits() {
    let world = World::with(|config| config.max_batch = 2).await;
    let line = json!({ "queue": "mail", "wire": letter("a", "1", 7) });
    let told = import(&world, format!("{line}\n").repeat(4)).await;
    assert_eq!(told.len(), 3);
    assert_eq!(told[2]["error"]["type"], "/problems/too-large");
    let post = world.post_to("/v1/dead/import").json(&line).send().await.unwrap();
    problem(post, 415, "unsupported-media-type").await;
}
