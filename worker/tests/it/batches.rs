//! Batch handlers: one call for several tasks, an outcome for each.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use leveret_common::id::TaskId;
use leveret_common::store::TaskState;
use leveret_common::testkit::eventually;
use leveret_worker::handler::{Batch, Batched, Cancel, HandlerLayer, Handlers, State};
use leveret_worker::{Execution, Handler, Reply, Task, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::handlers::result;
use crate::place::{DEADLINE, Place};

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Task)]
#[task(kind = "index.page", max_attempts = 2, backoff(fixed, delay = "20ms"))]
struct Page(u32);

/// Long enough that a batch which is not full waits for ever, as tests see it.
const LONG: Duration = Duration::from_secs(600);

type Calls = Arc<Mutex<Vec<usize>>>;

async fn enqueue(place: &Place, pages: impl IntoIterator<Item = u32>) -> Vec<TaskId> {
    let requests = pages.into_iter().map(|page| Page(page).into()).collect();
    let answers = place.producer.enqueue_all(requests).await;
    answers.into_iter().map(|answer| answer.unwrap().id).collect()
}

#[tokio::test]
async fn a_full_batch_is_performed_at_once_and_each_task_has_its_own_outcome() {
    async fn index(pages: Vec<Page>, State(calls): State<Calls>) -> Vec<Result<u32, TaskError>> {
        calls.lock().unwrap().push(pages.len());
        let odd = || TaskError::dead("odd pages are not indexed").of_class("odd");
        pages.iter().map(|Page(n)| if n % 2 == 0 { Ok(n * 10) } else { Err(odd()) }).collect()
    }
    let place = Place::embedded();
    let calls = Calls::default();
    let handlers =
        Handlers::new().state(Arc::clone(&calls)).handle_batch(index, Batch::of(4).within(LONG));
    let _worker = place.perform(handlers).await;
    for (page, id) in enqueue(&place, 0..8).await.into_iter().enumerate() {
        let view = place.wait(id).await;
        assert_eq!((view.history.len(), view.attempt), (1, 1), "{view:?}");
        if page % 2 == 0 {
            assert_eq!((view.state, result(&view)), (TaskState::Done, json!(page * 10)));
        } else {
            assert_eq!(view.state, TaskState::Dead);
            assert_eq!(view.history[0].failure.as_ref().unwrap().class, "odd");
        }
    }
    assert_eq!(*calls.lock().unwrap(), [4, 4]);
}

#[tokio::test]
async fn a_batch_that_does_not_fill_is_performed_when_its_time_is_over() {
    async fn index(pages: Vec<Page>, batch: Batched) -> Result<(), TaskError> {
        assert_eq!(pages.len(), batch.executions.len());
        for (page, execution) in pages.iter().zip(batch.executions.iter()) {
            assert_eq!(*page, serde_json::from_slice(&execution.args).unwrap());
        }
        Ok(())
    }
    let place = Place::embedded();
    let batch = Batch::of(4).within(Duration::from_millis(30));
    let _worker = place.perform(Handlers::new().handle_batch(index, batch)).await;
    for id in enqueue(&place, 0..3).await {
        assert_eq!(place.wait(id).await.state, TaskState::Done);
    }
}

#[tokio::test]
async fn a_panic_and_a_wrong_number_of_answers_fail_every_task_of_the_batch() {
    async fn index(pages: Vec<Page>) -> Vec<Result<(), TaskError>> {
        assert!(pages.iter().all(|page| page.0 < 10), "page {} is too much", 10);
        vec![Ok(())]
    }
    let place = Place::embedded();
    let handlers = Handlers::new().handle_batch(index, Batch::of(2).within(LONG));
    let _worker = place.perform(handlers).await;
    let wrong = "the batch handler gave 1 answers to 2 tasks";
    let panic = "the handler panicked: page 10 is too much";
    for (page, class, message) in [(1, "batch", wrong), (10, "panic", panic)] {
        // Both come again together, for a second and last attempt.
        for id in enqueue(&place, [page, page]).await {
            let view = place.wait(id).await;
            assert_eq!((view.state, view.attempt), (TaskState::Dead, 2));
            let failure = view.history.last().unwrap().failure.clone().unwrap();
            assert_eq!((failure.class.as_str(), failure.message.as_str()), (class, message));
        }
    }
}

