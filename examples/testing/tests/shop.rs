//! The tests of the shop. Each has a harness of its own, so they run side by side; none needs a server,
//! and the week takes no time.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use leveret::testing::{Became, Harness};
use leveret_example_testing::{Mail, Survey, WEEK, Welcome, handlers, sign_up};

/// A mail server that keeps what it was given: keys and texts.
#[derive(Default)]
struct Outbox(Mutex<Vec<(String, String)>>);

impl Outbox {
    fn texts(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(_, text)| text.clone()).collect()
    }
}

impl Mail for Outbox {
    fn send(&self, key: &str, to: &str, text: &str) -> std::io::Result<()> {
        let mut sent = self.0.lock().unwrap();
        if !sent.iter().any(|(known, _)| known == key) {
            sent.push((key.to_owned(), format!("{to}: {text}")));
        }
        Ok(())
    }
}

fn shop() -> (Harness, Arc<Outbox>) {
    let outbox = Arc::new(Outbox::default());
    (Harness::new(handlers(outbox.clone())), outbox)
}

fn welcome(email: &str) -> Welcome {
    Welcome { user_id: 7, email: email.to_owned() }
}

#[tokio::test]
async fn signing_up_enqueues_one_welcome_however_often_the_button_is_pressed() {
    let (app, _) = shop();
    for _ in 0..2 {
        sign_up(&app.producer(), 7, "ann@example.org").await.unwrap();
    }
    app.assert_enqueued::<Welcome>(|task| task.user_id == 7 && task.email == "ann@example.org");
    assert_eq!(app.enqueued::<Welcome>().len(), 1);
}

#[tokio::test]
async fn a_customer_is_welcomed_now_and_asked_in_a_week() {
    let (mut app, outbox) = shop();
    sign_up(&app.producer(), 7, "ann@example.org").await.unwrap();

    app.run_until_idle().await;
    assert_eq!(outbox.texts(), ["ann@example.org: Welcome to the shop!"]);
    assert_eq!(app.enqueued::<Survey>()[0].due_in, WEEK);

    app.advance(WEEK);
    app.run_until_idle().await;
    assert_eq!(outbox.texts()[1], "ann@example.org: How did it go?");
}

#[tokio::test]
async fn a_mail_server_that_is_away_for_a_while_costs_no_mail() {
    let (mut app, outbox) = shop();
    for _ in 0..3 {
        app.fail_next::<Welcome>("connection refused");
    }
    let id = app.enqueue(welcome("ann@example.org")).await.unwrap().id;
    assert!(app.run_until_over(id).await.is_done());
    assert_eq!(outbox.texts().len(), 1);
}

#[tokio::test]
async fn an_address_that_is_none_is_not_tried_again_and_nobody_is_asked() {
    let (mut app, outbox) = shop();
    let became = app.perform(welcome("ann")).await;
    assert_eq!(became.error(), Some("\"ann\" is no address"));
    assert!(became.is_dead());
    assert_eq!(app.dead()[0].args["email"], "ann");
    app.refute_enqueued::<Survey>(|_| true);
    assert!(outbox.texts().is_empty());
}

#[tokio::test]
async fn a_worker_that_dies_after_the_mail_was_sent_does_not_have_it_sent_twice() {
    let (mut app, outbox) = shop();
    app.crash_after_next::<Welcome>();
    app.enqueue(welcome("ann@example.org")).await.unwrap();

    let summary = app.run_until_idle().await;
    let became: Vec<_> = summary.of::<Welcome>().collect();
    assert!(matches!(became[..], [Became::Crashed, Became::Done { .. }]), "{summary}");
    assert_eq!(outbox.texts().len(), 1);
    assert_eq!(app.enqueued::<Survey>().len(), 1, "the follow-up is part of the one success");
}

#[tokio::test]
async fn a_welcome_goes_before_a_survey() {
    let (mut app, outbox) = shop();
    let email = "bob@example.org".to_owned();
    app.enqueue(Survey { user_id: 8, email }).await.unwrap();
    app.enqueue(welcome("ann@example.org")).await.unwrap();
    app.perform_one().await.unwrap();
    assert_eq!(outbox.texts(), ["ann@example.org: Welcome to the shop!"]);
    assert_eq!(app.now().since(leveret::testing::BEGINNING), Duration::ZERO);
}
