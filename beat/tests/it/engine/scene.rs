//! A scene for one test: a world, a clock that can be set, watched seams, and beats in this process.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use leveret_beat::engine::{Beat, Config, Filed, Reloader, Status};
use leveret_beat::timetable::Timetable;
use leveret_common::backend::Backend;
use leveret_common::broker::{
    Broker, BrokerError, Consumer, Destination, Place, Publish, PublishError, Survey,
};
use leveret_common::clock::{Clock, Millis};
use leveret_common::envelope::{Decoded, decode};
use leveret_common::id::{Owner, TaskId};
use leveret_common::name::{Namespace, QueueName, ScheduleName};
use leveret_common::schedule::Definition;
use leveret_common::spawn::Spawner;
use leveret_common::store::{
    Advance, Advanced, BeatInfo, Change, Changed, Changes, Lease, Leases, Occurrence, Position,
    Scheduled, Schedules, StoreError,
};
use leveret_common::testkit::eventually;
use leveret_producer::{Options, Producer};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::world::{NOON, World, named};

/// Longer than anything here takes; a test that needs it has failed.
pub(super) const DEADLINE: Duration = Duration::from_secs(40);
pub(super) const SECOND: u64 = 1_000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;

pub(super) struct Scene {
    pub(super) backend: Backend,
    pub(super) timetable: Timetable,
    pub(super) clock: Arc<SetClock>,
    pub(super) broker: Arc<WatchedBroker>,
    pub(super) store: Arc<WatchedStore>,
    spawner: Spawner,
    /// Kept until the test is over.
    world: World,
}

impl Scene {
    pub(super) fn new(world: World) -> Self {
        let clock = Arc::new(SetClock::default());
        clock.set(NOON);
        let broker = Arc::new(WatchedBroker::new(&world.backend));
        let store = Arc::new(WatchedStore::new(world.backend.schedules.clone()));
        let backend = Backend {
            broker: broker.clone(),
            schedules: store.clone(),
            clock: clock.clone(),
            ..world.backend.clone()
        };
        let timetable = Timetable::new(producer(&backend));
        Self { backend, timetable, clock, broker, store, spawner: Spawner::new(), world }
    }

    /// Returns what the scene was made of.
    pub(super) const fn world(&self) -> &World {
        &self.world
    }

    /// Starts a beat.
    pub(super) fn start(&self) -> Running {
        self.start_on(&self.backend, config())
    }

    pub(super) fn start_on(&self, backend: &Backend, config: Config) -> Running {
        self.run(Beat::new(producer(backend), config))
    }

    /// Starts a beat with a timetable file.
    pub(super) fn start_with(&self, file: &Path) -> Running {
        let producer = producer(&self.backend);
        let file = Filed::read(file, &producer).unwrap();
        self.run(Beat::new(producer, config()).with_file(file))
    }

    fn run(&self, beat: Beat) -> Running {
        let (status, reloader, stop) = (beat.status(), beat.reloader(), CancellationToken::new());
        let task = self.spawner.spawn(beat.run(stop.clone()));
        Running { status, reloader, stop, task }
    }

    /// Starts a beat, and waits until it leads and has read the timetable.
    pub(super) async fn lead(&self) -> Running {
        let beat = self.start();
        beat.until_it_leads().await;
        beat
    }

    /// Makes a schedule at run time.
    pub(super) async fn make(&self, name: &str, definition: Definition) {
        self.timetable.create(&named(name), definition, "test").await.unwrap();
    }

    pub(super) async fn position(&self, name: &str) -> Position {
        self.timetable.show(&named(name)).await.unwrap().position.unwrap()
    }

    /// Waits until the store knows that a schedule has got to this instant, counted from noon.
    pub(super) async fn until_through(&self, name: &str, after: u64) {
        let what = format!("{name} has got to {after} ms after noon");
        eventually(DEADLINE, &what, || async {
            let scheduled = self.backend.schedules.read(&[named(name)]).await.unwrap().remove(0);
            let through = scheduled.and_then(|scheduled| scheduled.position);
            through.is_some_and(|position| position.through == at(after))
        })
        .await;
    }

