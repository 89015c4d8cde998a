//! The texts that requests and answers are made of, each with its rule: names, ids, times.
//!
//! The rules live with the types in `leveret-common`; here they are told once more as JSON Schema,
//! from the same constants. A test holds each pattern against the type that judges.

use std::borrow::Cow;

use leveret_beat::definition::MAX_DESCRIPTION;
use leveret_beat::expression::MAX_LENGTH;
use leveret_beat::timing::MAX_EXCLUSIONS;
use leveret_common::envelope::DeadReason;
use leveret_common::envelope::header::{MAX_MAX_ATTEMPTS, MAX_TAG, MAX_TAG_NAME, MAX_TAGS};
use leveret_common::filter::MAX_FILTER;
use leveret_common::id::MAX_FOREIGN;
use leveret_common::name::{Class as TaskClass, MAX_KIND, MAX_LABEL, MAX_SCHEDULE};
use leveret_common::schedule::Misfire;
use utoipa::openapi::schema::{
    AdditionalProperties, AnyOf, ArrayBuilder, ObjectBuilder, SchemaFormat, Type,
};
use utoipa::openapi::{KnownFormat, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::request::MAX_BY;
use crate::route::{MAX_WHY, MOST_SLOTS};

/// Text without control characters.
const PRINTABLE: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
/// A duration: whole numbers with units, the largest first.
pub(super) const DURATION: &str =
    "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?([0-9]+us)?([0-9]+ns)?$";
/// An instant as answers write it.
const INSTANT: &str = r"^[0-9]{4,}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$";

/// Names a type of the document that is no type of the code, and says what it is.
macro_rules! named {
    ($($(#[doc = $doc:literal])+ $name:ident = $schema:expr;)+) => {
    $(
        $(#[doc = $doc])+
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let words = concat!($($doc),+).trim();
                let schema: ObjectBuilder = $schema;
                schema.description(Some(words)).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )+

    /// Lists them all: what only parameters are made of is brought by no route.
    pub(super) fn all() -> Vec<(String, RefOr<Schema>)> {
        vec![$((stringify!($name).to_owned(), $name::schema())),+]
    }};
}

named! {
    /// The id of a task: a UUID.
    TaskId = uuid().examples(["01a1fe9d-e25d-74da-9fbc-f0afb0f05a0e"]);
    /// What the sender of a task calls it: a UUID, which is its id, or other text of at most 128
    /// bytes, from which its id is derived.
    SendersId = foreign().examples(["order-7"]);
    /// The text by which a task, and one only, is put in: the same kind and key are the same task.
    /// At most 128 bytes.
    Key = foreign().examples(["welcome-7"]);
    /// The name of a sort of task: dotted words of letters, digits, `-` and `_`.
    Kind = text(Some(1), MAX_KIND)
        .pattern(Some(r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"))
        .examples(["email.welcome"]);
    /// The name of a queue.
    QueueName = text(Some(1), MAX_LABEL)
        .pattern(Some("^[a-z0-9][a-z0-9_-]*$"))
        .examples(["mail"]);
    /// The name of a schedule. None can be called `export`, `import` or `plan`: those are words of
    /// paths.
    ScheduleName = text(Some(1), MAX_SCHEDULE)
        .pattern(Some("^[a-z0-9][a-z0-9._-]*$"))
        .examples(["report.nightly"]);
    /// How urgent a task is. Each queue has a lane for each class.
    Class = one_of(&TaskClass::ALL.map(TaskClass::as_str)).examples(["high"]);
    /// A queue and a class: `mail.high`.
    Lane = text(Some(1), MAX_LABEL + ".critical".len())
        .pattern(Some(r"^[a-z0-9][a-z0-9_-]*\.(critical|high|normal|low)$"))
        .examples(["mail.normal"]);
    /// One process of the fleet, from its start to its end: a UUID.
    Owner = uuid();
    /// Whole numbers with a unit, the largest first: `d`, `h`, `m`, `s`, `ms`, `us`, `ns`. A number
    /// without a unit is refused.
    Duration = ObjectBuilder::new().schema_type(Type::String).pattern(Some(DURATION)).examples(["30s", "1h30m"]);
    /// An instant as answers write it: RFC 3339 in UTC with milliseconds.
    Instant = format(KnownFormat::DateTime)
        .pattern(Some(INSTANT))
        .examples(["2026-11-21T14:58:40.371Z"]);
    /// An instant in a request: RFC 3339 with an offset, not before 1970.
    AnyInstant = format(KnownFormat::DateTime).examples(["2030-01-31T08:00:00Z"]);
    /// Why a task will not be tried again by itself.
    DeadReasonName = one_of(&DeadReason::ALL.map(DeadReason::as_str)).examples(["attempts-exhausted"]);
    /// Which dead letters are meant, in the filter language; empty means all of them.
    Filter = text(None, MAX_FILTER).examples(["kind:email.* age>1h"]);
    /// Who asks: a name in one line. `unknown` where it is left out.
    Actor = text(Some(1), MAX_BY)
        .pattern(Some(r"^[^\u0000-\u001f\u007f]*[^\u0000-\u0020\u007f][^\u0000-\u001f\u007f]*$"))
        .examples(["deploy@box"]);
    /// A key in a header: visible ASCII.
    HeaderKey = text(Some(1), MAX_FOREIGN)
        .pattern(Some("^[!-~]([ -~]*[!-~])?$"))
        .examples(["welcome-7"]);
    /// How long to wait: at most 60 s.
    Wait = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(DURATION))
        .examples(["10s"]);
    /// A path, or what else a text names.
    FilePath = text(Some(1), 4_096).examples(["schedules.toml"]);
    /// A worker or several: an `owner`, a beginning of one that no other has, `host:pid`, or `all`.
    WorkerText = text(Some(1), 256).examples(["all"]);
    /// A place in a list, as the page before named it.
    Cursor = text(Some(48), 48).pattern(Some("^[0-9a-f]*$"));
    /// What the dead letters of a group have in common.
    Grouping = one_of(&["kind", "queue", "reason", "error-class"]);
    /// Where a schedule comes from.
    SourceName = one_of(&["file", "code", "api"]);
    /// Kinds, with `*` for any text and commas between several.
    Kinds = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[A-Za-z0-9._*,-]+$"))
        .examples(["report.*,email.send"]);
    /// How many attempts a task is given, retries included.
    Attempts = number(1, MAX_MAX_ATTEMPTS).examples([8]);
    /// How many missed occurrences are caught up with.
    Missed = number(1, Misfire::MOST).examples([10]);
    /// How many tasks a worker runs at once.
    Slots = number(1, MOST_SLOTS).examples([32]);
    /// How many there are on a page at most; 50 where it is left out.
    Limit = number(1, 1_000).examples([50]);
    /// How many instants to foretell; 5 where it is left out.
    Foretold = number(1, 1_000).examples([5]);
    /// When a schedule is due: a cron expression, a macro such as `@daily`, an interval, or an
    /// instant.
    Expression = text(Some(1), MAX_LENGTH).examples(["0 2 * * *", "@daily"]);
    /// What a schedule is for.
    Description = text(None, MAX_DESCRIPTION);
    /// Why something is done, in one line.
    Why = text(None, MAX_WHY).pattern(Some(PRINTABLE)).examples(["relay down"]);
    /// A file of the page that shows this document.
    DocsFile = one_of(&[
        "start.js",
        "swagger-ui-bundle.js",
        "swagger-ui.css",
        "LICENSE",
        "NOTICE",
        "swagger-ui-bundle.js.LICENSE.txt",
    ]);
    /// How many at most.
    Count = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    /// A revision of a schedule.
    Revision = number(0, u32::MAX).examples([3]);
    /// Labels of a task: names with text.
    Tags = ObjectBuilder::new()
        .schema_type(Type::Object)
        .max_properties(Some(MAX_TAGS))
        .property_names(Some(Schema::from(text(Some(1), MAX_TAG_NAME))))
        .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(Schema::from(
            text(None, MAX_TAG),
        )))))
        .examples([serde_json::json!({ "tenant": "42" })]);
}

/// Where a task stands. There may be states that are newer than the client: accept them.
pub(crate) struct State;

impl PartialSchema for State {
    fn schema() -> RefOr<Schema> {
        let known = [
            "queued",
            "delayed",
            "running",
            "retrying",
            "done",
            "dead",
            "cancelled",
            "expired",
            "discarded",
            "replaced",
        ];
        let words = "Where a task stands. There may be states that are newer than the client: \
                     accept them.";
        AnyOf::builder()
            .item(one_of(&known))
            .item(ObjectBuilder::new().schema_type(Type::String))
            .description(Some(words))
            .examples(["done"])
            .into()
    }
}

impl ToSchema for State {
    fn name() -> Cow<'static, str> {
        "State".into()
    }
}

/// Days on which a schedule is not due: `2027-12-24`, `2027-12-24..2027-12-31`, `12-25`, `sat`.
pub(crate) struct Days;

impl PartialSchema for Days {
    fn schema() -> RefOr<Schema> {
        let words = "Days on which a schedule is not due: `2027-12-24`, `2027-12-24..2027-12-31`, \
                     `12-25`, `sat`.";
        ArrayBuilder::new()
            .items(ObjectBuilder::new().schema_type(Type::String))
            .max_items(Some(MAX_EXCLUSIONS))
            .description(Some(words))
            .examples([serde_json::json!(["2027-12-24..2027-12-31", "12-25", "sat"])])
            .into()
    }
}

impl ToSchema for Days {
    fn name() -> Cow<'static, str> {
        "Days".into()
    }
}

/// Any JSON document.
pub(crate) struct Json;

impl PartialSchema for Json {
    fn schema() -> RefOr<Schema> {
        utoipa::openapi::schema::empty().into()
    }
}

impl ToSchema for Json {
    fn name() -> Cow<'static, str> {
        "Json".into()
    }
}

fn text(least: Option<usize>, most: usize) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).min_length(least).max_length(Some(most))
}

fn foreign() -> ObjectBuilder {
    text(Some(1), MAX_FOREIGN).pattern(Some(PRINTABLE))
}

fn uuid() -> ObjectBuilder {
    let format = SchemaFormat::Custom("uuid".to_owned());
    ObjectBuilder::new().schema_type(Type::String).format(Some(format))
}

fn number(least: u32, most: u32) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least)).maximum(Some(most))
}

fn format(format: KnownFormat) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(format)))
}

fn one_of(names: &[&str]) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names.iter().copied()))
}

/// Points at the schema of this name.
pub(super) fn reference(name: &str) -> RefOr<Schema> {
    Ref::from_schema_name(name).into()
}
