//! Every metric, label and log field of Leveret, by name.
//!
//! The only place where such a name is written; counting and logging happen elsewhere with these
//! constants. `docs/telemetry.md` shows the same tables, and a test keeps both equal. Guards that
//! metrics stay few: no label ever holds a task id, a key or anything else without a bound.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Tasks that a producer tried to enqueue.
pub const TASKS_ENQUEUED: &str = "leveret_tasks_enqueued_total";
/// From a publish to the broker's confirm.
pub const PUBLISH_CONFIRM_SECONDS: &str = "leveret_publish_confirm_seconds";
/// Deliveries a worker received.
pub const TASKS_RECEIVED: &str = "leveret_tasks_received_total";
/// Attempts that ended.
pub const ATTEMPTS: &str = "leveret_attempts_total";
/// How long attempts ran.
pub const ATTEMPT_SECONDS: &str = "leveret_attempt_seconds";
/// From due to start.
pub const WAIT_SECONDS: &str = "leveret_wait_seconds";
/// Answers of the ledger to claims.
pub const CLAIMS: &str = "leveret_claims_total";
/// Tasks that were parked.
pub const PARKS: &str = "leveret_parks_total";
/// Tasks taken over from a dead owner.
pub const TAKEOVERS: &str = "leveret_takeovers_total";
/// Slots that run a task.
pub const SLOTS_IN_USE: &str = "leveret_slots_in_use";
/// Slots there are.
pub const SLOTS: &str = "leveret_slots";
/// Heartbeat renewals.
pub const HEARTBEATS: &str = "leveret_heartbeats_total";
/// How long store operations took.
pub const STORE_OPERATION_SECONDS: &str = "leveret_store_operation_seconds";
/// Connections to the broker made again.
pub const BROKER_RECONNECTS: &str = "leveret_broker_reconnects_total";
/// HTTP requests answered.
pub const GATEWAY_REQUESTS: &str = "leveret_gateway_requests_total";
/// How long HTTP requests took.
pub const GATEWAY_REQUEST_SECONDS: &str = "leveret_gateway_request_seconds";
/// Whether this beat leads.
pub const BEAT_LEADS: &str = "leveret_beat_leads";
/// Schedules that this beat has in memory.
pub const SCHEDULES: &str = "leveret_schedules";
/// Occurrences by what became of them.
pub const OCCURRENCES: &str = "leveret_occurrences_total";
/// From planned to confirmed.
pub const LATENESS_SECONDS: &str = "leveret_occurrence_lateness_seconds";
/// How long before it is planned an occurrence is handed to the broker.
pub const LEAD_SECONDS: &str = "leveret_beat_lead_seconds";
/// How long the oldest occurrence is overdue.
pub const LAG_SECONDS: &str = "leveret_beat_lag_seconds";
/// When a schedule was last put in.
pub const LAST_SUCCESS: &str = "leveret_schedule_last_success_timestamp_seconds";
/// Rows of the outbox by what became of them.
pub const OUTBOX_ROWS: &str = "leveret_outbox_rows_total";
/// From when a row was written to the confirm.
pub const OUTBOX_SECONDS: &str = "leveret_outbox_seconds";
/// Rows that wait to be handed on.
pub const OUTBOX_WAITING: &str = "leveret_outbox_waiting";
/// Rows that were refused and not mended.
pub const OUTBOX_REFUSED: &str = "leveret_outbox_refused";
/// How long the first row waits.
pub const OUTBOX_LAG_SECONDS: &str = "leveret_outbox_lag_seconds";

/// Names of metric labels.
pub mod label {
    /// The queue.
    pub const QUEUE: &str = "queue";
    /// The class.
    pub const CLASS: &str = "class";
    /// The kind, one of those this worker has a handler for, else `unknown`.
    pub const KIND: &str = "kind";
    /// How it went.
    pub const OUTCOME: &str = "outcome";
    /// What the ledger said.
    pub const ANSWER: &str = "answer";
    /// Why it was done.
    pub const CAUSE: &str = "cause";
    /// The method of the seam.
    pub const OPERATION: &str = "operation";
    /// Which connection.
    pub const CONNECTION: &str = "connection";
    /// The pattern of the route, never the path.
    pub const ROUTE: &str = "route";
    /// The HTTP method.
    pub const METHOD: &str = "method";
    /// The HTTP status.
    pub const STATUS: &str = "status";
    /// The schedule.
    pub const SCHEDULE: &str = "schedule";
}

