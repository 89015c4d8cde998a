//! The RabbitMQ broker: quorum queues, confirmed publishes, one channel per lane consumer.
//!
//! Read in this order: `topology` (what exists on the server, pure), `declare` (makes it so),
//! `endpoint`, `connection` and `supervisor` (one connection for publishing, one for all else, made again when
//! lost), `publisher` and `consumer` (what runs on them), `outbox` (the way to the publisher),
//! `sweeper` (the net below the exchange for other languages), `survey` and `diagnose` (questions that
//! change nothing), `translate` (a message's two forms), `inlet` (what the client could not read never
//! reaches it). What a message means is [`crate::envelope`]'s matter.
//! Guards that an alarm which stops publishers never stops acks, and that no wait on the network is
//! without a deadline.

mod connection;
mod consumer;
mod declare;
mod diagnose;
mod endpoint;
mod inlet;
mod outbox;
mod publisher;
mod supervisor;
mod survey;
mod sweeper;
mod topology;
mod translate;

#[cfg(feature = "fuzzing")]
pub use self::inlet::fuzzing;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::connection::{REQUEST_DEADLINE, Role};
use self::consumer::PlaceConsumer;
use self::declare::Declarer;
use self::endpoint::Endpoint;
use self::outbox::Outbox;
use self::publisher::{Publisher, Refused};
use self::supervisor::Supervisor;
use self::sweeper::Sweeping;
use self::topology::Topology;
use crate::broker::{Broker, BrokerError, Consumer, Place, Publish, PublishError, Survey};
use crate::clock::SharedClock;
use crate::name::Namespace;
use crate::spawn::Spawner;

/// How to reach and use RabbitMQ: `broker.*` of the configuration, where the defaults and limits are.
#[derive(Clone)]
pub struct Config {
    /// `amqp://user:password@host:port/vhost`, or `amqps://`; a cluster's nodes with commas between.
    pub url: String,
    /// Begins the name of everything declared.
    pub namespace: Namespace,
    /// How long a publish may take until its answer.
    pub publish_deadline: Duration,
    /// Most messages unconfirmed at a time, at most 1,000; from 256 on it is fast.
    pub publish_window: usize,
    /// How long after it was made a queue may be forgotten by a broker that crashes: for so long what is put
    /// into a queue that was made here is not called safe.
    pub new_queue: Duration,
    /// How often both sides show that they live; a silent peer is given up after two.
    pub heartbeat: Duration,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
    /// Most bytes of a body (`limits.payload`).
    pub payload_limit: usize,
    /// Shown by the server beside our connections.
    pub client_name: String,
    /// Whether messages are received. Where not, 7 MiB are saved: the client keeps 64 frames for each
    /// connection, and those of the one that would receive are then of 16 KiB and not of 128.
    pub receives: bool,
}

/// How long RabbitMQ may take to write down that a queue is there: it does when it has made none for half a second,
/// and looks each half second.
pub const NEW_QUEUE: Duration = Duration::from_millis(1_500);

/// Where the client logs each message that comes back, body included; we handle those, and say so.
pub(super) const RETURNED_MESSAGES: &str = "lapin::returned_messages";
/// Where the client logs each channel that the server closes as an error. The call that it was closed for
/// fails with the same words, and some questions are answered in no other way.
pub(super) const CLOSED_CHANNELS: &str = "lapin::channel";

/// A broker on RabbitMQ.
pub struct RabbitMq {
    endpoint: Endpoint,
    topology: Topology,
    client_name: String,
    receives: bool,
    outbox: Outbox,
    refused: Refused,
    sweeping: Sweeping,
    declarer: Arc<Declarer>,
    publishing: Arc<Supervisor>,
    consuming: Arc<Supervisor>,
    publisher: Stage,
    consumers: Stage,
    connections: Stage,
}

/// Background tasks that end together.
///
/// A drain publishes and settles until its last moment, so it is [`Broker::close`] that ends them,
/// stage by stage, and never the spawner's own signal.
struct Stage {
    tasks: Spawner,
    /// Ends the tasks of a broker that is dropped without being closed.
    stop: DropGuard,
}

impl Stage {
    fn new(spawner: &Spawner) -> Self {
        Self { tasks: spawner.child(), stop: CancellationToken::new().drop_guard() }
    }

