//! Args that do not fit their kind's schema never reach the handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use leveret_common::envelope::DeadReason;
use leveret_common::shape::{Misfit, Shape};
use leveret_common::store::TaskState;
use leveret_producer::{EnqueueError, Request};
use leveret_worker::handler::{Handlers, IntoRegistry, RegistryError, from_fn, shaped};
use leveret_worker::{Reply, Task, TaskError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
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

mod renamed {
    pub(super) use leveret_worker as jobs;
}

#[derive(Serialize, Deserialize, JsonSchema, Task)]
#[task(
    kind = "parcel.send",
    aliases = ["parcel.ship"],
    schema,
    crate = "crate::shaped::renamed::jobs"
)]
struct Parcel {
    #[schemars(range(max = 30))]
    kilograms: u32,
    to: Vec<Address>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Address {
    #[schemars(regex(pattern = r"^[A-Z]{2}$"))]
    country: String,
}

impl Parcel {
    fn of(kilograms: u32, country: &str) -> Self {
        Self { kilograms, to: vec![Address { country: country.to_owned() }] }
    }
}

async fn send(parcel: Parcel) -> Result<usize, TaskError> {
    Ok(parcel.to.len())
}

#[tokio::test]
async fn args_that_do_not_fit_the_schema_of_their_type_are_neither_put_in_nor_performed() {
    let place = Place::embedded();
    let _worker = place.perform(Handlers::new().handle(send)).await;
    assert_eq!(place.run(Parcel::of(30, "NO")).await.state, TaskState::Done);

    let error = place.producer.enqueue(Parcel::of(7, "Norway")).await.unwrap_err();
    let EnqueueError::Invalid(problems) = error else { panic!("{error}") };
    assert_eq!(problems.0[0].field, "args/to/0/country");

    // By names alone, as from another language.
    for kind in ["parcel.send", "parcel.ship"] {
        let view = place.run(Request::new(kind, &Parcel::of(31, "NO"))).await;
        assert_eq!(view.history[0].reason, Some(DeadReason::Schema));
        let failure = view.history[0].failure.as_ref().unwrap();
        assert!(failure.message.contains("args/kilograms do not fit"), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_follow_up_that_does_not_fit_the_schema_of_its_type_is_a_failure_of_its_sender() {
    async fn order(_: ()) -> Result<Reply, TaskError> {
        Ok(Reply::default().follow_up(Parcel::of(31, "NO")))
    }
    let place = Place::embedded();
    let handlers = Handlers::new().handle_as("order", order);
    let _worker = place.perform(handlers).await;
    let view = place.run(Request::new("order", &()).max_attempts(1)).await;
    let failure = view.history[0].failure.as_ref().unwrap();
    assert_eq!(failure.class, "follow-ups");
    assert!(failure.message.contains("args/kilograms"), "{}", failure.message);
}

#[test]
fn a_schema_that_cannot_be_used_is_told_before_anything_is_performed() {
    #[derive(Deserialize, JsonSchema, Task)]
    #[task(kind = "looks.around", schema)]
    struct LooksAround {
        #[schemars(regex(pattern = "(?=a)"))]
        #[allow(dead_code, reason = "its schema is looked at")]
        text: String,
    }
    async fn look(_: LooksAround) -> Result<(), TaskError> {
        Ok(())
    }
    let error = Handlers::new().handle(look).into_registry().unwrap_err();
    assert!(matches!(&error, RegistryError::Schema { kind, .. } if kind == "looks.around"));
    assert!(
        error.to_string().contains("looks.around: the schema of the args' type cannot be used")
    );
}
