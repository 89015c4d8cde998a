//! The least that each role needs at broker and store, as `docker/` gives it: a whole story with it, and
//! what nobody may.

mod relay;
mod users;

use std::time::Duration;

use leveret_common::testkit::services::{VirtualHost, fresh_namespace};
use serde_json::{Value, json};

use self::relay::Outbox;
use self::users::{ROLES, Users};
use crate::ground::Ground;
use crate::home::Home;
use crate::role::{Role, eventually};

const DEADLINE: Duration = Duration::from_secs(60);

/// A kind that succeeds, one that fails until the test mends it, and one that waits for the test.
fn home(namespace: &str) -> Home {
    let home = Home::new();
    let folder = home.path().display();
    home.write("schedules.toml", "[schedules.\"tick\"]\nwhen = \"every 1s\"\nkind = \"demo.ok\"\n");
    home.write(
        "leveret.toml",
        &format!(
            "namespace = \"{namespace}\"\ngateway.listen = \"127.0.0.1:0\"\n\
             beat.listen = \"127.0.0.1:0\"\nrelay.listen = \"127.0.0.1:0\"\n\
             [worker]\nlisten = \"127.0.0.1:0\"\nqueues = [\"default\", \"mail\"]\n\
             heartbeat = \"500ms\"\nheartbeat_ttl = \"2s\"\n\
             [kinds.\"demo.ok\"]\nexec = [\"true\"]\n\
             [kinds.\"demo.flaky\"]\nexec = [\"sh\", \"-c\", \"test -e {folder}/mended\"]\n\
             retry = {{ backoff = \"fixed\", delay = \"300ms\", jitter = \"none\", max_attempts = 2 }}\n\
             [kinds.\"demo.held\"]\nexec = [\"sh\", \"-c\", \"touch {folder}/held; sleep 600\"]\n"
        ),
    );
    home
}

fn start<'h>(home: &'h Home, users: &Users, role: &str) -> Role<'h> {
    let login = users.login(role);
    let mut words = vec![role, "-o", "jsonl"];
    words.extend(login.iter().map(String::as_str));
    let role = Role::start(home, &words);
    eventually(DEADLINE, || role.status_of("/readyz") == Some(200));
    role
}

/// Waits for a task's end and returns it.
fn ends(gateway: &Role<'_>, id: &str, state: &str) -> Value {
    let mut task = Value::Null;
    eventually(DEADLINE, || {
        let shown = gateway.ask(&["task", "show", id, "-o", "json"]);
        // What a relay has yet to hand on is not known.
        if shown.code == 5 {
            return false;
        }
        task = shown.succeeds().json();
        task["state"] == state
    });
    task
}

async fn each_role_has_what_it_needs_and_no_more(
    host: VirtualHost,
    store: String,
    api: &'static str,
) {
    let namespace = fresh_namespace().to_string();
    let users = Users::make(&namespace, host, store, api).await;
    let home = home(&namespace);
    let gateway = start(&home, &users, "gateway");

    // What the broker declared at its start is used; a queue that no worker has served is told.
    gateway.ask(&["task", "enqueue", "demo.ok", "--id", "early"]).succeeds();
    let left = gateway.ask(&["task", "enqueue", "demo.ok", "--queue", "mail"]);
    assert!(left.code != 0 && left.stderr.contains("a worker that serves it"), "{left:?}");

    let worker = start(&home, &users, "worker");
    let beat = start(&home, &users, "beat");
    tasks_live_and_die(&gateway, &home);
    operators_are_obeyed(&gateway);
    the_timetable_is_kept(&gateway);
    foreign_programs_are_heard(&users, &gateway).await;
    if let Some(outbox) = Outbox::make() {
        let relay = outbox.start(&home, &users);
        outbox.is_handed_on(&relay, &gateway);
        outbox.is_left(relay);
    }
    let doctor = gateway.ask(&["doctor", "-o", "json"]).succeeds().json();
    assert_eq!(doctor["healthy"], true, "{doctor}");

    for mut role in [worker, beat, gateway] {
        role.send(nix::sys::signal::Signal::SIGTERM);
        role.says("SIGTERM: draining");
        let (code, said) = role.ends();
        assert_eq!(code, Some(0), "{said}");
        // But for the queue that the gateway was not to make.
        let mut refused = said.lines().filter(|line| line.contains("ACCESS_REFUSED"));
        assert!(refused.all(|line| line.contains(".dead.mail")), "{said}");
        assert!(!said.contains("NOPERM"), "{said}");
    }
    assert_eq!(users.refused(), Vec::<String>::new());
    nobody_does_more_at_the_broker(&users).await;
    nobody_does_more_at_the_store(&users);
}

