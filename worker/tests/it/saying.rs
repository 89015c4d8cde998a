//! What attempts say of themselves: progress for people, checkpoints for the next attempt.

use std::sync::{Arc, Mutex};

use leveret_common::clock::Millis;
use leveret_common::envelope::Order;
use leveret_common::id::{Fence, TaskId};
use leveret_common::store::{Interim, TaskState};
use leveret_common::testkit::eventually;
use leveret_producer::Request;
use leveret_worker::handler::{Attempt, Checkpoint, Handlers, MAX_CHECKPOINT, Progress, State};
use leveret_worker::{Task, TaskError};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::handlers::result;
use crate::place::{DEADLINE, Place};

on_every_backend! {
    the_next_attempt_goes_on_from_what_was_saved,
    progress_is_seen_while_the_task_runs,
}

#[derive(Serialize, Deserialize, Task)]
#[task(kind = "import", max_attempts = 3, backoff(fixed, delay = "10ms"))]
struct Import {
    pages: usize,
    fail_before: Vec<usize>,
}

type Pages = Arc<Mutex<Vec<usize>>>;

async fn import(
    args: Import,
    State(seen): State<Pages>,
    mut checkpoint: Checkpoint<usize>,
    progress: Progress,
    attempt: Attempt,
) -> Result<usize, TaskError> {
    let done = checkpoint.take().unwrap_or(0);
    for page in done..args.pages {
        let fails = args.fail_before.get(usize::try_from(attempt.number - 1).unwrap());
        if fails == Some(&page) {
            return Err(TaskError::failed("page", format!("page {page} is not there yet")));
        }
        seen.lock().unwrap().push(page);
        checkpoint.save(&(page + 1)).await?;
        // Written behind it, with the checkpoint as it is.
        progress.report(u8::try_from(page).unwrap(), format!("page {page}"));
    }
    Ok(done)
}

async fn the_next_attempt_goes_on_from_what_was_saved(place: Place) {
    let seen = Pages::default();
    let handlers = Handlers::new().state(Arc::clone(&seen)).handle(import);
    let _worker = place.perform(handlers).await;
    let view = place.run(Import { pages: 6, fail_before: vec![2, 3] }).await;
    assert_eq!((view.state, view.attempt), (TaskState::Done, 3), "{view:?}");
    assert_eq!(result(&view), 3);
    assert_eq!(*seen.lock().unwrap(), [0, 1, 2, 3, 4, 5], "no page was performed twice");
}

async fn progress_is_seen_while_the_task_runs(place: Place) {
    async fn wait(
        _: (),
        State(go_on): State<Arc<Notify>>,
        progress: Progress,
    ) -> Result<(), TaskError> {
        for (percent, message) in [(40, "first"), (70, "second")] {
            progress.report(percent, message);
            go_on.notified().await;
        }
        progress.percent(200);
        // At a letter's end.
        progress.message(format!("x{}", "ü".repeat(600)));
        go_on.notified().await;
        Err(TaskError::dead("no more"))
    }
    let go_on = Arc::new(Notify::new());
    let handlers = Handlers::new().state(Arc::clone(&go_on)).handle_as("wait", wait);
    let _worker = place.perform(handlers).await;
    let id = place.producer.task("wait", &()).await.unwrap().id;
    let long = format!("x{}", "ü".repeat(511));
    for (percent, message) in [(40, "first"), (70, "second"), (100, &*long)] {
        eventually(DEADLINE, message, || async {
            let Some(view) = place.producer.find(id).await.unwrap() else { return false };
            let Some(said) = view.interim else { return false };
            assert_eq!((view.state, said.order), (TaskState::Running, Order::FIRST));
            said.percent == Some(percent) && said.message.as_deref() == Some(message)
        })
        .await;
        go_on.notify_one();
    }
    // The last word of a task that failed stays to be read.
    let view = place.wait(id).await;
    assert_eq!((view.state, view.interim.unwrap().percent), (TaskState::Dead, Some(100)));
}

#[tokio::test]
async fn a_replay_begins_anew() {
    let place = Place::embedded();
    let seen = Pages::default();
    let handlers = Handlers::new().state(Arc::clone(&seen)).handle(import);
    let _worker = place.perform(handlers).await;
    let of_replay = |replay| Interim {
        id: TaskId::mint(),
        order: Order { replay, attempt: 1 },
        fence: Fence(1),
        turn: 1,
        at: Millis(0),
        percent: None,
        message: None,
        checkpoint: Some("1".to_owned()),
    };
    for (replay, begins_at) in [(0, 1), (1, 0)] {
        let earlier = of_replay(replay);
        place.backend.records.say(std::slice::from_ref(&earlier)).await.unwrap();
        let request = Request::from(Import { pages: 2, fail_before: Vec::new() });
        let view = place.run(request.id(earlier.id.to_string())).await;
        assert_eq!(result(&view), begins_at, "saved under replay {replay}");
    }
}

#[tokio::test]
async fn a_checkpoint_that_is_too_large_or_does_not_fit_is_a_failure_that_says_so() {
    async fn save(size: usize, checkpoint: Checkpoint<String>) -> Result<(), TaskError> {
        // Two quotes.
        checkpoint.save(&"x".repeat(size - 2)).await
    }
    async fn read(_: TaskId, _: Checkpoint<u64>) -> Result<(), TaskError> {
        Ok(())
    }
    let place = Place::embedded();
    let handlers = Handlers::new().handle_as("save", save).handle_as("read", read);
    let _worker = place.perform(handlers).await;
    let fits = place.run(Request::new("save", &MAX_CHECKPOINT)).await;
    assert_eq!(fits.state, TaskState::Done);
    let request = Request::new("save", &(MAX_CHECKPOINT + 1)).max_attempts(1);
    let failure = place.run(request).await.history[0].failure.clone().unwrap();
    assert_eq!(failure.class, "checkpoint");
    assert!(failure.message.contains("has 65537 bytes of JSON; at most 65536"), "{failure:?}");

    let of_another_type = Interim {
        id: TaskId::mint(),
        order: Order::FIRST,
        fence: Fence(1),
        turn: 1,
        at: Millis(0),
        percent: None,
        message: None,
        checkpoint: Some("\"text\"".to_owned()),
    };
    let id = of_another_type.id;
    place.backend.records.say(&[of_another_type]).await.unwrap();
    let request = Request::new("read", &id).id(id.to_string()).max_attempts(1);
    let failure = place.run(request).await.history[0].failure.clone().unwrap();
    assert_eq!(failure.class, "checkpoint");
    assert!(failure.message.contains("does not fit: invalid type"), "{failure:?}");
}
