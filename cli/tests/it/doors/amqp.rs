//! `pika`, `aio-pika` and `amqplib` put tasks in that a worker performs.

use serde_json::json;

use super::{Door, clients, letter, over, pages};
use crate::ground::Ground;
use crate::role::{Role, eventually};

on_servers! {
    the_programs_of_the_page_enqueue_what_a_worker_performs,
    every_number_that_a_client_can_send_is_read_or_refused,
    an_undeclared_lane_is_made_and_a_key_that_is_none_is_a_dead_letter,
    a_time_to_live_that_is_over_ends_as_expired,
    a_sender_needs_to_write_to_the_exchange_and_nothing_else,
}

/// How many attempts the task may have, as its handler sees it; `other` is never performed.
const NUMBERS: &str = "[kinds.\"test.attempts\"]\n\
    exec = [\"sh\", \"-c\", \"echo $LEVERET_MAX_ATTEMPTS\"]\nqueue = \"mail\"\n\
    retry = { backoff = \"fixed\", delay = \"100ms\", max_attempts = 5 }\n";
const SETTINGS: &str = "broker.url = \"amqp://guest:guest@127.0.0.1:5672\"\n\
    store.url = \"redis://127.0.0.1:6379/0\"\n";

async fn the_programs_of_the_page_enqueue_what_a_worker_performs(ground: Ground) {
    let (Some(python), Some(node)) = (clients::python(), clients::node()) else { return };
    let door = Door::open(&ground, &pages::AMQP.program("leveret.toml"));
    let dev = door.dev();
    for (name, interpreter, number, class) in [
        ("enqueue_pika.py", &python, 7, "high"),
        ("enqueue_aio_pika.py", &python, 8, "normal"),
        ("enqueue_amqplib.js", &node, 9, "low"),
    ] {
        door.write(name, &pages::AMQP.program(name));
        door.run(interpreter, name);
        let task = over(&dev, &format!("welcome-{number}"));
        assert_eq!(task["state"], "done", "{name}: {task}");
        assert_eq!(task["result"], json!({ "user_id": number }), "{name}");
        assert_eq!((&task["queue"], &task["class"]), (&json!("mail"), &json!(class)), "{name}");
    }
    // The same program again: the same task, which is over.
    door.run(&python, "enqueue_aio_pika.py");
    assert_eq!(over(&dev, "welcome-8")["history"].as_array().map(Vec::len), Some(1));
}

async fn every_number_that_a_client_can_send_is_read_or_refused(ground: Ground) {
    let (Some(python), Some(node)) = (clients::python(), clients::node()) else { return };
    let read = ["int", "text", "wide", "times", "tags", "properties"];
    let refused = ["true", "decimal", "negative"];
    let widths = ["float", "double", "int8", "int16", "int32", "int64"];
    // Not under the client's own name: Python would import it from there.
    for (name, program, interpreter, floats, more) in [
        ("numbers_pika.py", include_str!("clients/numbers_pika.py"), &python, false, &[][..]),
        (
            "numbers_aio_pika.py",
            include_str!("clients/numbers_aio_pika.py"),
            &python,
            true,
            &widths[..1],
        ),
        (
            "numbers_amqplib.js",
            include_str!("clients/numbers_amqplib.js"),
            &node,
            true,
            &widths[..],
        ),
    ] {
        let door = Door::open(&ground, &format!("{SETTINGS}{NUMBERS}"));
        let dev = door.dev();
        door.write(name, program);
        let said = door.run(interpreter, name);
        assert_eq!(said.contains("sends no floats"), !floats, "{name}");
        for id in read.iter().chain(more) {
            let task = over(&dev, id);
            let (state, result) = (&task["state"], &task["result"]);
            assert_eq!((state, result), (&json!("done"), &json!(8)), "{name} {id}: {task}");
        }
        assert_eq!(over(&dev, "null")["result"], 5, "{name}: null is absent");
        assert_eq!(over(&dev, "properties")["class"], "normal", "{name}: the lane says the class");
        let fractions = if floats { &["fraction", "rounded"][..] } else { &[] };
        for id in refused.iter().chain(fractions) {
            let letter = letter(&dev, id);
            assert_eq!(letter["reason"], "malformed", "{name} {id}: {letter}");
            let header = if *id == "rounded" { "lv-not-before" } else { "lv-max-attempts" };
            let why = letter["error"].as_str().unwrap_or_default();
            assert!(why.contains(&format!("header {header} is")), "{name} {id}: {letter}");
        }
    }
}

