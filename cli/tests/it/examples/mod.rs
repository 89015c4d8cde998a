//! Each example does what its README says: the commands as they stand there, and what one sees.
//!
//! The programs are those of `examples/`, in a copy of their folder.

mod readme;
mod stage;

use self::stage::Stage;
use crate::ground::Ground;

#[test]
fn the_quickstart_does_what_its_readme_says() {
    if let Some(stage) = Stage::embedded("quickstart", &["curl"]) {
        stage.play();
    }
}

#[test]
fn the_file_pipeline_does_what_its_readme_says() {
    let Some(stage) = Stage::embedded("file-pipeline", &["python3", "gzip"]) else { return };
    let played = stage.play();
    let expected = ["ant.txt.gz", "ant.txt.json", "bee.txt.gz", "bee.txt.json", "summary.json"];
    assert_eq!(played.names("out"), [&[".lock"][..], &expected].concat(), "no draft is left");
}

#[test]
fn the_webhook_receiver_does_what_its_readme_says() {
    if let Some(stage) = Stage::embedded("webhook-receiver-python", &["python3"]) {
        stage.play();
    }
}

#[test]
fn a_payment_is_made_once_although_its_worker_is_killed() {
    let Some(stage) = Stage::embedded("idempotent-payment", &[]) else { return };
    let played = stage.play();
    let log = played.read("provider.log");
    assert_eq!(log.lines().filter(|line| line.starts_with("charged")).count(), 1, "{log}");
    assert_eq!(log.lines().count(), 2, "{log}");
}

#[test]
fn an_import_goes_on_where_it_was_when_its_worker_was_killed() {
    let Some(stage) = Stage::embedded("progress-and-checkpoint", &[]) else { return };
    let played = stage.play();
    let log = played.read("imported.log");
    assert_eq!(log.matches("rows 0 to 9\n").count(), 1, "it was saved before the kill:\n{log}");
    let mut pages: Vec<&str> = log.lines().collect();
    let imported = pages.len();
    pages.sort_unstable();
    pages.dedup();
    assert_eq!(pages.len(), 40, "{log}");
    assert!(imported <= 41, "more than the page in the middle came twice:\n{log}");
}

#[test]
fn an_order_and_its_task_are_there_together_or_not_at_all() {
    if let Some(stage) = Stage::embedded("outbox", &["python3"]) {
        stage.play();
    }
}

#[tokio::test]
async fn every_client_enqueues_as_the_readme_says() {
    let Some(ground) = Ground::rabbitmq_3().await else { return };
    let stage = Stage::on_servers("enqueue", &ground).with_python().and_then(Stage::with_node);
    let Some(stage) = stage else { return };
    stage.play();
}

#[tokio::test]
async fn the_tasks_of_a_celery_app_move_one_after_the_other() {
    let Some(ground) = Ground::rabbitmq_3().await else { return };
    let Some(stage) = Stage::on_servers("migration-from-celery", &ground).with_python() else {
        return;
    };
    stage.play();
}