    /// Asserts that exactly these occurrences of a schedule, counted from noon, were put in, in
    /// this order, each with its own id.
    pub(super) fn assert_put_in(&self, name: &str, expected: impl IntoIterator<Item = u64>) {
        let expected: Vec<_> = expected.into_iter().map(at).collect();
        let messages = self.broker.of(name);
        let dues: Vec<_> = messages.iter().map(|message| message.due).collect();
        assert_eq!(dues, expected, "{name}");
        for Message { id, due, .. } in messages {
            assert_eq!(id, self.id_of(name, due));
        }
    }

    /// Asserts that exactly these occurrences were put in, however often; the ids say so.
    pub(super) fn assert_ids(&self, name: &str, expected: impl IntoIterator<Item = u64>) {
        let expected: BTreeSet<_> =
            expected.into_iter().map(|after| self.id_of(name, at(after))).collect();
        let ids: BTreeSet<_> = self.broker.of(name).iter().map(|message| message.id).collect();
        assert_eq!(ids, expected, "{name}");
    }

    pub(super) fn id_of(&self, name: &str, due: Millis) -> TaskId {
        TaskId::of_occurrence(&self.backend.namespace, &named(name), due, None)
    }

    /// Waits until so many messages of a schedule have been put in.
    pub(super) async fn until_messages(&self, name: &str, count: usize) {
        let what = format!("{count} messages of {name} are in");
        eventually(DEADLINE, &what, || async { self.broker.of(name).len() >= count }).await;
    }

    /// Waits until this beat has looked at the clock, the timetable and who leads twice more.
    pub(super) async fn looked_twice(&self) {
        let before = self.store.looks.load(Ordering::SeqCst);
        eventually(DEADLINE, "the timetable was looked at", || async {
            self.store.looks.load(Ordering::SeqCst) >= before + 2
        })
        .await;
    }
}

fn producer(backend: &Backend) -> Producer {
    Producer::new(
        backend.clone(),
        Options { name: "leveret-beat".to_owned(), ..Options::default() },
    )
}

/// A short lease, and nothing put in before it is due.
pub(super) fn config() -> Config {
    let (lease, max_lead) = (Duration::from_millis(1_000), Duration::ZERO);
    Config { lease, max_lead, host: "test".to_owned() }
}

/// Returns the instant so many milliseconds after noon.
pub(super) fn at(after: u64) -> Millis {
    Millis(NOON.0 + after)
}

/// A beat that runs; dropped, it ends as if it was killed.
pub(super) struct Running {
    pub(super) status: Arc<Status>,
    pub(super) reloader: Reloader,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(super) async fn until_it_leads(&self) {
        eventually(DEADLINE, "the beat leads", || async {
            self.status.leads() && self.status.is_ready()
        })
        .await;
    }

    /// Stops it, and waits until it has.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap();
    }

    /// Ends it where it is.
    pub(super) async fn kill(mut self) {
        self.task.abort();
        assert!((&mut self.task).await.unwrap_err().is_cancelled(), "it has ended before");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A clock that shows what it is set to.
#[derive(Debug, Default)]
pub(super) struct SetClock(AtomicU64);

impl SetClock {
    pub(super) fn set(&self, now: Millis) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    /// Sets it to so many milliseconds after noon.
    pub(super) fn show(&self, after: u64) {
        self.set(at(after));
    }
}

impl Clock for SetClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

/// Where a call can be made to hang: before it is applied, or after.
#[derive(Debug, Default)]
pub(super) struct Hitch {
    before: AtomicBool,
    after: AtomicBool,
    reached: Notify,
    released: Notify,
}

impl Hitch {
    pub(super) fn hang_before(&self) {
        self.before.store(true, Ordering::SeqCst);
    }

    pub(super) fn hang_after(&self) {
        self.after.store(true, Ordering::SeqCst);
    }

    /// Waits until a call hangs; those that come after it do not.
    pub(super) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets a call go on that hangs.
    pub(super) fn release(&self) {
        self.released.notify_one();
    }

    async fn pass(&self, hangs: &AtomicBool) {
        if hangs.swap(false, Ordering::SeqCst) {
            self.reached.notify_one();
            self.released.notified().await;
        }
    }
}

/// A message that the broker took.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) id: TaskId,
    pub(super) schedule: String,
    pub(super) due: Millis,
    pub(super) revision: u32,
    pub(super) args: String,
    pub(super) not_before: Option<Millis>,
    pub(super) expires_at: Option<Millis>,
    /// What the clock of this machine showed as it was handed over.
    pub(super) handed_over: Millis,
}

