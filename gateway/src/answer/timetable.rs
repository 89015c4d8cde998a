//! Of what is done to the timetable as a whole, and of tasks that somebody asks for beside the clock.

use leveret_beat::definition::{Flaw, Written};
use leveret_beat::timetable::{Applied, Backfilled, Difference, Left, Plan, PutIn, Reason, What};
use leveret_common::clock::Millis;
use leveret_common::id::TaskId;
use leveret_common::name::ScheduleName;
use leveret_common::schedule::Source;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::openapi::{fleet, name};
use crate::operations::schedules::Extent;
use crate::operations::time::text as time;

/// A task that somebody asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PutIn)]
pub(crate) struct PutInAnswer {
    #[schema(value_type = name::TaskId)]
    pub(crate) id: TaskId,
    /// Its instant. Left out where the task was put in before and nobody remembers for when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::Instant>)]
    due: Option<String>,
    /// Whether the key put it in before; left out where it did not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeated: bool,
}

impl From<&PutIn> for PutInAnswer {
    fn from(put: &PutIn) -> Self {
        Self { id: put.task, due: put.due.map(time), repeated: put.is_repeated }
    }
}

/// What a backfill did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Backfilled)]
pub(crate) struct BackfilledAnswer {
    /// The `Idempotency-Key` with which it can be repeated, or gone on with.
    key: String,
    /// The tasks, the oldest first; at most 1,000.
    tasks: Vec<PutInAnswer>,
    /// From where to go on; `null` where there is no more.
    #[schema(value_type = Option<name::Instant>, required = true)]
    rest: Option<String>,
}

impl From<Backfilled> for BackfilledAnswer {
    fn from(Backfilled { nonce, tasks, rest }: Backfilled) -> Self {
        let tasks = tasks.iter().map(PutInAnswer::from).collect();
        // The timetable goes on behind an instant, a request from one on.
        let rest = rest.map(|rest| time(Millis(rest.0 + 1)));
        Self { key: nonce, tasks, rest }
    }
}

/// What lies in a range.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Extent)]
pub(crate) struct ExtentAnswer {
    /// How many occurrences.
    count: u64,
    /// Whether that is all of them.
    complete: bool,
    #[schema(value_type = Option<name::Instant>, required = true)]
    first: Option<String>,
    #[schema(value_type = Option<name::Instant>, required = true)]
    last: Option<String>,
}

impl From<Extent> for ExtentAnswer {
    fn from(Extent { count, more, first, last }: Extent) -> Self {
        Self { count, complete: !more, first: first.map(time), last: last.map(time) }
    }
}

/// What is to be done so that the timetable holds what somebody wants.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
pub(crate) struct PlanAnswer {
    #[schema(value_type = fleet::Source)]
    source: Source,
    create: usize,
    change: usize,
    delete: usize,
    keep: usize,
    left: usize,
    /// All but those that are kept.
    steps: Vec<StepAnswer>,
    /// While there are any, nothing is done.
    flaws: Vec<FlawAnswer>,
}

/// What is to be done with one schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanStep)]
struct StepAnswer {
    #[schema(value_type = name::ScheduleName)]
    name: ScheduleName,
    /// `create`, `change`, `delete`; `held` where it comes from elsewhere and `present` where it
    /// says something else, and is left alone.
    #[schema(value_type = fleet::Step)]
    step: &'static str,
    /// What it would say, where it is created; what is wrong with it stands among the flaws.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    definition: Option<Box<RawValue>>,
    /// What would change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<DifferenceAnswer>,
    /// Where the schedule that is left alone comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<fleet::Source>)]
    source: Option<Source>,
}

/// A field that would change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Difference)]
struct DifferenceAnswer {
    field: String,
    /// What it says; `null` where it is at its default.
    #[schema(value_type = Value, required = true)]
    old: Option<Box<RawValue>>,
    /// What it would say; `null` where it is at its default.
    #[schema(value_type = Value, required = true)]
    new: Option<Box<RawValue>>,
}

