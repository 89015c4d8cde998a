//! The broker takes nothing for a while, as during its memory or disk alarm: what is decided waits
//! in the ledger, its delivery unsettled, and is published when the broker takes it again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use leveret_common::backend::Backend;
use leveret_common::broker::{
    Broker, BrokerError, Consumer, Place as Rest, Publish, PublishError, Survey,
};
use leveret_common::id::TaskId;
use leveret_common::ledger::Entry;
use leveret_common::name::{Class, Lane, QueueName};
use leveret_common::store::TaskState;
use leveret_common::testkit::eventually;
use leveret_producer::Request;
use leveret_worker::handler::{Reply, echo, from_fn};
use leveret_worker::{Config, Execution, TaskError};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::place::{DEADLINE, Place, config, kind};

on_every_backend! {
    while_the_broker_blocks_retries_wait_with_their_originals_and_acks_go_on,
    a_keyed_follow_up_of_a_worker_that_died_before_the_publish_is_enqueued_once,
}

/// A broker that refuses publishes while it is blocked; everything else it does.
struct Alarmed {
    inner: Arc<dyn Broker>,
    is_blocked: watch::Sender<bool>,
    refused: AtomicU64,
}

impl Alarmed {
    fn of(place: &Place) -> Arc<Self> {
        let (inner, is_blocked) = (place.backend.broker.clone(), watch::Sender::new(true));
        Arc::new(Self { inner, is_blocked, refused: AtomicU64::new(0) })
    }

    async fn has_refused(&self, times: u64) {
        eventually(DEADLINE, "publishes are refused", || async {
            self.refused.load(Ordering::SeqCst) >= times
        })
        .await;
    }
}

#[async_trait]
impl Broker for Alarmed {
    async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>> {
        if *self.is_blocked.borrow() {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return batch.iter().map(|_| Err(PublishError::Blocked("memory".into()))).collect();
        }
        self.inner.publish(batch).await
    }

    async fn consume(&self, place: &Rest, prefetch: u16) -> Result<Arc<dyn Consumer>, BrokerError> {
        self.inner.consume(place, prefetch).await
    }

    async fn survey(&self, places: &[Rest]) -> Result<Vec<Survey>, BrokerError> {
        self.inner.survey(places).await
    }

    async fn check(&self) -> Result<(), BrokerError> {
        self.inner.check().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

async fn is_decided(place: &Place, id: TaskId) -> bool {
    let entries = place.backend.ledger.entries(&[id]).await.unwrap();
    matches!(entries[0], Some(Entry::Finishing(..)))
}

async fn while_the_broker_blocks_retries_wait_with_their_originals_and_acks_go_on(place: Place) {
    const RETRIES: usize = 2;
    let runs = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&runs);
    let fails = from_fn(move |_: Value, execution: Execution| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            let attempt = execution.order.attempt;
            if attempt == 1 { Err(TaskError::failed("not-yet", "")) } else { Ok(attempt) }
        }
    });
    let broker = Alarmed::of(&place);
    let backend = Backend { broker: broker.clone(), ..place.backend.clone() };
    let kinds = vec![kind("demo.fails", fails), kind("demo.echo", echo())];
    let _worker = place.work_on(backend, kinds, config()).await;
    let mut failing = Vec::new();
    for _ in 0..RETRIES {
        failing.push(place.producer.task("demo.fails", &()).await.unwrap().id);
    }
    broker.has_refused(4 * RETRIES as u64).await;
    // What publishes nothing ends as ever, in the slots beside them.
    for n in 0..8 {
        let id = place.producer.task("demo.echo", &json!(n)).await.unwrap().id;
        assert_eq!(place.wait(id).await.state, TaskState::Done);
    }
    for id in &failing {
        assert!(is_decided(&place, *id).await);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 2, "the first attempts");

    broker.is_blocked.send_replace(false);
    for id in failing {
        let view = place.wait(id).await;
        assert_eq!((view.state, view.result.as_deref()), (TaskState::Done, Some("2")));
    }
    assert_eq!(runs.load(Ordering::SeqCst), 4, "two attempts each");
    let lane = Rest::Lane(Lane::new(QueueName::default(), Class::Normal));
    assert_eq!(place.backend.broker.survey(&[lane]).await.unwrap()[0].depth, 0);
}

async fn a_keyed_follow_up_of_a_worker_that_died_before_the_publish_is_enqueued_once(place: Place) {
    let (parents, children) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let kinds = || {
        let (parents, children) = (Arc::clone(&parents), Arc::clone(&children));
        let parent = from_fn(move |_: Value, _| {
            parents.fetch_add(1, Ordering::SeqCst);
            let keyed = Request::new("demo.child", &json!(1)).key("order-7");
            async move { Ok::<_, TaskError>(Reply::default().follow_up(keyed)) }
        });
        let child = from_fn(move |_: Value, _| {
            children.fetch_add(1, Ordering::SeqCst);
            async { Ok(()) }
        });
        vec![kind("demo.parent", parent), kind("demo.child", child), kind("demo.echo", echo())]
    };
    let broker = Alarmed::of(&place);
    let backend = Backend { broker: broker.clone(), ..place.backend.clone() };
    let first = place.work_on(backend, kinds(), config()).await;
    let parent = place.producer.task("demo.parent", &()).await.unwrap().id;
    broker.has_refused(1).await;
    assert!(is_decided(&place, parent).await);
    first.kill().await;
    // Somebody else sends the same key before the follow-up is sent.
    let same = Request::new("demo.child", &json!(1)).key("order-7");
    let child = place.producer.enqueue(same).await.unwrap().id;

    let one_slot = Config { slots: 1, ..config() };
    let _second = place.work_on(place.backend.clone(), kinds(), one_slot).await;
    let view = place.wait(parent).await;
    assert_eq!((view.state, view.attempt), (TaskState::Done, 1));
    assert_eq!(place.wait(child).await.state, TaskState::Done);
    // Behind whatever was published twice, and after any copy that was parked meanwhile.
    let last = place.producer.task("demo.echo", &()).delay(Duration::from_millis(1_500));
    place.wait(last.await.unwrap().id).await;
    assert_eq!(parents.load(Ordering::SeqCst), 1, "its outcome was decided");
    assert_eq!(children.load(Ordering::SeqCst), 1, "one key, one task");
}
