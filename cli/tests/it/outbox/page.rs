//! `docs/outbox.md` as a reader follows it: its statements, its programs, its roles.

use std::process::Command;

use serde_json::json;

use super::Scene;
use super::database::Database;
use crate::doors::clients::{self, Interpreter};
use crate::doors::{BROKER, STORE, pages};
use crate::ground::Ground;
use crate::role::Role;

/// Where a reader's database is.
const SHOP: &str = "postgresql://shop@127.0.0.1:5432/shop";

/// Runs a program in the scene's folder and returns what it printed.
#[track_caller]
fn run(scene: &Scene, python: &Interpreter, name: &str, program: &str) -> String {
    scene.home.write(name, program);
    let done = Command::new(&python.program).arg(name).current_dir(scene.home.path()).output();
    let done = done.unwrap();
    assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
}

/// Waits for the end of a task and asserts that it had these args.
fn performed(dev: &Role<'_>, id: &str, order: u64) {
    super::eventually(super::DEADLINE, || dev.ask(&["task", "show", id]).code == 0);
    let task = dev.ask(&["task", "wait", id, "--timeout", "60s", "-o", "json"]);
    let task = task.succeeds().json();
    assert_eq!((&task["state"], &task["queue"]), (&json!("done"), &json!("mail")), "{task}");
    assert_eq!(task["result"], json!({ "order_id": order }), "{task}");
}

#[tokio::test]
async fn the_programs_for_postgres_enqueue_what_a_worker_performs() {
    let (Some(ground), Some(database)) = (Ground::rabbitmq_4().await, Database::fresh()) else {
        return;
    };
    let Some(python) = clients::python() else { return };
    database.sql(&pages::OUTBOX.program("tables.sql"));
    // Roles are the server's, not the database's.
    let own = |role: &str| format!("{role}_{}", database.url().rsplit_once('/').unwrap().1);
    let (app, relay) = (own("shop_app"), own("shop_relay"));
    let roles = pages::OUTBOX.program("roles.sql");
    database.sql(&roles.replace("shop_app", &app).replace("shop_relay", &relay));
    let as_role = |role: &str| database.url().replace("leveret@", &format!("{role}@"));

    let Ground::Servers { broker, store } = &ground else { unreachable!("it has servers") };
    let settings = pages::OUTBOX.program("leveret.toml").replace(SHOP, &as_role(&relay));
    let settings = settings.replace(BROKER, &broker.url).replace(STORE, store);
    let scene = Scene::new(&Ground::Embedded, &as_role(&relay), &settings);
    let dev = Role::dev(&scene.home);
    let _relay = scene.relay("1s", "");
    database.sql(&pages::OUTBOX.program("order.sql"));
    performed(&dev, "order-1", 1);
    let program = pages::OUTBOX.program("order.py").replace(SHOP, &as_role(&app));
    performed(&dev, &run(&scene, &python, "order.py", &program), 2);

    database.sql("select leveret_enqueue('order.confirm', '{\"order_id\": 3}', '{\"id\": \"late\", \"delay\": \"soon\"}')");
    database.becomes("refused_at is not null", 1);
    let mend = pages::OUTBOX.program("mend.sql").replace("30s", "1s\", \"id\": \"late");
    database.sql(&mend);
    performed(&dev, "late", 3);
    drop(dev);
    drop(_relay);
    database.sql(&format!("drop owned by {app}, {relay}; drop role {app}, {relay}"));
}

#[test]
fn the_programs_for_sqlite_enqueue_what_a_worker_performs() {
    let Some(python) = clients::python() else { return };
    let kind = "[kinds.\"order.confirm\"]\nexec = [\"cat\"]\nqueue = \"mail\"\n";
    let settings = format!("outbox.url = \"sqlite://shop.db\"\n{kind}");
    let scene = Scene::new(&Ground::Embedded, "sqlite://shop.db", &settings);
    scene.sqlite(
        "shop.db",
        &scene.home.run(&["relay", "schema", "--for", "sqlite"]).succeeds().stdout,
    );
    let dev = Role::dev(&scene.home);
    scene.sqlite("shop.db", &pages::OUTBOX.program("order_sqlite.sql"));
    performed(&dev, "order-a", 1);
    let program = pages::OUTBOX.program("order_sqlite.py");
    performed(&dev, &run(&scene, &python, "order_sqlite.py", &program), 2);
}
