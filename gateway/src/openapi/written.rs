//! The bodies that requests are made of, where they are read by hand: tasks and schedules.
//!
//! Nothing here is ever made. That these have the fields which are read, and no others, is seen by
//! the tests.

#![allow(dead_code, reason = "only their schemas are used")]

use std::borrow::Cow;

use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::fleet::{ExportEnd, Source};
use super::name::{
    AnyInstant, Attempts, Class, Count, Days, Description, Duration, Expression, Filter, Json, Key,
    Kind, Missed, QueueName, ScheduleName, SendersId, Tags, reference,
};

/// A task as its sender writes it. What is `null` counts as left out.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({
    "kind": "email.welcome", "args": {"user_id": 7}, "queue": "mail", "key": "welcome-7"
})))]
pub(crate) struct NewTask {
    /// What is to be done.
    kind: Kind,
    /// What the handler is given: any JSON document of at most `limits.payload` bytes; `null` where
    /// it is left out. A kind may have a schema that it must fit.
    #[schema(required = false)]
    args: Json,
    /// Where it waits; the queue of its kind where one is configured, else `default`.
    queue: Option<QueueName>,
    /// How urgent it is; the class of its kind where one is configured, else `normal`.
    class: Option<Class>,
    /// How long it waits before it may start. Not beside `at`.
    delay: Option<Duration>,
    /// Before when it does not start. Not beside `delay`.
    at: Option<AnyInstant>,
    /// The text by which this task, and one only, is put in. The header `Idempotency-Key` is the
    /// same thing. Not beside `id`.
    key: Option<Key>,
    /// The id of the task, or the text that its sender calls it by. Not beside `key`.
    id: Option<SendersId>,
    /// How long it may wait before its first attempt; longer than its delay.
    expires: Option<Duration>,
    /// How long an attempt may take: 1 ms to 30 days.
    timeout: Option<Duration>,
    /// How many attempts it is given.
    max_attempts: Option<Attempts>,
    /// Labels to find it by.
    tags: Option<Tags>,
}

/// What a schedule says: when it is due, and which task is put in then. What is `null` counts as
/// left out.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({
    "when": "0 2 * * *", "zone": "Europe/Berlin", "kind": "report.build", "misfire": "all"
})))]
pub(crate) struct ScheduleDefinition {
    /// When it is due: a cron expression, a macro such as `@daily`, or words.
    when: Expression,
    /// The time zone by whose clock it is due; UTC where it is left out.
    #[schema(examples("Europe/Berlin"))]
    zone: Option<String>,
    /// What is to be done.
    kind: Kind,
    /// What the handler is given; `null` where it is left out.
    #[schema(required = false)]
    args: Json,
    /// Where its tasks wait.
    queue: Option<QueueName>,
    /// How urgent its tasks are.
    class: Option<Class>,
    /// How long a task of it may wait before its first attempt.
    expires: Option<Duration>,
    /// How long an attempt may take: 1 ms to 30 days.
    timeout: Option<Duration>,
    /// How many attempts a task of it is given.
    max_attempts: Option<Attempts>,
    /// Labels of its tasks.
    tags: Option<Tags>,
    /// Before when it is not due.
    start: Option<AnyInstant>,
    /// After when it is not due any more.
    end: Option<AnyInstant>,
    /// Up to how much later than due its tasks are put in, each schedule by its own time; at most
    /// 7 days.
    jitter: Option<Duration>,
    /// What becomes of occurrences that were missed.
    misfire: Option<Misfire>,
    /// What becomes of an occurrence whose predecessor is not over.
    overlap: Option<Overlap>,
    /// Days on which it is not due.
    exclude: Option<Days>,
    /// What it is for.
    description: Option<Description>,
}

/// A schedule with its name.
pub(crate) struct NewSchedule;

impl PartialSchema for NewSchedule {
    /// What the definition says, and the name: one object, because each refuses what it does not
    /// know.
    fn schema() -> RefOr<Schema> {
        let mut schema = ScheduleDefinition::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            let called = object.properties.insert("name".to_owned(), reference("ScheduleName"));
            debug_assert!(called.is_none(), "a definition has no name");
            object.required.insert(0, "name".to_owned());
            object.description = Some("A schedule with its name.".to_owned());
            object.examples = vec![serde_json::json!({
                "name": "report.nightly", "when": "0 2 * * *", "zone": "Europe/Berlin",
                "kind": "report.build"
            })];
        }
        schema
    }
}

impl ToSchema for NewSchedule {
    fn name() -> Cow<'static, str> {
        "NewSchedule".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ScheduleName::name().into_owned(), ScheduleName::schema()));
        ScheduleDefinition::schemas(schemas);
    }
}

/// What becomes of missed occurrences: a policy alone, or all of it.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum Misfire {
    /// The policy; the rest is as usual.
    Policy(MisfirePolicy),
    /// All of it.
    Whole(MisfireRules),
}

/// All that can be said of missed occurrences.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MisfireRules {
    /// What becomes of them.
    policy: Option<MisfirePolicy>,
    /// How late an occurrence counts as missed; at least 1 s.
    after: Option<Duration>,
    /// How long ago an occurrence may be that is caught up with; longer than `after`.
    window: Option<Duration>,
    /// How many are caught up with.
    max: Option<Missed>,
}

/// Leave missed occurrences out, put in the latest one, or put in all of them.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MisfirePolicy {
    Skip,
    Latest,
    All,
}

/// Where the task before is not over: put in the next all the same, leave it out, let it wait, or
/// cancel the one before.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Overlap {
    Allow,
    Skip,
    Queue,
    Cancel,
}

/// A schedule as an export writes it.
#[derive(ToSchema)]
pub(crate) struct ExportedSchedule {
    /// What it is called.
    name: ScheduleName,
    /// Where it comes from.
    source: Source,
    /// Whether it is paused.
    paused: bool,
    /// What it says.
    definition: ScheduleDefinition,
}

/// A schedule as an export wrote it.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportedSchedule {
    /// What it is called.
    name: ScheduleName,
    /// Where it came from; it becomes the importer's.
    #[schema(required = false)]
    source: Json,
    /// Whether it was paused; one that is there already stays as it is.
    paused: Option<bool>,
    /// What it says.
    definition: ScheduleDefinition,
}

/// A schedule as it is carried out, or the end of an export.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum ExportedScheduleLine {
    /// A schedule.
    Schedule(ExportedSchedule),
    /// The last line.
    End(ExportEnd),
}

/// A schedule as an export writes it, or as it is created.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum ImportedScheduleLine {
    /// As an export writes it.
    Exported(ImportedSchedule),
    /// As it is created.
    New(NewSchedule),
    /// The last line of an export, which is passed over.
    End(ExportEnd),
}

/// Which dead letters to discard, and how. Without a filter, `all` has to say that every one is meant.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DiscardDeadLetters, examples(json!({"filter": "queue:mail age>30d", "dry_run": true})))]
pub(crate) struct BulkDiscard {
    /// Which letters.
    filter: Option<Filter>,
    /// Every letter.
    #[schema(required = false)]
    all: bool,
    /// How many a second.
    #[schema(minimum = 0.001, maximum = 1_000_000)]
    rate: Option<f64>,
    /// How many at most.
    limit: Option<Count>,
    /// Only say what it would be about.
    #[schema(required = false)]
    dry_run: bool,
}