/// Names of log fields.
pub mod field {
    /// Task id.
    pub const TASK: &str = "task";
    /// Kind.
    pub const KIND: &str = "kind";
    /// Queue.
    pub const QUEUE: &str = "queue";
    /// Class.
    pub const CLASS: &str = "class";
    /// Lane.
    pub const LANE: &str = "lane";
    /// Attempt.
    pub const ATTEMPT: &str = "attempt";
    /// Replay.
    pub const REPLAY: &str = "replay";
    /// Fence.
    pub const FENCE: &str = "fence";
    /// Worker incarnation.
    pub const OWNER: &str = "owner";
    /// Outcome.
    pub const OUTCOME: &str = "outcome";
    /// Dead reason.
    pub const REASON: &str = "reason";
    /// Error class.
    pub const ERROR_CLASS: &str = "error_class";
    /// Error text.
    pub const ERROR: &str = "error";
    /// Wait in ms.
    pub const DELAY_MS: &str = "delay_ms";
    /// Duration in ms.
    pub const ELAPSED_MS: &str = "elapsed_ms";
    /// Count.
    pub const COUNT: &str = "count";
    /// Signal.
    pub const SIGNAL: &str = "signal";
    /// Server.
    pub const ENDPOINT: &str = "endpoint";
    /// Connection number.
    pub const GENERATION: &str = "generation";
    /// Operation.
    pub const OPERATION: &str = "operation";
    /// Schedule.
    pub const SCHEDULE: &str = "schedule";
    /// Revision of a schedule.
    pub const REVISION: &str = "revision";
    /// Epoch of a leader.
    pub const EPOCH: &str = "epoch";
    /// Path of a file.
    pub const FILE: &str = "file";
    /// A step of a plan.
    pub const CHANGE: &str = "change";
    /// Row of an outbox.
    pub const ROW: &str = "row";
}

/// What a metric counts up, shows or sorts into buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricType {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Sorted into buckets, the same for all.
    Histogram,
}

/// One metric, as documented.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub metric_type: MetricType,
    /// What is counted or measured.
    pub unit: &'static str,
    /// Its labels, each with the values it can have; none listed means they come from the config.
    pub labels: &'static [(&'static str, &'static [&'static str])],
    /// What it tells.
    pub meaning: &'static str,
}