fn tasks_live_and_die(gateway: &Role<'_>, home: &Home) {
    ends(gateway, "early", "done");
    gateway.ask(&["task", "enqueue", "demo.ok", "--id", "posted", "--queue", "mail"]).succeeds();
    gateway.ask(&["task", "enqueue", "demo.ok", "--id", "later", "--delay", "700ms"]).succeeds();
    gateway.ask(&["task", "enqueue", "demo.flaky", "--id", "flaky"]).succeeds();
    gateway.ask(&["task", "enqueue", "demo.flaky", "--id", "thrown"]).succeeds();
    gateway.ask(&["task", "enqueue", "demo.held", "--id", "held"]).succeeds();
    ends(gateway, "posted", "done");
    ends(gateway, "later", "done");
    assert_eq!(ends(gateway, "flaky", "dead")["attempt"], 2);
    ends(gateway, "thrown", "dead");
    assert_eq!(crate::letters::listed(gateway, "queue:default", 2).len(), 2);
    home.write("mended", "");
    crate::letters::insist(gateway, &["dead", "replay", "flaky", "-o", "json"]);
    crate::letters::insist(gateway, &["dead", "discard", "thrown", "--yes", "-o", "json"]);
    crate::letters::insist(gateway, &["dead", "reindex", "-o", "json"]);
    ends(gateway, "flaky", "done");
    eventually(DEADLINE, || home.has("held"));
    gateway.ask(&["task", "explain", "held"]).succeeds();
    gateway.ask(&["task", "cancel", "held", "--wait=60s"]).succeeds();
}

fn operators_are_obeyed(gateway: &Role<'_>) {
    let shows = |words: &[&str], text: &str| {
        eventually(DEADLINE, || gateway.ask(words).succeeds().stdout.contains(text));
    };
    gateway.ask(&["queue", "pause", "mail", "--why", "a test"]).succeeds();
    shows(&["queue", "show", "mail"], "a test");
    gateway.ask(&["task", "enqueue", "demo.ok", "--id", "paused", "--queue", "mail"]).succeeds();
    gateway.ask(&["queue", "resume", "mail"]).succeeds();
    ends(gateway, "paused", "done");
    gateway.ask(&["worker", "quiet", "all", "--yes"]).succeeds();
    shows(&["worker", "list"], "quiet");
    gateway.ask(&["worker", "resume", "all", "--yes"]).succeeds();
    shows(&["worker", "list"], "running");
}

fn the_timetable_is_kept(gateway: &Role<'_>) {
    let show =
        |name: &str| gateway.ask(&["schedule", "show", name, "-o", "json"]).succeeds().json();
    let fires = |name: &str| {
        let is_done = |one: &Value| one["state"] == "done";
        let done =
            || show(name)["occurrences"].as_array().is_some_and(|all| all.iter().any(is_done));
        eventually(DEADLINE, done);
    };
    fires("tick");
    gateway.ask(&["schedule", "pause", "tick", "--why", "a test"]).succeeds();
    assert!(show("tick").to_string().contains("a test"));
    gateway.ask(&["schedule", "resume", "tick"]).succeeds();
    let create = ["schedule", "create", "made", "--when", "every 1s", "--kind", "demo.ok"];
    gateway.ask(&[&create[..], &["--overlap", "skip"]].concat()).succeeds();
    fires("made");
    gateway.ask(&["schedule", "run", "made"]).succeeds();
    gateway.ask(&["schedule", "delete", "made"]).succeeds();
}

/// Through the door for other languages, as a user who may do nothing else.
async fn foreign_programs_are_heard(users: &Users, gateway: &Role<'_>) {
    let message = |key: &str| {
        json!({
            "routing_key": key, "payload": "{}", "payload_encoding": "string",
            "properties": {"type": "demo.ok", "message_id": format!("foreign-{key}")},
        })
    };
    // The second has no lane yet, and reaches it by the sweeper.
    for key in ["mail.high", "default"] {
        let door = "exchanges/NS.enqueue/publish";
        assert!(users.may("enqueuer", "POST", door, message(key)).await);
        let id = format!("foreign-{key}");
        eventually(DEADLINE, || gateway.ask(&["task", "show", &id]).code == 0);
        ends(gateway, &id, "done");
    }
}