#[tokio::test]
async fn args_that_do_not_fit_fail_alone() {
    async fn index(_: Vec<Page>) -> Result<(), TaskError> {
        Ok(())
    }
    let place = Place::embedded();
    let handlers = Handlers::new().handle_batch(index, Batch::of(2).within(LONG));
    let _worker = place.perform(handlers).await;
    let wrong = place.producer.task(Page::KIND, &"seven").await.unwrap().id;
    assert_eq!(place.wait(wrong).await.state, TaskState::Dead);
    for id in enqueue(&place, 0..2).await {
        assert_eq!(place.wait(id).await.state, TaskState::Done);
    }
}

#[tokio::test]
async fn a_task_whose_time_is_over_ends_alone_and_the_batch_is_asked_to_stop_with_its_last_one() {
    #[derive(Clone)]
    struct Signs(Arc<Notify>, Arc<Notify>);
    async fn index(
        _: Vec<Page>,
        cancel: Cancel,
        State(signs): State<Signs>,
    ) -> Result<(), TaskError> {
        signs.0.notify_one();
        cancel.asked().await;
        signs.1.notify_one();
        Ok(())
    }
    let place = Place::embedded();
    let signs = Signs(Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handlers =
        Handlers::new().state(signs.clone()).handle_batch(index, Batch::of(2).within(LONG));
    let _worker = place.perform(handlers).await;
    let page = |page| place.producer.enqueue(Page(page)).max_attempts(1);
    let short = page(1).timeout(Duration::from_millis(50)).await.unwrap().id;
    let long = page(2).await.unwrap().id;
    signs.0.notified().await;
    let view = place.wait(short).await;
    assert_eq!(view.history[0].failure.as_ref().unwrap().class, "timeout");
    eventually(DEADLINE, "the other one runs", || async {
        place.producer.find(long).await.unwrap().unwrap().state == TaskState::Running
    })
    .await;
    let ask = place.producer.cancel_of(long, None, &Default::default());
    place.producer.cancel(ask, "test").await.unwrap();
    signs.1.notified().await;
    assert_eq!(place.wait(long).await.state, TaskState::Done);
}

/// Keeps the tokens of what it lets pass.
#[derive(Clone, Default)]
struct Tokens(Arc<Mutex<Vec<CancellationToken>>>);

struct Watched(Tokens, Arc<dyn Handler>);

impl HandlerLayer for Tokens {
    fn around(&self, handler: Arc<dyn Handler>) -> Arc<dyn Handler> {
        Arc::new(Watched(self.clone(), handler))
    }
}

#[async_trait]
impl Handler for Watched {
    async fn perform(&self, execution: Execution) -> Result<Reply, TaskError> {
        self.0.0.lock().unwrap().push(execution.cancel.clone());
        self.1.perform(execution).await
    }
}

#[tokio::test]
async fn a_task_that_is_cancelled_before_its_batch_begins_is_not_performed() {
    async fn index(pages: Vec<Page>, State(calls): State<Calls>) -> Result<(), TaskError> {
        calls.lock().unwrap().extend(pages.iter().map(|Page(page)| *page as usize));
        Ok(())
    }
    let place = Place::embedded();
    let (calls, tokens) = (Calls::default(), Tokens::default());
    let handlers = Handlers::new().state(Arc::clone(&calls)).layer(tokens.clone());
    let _worker = place.perform(handlers.handle_batch(index, Batch::of(2).within(LONG))).await;
    let cancelled = enqueue(&place, [1]).await[0];
    eventually(DEADLINE, "it waits", || async { tokens.0.lock().unwrap().len() == 1 }).await;
    let ask = place.producer.cancel_of(cancelled, None, &Default::default());
    place.producer.cancel(ask, "test").await.unwrap();
    eventually(DEADLINE, "it is asked to stop", || async {
        tokens.0.lock().unwrap()[0].is_cancelled()
    })
    .await;
    let other = enqueue(&place, [2]).await[0];
    assert_eq!(place.wait(other).await.state, TaskState::Done);
    assert_eq!(place.wait(cancelled).await.state, TaskState::Cancelled);
    assert_eq!(*calls.lock().unwrap(), [2]);
}
