//! The store is away for a while: nothing new starts, what runs is finished, nothing is lost.
//!
//! Each story has a Redis of its own, which it stops, starts again empty, or never lets answer.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use leveret_common::broker::Place as Rest;
use leveret_common::name::{Class, Lane, QueueName};
use leveret_common::store::TaskState;
use leveret_common::testkit::eventually;
use leveret_common::testkit::services::variable;
use leveret_worker::handler::{echo, from_fn};
use leveret_worker::{Config, Execution, Handler, TaskError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::place::{DEADLINE, Place, config, kind};

/// How long a command may take: a stopped store is noticed after this.
const RESPONSE: Duration = Duration::from_millis(400);

/// Makes a test of each story on each broker, with a store of its own.
macro_rules! on_each_broker {
    ($($story:ident),* $(,)?) => {$(
        mod $story {
            #[tokio::test]
            async fn rabbitmq_3() {
                use leveret_common::testkit::services::rabbitmq_3;
                use crate::away::{Redis, place};
                if let (Some(broker), Some(redis)) = (rabbitmq_3().await, Redis::start()) {
                    let place = place(broker.url, &redis).await;
                    super::$story(place, redis).await;
                }
            }

            #[tokio::test]
            async fn rabbitmq_4() {
                use leveret_common::testkit::services::rabbitmq_4;
                use crate::away::{Redis, place};
                if let (Some(broker), Some(redis)) = (rabbitmq_4().await, Redis::start()) {
                    let place = place(broker.url, &redis).await;
                    super::$story(place, redis).await;
                }
            }
        }
    )*};
}

on_each_broker! {
    while_the_store_hangs_nothing_starts_and_what_ran_is_recorded_afterwards,
    a_store_that_comes_back_empty_costs_no_task_and_no_second_run,
    a_drain_gives_claims_back_as_soon_as_the_store_answers_again,
}

/// A server that only this test knows; it ends with the value.
pub(crate) struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    /// Nothing, said aloud, where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let Ok(child) = spawn(port) else {
            assert!(variable("CI").as_deref() != Some("true"), "redis-server is not installed");
            println!("SKIPPED: redis-server is not installed; apt-get install redis-server");
            return None;
        };
        Some(Self { child, port }.up())
    }

    fn up(self) -> Self {
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "redis-server did not start");
            std::thread::yield_now();
        }
        self
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Ends it as a crash would, and starts it again with nothing in it.
    pub(crate) fn restart_empty(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(self.port).unwrap();
        self.up()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Ended already, or ending with the test: there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16) -> std::io::Result<Child> {
    let port = port.to_string();
    Command::new("redis-server")
        .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

pub(crate) async fn place(broker: String, redis: &Redis) -> Place {
    let store = format!("redis://127.0.0.1:{}", redis.port);
    Place::servers_within(broker, store, RESPONSE).await
}

fn patient() -> Config {
    let heartbeat = Duration::from_millis(250);
    Config { slots: 2, heartbeat, heartbeat_ttl: 4 * heartbeat, ..config() }
}

/// A handler that says when it begins and ends when told.
#[derive(Clone, Default)]
struct Slow {
    begun: Arc<Notify>,
    finish: Arc<Notify>,
    ended: Arc<Notify>,
    starts: Arc<AtomicUsize>,
}

impl Slow {
    fn handler(&self) -> Arc<dyn Handler> {
        let slow = self.clone();
        from_fn(move |_: Value, _| {
            let slow = slow.clone();
            async move {
                slow.starts.fetch_add(1, Ordering::SeqCst);
                slow.begun.notify_one();
                slow.finish.notified().await;
                slow.ended.notify_one();
                Ok(())
            }
        })
    }
}

/// A handler that counts its starts.
fn counts(starts: &Arc<AtomicUsize>) -> Arc<dyn Handler> {
    let starts = Arc::clone(starts);
    from_fn(move |_: Value, execution: Execution| {
        starts.fetch_add(1, Ordering::SeqCst);
        async move { Ok(execution.crashes) }
    })
}

async fn depth(place: &Place) -> u64 {
    let lane = Rest::Lane(Lane::new(QueueName::default(), Class::Normal));
    place.backend.broker.survey(&[lane]).await.unwrap()[0].depth
}

async fn while_the_store_hangs_nothing_starts_and_what_ran_is_recorded_afterwards(
    place: Place,
    redis: Redis,
) {
    let (slow, starts) = (Slow::default(), Arc::default());
    let kinds = vec![kind("demo.slow", slow.handler()), kind("demo.count", counts(&starts))];
    let worker = place.work(kinds, patient()).await;
    let running = place.producer.task("demo.slow", &()).await.unwrap().id;
    slow.begun.notified().await;

    redis.signal(Signal::SIGSTOP);
    eventually(DEADLINE, "it is not ready", || async { !worker.status.is_ready() }).await;
    let new = place.producer.task("demo.count", &()).await.unwrap().id;
    eventually(DEADLINE, "the new one has arrived", || async { depth(&place).await == 0 }).await;
    slow.finish.notify_one();
    slow.ended.notified().await;
    // Longer than claims, marks and heartbeats wait for an answer.
    tokio::time::sleep(4 * RESPONSE).await;
    assert!(!worker.status.is_ready() && !worker.status.is_draining());
    assert_eq!(starts.load(Ordering::SeqCst), 0, "its claim is not answered");

    redis.signal(Signal::SIGCONT);
    for id in [running, new] {
        let view = place.wait(id).await;
        assert_eq!((view.state, view.attempt), (TaskState::Done, 1));
    }
    assert_eq!((slow.starts.load(Ordering::SeqCst), starts.load(Ordering::SeqCst)), (1, 1));
    eventually(DEADLINE, "it is ready again", || async { worker.status.is_ready() }).await;
}

async fn a_store_that_comes_back_empty_costs_no_task_and_no_second_run(place: Place, redis: Redis) {
    let (slow, starts) = (Slow::default(), Arc::default());
    let kinds = vec![kind("demo.slow", slow.handler()), kind("demo.count", counts(&starts))];
    let worker = place.work(kinds, patient()).await;
    let running = place.producer.task("demo.slow", &()).await.unwrap().id;
    slow.begun.notified().await;
    let delay = Duration::from_millis(700);
    let delayed = place.producer.task("demo.count", &()).delay(delay).await.unwrap().id;

    let _redis = redis.restart_empty();
    eventually(DEADLINE, "its claim is written again", || async {
        let entries = place.backend.ledger.entries(&[running]).await;
        entries.is_ok_and(|entries| entries[0].is_some())
    })
    .await;
    slow.finish.notify_one();
    for id in [running, delayed] {
        assert_eq!(place.wait(id).await.state, TaskState::Done);
    }
    let new = place.producer.task("demo.count", &()).await.unwrap().id;
    assert_eq!(place.wait(new).await.state, TaskState::Done);
    assert_eq!((slow.starts.load(Ordering::SeqCst), starts.load(Ordering::SeqCst)), (1, 2));
    eventually(DEADLINE, "it is ready again", || async { worker.status.is_ready() }).await;
}

async fn a_drain_gives_claims_back_as_soon_as_the_store_answers_again(place: Place, redis: Redis) {
    let (begun, told) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let endless = {
        let (begun, told) = (begun.clone(), told.clone());
        from_fn(move |_: Value, execution: Execution| {
            let (begun, told) = (begun.clone(), told.clone());
            async move {
                begun.notify_one();
                execution.cancel.cancelled().await;
                told.notify_one();
                Err::<(), _>(TaskError::failed("stopped", "told to stop"))
            }
        })
    };
    let worker = place.work(vec![kind("demo.endless", endless)], patient()).await;
    let id = place.producer.task("demo.endless", &json!(1)).await.unwrap().id;
    begun.notified().await;
    redis.signal(Signal::SIGSTOP);
    worker.ask_to_stop();
    told.notified().await;
    // Longer than one try, so that the claim is not given back by the first.
    tokio::time::sleep(2 * RESPONSE).await;
    redis.signal(Signal::SIGCONT);
    worker.ended().await;

    let crashes = from_fn(|_: Value, execution: Execution| async move { Ok(execution.crashes) });
    let kinds = vec![kind("demo.endless", crashes), kind("demo.echo", echo())];
    let _other = place.work(kinds, patient()).await;
    let view = place.wait(id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Done, 1));
    assert_eq!(view.result.as_deref(), Some("0"), "no worker has died");
}
