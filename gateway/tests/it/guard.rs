//! Who is let in.

use leveret_gateway::{Config, Tokens};
use reqwest::RequestBuilder;
use serde_json::json;

use crate::world::{World, json, problem};

pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

pub(crate) fn with_token(config: &mut Config) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("# test\n{TOKEN}\n")).unwrap();
    config.tokens = Some(Tokens::read(file.path()).unwrap());
}

fn task(world: &World) -> RequestBuilder {
    world.post().json(&json!({ "kind": "a" }))
}

#[tokio::test]
async fn a_web_page_cannot_enqueue_through_a_browser_on_this_machine() {
    let world = World::new().await;
    let page = "https://evil.example";
    // What a form or a "simple" fetch sends without asking first.
    let simple = world
        .post()
        .header("content-type", "text/plain")
        .header("origin", page)
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "no-cors")
        .body(r#"{"kind":"a"}"#);
    problem(simple.send().await.unwrap(), 403, "foreign-page").await;
    // A browser too old for either header.
    let old = world.post().header("content-type", "text/plain").body(r#"{"kind":"a"}"#);
    problem(old.send().await.unwrap(), 415, "unsupported-media-type").await;
    // The question that comes before any other request is not answered with a yes.
    let preflight = world
        .client
        .request(reqwest::Method::OPTIONS, format!("{}/v1/tasks", world.url))
        .header("origin", page)
        .header("access-control-request-method", "POST")
        .send()
        .await
        .unwrap();
    assert!(preflight.headers().get("access-control-allow-origin").is_none());
    problem(preflight, 403, "foreign-page").await;
    // A page that points its own name at 127.0.0.1: same origin, as the browser sees it.
    let rebound = task(&world)
        .header("host", "evil.example:7878")
        .header("origin", "http://evil.example:7878")
        .header("sec-fetch-site", "same-origin");
    problem(rebound.send().await.unwrap(), 421, "wrong-host").await;
    assert_eq!(world.depth("default").await, 0);
}

#[tokio::test]
async fn pages_of_other_ports_of_this_machine_are_refused_as_well() {
    let world = World::new().await;
    let other = task(&world).header("origin", "http://127.0.0.1:1");
    problem(other.send().await.unwrap(), 403, "foreign-page").await;
    let reading = world.get("/livez").header("sec-fetch-site", "same-site");
    problem(reading.send().await.unwrap(), 403, "foreign-page").await;
    let own =
        task(&world).header("origin", world.url.clone()).header("sec-fetch-site", "same-origin");
    json(own.send().await.unwrap(), 202).await;
}

#[tokio::test]
async fn with_tokens_only_who_has_one_comes_in_under_any_host() {
    let world = World::with(with_token).await;
    let bare = task(&world).send().await.unwrap();
    assert_eq!(bare.headers()["www-authenticate"], "Bearer realm=\"leveret\"");
    problem(bare, 401, "unauthorized").await;
    for wrong in [
        format!("Bearer {TOKEN}x"),
        format!("Basic {TOKEN}"),
        TOKEN.to_owned(),
        "Bearer ".to_owned(),
    ] {
        let refused = task(&world).header("authorization", wrong).send().await.unwrap();
        let challenge = refused.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert!(challenge.contains("invalid_token"), "{challenge}");
        problem(refused, 401, "unauthorized").await;
    }
    for path in ["/metrics", "/v1/tasks/x", "/nothing"] {
        problem(world.get(path).send().await.unwrap(), 401, "unauthorized").await;
    }
    assert_eq!(world.depth("default").await, 0);
    let named = task(&world).header("host", "leveret.internal").bearer_auth(TOKEN);
    json(named.send().await.unwrap(), 202).await;
}

#[tokio::test]
async fn probes_need_no_token_and_tell_no_reasons_then() {
    let world = World::with(with_token).await;
    json(world.get("/livez").send().await.unwrap(), 200).await;
    json(world.get("/readyz").send().await.unwrap(), 200).await;
    world.broker.fail_with(|| leveret_common::broker::PublishError::Blocked("secret host".into()));
    let told = problem(world.unready().await, 503, "unavailable").await;
    assert_eq!(told["errors"][0]["field"], "broker");
    assert!(!told.to_string().contains("secret host"), "{told}");
}