/// Every metric.
pub const METRICS: &[Metric] = &[
    Metric {
        name: TASKS_ENQUEUED,
        metric_type: MetricType::Counter,
        unit: "tasks",
        labels: &[
            (label::QUEUE, &[]),
            (label::CLASS, &[]),
            (
                label::OUTCOME,
                &[
                    "ok",
                    "rejected",
                    "unroutable",
                    "too-large",
                    "blocked",
                    "unavailable",
                    "unknown",
                    "topology",
                ],
            ),
        ],
        meaning: "Tasks handed to the broker, by how that ended; `unknown`: no confirm came in time; `topology`: what is there differs from what would be declared. What is refused before, or repeated, does not count.",
    },
    Metric {
        name: PUBLISH_CONFIRM_SECONDS,
        metric_type: MetricType::Histogram,
        unit: "seconds",
        labels: &[],
        meaning: "From handing a message to the broker's client to its confirm.",
    },
    Metric {
        name: TASKS_RECEIVED,
        metric_type: MetricType::Counter,
        unit: "tasks",
        labels: &[(label::QUEUE, &[]), (label::CLASS, &[])],
        meaning: "Deliveries that a worker received, redeliveries included.",
    },
    Metric {
        name: ATTEMPTS,
        metric_type: MetricType::Counter,
        unit: "attempts",
        labels: &[
            (label::KIND, &[]),
            (label::OUTCOME, &["done", "retry", "snooze", "dead", "cancelled", "released"]),
        ],
        meaning: "Attempts by how they ended, a dead worker's included that were finished here; `released` were given back by a drain.",
    },
    Metric {
        name: ATTEMPT_SECONDS,
        metric_type: MetricType::Histogram,
        unit: "seconds",
        labels: &[(label::KIND, &[])],
        meaning: "How long the handler ran.",
    },
    Metric {
        name: WAIT_SECONDS,
        metric_type: MetricType::Histogram,
        unit: "seconds",
        labels: &[(label::QUEUE, &[]), (label::CLASS, &[])],
        meaning: "From the enqueue (known in whole seconds), or from when a delayed, parked or retried task was due, to the start of the attempt.",
    },
    Metric {
        name: CLAIMS,
        metric_type: MetricType::Counter,
        unit: "claims",
        labels: &[(label::ANSWER, &["claimed", "resume", "busy", "settled", "stale", "again"])],
        meaning: "What the ledger answered to claims.",
    },
    Metric {
        name: PARKS,
        metric_type: MetricType::Counter,
        unit: "tasks",
        labels: &[(
            label::CAUSE,
            &[
                "busy",
                "early",
                "detached",
                "turn",
                "unknown-kind",
                "version",
                "nameless",
                "class",
                "malformed",
                "unreadable",
            ],
        )],
        meaning: "Deliveries moved on instead of being run: into a delay queue; `nameless` back to the lane with an id; `class` to the lane that a Celery client asked for with a priority; `malformed`, and `version` after the deploy window, to the dead letters. `unreadable`: the store holds what cannot be read. `detached`: the copy that stands for a long task. `turn`: a task that had crashed workers could not run alone soon enough.",
    },
    Metric {
        name: TAKEOVERS,
        metric_type: MetricType::Counter,
        unit: "tasks",
        labels: &[],
        meaning: "Tasks taken over from an owner found dead.",
    },
    Metric {
        name: SLOTS_IN_USE,
        metric_type: MetricType::Gauge,
        unit: "slots",
        labels: &[],
        meaning: "Slots of this worker that run a task.",
    },
    Metric {
        name: SLOTS,
        metric_type: MetricType::Gauge,
        unit: "slots",
        labels: &[],
        meaning: "Slots this worker has.",
    },
    Metric {
        name: HEARTBEATS,
        metric_type: MetricType::Counter,
        unit: "renewals",
        labels: &[(label::OUTCOME, &["kept", "failed", "absent"])],
        meaning: "Renewals of the worker's heartbeat; `absent` found none in the store: the first one, one that came too late, or one after a wipe.",
    },
    Metric {
        name: STORE_OPERATION_SECONDS,
        metric_type: MetricType::Histogram,
        unit: "seconds",
        labels: &[(label::OPERATION, &[]), (label::OUTCOME, &["ok", "error"])],
        meaning: "How long one call to the store took, whatever the size of its batch; `operation` is the method of the seam; those of the timetable begin with `schedules_`.",
    },
    Metric {
        name: BROKER_RECONNECTS,
        metric_type: MetricType::Counter,
        unit: "connections",
        labels: &[(label::CONNECTION, &["publish", "consume"])],
        meaning: "Connections to the broker that were lost and made again.",
    },
    Metric {
        name: GATEWAY_REQUESTS,
        metric_type: MetricType::Counter,
        unit: "requests",
        labels: &[(label::ROUTE, &[]), (label::METHOD, &[]), (label::STATUS, &[])],
        meaning: "HTTP requests answered; `route` is the pattern, such as `/v1/tasks/{id}`.",
    },
    Metric {
        name: GATEWAY_REQUEST_SECONDS,
        metric_type: MetricType::Histogram,
        unit: "seconds",
        labels: &[(label::ROUTE, &[]), (label::METHOD, &[])],
        meaning: "How long HTTP requests took, the wait asked for with `?wait=` included.",
    },
    Metric {
        name: BEAT_LEADS,
        metric_type: MetricType::Gauge,
        unit: "beats",
        labels: &[],
        meaning: "1 while this beat leads, else 0; the sum over all beats is 1, but for moments.",
    },
    Metric {
        name: SCHEDULES,
        metric_type: MetricType::Gauge,
        unit: "schedules",
        labels: &[],
        meaning: "Schedules that this beat has in memory.",
    },
    Metric {
        name: OCCURRENCES,
        metric_type: MetricType::Counter,
        unit: "occurrences",
        labels: &[(
            label::OUTCOME,
            &["fired", "caught-up", "queued", "waiting", "missed", "overlap", "refused", "failed"],
        )],
        meaning: "Occurrences by what became of them: put in on time, late because they were missed, or once the previous one was over (`queued`, having been `waiting`); left out because they were `missed`, because of an `overlap`, or `refused` for good. `failed` counts tries that are repeated.",
    },
    Metric {
        name: LATENESS_SECONDS,
        metric_type: MetricType::Histogram,
        unit: "seconds",
        labels: &[],
        meaning: "From when an occurrence was to be put in, its jitter included, to the broker's confirm; 0 where that came before. Without those that were missed or waited for the previous one.",
    },
    Metric {
        name: LEAD_SECONDS,
        metric_type: MetricType::Gauge,
        unit: "seconds",
        labels: &[],
        meaning: "How long before it is due an occurrence is handed to the broker now; it follows the time that confirms take.",
    },
    Metric {
        name: LAG_SECONDS,
        metric_type: MetricType::Gauge,
        unit: "seconds",
        labels: &[],
        meaning: "How long the oldest occurrence that is due has not been confirmed; 0 where none is, and where this beat does not lead.",
    },
    Metric {
        name: LAST_SUCCESS,
        metric_type: MetricType::Gauge,
        unit: "seconds",
        labels: &[(label::SCHEDULE, &[])],
        meaning: "When an occurrence of the schedule was last confirmed, in seconds since 1970, by this beat; for the first 1,000 schedules that it put in since it began.",
    },
    Metric {
        name: OUTBOX_ROWS,
        metric_type: MetricType::Counter,
        unit: "rows",
        labels: &[(label::OUTCOME, &["sent", "repeated", "refused", "waits"])],
        meaning: "Rows of the outbox that a relay took, by what became of them: the broker confirmed the task; it had been accepted before; it can never be accepted as it stands; or it waits for another try by itself. What is taken while the broker is away does not count.",
    },
    Metric {
        name: OUTBOX_SECONDS,
        metric_type: MetricType::Histogram,
        unit: "seconds",
        labels: &[],
        meaning: "From when a row was written, before its transaction was committed, to the broker's confirm, by the database's clock.",
    },
    Metric {
        name: OUTBOX_WAITING,
        metric_type: MetricType::Gauge,
        unit: "rows",
        labels: &[],
        meaning: "Rows that wait to be handed on, as this relay last saw them; 100,000 where there are more.",
    },
    Metric {
        name: OUTBOX_REFUSED,
        metric_type: MetricType::Gauge,
        unit: "rows",
        labels: &[],
        meaning: "Rows that were refused and that nobody has mended or deleted; 100,000 where there are more.",
    },
    Metric {
        name: OUTBOX_LAG_SECONDS,
        metric_type: MetricType::Gauge,
        unit: "seconds",
        labels: &[],
        meaning: "How long ago the first row that waits was written; 0 where none waits.",
    },
];

