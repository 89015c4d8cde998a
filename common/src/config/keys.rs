//! The table of keys: what can be set, in which form, and to what when nobody sets it.
//!
//! Responsible for every key's path, form, default and one line of help. The file, the
//! environment, the flags, `config show` and `docs/configuration.md` all read this table, so a
//! key is added here and in [`super::settings`] and nowhere else. Kinds have a table of their own
//! in [`super::kinds`].

use std::time::Duration;

use super::form::Form;
use crate::size::ByteSize;

/// What the URL of a store may begin with.
const REDIS: &[&str] =
    &["redis", "rediss", "redis-sentinel", "rediss-sentinel", "redis-cluster", "rediss-cluster"];

/// One thing that can be set.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its place in the file, such as `broker.url`.
    pub path: &'static str,
    /// What its value looks like and where it goes.
    pub form: Form,
    /// Its value when nobody sets it, as it would be written in the environment.
    pub default: Option<&'static str>,
    /// One line of help.
    pub help: &'static str,
}

/// The prefix of every variable that Leveret reads.
pub const VARIABLE_PREFIX: &str = "LEVERET_";

impl Key {
    /// Finds a key by its path.
    #[must_use]
    pub fn find(path: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.path == path)
    }

    /// Returns the variable that sets it: `broker.url` is `LEVERET_BROKER_URL`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.path.replace('.', "_").to_uppercase())
    }

    /// Returns the variable that names a file with its value, for secrets.
    ///
    /// `gateway.token` has none: `LEVERET_GATEWAY_TOKEN_FILE` sets `gateway.token_file`.
    #[must_use]
    pub fn file_variable(&self) -> Option<String> {
        let variable = format!("{}_FILE", self.variable());
        let is_taken = || KEYS.iter().any(|key| key.variable() == variable);
        (self.form.is_secret() && !is_taken()).then_some(variable)
    }

    /// Returns the flag that sets it: `--broker-url`; the gateway's address is plain `--listen`.
    #[must_use]
    pub fn flag(&self) -> String {
        match self.path {
            "gateway.listen" => "--listen".to_owned(),
            path => format!("--{}", path.replace(['.', '_'], "-")),
        }
    }
}

