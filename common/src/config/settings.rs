//! The settings of a Leveret process, as plain typed values.
//!
//! Responsible for what there is to set and for `Default`, which is the embedded product with
//! nothing configured. Which texts are allowed is in [`super::keys`]; a test holds the two
//! together.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::choice::{LogFormat, LogLevel, Picker};
use super::kinds::KindSettings;
use super::secret::{Secret, SecretUrl};
use crate::name::{Class, KindName, Namespace, QueueName};
use crate::size::ByteSize;

/// Everything that can be set, in the order of the file.
///
/// Each field is a key: [`KEYS`](super::KEYS) has its default, its limits and what it does, and so has
/// `docs/configuration.md`. [`load`](super::load) reads all of it from file, environment and flags.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What separates this installation from others on the same servers.
    pub namespace: Namespace,
    /// Where the embedded backend keeps its file.
    pub data: PathBuf,
    /// The broker.
    pub broker: BrokerSettings,
    /// The ledger and the records.
    pub store: StoreSettings,
    /// The HTTP door, and how operator commands find it.
    pub gateway: GatewaySettings,
    /// What is refused before it is accepted.
    pub limits: LimitSettings,
    /// One worker process.
    pub worker: WorkerSettings,
    /// One beat process.
    pub beat: BeatSettings,
    /// The database whose transactions put tasks in.
    pub outbox: OutboxSettings,
    /// One relay process.
    pub relay: RelaySettings,
    /// How long finished things are remembered.
    pub retention: RetentionSettings,
    /// What is recorded for questions about tasks.
    pub records: RecordSettings,
    /// What Celery clients are told.
    pub celery: CelerySettings,
    /// Log output.
    pub log: LogSettings,
    /// Kinds that are bound in the file: performed by a program, or by whoever answers at a URL.
    pub kinds: BTreeMap<KindName, KindSettings>,
}

/// Settings of the broker; no URL means embedded.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerSettings {
    /// RabbitMQ's address with user, password and vhost.
    pub url: Option<SecretUrl>,
    /// How long a publish waits for its confirm before its fate counts as unknown.
    pub publish_deadline: Duration,
    /// How many publishes may wait for their confirm on one channel.
    pub publish_window: u32,
    /// The AMQP heartbeat.
    pub heartbeat: Duration,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
    /// What the server's `consumer_timeout` is set to.
    pub consumer_timeout: Duration,
}

/// Settings of the store; no URL means embedded.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreSettings {
    /// Redis's address with user, password and database.
    pub url: Option<SecretUrl>,
    /// How long one command may take.
    pub response_timeout: Duration,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
}

/// Settings of the gateway and of the commands that speak to it.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewaySettings {
    /// Where the gateway listens.
    pub listen: SocketAddr,
    /// The file of accepted tokens; without it the gateway serves this machine only.
    pub token_file: Option<PathBuf>,
    /// How many tasks one NDJSON request may hold.
    pub max_batch: u32,
    /// How large a request body may be.
    pub max_body: ByteSize,
    /// How long a request may take, a wait for a result included.
    pub request_timeout: Duration,
    /// Where operator commands find the gateway, without a slash at the end.
    pub url: String,
    /// What operator commands send as their token.
    pub token: Option<Secret>,
}

/// Limits on what is accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitSettings {
    /// How large a task's args may be.
    pub payload: ByteSize,
}

/// Settings of a worker process.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerSettings {
    /// How many tasks run at once.
    pub slots: u32,
    /// The queues it serves.
    pub queues: Vec<QueueName>,
    /// The classes it serves.
    pub classes: Vec<Class>,
    /// The share of each class, in the order of `classes`.
    pub weights: Vec<u32>,
    /// How it picks between classes.
    pub picker: Picker,
    /// How long running tasks may go on after SIGTERM.
    pub grace: Duration,
    /// Where `/livez`, `/readyz` and `/metrics` listen, if anywhere.
    pub listen: Option<SocketAddr>,
    /// How often its claims are renewed.
    pub heartbeat: Duration,
    /// How long its claims live without renewal.
    pub heartbeat_ttl: Duration,
    /// How many crashes of its worker a task may cause before it is dead.
    pub max_crashes: u32,
    /// The time limit of a kind that names none.
    pub timeout: Duration,
    /// The time between the soft and the hard limit.
    pub soft_grace: Duration,
}

