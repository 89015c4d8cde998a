//! Who lives keeps its task, whoever comes with a copy of it: it runs once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use leveret_common::id::{Owner, TaskId};
use leveret_common::store::{Fleet, Heartbeat, Liveness, Renewal, StoreError, Suspect, TaskState};
use leveret_common::testkit::eventually;
use leveret_worker::Config;
use tokio::sync::Notify;

use crate::place::{DEADLINE, Place, Running, config, kind};
use crate::poison::{Paused, Slow, send_copy};

on_every_backend! {
    a_claim_that_its_owner_renews_is_nobody_elses_however_old_it_is,
    an_owner_that_was_not_heard_of_may_speak_before_a_new_worker_takes_over,
}

/// How long a new worker waits for owners that it has not heard of.
const GRACE: Duration = Duration::from_secs(2);

/// A fleet that tells when somebody's claim was judged, and where owners have to be waited for.
struct Watched {
    inner: Arc<dyn Fleet>,
    judged: Arc<Notify>,
}

#[async_trait]
impl Fleet for Watched {
    async fn beat(&self, heartbeat: &Heartbeat, ttl: Duration) -> Result<Renewal, StoreError> {
        self.inner.beat(heartbeat, ttl).await
    }

    async fn judge(
        &self,
        reader: Owner,
        suspects: &[Suspect],
        ttl: Duration,
    ) -> Result<Vec<Liveness>, StoreError> {
        let judged = self.inner.judge(reader, suspects, ttl).await;
        self.judged.notify_one();
        judged
    }

    fn needs_grace(&self) -> bool {
        true
    }

    async fn leave(&self, owner: Owner) -> Result<(), StoreError> {
        self.inner.leave(owner).await
    }

    async fn workers(&self) -> Result<Vec<Heartbeat>, StoreError> {
        self.inner.workers().await
    }
}

/// A task that runs on one worker, and another worker with a free slot.
struct Scene {
    place: Place,
    id: TaskId,
    here: Slow,
    there: Slow,
    judged: Arc<Notify>,
    is_paused: Arc<AtomicBool>,
    _workers: Vec<Running>,
}

impl Scene {
    async fn new(place: Place) -> Self {
        let (here, there, is_paused) = (Slow::new(), Slow::new(), Arc::<AtomicBool>::default());
        let fleet =
            Paused { inner: place.backend.fleet.clone(), is_paused: Arc::clone(&is_paused) };
        // Its one delivery is in hand: the copies go to the other.
        let one_slot = Config { slots: 1, ..config() };
        let kinds = vec![kind("demo.slow", here.handler())];
        let worker = place.work_with(Arc::new(fleet), kinds, one_slot).await;
        let id = TaskId::mint();
        send_copy(&place, id).await;
        here.begun.notified().await;
        let judged = Arc::default();
        Self { place, id, here, there, judged, is_paused, _workers: vec![worker] }
    }

    async fn another_worker(&mut self, heartbeat_ttl: Duration) {
        let inner = self.place.backend.fleet.clone();
        let fleet = Watched { inner, judged: Arc::clone(&self.judged) };
        let config = Config { heartbeat_ttl, ..config() };
        let kinds = vec![kind("demo.slow", self.there.handler())];
        self._workers.push(self.place.work_with(Arc::new(fleet), kinds, config).await);
    }

    /// Lets the task end once the copy was put off and looked at again, or taken over.
    async fn runs_once(self) {
        tokio::select! {
            () = self.judged.notified() => {}
            () = self.there.begun.notified() => {}
        }
        self.here.finish.notify_one();
        self.there.finish.notify_one();
        let view = self.place.wait(self.id).await;
        assert_eq!((view.state, view.attempt), (TaskState::Done, 1));
        let runs = (self.here.crashes.lock().unwrap(), self.there.crashes.lock().unwrap());
        assert_eq!((&runs.0[..], &runs.1[..]), (&[0][..], &[][..]), "its owner lives: one run");
    }
}

async fn a_claim_that_its_owner_renews_is_nobody_elses_however_old_it_is(place: Place) {
    let mut scene = Scene::new(place).await;
    let ttl = config().heartbeat_ttl;
    scene.another_worker(ttl).await;
    // A younger claim is spared, and so is everybody by a worker that has just begun.
    tokio::time::sleep(2 * ttl).await;
    send_copy(&scene.place, scene.id).await;
    scene.judged.notified().await;
    scene.runs_once().await;
}

async fn an_owner_that_was_not_heard_of_may_speak_before_a_new_worker_takes_over(place: Place) {
    let mut scene = Scene::new(place).await;
    scene.is_paused.store(true, Ordering::SeqCst);
    eventually(DEADLINE, "its heartbeat has ended", || async {
        scene.place.backend.fleet.workers().await.unwrap().is_empty()
    })
    .await;
    // A younger claim is spared for its age.
    tokio::time::sleep(GRACE).await;
    scene.another_worker(GRACE).await;
    send_copy(&scene.place, scene.id).await;
    scene.judged.notified().await;
    scene.is_paused.store(false, Ordering::SeqCst);
    scene.runs_once().await;
}