/// Publishes one task with pika.
fn publish(door: &Door, python: &clients::Interpreter, key: &str, id: &str, more: &str) {
    let program = pages::AMQP
        .program("enqueue_pika.py")
        .replace("\"mail.high\"", &format!("\"{key}\""))
        .replace("\"welcome-7\"", &format!("\"{id}\""))
        .replace("        delivery_mode=2,\n", &format!("        delivery_mode=2,\n{more}"));
    door.write("publish.py", &program);
    door.run(python, "publish.py");
}

async fn an_undeclared_lane_is_made_and_a_key_that_is_none_is_a_dead_letter(ground: Ground) {
    let Some(python) = clients::python() else { return };
    let door = Door::open(&ground, &pages::AMQP.program("leveret.toml"));
    let dev = door.dev();
    publish(&door, &python, "later.low", "waits", "");
    publish(&door, &python, "Not a lane", "lost", "");
    let letter = letter(&dev, "lost");
    assert_eq!(letter["reason"], "unroutable", "{letter}");
    assert!(letter["error"].as_str().unwrap_or_default().contains("\"Not a lane\""));
    // Whoever comes to serve the queue finds the task in its lane.
    let arguments = ["worker", "-o", "jsonl", "--worker-queues", "later"];
    let _worker = Role::start(&door.home, &arguments);
    let task = over(&dev, "waits");
    assert_eq!((&task["state"], &task["class"]), (&json!("done"), &json!("low")), "{task}");
}

async fn a_time_to_live_that_is_over_ends_as_expired(ground: Ground) {
    let Some(python) = clients::python() else { return };
    let door = Door::open(&ground, &pages::AMQP.program("leveret.toml"));
    // It declares the lanes, and is gone when the task comes.
    let first = door.dev();
    first.send(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(first.ends().0, Some(0));
    publish(&door, &python, "mail.high", "brief", "        expiration=\"50\",\n");
    let Ground::Servers { broker, .. } = &ground else { unreachable!("it has a door") };
    let dead = format!("/api/queues/{}/{}.dead.mail", broker.name, door.namespace);
    let moved = || async {
        broker.management.call("GET", &dead, &json!(null)).await["messages"].as_u64() == Some(1)
    };
    leveret_common::testkit::eventually(super::DEADLINE, "the broker has moved it", moved).await;
    let dev = door.dev();
    let task = over(&dev, "brief");
    assert_eq!(task["state"], "expired", "{task}");
    eventually(super::DEADLINE, || {
        dev.ask(&["dead", "list", "-o", "jsonl"]).succeeds().lines().is_empty()
    });
}

async fn a_sender_needs_to_write_to_the_exchange_and_nothing_else(ground: Ground) {
    let (Some(python), Some(node)) = (clients::python(), clients::node()) else { return };
    let Ground::Servers { broker, .. } = &ground else { panic!("it has a door") };
    let door = Door::open(&ground, &pages::AMQP.program("leveret.toml"));
    let dev = door.dev();
    let user = format!("{}-sender", door.namespace);
    let may = json!({"configure": "^$", "read": "^$", "write": format!("^{}\\.enqueue$", door.namespace)});
    let call =
        |path: String, body| async move { broker.management.call("PUT", &path, &body).await };
    call(format!("/api/users/{user}"), json!({"password": "pw", "tags": ""})).await;
    call(format!("/api/permissions/{}/{user}", broker.name), may).await;
    let url = door.broker.replace("guest:guest@", &format!("{user}:pw@"));
    for (name, interpreter) in [
        ("enqueue_pika.py", &python),
        ("enqueue_aio_pika.py", &python),
        ("enqueue_amqplib.js", &node),
    ] {
        door.write_for(&url, name, &pages::AMQP.program(name));
        door.run(interpreter, name);
    }
    door.write_for(&url, "celery_app.py", &pages::CELERY.program("celery_app.py"));
    let send =
        "from celery_app import add\nadd.delay(2, 3)\nadd.apply_async((2, 3), countdown=1)\n";
    door.write("send.py", send);
    door.run(&python, "send.py");
    for id in ["welcome-7", "welcome-8", "welcome-9"] {
        assert_eq!(over(&dev, id)["state"], "done");
    }
    broker.management.call("DELETE", &format!("/api/users/{user}"), &json!(null)).await;
}
