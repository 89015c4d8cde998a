//! Args that do not fit their kind's schema never reach the handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use leveret_common::envelope::DeadReason;
use leveret_common::shape::{Misfit, Shape};
use leveret_common::store::TaskState;
use leveret_worker::handler::{from_fn, shaped};
use serde_json::{Value, json};

use crate::place::{Place, config, kind};

on_every_backend! {
    args_that_do_not_fit_are_dead_before_they_run_and_others_are_not,
}

/// The shape of a document that has an order.
struct Ordered;

impl Shape for Ordered {
    fn check(&self, args: &[u8]) -> Result<(), Misfit> {
        let args: Value = serde_json::from_slice(args).unwrap();
        let misfit = || Misfit { path: "/order".to_owned(), why: "it is no number".to_owned() };
        args["order"].as_u64().map(drop).ok_or_else(misfit)
    }
}

async fn args_that_do_not_fit_are_dead_before_they_run_and_others_are_not(place: Place) {
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let handler = from_fn(move |args: Value, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { Ok(args) }
    });
    let kinds = vec![kind("order.paid", shaped(Arc::new(Ordered), handler))];
    let _worker = place.work(kinds, config()).await;
    let id = place.producer.task("order.paid", &json!({"order": "x"})).await.unwrap().id;
    let view = place.wait(id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Dead, 1));
    assert_eq!(view.history[0].reason, Some(DeadReason::Schema));
    let failure = view.history[0].failure.as_ref().unwrap();
    assert_eq!(failure.class, "schema");
    assert_eq!(failure.message, "args/order do not fit the kind's schema: it is no number");
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    let id = place.producer.task("order.paid", &json!({"order": 7})).await.unwrap().id;
    assert_eq!(place.wait(id).await.state, TaskState::Done);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}