/// Settings of a beat process.
#[derive(Debug, Clone, PartialEq)]
pub struct BeatSettings {
    /// The timetable file that was named.
    pub file: Option<PathBuf>,
    /// Where `/livez`, `/readyz` and `/metrics` listen, if anywhere.
    pub listen: Option<SocketAddr>,
    /// How long it leads without renewing its lease.
    pub lease: Duration,
    /// How early it may publish an occurrence, at most.
    pub lead: Duration,
}

/// Settings of the outbox in a sender's own database.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OutboxSettings {
    /// Where it is.
    pub url: Option<SecretUrl>,
    /// How long a row is kept that was handed on.
    pub kept: Duration,
}

/// Settings of a relay process.
#[derive(Debug, Clone, PartialEq)]
pub struct RelaySettings {
    /// How many rows it takes at once.
    pub batch: u32,
    /// How often it looks by itself, for what nothing woke it for.
    pub poll: Duration,
    /// Where `/livez`, `/readyz` and `/metrics` listen, if anywhere.
    pub listen: Option<SocketAddr>,
}

/// How long finished things are remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct RetentionSettings {
    /// How long the ledger refuses to run a completed task again.
    pub done: Duration,
    /// How long results are kept.
    pub result: Duration,
    /// How long records are kept.
    pub record: Duration,
}

/// What is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordSettings {
    /// Whether an enqueue writes a record beside its confirm.
    pub enqueue: bool,
}

/// What Celery clients are told of the tasks that they sent.
#[derive(Debug, Clone, PartialEq)]
pub struct CelerySettings {
    /// Whether their results are written for them.
    pub results: bool,
    /// The Redis that they look into, if not the store's.
    pub results_url: Option<SecretUrl>,
}

/// Settings of log output.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogSettings {
    /// The least severe level that is written.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            namespace: Namespace::default(),
            data: PathBuf::from("leveret-data"),
            broker: BrokerSettings::default(),
            store: StoreSettings::default(),
            gateway: GatewaySettings::default(),
            limits: LimitSettings::default(),
            worker: WorkerSettings::default(),
            beat: BeatSettings::default(),
            outbox: OutboxSettings::default(),
            relay: RelaySettings::default(),
            retention: RetentionSettings::default(),
            records: RecordSettings::default(),
            celery: CelerySettings::default(),
            log: LogSettings::default(),
            kinds: BTreeMap::new(),
        }
    }
}

impl Default for BrokerSettings {
    fn default() -> Self {
        Self {
            url: None,
            publish_deadline: Duration::from_secs(10),
            publish_window: 512,
            heartbeat: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            consumer_timeout: Duration::from_secs(1_800),
        }
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            url: None,
            response_timeout: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(2),
        }
    }
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7878)),
            token_file: None,
            max_batch: 10_000,
            max_body: ByteSize::from_mib(32),
            request_timeout: Duration::from_secs(70),
            url: "http://127.0.0.1:7878".to_owned(),
            token: None,
        }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self { payload: ByteSize::from_mib(1) }
    }
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            slots: 16,
            queues: vec![QueueName::default()],
            classes: Class::ALL.to_vec(),
            weights: Class::ALL.map(default_weight).to_vec(),
            picker: Picker::default(),
            grace: Duration::from_secs(25),
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 7879))),
            heartbeat: Duration::from_secs(5),
            heartbeat_ttl: Duration::from_secs(15),
            max_crashes: 3,
            timeout: Duration::from_secs(600),
            soft_grace: Duration::from_secs(5),
        }
    }
}

impl Default for BeatSettings {
    fn default() -> Self {
        Self {
            file: None,
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 7880))),
            lease: Duration::from_secs(5),
            lead: Duration::from_millis(200),
        }
    }
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self {
            batch: 500,
            poll: Duration::from_secs(1),
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 7881))),
        }
    }
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self {
            done: Duration::from_secs(3_600),
            result: Duration::from_secs(86_400),
            record: Duration::from_secs(86_400),
        }
    }
}

impl Default for RecordSettings {
    fn default() -> Self {
        Self { enqueue: true }
    }
}

impl Default for CelerySettings {
    fn default() -> Self {
        Self { results: true, results_url: None }
    }
}

/// Returns the share of a class where none is given: 8:4:2:1.
pub(super) const fn default_weight(class: Class) -> u32 {
    match class {
        Class::Critical => 8,
        Class::High => 4,
        Class::Normal => 2,
        Class::Low => 1,
    }
}