/// Every log field, with what it holds.
pub const FIELDS: &[(&str, &str)] = &[
    (field::TASK, "The task's id."),
    (field::KIND, "The task's kind."),
    (field::QUEUE, "The queue."),
    (field::CLASS, "The class."),
    (field::LANE, "Queue and class, as in `mail.high`."),
    (field::ATTEMPT, "The number of the attempt, from 1."),
    (field::REPLAY, "How often an operator started the task afresh."),
    (field::FENCE, "The number of the claim."),
    (field::OWNER, "The worker incarnation."),
    (field::OUTCOME, "What the attempt decided."),
    (field::REASON, "The dead reason, from `dead-reasons.md`."),
    (field::ERROR_CLASS, "The class of an error."),
    (field::ERROR, "The text of an error, with its causes."),
    (field::DELAY_MS, "How long is waited before the next try, in milliseconds."),
    (field::ELAPSED_MS, "How long something took, in milliseconds."),
    (field::COUNT, "How many there are of what the message names."),
    (field::SIGNAL, "The signal that was received."),
    (field::ENDPOINT, "Host and port, or the file; never a password."),
    (field::GENERATION, "Which connection to the broker, counted from the start of the process."),
    (field::OPERATION, "The method of the seam that was called."),
    (field::SCHEDULE, "The schedule."),
    (field::REVISION, "How often the schedule was changed."),
    (field::EPOCH, "Under which epoch a beat leads."),
    (field::FILE, "The path of a file."),
    (field::CHANGE, "A line of what changes in the timetable."),
    (field::ROW, "The number of a row in the outbox (`seq`)."),
];

