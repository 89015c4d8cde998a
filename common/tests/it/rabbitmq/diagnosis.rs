//! What the broker finds when it is asked how it is.

use leveret_common::broker::rabbitmq::RabbitMq;
use leveret_common::broker::{Broker, Publish};
use leveret_common::diagnose::{Diagnose, Finding, Health};
use leveret_common::testkit::eventually;
use leveret_common::testkit::services::VirtualHost;
use serde_json::{Value, json};

use super::{Fixture, SOON, config, connect, place, to, wire};

fn of<'a>(findings: &'a [Finding], check: &str) -> Vec<&'a Finding> {
    findings.iter().filter(|finding| finding.check == check).collect()
}

/// Insists on one finding of a check, and returns its text.
pub(super) fn told(findings: &[Finding], check: &str, health: Health) -> String {
    let [finding] = of(findings, check)[..] else { panic!("{check}: {findings:#?}") };
    assert_eq!(finding.health, health, "{finding:#?}");
    assert_eq!(finding.mend.is_some(), health != Health::Good, "{finding:#?}");
    finding.found.clone()
}

/// The names of this case's exchanges, or queues.
async fn names(on: &Fixture, sort: &str) -> Vec<String> {
    let all = on.call("GET", &format!("/api/{sort}/{}", on.host.name), Value::Null).await;
    let names = all.as_array().into_iter().flatten().filter_map(|one| one["name"].as_str());
    names.filter(|name| name.starts_with(on.namespace.as_str())).map(str::to_owned).collect()
}

pub(super) async fn looking_finds_all_good_and_makes_nothing(host: VirtualHost) {
    let on = Fixture::new(host).await;
    let findings = on.broker.diagnose().await;
    assert!(findings.iter().all(|finding| finding.health == Health::Good), "{findings:#?}");
    let topology = told(&findings, "topology", Health::Good);
    assert!(topology.contains("nothing is declared yet"), "{topology}");
    assert_eq!(names(&on, "exchanges").await, [""; 0]);
    eventually(SOON, "no queue stays", || async { names(&on, "queues").await.is_empty() }).await;

    let _consumer = on.broker.consume(&place("mail"), 1).await.unwrap();
    let before = names(&on, "exchanges").await;
    let findings = on.broker.diagnose().await;
    assert!(findings.iter().all(|finding| finding.health == Health::Good), "{findings:#?}");
    let version = told(&findings, "version", Health::Good);
    assert!(version.starts_with("RabbitMQ 3.") || version.starts_with("RabbitMQ 4."), "{version}");
    assert!(told(&findings, "reachable", Health::Good).contains(&on.host.name));
    assert!(of(&findings, "reachable")[0].took_ms.is_some());
    let agreement = told(&findings, "agreement", Health::Good);
    assert!(agreement.contains("heartbeat 10 s"), "{agreement}");
    // Doors: four exchanges and a queue; the lane and its dead letters.
    let topology = told(&findings, "topology", Health::Good);
    assert!(topology.contains("7 of 7 exchanges and queues are as they should be"), "{topology}");
    assert_eq!(names(&on, "exchanges").await, before);
    assert!(told(&findings, "publishes", Health::Good).contains("confirmed"));
    let unrouted = on.call("GET", &on.path("queues", "unrouted"), Value::Null).await;
    assert_eq!(unrouted["messages"].as_u64().unwrap_or(0), 0, "what was tried is nowhere");
}

pub(super) async fn a_difference_and_a_deleted_queue_are_told_by_name(host: VirtualHost) {
    let on = Fixture::new(host).await;
    for lane in ["mail.high", "post"] {
        on.publish(to(lane), "1").await.unwrap();
    }
    on.delete("queues", "lane.mail.high").await;
    let other = json!({"durable": true, "arguments": {
        "x-queue-type": "quorum", "x-overflow": "reject-publish", "x-delivery-limit": 20,
        "x-dead-letter-exchange": format!("{}.dead", on.namespace),
        "x-dead-letter-routing-key": "mail", "x-dead-letter-strategy": "at-least-once"}});
    on.call("PUT", &on.path("queues", "lane.mail.high"), other).await;
    on.delete("queues", "lane.post.normal").await;
    let findings = on.broker.diagnose().await;
    let differs: Vec<_> =
        of(&findings, "topology").into_iter().filter(|f| f.health == Health::Bad).collect();
    let [differs] = differs[..] else { panic!("{findings:#?}") };
    let name = format!("queue {}.lane.mail.high", on.namespace);
    assert!(differs.found.contains(&name), "{differs:?}");
    assert!(differs.found.contains("its x-delivery-limit is '20', and we need '1000'"));
    assert!(differs.mend.as_ref().unwrap().contains("Delete it"), "{differs:?}");
    let gone: Vec<_> =
        of(&findings, "topology").into_iter().filter(|f| f.health == Health::Risky).collect();
    let [gone] = gone[..] else { panic!("{findings:#?}") };
    assert!(gone.found.contains(&format!("{}.lane.post.normal", on.namespace)), "{gone:?}");
    let queues = names(&on, "queues").await;
    assert!(!queues.iter().any(|name| name.ends_with("lane.post.normal")), "{queues:?}");
    // The rest works on.
    on.publish(to("other"), "1").await.unwrap();
}

