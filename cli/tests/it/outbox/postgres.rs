//! The outbox in PostgreSQL, as an application and an operator meet it.

use nix::sys::signal::Signal;
use serde_json::json;

use super::database::{Database, Server};
use super::{DEADLINE, NEVER, Scene, counted, hands_on};
use crate::ground::Ground;
use crate::home::Home;
use crate::role::{Role, eventually};

/// Puts a task in.
const ONE: &str = "select leveret_enqueue('demo.echo', '{\"n\": 1}')";

#[tokio::test]
async fn a_rollback_enqueues_nothing_and_a_late_commit_is_not_passed_over() {
    let (Some(ground), Some(database)) = (Ground::rabbitmq_4().await, Database::fresh()) else {
        return;
    };
    let scene = Scene::new(&ground, &database.url(), "");
    let relay = scene.relay(NEVER, "");
    let (mut early, mut undone) = (database.session(), database.session());
    early.does("begin");
    early.does(ONE);
    undone.does("begin");
    undone.does(ONE);
    undone.does("rollback");
    // A greater number than the one that is still open, and committed before it.
    database.sql(ONE);
    hands_on(&relay, 1);
    early.does("commit");
    hands_on(&relay, 2);
    assert_eq!(database.rows("true"), 0);
}

#[tokio::test]
async fn two_relays_share_ten_thousand_rows_and_none_is_handed_on_twice() {
    let (Some(ground), Some(database)) = (Ground::rabbitmq_4().await, Database::fresh()) else {
        return;
    };
    let scene = Scene::new(&ground, &database.url(), "");
    database.sql(
        "select count(leveret_enqueue('demo.echo', to_jsonb(n), '{\"queue\": \"mail\"}'))
         from generate_series(1, 10000) n",
    );
    let began = std::time::Instant::now();
    let relays = [scene.relay("1s", ""), scene.relay("1s", "")];
    database.becomes("true", 0);
    println!("10,000 rows were handed on by two relays in {:?}", began.elapsed());
    let sent = || relays.each_ref().map(|relay| counted(relay, "sent"));
    eventually(DEADLINE, || sent().iter().sum::<u64>() == 10_000);
    assert!(sent().iter().all(|sent| *sent > 0), "both work: {:?}", sent());
    assert_eq!(relays.each_ref().map(|relay| counted(relay, "repeated")), [0, 0]);
    for relay in relays {
        relay.send(Signal::SIGTERM);
        assert_eq!(relay.ends().0, Some(0));
    }
}

#[tokio::test]
async fn a_wrong_task_fails_its_transaction_or_is_set_aside_until_it_is_mended() {
    let (Some(ground), Some(database)) = (Ground::rabbitmq_4().await, Database::fresh()) else {
        return;
    };
    let why =
        database.refuses("select leveret_enqueue('no kind', '1', '{\"dely\": 1, \"at\": 5}')");
    for text in ["kind: 'no kind'", "no field dely", "at is a number; write a string"] {
        assert!(why.contains(text), "{text}: {why}");
    }
    let scene = Scene::new(&ground, &database.url(), "");
    let mut relay = scene.relay(NEVER, "");
    database.sql("select leveret_enqueue('demo.echo', '1', '{\"delay\": \"soon\"}')");
    database.becomes("refused_at is not null and problem like '%delay: %'", 1);
    relay.says("a row of the outbox was refused");
    assert_eq!(counted(&relay, "refused"), 1);
    let asked = ["relay", "status", "-o", "json", "--outbox-url", &database.url()];
    let status = scene.home.run(&asked).succeeds().json();
    assert_eq!((&status["waiting"], &status["refused"]), (&json!(0), &json!(1)), "{status}");
    let row = &status["troubled"][0];
    assert_eq!((&row["kind"], &row["state"]), (&json!("demo.echo"), &json!("refused")), "{status}");
    database.sql("update leveret_outbox set options = '{\"delay\": \"1s\"}'");
    hands_on(&relay, 1);
    assert_eq!(database.rows("true"), 0);
}

#[tokio::test]
async fn a_row_of_no_time_and_rows_that_are_too_large_stop_no_other() {
    let (Some(ground), Some(database)) = (Ground::rabbitmq_4().await, Database::fresh()) else {
        return;
    };
    let timeless = "insert into leveret_outbox (kind, created_at) values ('demo.echo', 'infinity')";
    assert!(database.refuses(timeless).contains("created_at"));
    // As a table without that check may have them.
    database.sql("alter table leveret_outbox drop constraint leveret_outbox_created_at_check");
    database.sql(timeless);
    database.sql(
        "insert into leveret_outbox (kind, args)
         select 'demo.echo', to_jsonb(repeat('x', 9 << 20)) from generate_series(1, 3)",
    );
    database.sql(ONE);
    let take = include_str!("../../../../outbox/sql/postgres/relay/take.sql").replace("$1", "10");
    let taken = database.sql(&format!("select count(*) from ({take}) as taken"));
    assert_eq!(
        taken.trim(),
        "3",
        "the first one, and of the large ones two, which begin within 16 MiB"
    );
    let scene = Scene::new(&ground, &database.url(), "");
    let relay = scene.relay(NEVER, "");
    hands_on(&relay, 2);
    database.becomes("refused_at is not null and problem like '%limit%'", 3);
}