/// A broker that remembers what it took, and can hang and fail.
pub(super) struct WatchedBroker {
    inner: Arc<dyn Broker>,
    namespace: Namespace,
    messages: Mutex<Vec<Message>>,
    pub(super) hitch: Hitch,
    /// So many messages more are refused.
    fails: AtomicU64,
    pub(super) failed: AtomicU64,
    /// Messages for these queues are not answered.
    mute: Mutex<BTreeSet<QueueName>>,
    unmuted: Notify,
    /// How many batches were not answered, or not at once.
    pub(super) unanswered: AtomicU64,
    /// How long each publish takes.
    pub(super) takes: Mutex<Duration>,
}

impl WatchedBroker {
    fn new(backend: &Backend) -> Self {
        Self {
            inner: backend.broker.clone(),
            namespace: backend.namespace.clone(),
            messages: Mutex::default(),
            hitch: Hitch::default(),
            fails: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            mute: Mutex::default(),
            unmuted: Notify::new(),
            unanswered: AtomicU64::new(0),
            takes: Mutex::default(),
        }
    }

    /// Returns what was taken for a schedule, in its order.
    pub(super) fn of(&self, name: &str) -> Vec<Message> {
        let messages = self.messages.lock().unwrap();
        messages.iter().filter(|message| message.schedule == name).cloned().collect()
    }

    /// Refuses so many messages.
    pub(super) fn fail(&self, messages: u64) {
        self.fails.store(messages, Ordering::SeqCst);
    }

    /// Does not answer for this queue.
    pub(super) fn mute(&self, queue: &str) {
        self.mute.lock().unwrap().insert(queue.parse().unwrap());
    }

    /// Answers for all queues again.
    pub(super) fn unmute(&self) {
        self.mute.lock().unwrap().clear();
        self.unmuted.notify_waiters();
    }

    fn is_mute(&self, message: &Publish) -> bool {
        let (Destination::Lane(lane) | Destination::Delay { lane, .. }) = &message.to else {
            return false;
        };
        self.mute.lock().unwrap().contains(&lane.queue)
    }

    fn note(&self, message: &Publish) {
        let Ok(Decoded::Task(task)) = decode(&self.namespace, &message.wire) else {
            panic!("{message:?}");
        };
        let schedule = task.fixed.schedule.unwrap();
        assert_eq!(task.fixed.producer.as_deref(), Some("leveret-beat"));
        self.messages.lock().unwrap().push(Message {
            id: task.id,
            schedule,
            due: task.fixed.occurrence.unwrap(),
            revision: task.fixed.revision.unwrap(),
            args: String::from_utf8(task.args.to_vec()).unwrap(),
            not_before: task.moving.not_before,
            expires_at: task.fixed.expires_at,
            handed_over: leveret_common::clock::SystemClock.now(),
        });
    }
}

#[async_trait]
impl Broker for WatchedBroker {
    async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>> {
        self.hitch.pass(&self.hitch.before).await;
        let takes = *self.takes.lock().unwrap();
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        if batch.iter().any(|message| self.is_mute(message)) {
            self.unanswered.fetch_add(1, Ordering::SeqCst);
            loop {
                // Asked for before the look, so that none is missed between the two.
                let unmuted = self.unmuted.notified();
                if !batch.iter().any(|message| self.is_mute(message)) {
                    break;
                }
                unmuted.await;
            }
        }
        let mut answers = Vec::new();
        for message in batch {
            let fails = self.fails.load(Ordering::SeqCst);
            if fails > 0 {
                self.fails.store(fails - 1, Ordering::SeqCst);
                self.failed.fetch_add(1, Ordering::SeqCst);
                answers.push(Err(PublishError::Rejected("a test".to_owned())));
                continue;
            }
            let answer = self.inner.publish(std::slice::from_ref(message)).await.remove(0);
            if answer.is_ok() {
                self.note(message);
            }
            answers.push(answer);
        }
        self.hitch.pass(&self.hitch.after).await;
        answers
    }

    async fn consume(
        &self,
        place: &Place,
        prefetch: u16,
    ) -> Result<Arc<dyn Consumer>, BrokerError> {
        self.inner.consume(place, prefetch).await
    }

    async fn survey(&self, places: &[Place]) -> Result<Vec<Survey>, BrokerError> {
        self.inner.survey(places).await
    }