/// One thing that is wrong with one of many schedules.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanFlaw)]
struct FlawAnswer {
    /// The name of the schedule, or else its place: `line 7`, or `[7]` in a list.
    place: String,
    field: String,
    why: String,
    /// The first wrong character of an expression, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    column: Option<usize>,
}

impl PlanAnswer {
    /// Says what `plan` would do; `column` finds where in an expression a mistake stands.
    pub(crate) fn new(plan: Plan, column: impl Fn(&Flaw) -> Option<usize>) -> Self {
        let Plan { source, steps, flaws } = plan;
        let count = |is: fn(&What) -> bool| steps.iter().filter(|step| is(&step.what)).count();
        Self {
            create: count(|what| matches!(what, What::Create { .. })),
            change: count(|what| matches!(what, What::Change { .. })),
            delete: count(|what| matches!(what, What::Delete { .. })),
            keep: count(|what| matches!(what, What::Keep)),
            left: count(|what| matches!(what, What::Held { .. } | What::Present { .. })),
            source,
            steps: steps
                .into_iter()
                .filter_map(|step| StepAnswer::new(step.name, step.what))
                .collect(),
            flaws: flaws.into_iter().map(|flaw| FlawAnswer::new(column(&flaw), flaw)).collect(),
        }
    }
}

impl StepAnswer {
    fn new(name: ScheduleName, what: What) -> Option<Self> {
        let plain =
            Self { name, step: "delete", definition: None, differences: Vec::new(), source: None };
        Some(match what {
            What::Keep => return None,
            What::Create { to, .. } => {
                let definition = serde_json::value::to_raw_value(&Written::new(&to));
                Self { step: "create", definition: definition.ok(), ..plain }
            }
            What::Change { differences, .. } => {
                let differences = differences.into_iter().map(DifferenceAnswer::from).collect();
                Self { step: "change", differences, ..plain }
            }
            What::Delete { .. } => plain,
            What::Held { by } => Self { step: "held", source: Some(by), ..plain },
            What::Present { from } => Self { step: "present", source: Some(from), ..plain },
        })
    }
}

impl From<Difference> for DifferenceAnswer {
    fn from(Difference { field, old, new }: Difference) -> Self {
        let json = |text: Option<String>| text.and_then(|text| RawValue::from_string(text).ok());
        Self { field, old: json(old), new: json(new) }
    }
}

impl FlawAnswer {
    fn new(column: Option<usize>, Flaw { place, problem }: Flaw) -> Self {
        Self { place, field: problem.field, why: problem.why, column }
    }
}

/// What an import did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportedSchedules)]
pub(crate) struct ImportedAnswer {
    #[schema(value_type = Vec<name::ScheduleName>)]
    created: Vec<ScheduleName>,
    #[schema(value_type = Vec<name::ScheduleName>)]
    changed: Vec<ScheduleName>,
    /// How many said the same already.
    kept: usize,
    /// Those that were left alone.
    left: Vec<LeftAnswer>,
}

/// A schedule that an import left alone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LeftSchedule)]
struct LeftAnswer {
    #[schema(value_type = name::ScheduleName)]
    name: ScheduleName,
    /// `held`: it comes from elsewhere; `present`: it says something else, and `replace` was not
    /// asked for; `lost`: somebody changed it just then.
    #[schema(value_type = fleet::Left)]
    why: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<fleet::Source>)]
    source: Option<Source>,
}

impl From<Applied> for ImportedAnswer {
    fn from(applied: Applied) -> Self {
        let names = |named: Vec<(ScheduleName, u32)>| named.into_iter().map(|(name, _)| name);
        let left = |left: Left| {
            let (why, source) = match left.why {
                Reason::Held(by) => ("held", Some(by)),
                Reason::Present(from) => ("present", Some(from)),
                Reason::Lost => ("lost", None),
            };
            LeftAnswer { name: left.name, why, source }
        };
        Self {
            created: names(applied.created).collect(),
            changed: names(applied.changed).collect(),
            kept: applied.kept,
            left: applied.left.into_iter().map(left).collect(),
        }
    }
}