    async fn end(&self) {
        self.stop.token().cancel();
        self.tasks.drained().await;
    }
}

impl RabbitMq {
    /// Connects twice, for publishing and for all else. Nothing is declared yet.
    ///
    /// # Errors
    /// [`BrokerError::Connect`], which tells a wrong password, a missing vhost, a server that is
    /// not there and one that does not answer apart. Later losses are mended without a word.
    ///
    /// # Cancel safety
    /// Dropped, no connection stays behind.
    pub async fn connect(
        config: Config,
        clock: SharedClock,
        spawner: &Spawner,
    ) -> Result<Arc<Self>, BrokerError> {
        let endpoint = Endpoint::read(&config)?;
        let (publishing, consuming) =
            tokio::try_join!(endpoint.connect(Role::Publish), endpoint.connect(Role::Consume))?;
        let connections = Stage::new(spawner);
        let start = |role, first| {
            let stop = connections.stop.token().clone();
            Supervisor::start(endpoint.clone(), role, first, &connections.tasks, stop)
        };
        let publishing = start(Role::Publish, publishing);
        let consuming = start(Role::Consume, consuming);
        let topology = Topology::new(config.namespace);
        // A publish has to come through, however little time it has.
        let new_queue = config.new_queue.min(config.publish_deadline / 4);
        let makers = connections.tasks.child();
        let declarer =
            Arc::new(Declarer::new(topology.clone(), consuming.clone(), new_queue, makers));
        let window = config.publish_window.max(1);
        let (jobs, taken) = mpsc::channel(window);
        let (state, deadline) = (publishing.watch(), config.publish_deadline);
        let worker = Publisher::new(state, taken, declarer.clone(), window, deadline);
        let (refused, silent) = (worker.refused(), worker.silent());
        let publisher = Stage::new(spawner);
        publisher.tasks.spawn(worker.run(publisher.stop.token().clone()));
        let outbox = Outbox {
            topology: topology.clone(),
            clock,
            deadline,
            payload_limit: config.payload_limit,
            jobs,
            declarer: declarer.clone(),
            silent,
        };
        Ok(Arc::new(Self {
            endpoint,
            topology,
            client_name: config.client_name,
            receives: config.receives,
            outbox,
            refused,
            sweeping: Sweeping::default(),
            declarer,
            publishing,
            consuming,
            publisher,
            consumers: Stage::new(spawner),
            connections,
        }))
    }
}

#[async_trait]
impl Broker for RabbitMq {
    async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>> {
        self.outbox.publish(batch).await
    }

    async fn consume(
        &self,
        place: &Place,
        prefetch: u16,
    ) -> Result<Arc<dyn Consumer>, BrokerError> {
        if !self.receives {
            let why = "it was opened to put tasks in only".to_owned();
            return Err(BrokerError::Operation { operation: "receive tasks", why, source: None });
        }
        let consumer = PlaceConsumer::start(self, place, prefetch.max(1)).await?;
        Ok(Arc::new(consumer))
    }

    async fn survey(&self, places: &[Place]) -> Result<Vec<Survey>, BrokerError> {
        survey::survey(&self.topology, &self.consuming, places).await
    }

    async fn check(&self) -> Result<(), BrokerError> {
        let fail =
            |why| BrokerError::Operation { operation: "check the broker", why, source: None };
        let asked = |supervisor: Arc<Supervisor>| async move {
            let link = supervisor.link(Instant::now()).await?;
            match link.blocked() {
                Some(why) => Err(format!("it blocks publishers: {why}")),
                None => link
                    .connection
                    .answer(REQUEST_DEADLINE)
                    .await
                    .unwrap_or_else(|| Err("the broker did not answer in time".to_owned())),
            }
        };
        // Both at once: on a slow line each round trip counts.
        let (publishing, consuming) = (self.publishing.clone(), self.consuming.clone());
        tokio::try_join!(asked(publishing), asked(consuming)).map_err(fail)?;
        match self.refused.why() {
            Some(why) if !self.takes_publishes_now().await => Err(fail(why)),
            Some(_) => {
                self.refused.is_over();
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn close(&self) {
        self.publisher.end().await;
        self.consumers.end().await;
        self.connections.end().await;
    }
}