/// Describes every metric to the recorder that is installed.
pub fn describe() {
    for metric in METRICS {
        let unit = if metric.unit == "seconds" { Unit::Seconds } else { Unit::Count };
        match metric.metric_type {
            MetricType::Counter => describe_counter!(metric.name, unit, metric.meaning),
            MetricType::Gauge => describe_gauge!(metric.name, unit, metric.meaning),
            MetricType::Histogram => describe_histogram!(metric.name, unit, metric.meaning),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../docs/telemetry.md");
    const SOURCE: &str = include_str!("names.rs");

    fn metric_row(metric: &Metric) -> String {
        let labels: Vec<_> = metric
            .labels
            .iter()
            .map(|(name, values)| match values {
                [] => format!("`{name}`"),
                values => format!("`{name}` ({})", values.join(", ")),
            })
            .collect();
        let metric_type = format!("{:?}", metric.metric_type).to_lowercase();
        let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
        format!(
            "| `{}` | {metric_type} | {} | {labels} | {} |",
            metric.name, metric.unit, metric.meaning
        )
    }

    fn rows_of(section: &str) -> Vec<&'static str> {
        let start = PAGE.find(section).unwrap_or_else(|| panic!("the page has no `{section}`"));
        let body = &PAGE[start + section.len()..];
        let body = body.split("\n## ").next().unwrap();
        body.lines().filter(|line| line.starts_with("| `")).collect()
    }

    fn constants_in(range: &'static str) -> impl Iterator<Item = &'static str> {
        let lines = range.lines().filter(|line| line.trim_start().starts_with("pub const "));
        lines.filter_map(|line| line.split_once(": &str = \"")?.1.strip_suffix("\";"))
    }

    #[test]
    fn the_page_shows_exactly_the_metrics_there_are() {
        let expected: Vec<_> = METRICS.iter().map(metric_row).collect();
        assert_eq!(rows_of("\n## Metrics\n"), expected, "write:\n{}", expected.join("\n"));
    }

    #[test]
    fn the_page_shows_exactly_the_log_fields_there_are() {
        let row = |(name, meaning): &(&str, &str)| format!("| `{name}` | {meaning} |");
        let expected: Vec<_> = FIELDS.iter().map(row).collect();
        assert_eq!(rows_of("\n## Log fields\n"), expected, "write:\n{}", expected.join("\n"));
    }

    #[test]
    fn no_constant_is_missing_from_the_tables() {
        let (metrics, rest) = SOURCE.split_once("pub mod label {").unwrap();
        let (labels, rest) = rest.split_once("pub mod field {").unwrap();
        let fields = rest.split_once("\n}\n").unwrap().0;
        let listed: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(constants_in(metrics).collect::<Vec<_>>(), listed);
        let listed: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
        assert_eq!(constants_in(fields).collect::<Vec<_>>(), listed);
        let used =
            |name: &str| METRICS.iter().any(|m| m.labels.iter().any(|(label, _)| *label == name));
        assert!(constants_in(labels).count() >= 11);
        assert_eq!(constants_in(labels).find(|name| !used(name)), None);
    }

    /// Returns every source file below `folder`.
    fn sources(folder: &std::path::Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let read = |path: std::path::PathBuf| match path.is_dir() {
            true => sources(&path),
            false => vec![std::fs::read_to_string(&path).unwrap()],
        };
        entries.flat_map(read).collect()
    }

    /// Returns the metrics that a source counts, each with the values it writes out for labels.
    fn counted(source: &str) -> impl Iterator<Item = (&str, Vec<(&str, &str)>)> {
        source.split("names::").skip(1).filter_map(|rest| {
            let (metric, arguments) = rest.split_once(", label::")?;
            let arguments = arguments.split_once(").")?.0;
            let pairs = arguments.split("label::").filter_map(|pair| {
                let (label, value) = pair.split_once(" => ")?;
                Some((label, value.strip_prefix('"')?.split_once('"')?.0))
            });
            Some((metric, pairs.collect()))
        })
    }

    #[test]
    fn no_value_that_a_worker_writes_for_a_label_is_missing_from_the_table() {
        let constant = |name: &str| {
            let begins = format!("pub const {name}: &str = \"");
            let (_, rest) = SOURCE.split_once(&begins).unwrap();
            rest.split_once('"').unwrap().0
        };
        let mut seen = 0;
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../worker/src");
        for source in sources(&folder) {
            let one_line = source.split_whitespace().collect::<Vec<_>>().join(" ");
            let one_line = one_line.replace(") .", ").");
            for (metric, pairs) in counted(&one_line) {
                for (label, value) in pairs {
                    let (metric, label) = (constant(metric), constant(label));
                    let found = METRICS.iter().find(|listed| listed.name == metric).unwrap();
                    let values = found.labels.iter().find(|(name, _)| *name == label).unwrap().1;
                    assert!(values.contains(&value), "{}: {label} {value}", found.name);
                    seen += 1;
                }
            }
        }
        assert!(seen >= 4, "{seen} values were found; has the way to write them changed?");
    }

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        for Metric { name, metric_type, unit, .. } in METRICS {
            assert!(name.starts_with("leveret_"), "{name}");
            let suffix = match metric_type {
                MetricType::Counter => "_total",
                MetricType::Gauge => "",
                MetricType::Histogram => "_seconds",
            };
            assert!(name.ends_with(suffix), "{name}");
            assert_eq!(*unit == "seconds", name.ends_with("_seconds"), "{name}");
        }
    }
}
