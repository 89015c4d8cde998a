//! Layers around handlers: for all kinds, for one, and in which order.

use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use leveret_common::store::TaskState;
use leveret_producer::Request;
use leveret_worker::handler::{Execution, Handlers, Reply, State, TaskError};
use serde_json::Value;
use tower_layer::{Layer, layer_fn};
use tower_service::Service;

use crate::place::Place;

type Journal = Arc<Mutex<Vec<String>>>;

/// Writes down what passes.
#[derive(Clone)]
struct Writes<S> {
    name: &'static str,
    journal: Journal,
    inner: S,
}

impl<S> Service<Execution> for Writes<S>
where
    S: Service<Execution, Response = Reply, Error = TaskError>,
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = TaskError;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, TaskError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TaskError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, execution: Execution) -> Self::Future {
        let (name, journal) = (self.name, Arc::clone(&self.journal));
        journal.lock().unwrap().push(format!("{name} sees {}", execution.kind));
        let answer = self.inner.call(execution);
        Box::pin(async move {
            let answer = answer.await;
            journal.lock().unwrap().push(format!("{name} hears {}", answer.is_ok()));
            answer
        })
    }
}

#[derive(Clone)]
struct Writing(&'static str, Journal);

impl<S> Layer<S> for Writing {
    type Service = Writes<S>;

    fn layer(&self, inner: S) -> Writes<S> {
        Writes { name: self.0, journal: Arc::clone(&self.1), inner }
    }
}

async fn write(args: bool, State(journal): State<Journal>) -> Result<(), TaskError> {
    journal.lock().unwrap().push("performed".to_owned());
    if args { Ok(()) } else { Err(TaskError::dead("no")) }
}

#[tokio::test]
async fn the_first_layer_of_a_worker_sees_a_task_first_and_that_of_its_kind_last() {
    let place = Place::embedded();
    let journal = Journal::default();
    let writing = |name| Writing(name, Arc::clone(&journal));
    let handlers = Handlers::new()
        .layer(writing("outer"))
        .state(Arc::clone(&journal))
        .handle_as("layered", write)
        .with(|kind| kind.layer(writing("kind")))
        .handle_as("plain", write)
        .layer(writing("inner"));
    let _worker = place.perform(handlers).await;
    let lines = || std::mem::take(&mut *journal.lock().unwrap());
    place.run(Request::new("layered", &true)).await;
    assert_eq!(
        lines(),
        [
            "outer sees layered",
            "inner sees layered",
            "kind sees layered",
            "performed",
            "kind hears true",
            "inner hears true",
            "outer hears true",
        ]
    );
    let view = place.run(Request::new("plain", &false)).await;
    assert_eq!(view.state, TaskState::Dead);
    assert_eq!(
        lines(),
        [
            "outer sees plain",
            "inner sees plain",
            "performed",
            "inner hears false",
            "outer hears false",
        ]
    );
}

/// Answers by itself, with an error of another type.
#[derive(Clone)]
struct Refuses;

impl Service<Execution> for Refuses {
    type Response = Reply;
    type Error = std::io::Error;
    type Future = Ready<Result<Reply, std::io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Execution) -> Self::Future {
        ready(Err(std::io::Error::other("not today")))
    }
}

#[tokio::test]
async fn a_layer_can_answer_in_the_handlers_place() {
    async fn never(_: Value) -> Result<(), TaskError> {
        panic!("it is not asked")
    }
    let place = Place::embedded();
    let handlers = Handlers::new().handle_as("never", never).layer(layer_fn(|_| Refuses));
    let _worker = place.perform(handlers).await;
    let view = place.run(Request::new("never", &()).max_attempts(1)).await;
    let failure = view.history[0].failure.clone().unwrap();
    assert_eq!((failure.class.as_str(), failure.message.as_str()), ("error", "not today"));
}