    async fn check(&self) -> Result<(), BrokerError> {
        self.inner.check().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

/// A timetable that can hang where positions are moved, and be wiped.
pub(super) struct WatchedStore {
    inner: Mutex<Arc<dyn Schedules>>,
    pub(super) hitch: Hitch,
    /// Where it can hang when it is written again.
    pub(super) restoring: Hitch,
    /// Where it can hang when it is asked what changed.
    pub(super) looking: Hitch,
    /// The life that it pretends to be in, as a copy of another one would.
    pub(super) life: Mutex<Option<u64>>,
    pub(super) looks: AtomicU64,
    /// Whether moves are refused.
    pub(super) refuses: AtomicBool,
    pub(super) refused: AtomicU64,
}

impl WatchedStore {
    fn new(inner: Arc<dyn Schedules>) -> Self {
        Self {
            inner: Mutex::new(inner),
            hitch: Hitch::default(),
            restoring: Hitch::default(),
            looking: Hitch::default(),
            life: Mutex::default(),
            looks: AtomicU64::new(0),
            refuses: AtomicBool::new(false),
            refused: AtomicU64::new(0),
        }
    }

    /// Puts another timetable in the place of this one, as a wipe does.
    pub(super) fn replace(&self, inner: Arc<dyn Schedules>) {
        *self.inner.lock().unwrap() = inner;
    }

    fn inner(&self) -> Arc<dyn Schedules> {
        self.inner.lock().unwrap().clone()
    }
}

#[async_trait]
impl Schedules for WatchedStore {
    async fn page(
        &self,
        behind: Option<&ScheduleName>,
        most: usize,
    ) -> Result<Vec<Scheduled>, StoreError> {
        self.inner().page(behind, most).await
    }

    async fn read(&self, names: &[ScheduleName]) -> Result<Vec<Option<Scheduled>>, StoreError> {
        self.inner().read(names).await
    }

    async fn change(&self, batch: &[Change]) -> Result<Vec<Changed>, StoreError> {
        self.inner().change(batch).await
    }

    async fn advance(&self, batch: &[Advance]) -> Result<Vec<Advanced>, StoreError> {
        self.hitch.pass(&self.hitch.before).await;
        if self.refuses.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError {
                operation: "move schedules on",
                endpoint: "test".to_owned(),
                kind: leveret_common::store::StoreErrorKind::Refused,
                why: "a test".to_owned(),
                source: None,
            });
        }
        let answers = self.inner().advance(batch).await;
        self.hitch.pass(&self.hitch.after).await;
        answers
    }

    async fn restore(&self, batch: &[Scheduled]) -> Result<(), StoreError> {
        let restored = self.inner().restore(batch).await;
        self.restoring.pass(&self.restoring.after).await;
        restored
    }

    async fn note(&self, batch: &[(ScheduleName, Occurrence)]) -> Result<(), StoreError> {
        self.inner().note(batch).await
    }

    async fn occurrences(&self, name: &ScheduleName) -> Result<Vec<Occurrence>, StoreError> {
        self.inner().occurrences(name).await
    }

    async fn changes(&self, since: Option<u64>) -> Result<Changes, StoreError> {
        self.looking.pass(&self.looking.before).await;
        let mut changes = self.inner().changes(since).await?;
        self.looks.fetch_add(1, Ordering::SeqCst);
        let life = *self.life.lock().unwrap();
        changes.incarnation = life.or(changes.incarnation);
        Ok(changes)
    }

    async fn announce(&self, beat: &BeatInfo, ttl: Duration) -> Result<(), StoreError> {
        self.inner().announce(beat, ttl).await
    }

    async fn beats(&self) -> Result<Vec<BeatInfo>, StoreError> {
        self.inner().beats().await
    }
}

/// A lock that is none: everybody gets the lease, under an epoch of their own.
#[derive(Debug, Default)]
pub(super) struct NoLock(AtomicU64);

#[async_trait]
impl Leases for NoLock {
    async fn acquire(
        &self,
        name: &str,
        holder: Owner,
        _: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let epoch = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(Some(Lease { name: name.to_owned(), holder, epoch }))
    }

    async fn renew(&self, _: &Lease, _: Duration) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn give_back(&self, _: &Lease) -> Result<(), StoreError> {
        Ok(())
    }
}