#[tokio::test]
async fn a_server_that_is_restarted_is_served_again() {
    let (Some(ground), Some(mut server)) = (Ground::rabbitmq_4().await, Server::start()) else {
        return;
    };
    let database = Database::on(&server.url());
    let scene = Scene::new(&ground, &database.url(), "");
    let relay = scene.relay(NEVER, "");
    database.sql(ONE);
    hands_on(&relay, 1);
    server.stop();
    eventually(DEADLINE, || relay.status_of("/readyz") == Some(503));
    server.restart();
    database.sql(ONE);
    hands_on(&relay, 2);
    eventually(DEADLINE, || relay.status_of("/readyz") == Some(200));
    relay.send(Signal::SIGTERM);
    let (code, said) = relay.ends();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the outbox is within reach again"), "{said}");
}

#[test]
fn a_certificate_is_believed_by_its_authority_and_not_for_the_asking() {
    let Some(server) = Server::start() else { return };
    let database = Database::on(&server.url());
    let authority = server.with_tls();
    let home = Home::new();
    let asked = |mode: &str, variables: &[(&str, &str)]| {
        let url = format!("{}?sslmode={mode}", database.url());
        let mut command = home.command(&["relay", "status", "--outbox-url", &url]);
        let done = command.envs(variables.iter().copied()).output().unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    let believing = [("SSL_CERT_FILE", authority.to_str().unwrap())];
    // The server takes its new configuration in its own time.
    eventually(DEADLINE, || asked("require", &believing).0 == Some(0));
    assert_eq!(asked("verify-full", &believing).0, Some(0));
    assert_eq!(asked("disable", &[]).0, Some(0));
    for mode in ["require", "prefer"] {
        let (code, why) = asked(mode, &[]);
        assert!(code == Some(4) && why.contains("SSL_CERT_FILE"), "{mode}: {code:?} {why}");
    }
    let none = [("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/nowhere")];
    let (code, why) = asked("prefer", &none);
    assert!(code == Some(4) && why.contains("sslmode=disable"), "{code:?} {why}");
}

#[tokio::test]
async fn dev_hands_on_the_outbox_that_is_configured_and_performs_its_tasks() {
    let Some(database) = Database::fresh() else { return };
    let scene = Scene::new(&Ground::Embedded, &database.url(), "");
    let url = format!("outbox.url = \"{}\"\n", database.url());
    scene.home.write("leveret.toml", &format!("relay.poll = \"{NEVER}\"\n{url}"));
    let dev = Role::dev(&scene.home);
    let id = database.sql(ONE);
    let named = database.sql("select leveret_enqueue('demo.echo', '2', '{\"id\": \"order-7\"}')");
    assert_eq!(named, "order-7");
    for (id, result) in [(id.as_str(), json!({"n": 1})), ("order-7", json!(2))] {
        database.becomes("true", 0);
        let task = dev.ask(&["task", "wait", id, "--timeout", "30s", "-o", "json"]);
        assert_eq!(task.succeeds().json()["result"], result);
    }
    dev.send(Signal::SIGTERM);
    assert_eq!(dev.ends().0, Some(0));
}

#[test]
fn a_relay_says_what_it_lacks() {
    let home = Home::new();
    home.run(&["relay"]).fails(3, &["failed to start the relay", "leveret dev"]);
    home.run(&["relay", "status"]).fails(3, &["outbox.url is not set", "sqlite:///folder/app.db"]);
    let nobody = "postgresql://u:geheim@127.0.0.1:1/app";
    let left = home.run(&["relay", "status", "--outbox-url", nobody]);
    left.fails(4, &["failed to reach the outbox at 127.0.0.1:1/app"]);
    assert!(!left.stderr.contains("geheim"), "{}", left.stderr);
    let wrong = home.run(&["relay", "status", "--outbox-url", "mysql://u:geheim@host/app"]);
    wrong.fails(3, &["it does not begin with postgresql:// or sqlite://"]);
    assert!(!wrong.stderr.contains("geheim"), "{}", wrong.stderr);
}
