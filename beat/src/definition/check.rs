//! Holds a schedule against every rule: its times, and those of the task that it puts in.

use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::duration::DurationText;
use leveret_common::id::TaskId;
use leveret_common::name::ScheduleName;
use leveret_common::schedule::{Definition, Misfire, MisfirePolicy};
use leveret_producer::{EnqueueError, Problem, Producer, Request};

use crate::timing::Timing;

/// Longest description, in bytes.
pub const MAX_DESCRIPTION: usize = 1_024;
/// What no schedule can be called.
pub const RESERVED: [&str; 3] = ["export", "import", "plan"];
/// An occurrence is not missed before it is this late: beat looks each second.
const LEAST_AFTER: Duration = Duration::from_secs(1);

/// Checks everything that a schedule says, and returns when it is due.
///
/// # Errors
/// Everything that is wrong with it, each with its field.
pub fn check(
    producer: &Producer,
    name: &ScheduleName,
    definition: &Definition,
) -> Result<Timing, Vec<Problem>> {
    let mut problems = Vec::from_iter(name_problem(name));
    problems.extend(task_problems(definition));
    // What no setting decides is told above.
    if let Err(EnqueueError::TooLarge { size, limit }) = producer.check(of_definition(definition)) {
        let why = format!(
            "they have {size} bytes; the limit is {limit} (limits.payload): store them elsewhere \
             and send a reference"
        );
        problems.push(Problem::new("args", why));
    }
    match Timing::new(name, definition) {
        Ok(timing) if problems.is_empty() => Ok(timing),
        timing => {
            problems.extend(timing.err().unwrap_or_default());
            Err(problems)
        }
    }
}

/// Lists everything that is wrong with a schedule, as far as no setting decides it; its name may not
/// be known yet.
pub(super) fn problems(name: Option<&ScheduleName>, definition: &Definition) -> Vec<Problem> {
    let unnamed = "unnamed".parse().ok();
    let timing = name.or(unnamed.as_ref()).map(|name| Timing::new(name, definition));
    let mut problems = Vec::from_iter(name.and_then(name_problem));
    problems.extend(timing.and_then(Result::err).unwrap_or_default());
    problems.extend(task_problems(definition));
    problems
}

/// The paths of the HTTP API have words where others have the name of a schedule.
fn name_problem(name: &ScheduleName) -> Option<Problem> {
    RESERVED.contains(&name.as_str()).then(|| {
        let words = RESERVED.join(", ");
        let why = format!(
            "no schedule can be called {name}: {words} are what is done to all schedules; choose a \
             name with a part more, such as {name}.nightly"
        );
        Problem::new("name", why)
    })
}

fn task_problems(definition: &Definition) -> Vec<Problem> {
    let mut problems = of_definition(definition).problems();
    check_misfire(&definition.misfire, &mut problems);
    let length = definition.description.as_ref().map_or(0, String::len);
    if length > MAX_DESCRIPTION {
        let why = format!("it has {length} bytes; at most {MAX_DESCRIPTION} are allowed");
        problems.push(Problem::new("description", why));
    }
    problems
}

/// Returns the request for the task of one occurrence; its expiry counts from when it is put in.
#[must_use]
pub fn request(
    name: &ScheduleName,
    definition: &Definition,
    revision: u32,
    due: Millis,
    id: TaskId,
) -> Request {
    of_definition(definition).id(id.to_string()).occurrence(name.clone(), due, revision)
}

fn of_definition(definition: &Definition) -> Request {
    let args = definition.args.get().to_owned();
    let mut request = Request::from_json(definition.kind.as_str(), args);
    if let Some(queue) = &definition.queue {
        request = request.queue(queue.as_str());
    }
    if let Some(class) = definition.class {
        request = request.class(class);
    }
    if let Some(expires) = definition.expires {
        request = request.expires(expires);
    }
    if let Some(timeout) = definition.timeout {
        request = request.timeout(timeout);
    }
    if let Some(attempts) = definition.max_attempts {
        request = request.max_attempts(attempts);
    }
    for (name, value) in &definition.tags {
        request = request.tag(name, value);
    }
    request
}

fn check_misfire(misfire: &Misfire, problems: &mut Vec<Problem>) {
    if misfire.after < LEAST_AFTER {
        let why = "it is below 1s; beat looks each second, so everything would count as missed";
        problems.push(Problem::new("misfire.after", why));
    }
    if misfire.policy != MisfirePolicy::Skip && misfire.window <= misfire.after {
        let (window, after) = (DurationText(misfire.window), DurationText(misfire.after));
        let why = format!(
            "it is {window} and misfire.after {after}, so nothing missed would be put in; make it \
             longer, or write misfire = \"skip\""
        );
        problems.push(Problem::new("misfire.window", why));
    }
    if !(1..=Misfire::MOST).contains(&misfire.max) {
        let why = format!("it is {}; it must be within 1 and {}", misfire.max, Misfire::MOST);
        problems.push(Problem::new("misfire.max", why));
    }
}