/// Connects as a user who may do `configure`, `write`, `read`; returns what is found.
async fn as_user(on: &Fixture, rights: [&str; 3]) -> Vec<Finding> {
    let broker = connected_as_user(on, rights).await;
    let findings = broker.diagnose().await;
    leave(on, &broker).await;
    findings
}

async fn connected_as_user(on: &Fixture, rights: [&str; 3]) -> std::sync::Arc<RabbitMq> {
    let user = user(on);
    on.call("PUT", &format!("/api/users/{user}"), json!({"password": "p", "tags": ""})).await;
    allow(on, rights).await;
    let url = on.host.url.replacen("guest:guest@", &format!("{user}:p@"), 1);
    connect(config(&url, &on.namespace)).await.unwrap()
}

/// Gives the user other rights.
async fn allow(on: &Fixture, [configure, write, read]: [&str; 3]) {
    let rights = json!({"configure": configure, "write": write, "read": read});
    let path = format!("/api/permissions/{}/{}", on.host.name, user(on));
    on.call("PUT", &path, rights).await;
}

async fn leave(on: &Fixture, broker: &RabbitMq) {
    broker.close().await;
    on.call("DELETE", &format!("/api/users/{}", user(on)), Value::Null).await;
}

fn user(on: &Fixture) -> String {
    format!("{}-user", on.namespace)
}

pub(super) async fn a_missing_permission_is_told_by_name(host: VirtualHost) {
    let on = Fixture::new(host).await;
    on.publish(to("mail"), "1").await.unwrap();
    let all = format!("^{}\\..*", on.namespace);
    let findings = as_user(&on, [&all, &all, &all]).await;
    assert!(findings.iter().all(|finding| finding.health == Health::Good), "{findings:#?}");

    let no_tasks = format!("^{}\\.(?!tasks$).*", on.namespace);
    let findings = as_user(&on, [&all, &no_tasks, &all]).await;
    let told = told(&findings, "permissions", Health::Bad);
    assert!(told.contains(&format!("may not write on exchange {}.tasks", on.namespace)), "{told}");
    assert!(!told.contains("read") && !told.contains("configure"), "{told}");
    assert_eq!(of(&findings, "publishes")[0].health, Health::Bad, "{findings:#?}");
    let mend = of(&findings, "permissions")[0].mend.clone().unwrap();
    assert!(mend.contains("rabbitmqctl set_permissions -p") && mend.contains("-user"), "{mend}");

    let findings = as_user(&on, [&all, &all, "^$"]).await;
    let [permissions, ..] = of(&findings, "permissions")[..] else { panic!("{findings:#?}") };
    assert!(permissions.found.contains("read on queue"), "{permissions:?}");
    let reads = format!("read on exchange {}.tasks", on.namespace);
    assert!(permissions.found.contains(&reads), "{permissions:?}");
    assert!(!permissions.found.contains("write"), "{permissions:?}");

    let findings = as_user(&on, ["^$", &all, &all]).await;
    let permissions = of(&findings, "permissions");
    assert!(permissions[0].found.contains("may not configure on queue"), "{permissions:?}");
    assert!(permissions.iter().all(|finding| finding.health == Health::Bad), "{permissions:?}");
}

pub(super) async fn without_the_right_to_publish_it_is_not_ready_until_it_has_it_again(
    host: VirtualHost,
) {
    let on = Fixture::new(host).await;
    on.publish(to("mail"), "1").await.unwrap();
    let all = format!("^{}\\..*", on.namespace);
    let no_tasks = format!("^{}\\.(?!tasks$).*", on.namespace);
    let broker = connected_as_user(&on, [&all, &no_tasks, &all]).await;
    let mail = [Publish { to: to("mail"), wire: wire("2") }];
    broker.publish(&mail).await.remove(0).unwrap_err();
    for _ in 0..2 {
        let check = broker.check().await.unwrap_err().to_string();
        assert!(
            check.contains("it refuses publishes") && check.contains("ACCESS_REFUSED"),
            "{check}"
        );
    }
    // Nobody publishes to a broker that is not ready: asking is enough.
    allow(&on, [&all, &all, &all]).await;
    eventually(SOON, "it is ready", || async { broker.check().await.is_ok() }).await;
    eventually(SOON, "it takes publishes", || async {
        broker.publish(&mail).await.remove(0).is_ok()
    })
    .await;
    leave(&on, &broker).await;
}
