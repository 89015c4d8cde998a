//! A worker that was paused is not a worker that died: what it was charged, it gets back (P3).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use leveret_common::broker::{Destination, Publish};
use leveret_common::envelope::Wire;
use leveret_common::id::{Owner, TaskId};
use leveret_common::ledger::{Entry, Toll};
use leveret_common::name::{Class, Lane, QueueName};
use leveret_common::store::{
    Fleet, Heartbeat, Liveness, Renewal, StoreError, StoreErrorKind, Suspect, TaskState,
};
use leveret_common::testkit::eventually;
use leveret_worker::handler::from_fn;
use leveret_worker::{Config, Execution, Handler};
use serde_json::Value;
use tokio::sync::Notify;

use crate::place::{DEADLINE, Place, config, kind};

on_every_backend! {
    a_paused_worker_loses_its_task_and_gets_its_charge_back_when_it_wakes_up,
}

/// A fleet that hears nothing of one worker, as of a process that is stopped.
pub(crate) struct Paused {
    pub(crate) inner: Arc<dyn Fleet>,
    pub(crate) is_paused: Arc<AtomicBool>,
}

#[async_trait]
impl Fleet for Paused {
    async fn beat(&self, heartbeat: &Heartbeat, ttl: Duration) -> Result<Renewal, StoreError> {
        if self.is_paused.load(Ordering::SeqCst) {
            let (operation, kind) = ("beat", StoreErrorKind::Unavailable);
            let (endpoint, why) = ("a test".to_owned(), "paused".to_owned());
            return Err(StoreError { operation, endpoint, kind, why, source: None });
        }
        self.inner.beat(heartbeat, ttl).await
    }

    async fn judge(
        &self,
        reader: Owner,
        suspects: &[Suspect],
        ttl: Duration,
    ) -> Result<Vec<Liveness>, StoreError> {
        self.inner.judge(reader, suspects, ttl).await
    }

    fn needs_grace(&self) -> bool {
        self.inner.needs_grace()
    }

    async fn leave(&self, owner: Owner) -> Result<(), StoreError> {
        self.inner.leave(owner).await
    }

    async fn workers(&self) -> Result<Vec<Heartbeat>, StoreError> {
        self.inner.workers().await
    }
}

/// A handler that says when it begins, notes how many workers died before it, and ends when told.
pub(crate) struct Slow {
    pub(crate) begun: Arc<Notify>,
    pub(crate) finish: Arc<Notify>,
    pub(crate) crashes: Arc<Mutex<Vec<u32>>>,
}

impl Slow {
    pub(crate) fn new() -> Self {
        Self { begun: Arc::default(), finish: Arc::default(), crashes: Arc::default() }
    }

    pub(crate) fn handler(&self) -> Arc<dyn Handler> {
        let (begun, finish) = (self.begun.clone(), self.finish.clone());
        let crashes = self.crashes.clone();
        from_fn(move |_: Value, execution: Execution| {
            let (begun, finish, crashes) = (begun.clone(), finish.clone(), crashes.clone());
            async move {
                crashes.lock().unwrap().push(execution.crashes);
                begun.notify_one();
                finish.notified().await;
                Ok(())
            }
        })
    }
}

async fn toll(place: &Place, id: TaskId) -> Toll {
    match place.backend.ledger.entries(&[id]).await.unwrap().remove(0) {
        Some(Entry::Running(running)) => running.toll,
        other => panic!("it does not run: {other:?}"),
    }
}

pub(crate) async fn send_copy(place: &Place, id: TaskId) {
    let to = Destination::Lane(Lane::new(QueueName::default(), Class::Normal));
    let wire = Wire {
        message_id: Some(id.to_string()),
        kind: Some("demo.slow".to_owned()),
        body: "{}".into(),
        ..Wire::default()
    };
    place.backend.broker.publish(&[Publish { to, wire }]).await.remove(0).unwrap();
}

async fn a_paused_worker_loses_its_task_and_gets_its_charge_back_when_it_wakes_up(place: Place) {
    let (id, is_paused) = (TaskId::mint(), Arc::new(AtomicBool::new(false)));
    let (here, there) = (Slow::new(), Slow::new());
    let fleet = Paused { inner: place.backend.fleet.clone(), is_paused: is_paused.clone() };
    let one_slot = Config { slots: 1, ..config() };
    let kinds = vec![kind("demo.slow", here.handler())];
    let paused = place.work_with(Arc::new(fleet), kinds, one_slot.clone()).await;
    send_copy(&place, id).await;
    here.begun.notified().await;

    is_paused.store(true, Ordering::SeqCst);
    eventually(DEADLINE, "its heartbeat has ended", || async {
        place.backend.fleet.workers().await.unwrap().is_empty()
    })
    .await;
    assert!(!paused.status.is_ready());
    let _other = place.work(vec![kind("demo.slow", there.handler())], one_slot).await;
    // What the broker would hand out again once the paused worker's connection is gone.
    send_copy(&place, id).await;
    there.begun.notified().await;
    assert_eq!(toll(&place, id).await.crashes, 1, "as far as anybody can tell, it has crashed");

    is_paused.store(false, Ordering::SeqCst);
    here.finish.notify_one();
    eventually(DEADLINE, "the charge is given back", || async {
        toll(&place, id).await.crashes == 0
    })
    .await;
    there.finish.notify_one();
    let view = place.wait(id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Done, 1));
    assert_eq!(*here.crashes.lock().unwrap(), [0]);
    assert_eq!(*there.crashes.lock().unwrap(), [1]);
}