async fn nobody_does_more_at_the_broker(users: &Users) {
    let letter = || json!({"routing_key": "default", "payload": "{}", "payload_encoding": "string", "properties": {}});
    let take = || json!({"count": 1, "ackmode": "reject_requeue_true", "encoding": "auto"});
    let other = || json!({"durable": true, "arguments": {}});
    let refused = [
        ("enqueuer", "POST", "exchanges/NS.tasks/publish", letter()),
        ("enqueuer", "POST", "exchanges/NS.dead/publish", letter()),
        ("enqueuer", "POST", "exchanges/NS.delay.250/publish", letter()),
        ("enqueuer", "POST", "exchanges/amq.default/publish", letter()),
        ("enqueuer", "POST", "queues/NS.lane.default.normal/get", take()),
        ("enqueuer", "PUT", "queues/NS.mine", other()),
        ("beat", "POST", "exchanges/NS.dead/publish", letter()),
        ("beat", "POST", "queues/NS.lane.default.normal/get", take()),
        ("beat", "POST", "queues/NS.dead.default/get", take()),
        ("beat", "DELETE", "queues/NS.lane.default.normal", Value::Null),
        ("relay", "POST", "exchanges/NS.enqueue/publish", letter()),
        ("relay", "POST", "exchanges/NS.dead/publish", letter()),
        ("relay", "POST", "exchanges/amq.default/publish", letter()),
        ("relay", "POST", "queues/NS.lane.default.normal/get", take()),
        ("relay", "POST", "queues/NS.dead.default/get", take()),
        ("relay", "PUT", "queues/NS.lane.post.normal", other()),
        ("relay", "DELETE", "queues/NS.lane.default.normal", Value::Null),
        ("relay", "DELETE", "queues/NS.delay.250", Value::Null),
        ("gateway", "POST", "queues/NS.lane.default.normal/get", take()),
        ("gateway", "DELETE", "queues/NS.lane.default.normal/contents", Value::Null),
        ("gateway", "DELETE", "queues/NS.lane.default.normal", Value::Null),
        ("gateway", "DELETE", "queues/NS.dead.default", Value::Null),
        ("gateway", "DELETE", "exchanges/NS.tasks", Value::Null),
        ("gateway", "PUT", "queues/NS.lane.other.normal", other()),
        ("worker", "POST", "exchanges/amq.default/publish", letter()),
        ("worker", "POST", "queues/NS.delay.250/get", take()),
        ("worker", "DELETE", "queues/NS.delay.250", Value::Null),
        ("worker", "DELETE", "exchanges/NS.tasks", Value::Null),
        ("worker", "PUT", "queues/elsewhere", other()),
    ];
    for (role, method, path, body) in refused {
        assert!(!users.may(role, method, path, body).await, "{role} may {method} {path}");
    }
    // The question can be answered with yes, too.
    assert!(users.may("worker", "POST", "queues/NS.lane.default.normal/get", take()).await);
}

fn nobody_does_more_at_the_store(users: &Users) {
    let for_all = [
        "KEYS *",
        "SCAN 0",
        "FLUSHALL",
        "CONFIG GET maxmemory",
        "ACL LIST",
        "MONITOR",
        "SCRIPT FLUSH",
        "GET elsewhere",
        "SET elsewhere 1",
        "SUBSCRIBE NS:all",
    ];
    let each = [
        ("gateway", "SET NS:{w}:1 dead"),
        ("gateway", "SET NS:r:{1} forged"),
        ("gateway", "SET NS:b:1 leads"),
        ("gateway", "GET celery-task-meta-1"),
        ("beat", "SET NS:t:{1} done"),
        ("beat", "DEL NS:pauses"),
        ("beat", "RPUSH NS:signals:1 stop"),
        ("beat", "DEL NS:{letters}:queues"),
        ("beat", "GET NS:{lease:walk}"),
        ("relay", "SET NS:t:{1} done"),
        ("relay", "SET NS:r:{1} forged"),
        ("relay", "DEL NS:e:{1}"),
        ("relay", "GET NS:i:{1}"),
        ("relay", "ZRANGE NS:seen 0 -1"),
        ("relay", "SET NS:check 1"),
        ("relay", "EVAL \"return 1\" 0"),
        ("relay", "LRANGE NS:signals:1 0 -1"),
        ("relay", "HVALS NS:pauses"),
        ("relay", "GET NS:{letters}:1"),
        ("relay", "GET NS:{w}:1"),
        ("worker", "HSET NS:{schedules}:entries a b"),
        ("worker", "HDEL NS:pauses mail"),
        ("worker", "SET NS:b:1 leads"),
        ("worker", "PUBLISH elsewhere 1"),
    ];
    let everybody = ROLES.into_iter().flat_map(|role| for_all.map(|command| (role, command)));
    for (role, command) in everybody.chain(each) {
        let answer = users.says(role, command);
        assert!(answer.starts_with("-NOPERM"), "{role}: {command}: {answer}");
    }
    assert_eq!(users.says("worker", "HVALS NS:pauses"), "*0");
    assert_eq!(users.says("relay", "GET NS:e:{1}"), "$-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_rabbitmq_3_each_role_has_what_it_needs_and_no_more() {
    if let Some(Ground::Servers { broker, store }) = Ground::rabbitmq_3().await {
        each_role_has_what_it_needs_and_no_more(broker, store, "LEVERET_TEST_RABBITMQ_3_API").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_rabbitmq_4_each_role_has_what_it_needs_and_no_more() {
    if let Some(Ground::Servers { broker, store }) = Ground::rabbitmq_4().await {
        each_role_has_what_it_needs_and_no_more(broker, store, "LEVERET_TEST_RABBITMQ_4_API").await;
    }
}