const fn key(
    path: &'static str,
    default: Option<&'static str>,
    form: Form,
    help: &'static str,
) -> Key {
    Key { path, form, default, help }
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

/// Every key, in the order of the documentation.
pub const KEYS: &[Key] = &[
    key(
        "namespace",
        Some("leveret"),
        Form::Namespace(|s| &mut s.namespace),
        "Separates this installation from others on the same servers.",
    ),
    key(
        "data",
        Some("leveret-data"),
        Form::Folder(|s| &mut s.data),
        "The folder of the embedded backend.",
    ),
    key(
        "broker.url",
        None,
        Form::Url {
            schemes: &["amqp", "amqps"],
            example: "amqp://user:password@host:5672/vhost",
            slot: |s| &mut s.broker.url,
        },
        "RabbitMQ with user, password and vhost; a cluster's nodes with commas between: `host:5672,host:5672`. Absent: the embedded broker.",
    ),
    key(
        "broker.publish_deadline",
        Some("10s"),
        Form::duration(ms(100), seconds(600), |s| &mut s.broker.publish_deadline),
        "How long a publish waits for its confirm before its fate counts as unknown.",
    ),
    key(
        "broker.publish_window",
        Some("512"),
        Form::integer(1, 1_000, |s| &mut s.broker.publish_window),
        "How many publishes may wait for their confirm on one channel.",
    ),
    key(
        "broker.heartbeat",
        Some("10s"),
        Form::duration(seconds(1), seconds(300), |s| &mut s.broker.heartbeat),
        "The AMQP heartbeat: two missed ones end the connection.",
    ),
    key(
        "broker.connect_timeout",
        Some("5s"),
        Form::duration(ms(10), seconds(120), |s| &mut s.broker.connect_timeout),
        "How long one attempt to connect to RabbitMQ may take; shared by the nodes of a cluster that are tried.",
    ),
    key(
        "broker.consumer_timeout",
        Some("30m"),
        Form::duration(seconds(1), days(365), |s| &mut s.broker.consumer_timeout),
        "RabbitMQ's own `consumer_timeout`: how long a delivery may be held there.",
    ),
    key(
        "store.url",
        None,
        Form::Url {
            schemes: REDIS,
            example: "redis://user:password@host:6379/0",
            slot: |s| &mut s.store.url,
        },
        "Redis with user, password and database; `redis-sentinel://host,host/primary/0` for the primary that sentinels name, `redis-cluster://host,host` for a cluster; absent: the embedded store.",
    ),
    key(
        "store.response_timeout",
        Some("500ms"),
        Form::duration(ms(10), seconds(60), |s| &mut s.store.response_timeout),
        "How long one Redis command may take.",
    ),
    key(
        "store.connect_timeout",
        Some("2s"),
        Form::duration(ms(10), seconds(120), |s| &mut s.store.connect_timeout),
        "How long one attempt to connect to Redis may take.",
    ),
    key(
        "gateway.listen",
        Some("127.0.0.1:7878"),
        Form::Address(|s| &mut s.gateway.listen),
        "Where the gateway listens.",
    ),
    key(
        "gateway.token_file",
        None,
        Form::File(|s| &mut s.gateway.token_file),
        "The file of accepted tokens; absent: only this machine is served.",
    ),
    key(
        "gateway.max_batch",
        Some("10000"),
        Form::integer(1, 100_000, |s| &mut s.gateway.max_batch),
        "How many tasks one NDJSON request may hold.",
    ),
    key(
        "gateway.max_body",
        Some("32MiB"),
        Form::size(ByteSize::from_kib(1), ByteSize::from_mib(1_024), |s| &mut s.gateway.max_body),
        "How large a request body may be.",
    ),
    key(
        "gateway.request_timeout",
        Some("70s"),
        Form::duration(seconds(1), seconds(3_600), |s| &mut s.gateway.request_timeout),
        "How long a request may take; a wait for a result (at most 60s) is part of it.",
    ),
    key(
        "gateway.url",
        Some("http://127.0.0.1:7878"),
        Form::HttpUrl(|s| &mut s.gateway.url),
        "Where operator commands find the gateway; follows `gateway.listen`.",
    ),
    key(
        "gateway.token",
        None,
        Form::Secret(|s| &mut s.gateway.token),
        "What operator commands send as their token.",
    ),
    key(
        "limits.payload",
        Some("1MiB"),
        Form::size(ByteSize::from_bytes(1), ByteSize::from_mib(8), |s| &mut s.limits.payload),
        "How large a task's args may be.",
    ),
    key(
        "worker.slots",
        Some("16"),
        Form::integer(1, 4_096, |s| &mut s.worker.slots),
        "How many tasks a worker runs at once.",
    ),
    key(
        "worker.queues",
        Some("default"),
        Form::Queues(|s| &mut s.worker.queues),
        "The queues a worker serves. Not given, it also serves those that its kinds name.",
    ),
    key(
        "worker.classes",
        Some("critical,high,normal,low"),
        Form::Classes(|s| &mut s.worker.classes),
        "The classes a worker serves.",
    ),
    key(
        "worker.weights",
        Some("8,4,2,1"),
        Form::Weights(|s| &mut s.worker.weights),
        "The share of each class; follows `worker.classes` (critical 8, high 4, normal 2, low 1).",
    ),
    key(
        "worker.picker",
        Some("weighted"),
        Form::Picker(|s| &mut s.worker.picker),
        "How a worker picks between classes: by share, or always the most urgent first.",
    ),
    key(
        "worker.grace",
        Some("25s"),
        Form::duration(ms(0), days(1), |s| &mut s.worker.grace),
        "How long running tasks may go on after SIGTERM.",
    ),
    key(
        "worker.listen",
        Some("127.0.0.1:7879"),
        Form::AddressOrOff(|s| &mut s.worker.listen),
        "Where a worker answers `/livez`, `/readyz` and `/metrics`.",
    ),
    key(
        "worker.heartbeat",
        Some("5s"),
        Form::duration(ms(50), seconds(300), |s| &mut s.worker.heartbeat),
        "How often a worker renews its claims.",
    ),
    key(
        "worker.heartbeat_ttl",
        Some("15s"),
        Form::duration(ms(150), seconds(3_600), |s| &mut s.worker.heartbeat_ttl),
        "How long claims live without renewal; at least three heartbeats.",
    ),
    key(
        "worker.max_crashes",
        Some("3"),
        Form::integer(1, 100, |s| &mut s.worker.max_crashes),
        "How many crashes of its worker a task may cause before it is dead.",
    ),
    key(
        "worker.timeout",
        Some("10m"),
        Form::duration(ms(10), days(30), |s| &mut s.worker.timeout),
        "The time limit of a kind that names none.",
    ),
    key(
        "worker.soft_grace",
        Some("5s"),
        Form::duration(ms(0), seconds(3_600), |s| &mut s.worker.soft_grace),
        "The time between the soft and the hard limit.",
    ),
    key(
        "beat.file",
        None,
        Form::File(|s| &mut s.beat.file),
        "The timetable file; absent: `schedules.toml` in the working folder, where there is one.",
    ),
    key(
        "beat.listen",
        Some("127.0.0.1:7880"),
        Form::AddressOrOff(|s| &mut s.beat.listen),
        "Where a beat answers `/livez`, `/readyz` and `/metrics`.",
    ),
    key(
        "beat.lease",
        Some("5s"),
        Form::duration(ms(500), seconds(60), |s| &mut s.beat.lease),
        "How long a leading beat that is silent keeps the others waiting.",
    ),
    key(
        "beat.lead",
        Some("200ms"),
        Form::duration(ms(0), ms(250), |s| &mut s.beat.lead),
        "How early a beat may publish an occurrence, at most; it is not started early.",
    ),
    key(
        "outbox.url",
        None,
        Form::Database(|s| &mut s.outbox.url),
        "The database with the outbox of your own application, for `leveret relay` and `leveret dev`.",
    ),
    key(
        "outbox.kept",
        Some("0s"),
        Form::duration(ms(0), days(365), |s| &mut s.outbox.kept),
        "How long a row stays in the outbox after it was handed on; 0s: it is deleted then.",
    ),
    key(
        "relay.batch",
        Some("500"),
        Form::integer(1, 1_000, |s| &mut s.relay.batch),
        "How many rows a relay takes at once.",
    ),
    key(
        "relay.poll",
        Some("1s"),
        Form::duration(ms(10), seconds(60), |s| &mut s.relay.poll),
        "How often a relay looks into the outbox when nothing wakes it.",
    ),
    key(
        "relay.listen",
        Some("127.0.0.1:7881"),
        Form::AddressOrOff(|s| &mut s.relay.listen),
        "Where a relay answers `/livez`, `/readyz` and `/metrics`.",
    ),
    key(
        "retention.done",
        Some("1h"),
        Form::duration(seconds(1), days(365), |s| &mut s.retention.done),
        "How long the ledger refuses to run a completed task again.",
    ),
    key(
        "retention.result",
        Some("1d"),
        Form::duration(seconds(1), days(365), |s| &mut s.retention.result),
        "How long results are kept.",
    ),
    key(
        "retention.record",
        Some("1d"),
        Form::duration(seconds(1), days(365), |s| &mut s.retention.record),
        "How long records are kept.",
    ),
    key(
        "records.enqueue",
        Some("true"),
        Form::Boolean(|s| &mut s.records.enqueue),
        "Whether an enqueue writes a record beside its confirm.",
    ),
    key(
        "celery.results",
        Some("true"),
        Form::Boolean(|s| &mut s.celery.results),
        "Whether Celery clients find the results of their tasks, as in Celery's Redis backend.",
    ),
    key(
        "celery.results_url",
        None,
        Form::Url {
            schemes: REDIS,
            example: "redis://user:password@host:6379/1",
            slot: |s| &mut s.celery.results_url,
        },
        "The Redis where they look, their `result_backend`; absent: that of `store.url`.",
    ),
    key(
        "log.level",
        Some("info"),
        Form::Level(|s| &mut s.log.level),
        "The least severe level that is written.",
    ),
    key(
        "log.format",
        Some("auto"),
        Form::Format(|s| &mut s.log.format),
        "How a log line looks; auto is text.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::Settings;
    use crate::config::value::Raw;

    #[test]
    fn the_default_text_of_every_key_is_the_default_of_the_settings() {
        for key in KEYS {
            let mut settings = Settings::default();
            let shown = key.form.show(&mut settings);
            let Some(default) = key.default else {
                assert_eq!(shown, None, "{}", key.path);
                continue;
            };
            key.form.set(&mut settings, &Raw::Untyped(default.to_owned())).unwrap();
            assert_eq!(settings, Settings::default(), "{}", key.path);
            assert_eq!(shown.as_deref(), Some(default), "{}", key.path);
        }
    }

    #[test]
    fn no_two_keys_share_a_path_a_variable_or_a_flag() {
        type Face = fn(&Key) -> String;
        let faces: [Face; 3] = [|key| key.path.to_owned(), Key::variable, Key::flag];
        for face in faces {
            let mut all = KEYS.iter().map(face).collect::<Vec<_>>();
            all.sort();
            all.dedup();
            assert_eq!(all.len(), KEYS.len());
        }
        let file_variables = KEYS.iter().filter_map(Key::file_variable).collect::<Vec<_>>();
        assert_eq!(
            file_variables,
            [
                "LEVERET_BROKER_URL_FILE",
                "LEVERET_STORE_URL_FILE",
                "LEVERET_OUTBOX_URL_FILE",
                "LEVERET_CELERY_RESULTS_URL_FILE"
            ]
        );
    }
}
