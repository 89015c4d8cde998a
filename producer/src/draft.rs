//! The draft: a request that has passed every rule and has its id, ready to be published.
//!
//! Responsible for all checks that need no server, made together. An id is settled here, before
//! anything is sent, so that a publish of unknown fate can be repeated under it.

use std::time::Duration;

use bytes::Bytes;
use leveret_common::broker::{Destination, Publish};
use leveret_common::clock::Millis;
use leveret_common::duration;
use leveret_common::envelope::header::{MAX_MAX_ATTEMPTS, MAX_TAG, MAX_TAG_NAME, MAX_TAGS};
use leveret_common::envelope::{Envelope, check_json};
use leveret_common::id::TaskId;
use leveret_common::name::{KindName, Lane, Namespace, QueueName};
use leveret_common::shape::{Misfit, Shapes};
use leveret_common::store::{self, Enqueued, TaskState};
use uuid::Uuid;

use crate::error::{EnqueueError, Problem, Problems};
use crate::request::{Args, Occasion, Request};

const DAY: Duration = Duration::from_secs(86_400);
/// The longest time limit of one attempt, as for `worker.timeout`.
const MAX_TIMEOUT: Duration = DAY.saturating_mul(30);
/// The longest that a result is kept, as for `retention.result`.
const MAX_RESULT_TTL: Duration = DAY.saturating_mul(365);

/// What a check needs to know.
pub(crate) struct Rules<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) now: Millis,
    pub(crate) payload_limit: usize,
    pub(crate) producer: &'a str,
    pub(crate) shapes: &'a Shapes,
}

/// A task ready to be published.
pub(crate) struct Draft {
    pub(crate) envelope: Envelope,
    pub(crate) lane: Lane,
    /// `key` or `id` where the sender named the task, so that it may be a repetition.
    pub(crate) named_by: Option<&'static str>,
    pub(crate) fingerprint: Uuid,
    now: Millis,
}

impl Draft {
    /// Checks `request` and settles its id.
    pub(crate) fn new(request: Request, rules: &Rules<'_>) -> Result<Self, EnqueueError> {
        let mut problems = Vec::new();
        let due = due(&request, rules.now, &mut problems);
        let expires_at = expiry(&request, rules.now, due, &mut problems);
        check_limits(&request, &mut problems);
        let named = names(&request, rules.namespace, &mut problems);
        let args = args(request.args, &mut problems);
        let (Some(named), Some(args), true) = (named, args, problems.is_empty()) else {
            return Err(EnqueueError::Invalid(Problems(problems)));
        };
        if args.len() > rules.payload_limit {
            let limit = rules.payload_limit;
            return Err(EnqueueError::TooLarge { size: args.len(), limit });
        }
        let misfit = rules.shapes.check(&named.kind, &args).err().or(request.misfit);
        if let Some(Misfit { path, why }) = misfit {
            let problem = Problem::new(format!("args{path}"), why);
            return Err(EnqueueError::Invalid(Problems(vec![problem])));
        }
        let fingerprint = fingerprint(&args);
        let mut envelope = Envelope::new(named.id, named.kind, args);
        envelope.fixed.key = request.key;
        envelope.fixed.origin_id = named.origin_id;
        envelope.fixed.max_attempts = request.max_attempts;
        envelope.fixed.expires_at = expires_at;
        envelope.fixed.timeout = request.timeout;
        envelope.fixed.tags = request.tags;
        envelope.fixed.result_ttl = request.result_ttl;
        envelope.fixed.enqueued_at = Some(rules.now);
        envelope.fixed.producer = Some(rules.producer.to_owned());
        if let Some(Occasion { schedule, due, revision }) = request.occasion {
            envelope.fixed.schedule = Some(schedule.to_string());
            envelope.fixed.occurrence = Some(due);
            envelope.fixed.revision = Some(revision);
        }
        envelope.moving.not_before = due;
        let lane = Lane::new(named.queue, request.class.unwrap_or_default());
        Ok(Self { envelope, lane, named_by: named.by, fingerprint, now: rules.now })
    }

    pub(crate) const fn id(&self) -> TaskId {
        self.envelope.id
    }

    pub(crate) const fn state(&self) -> TaskState {
        match self.envelope.moving.not_before {
            Some(_) => TaskState::Delayed,
            None => TaskState::Queued,
        }
    }

    pub(crate) fn to_publish(&self) -> Publish {
        let lane = self.lane.clone();
        let to = match self.envelope.moving.not_before {
            Some(until) => Destination::Delay { lane, until },
            None => Destination::Lane(lane),
        };
        Publish { to, wire: self.envelope.to_wire() }
    }

    pub(crate) fn to_record(&self) -> Enqueued {
        record_of(&self.envelope, &self.lane, self.now, self.fingerprint)
    }
}

/// Tells args apart without keeping them.
pub(crate) fn fingerprint(args: &[u8]) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, args)
}

/// Returns what is remembered of a task that was accepted at `at`.
pub(crate) fn record_of(
    envelope: &Envelope,
    lane: &Lane,
    at: Millis,
    args_fingerprint: Uuid,
) -> Enqueued {
    let fixed = &envelope.fixed;
    Enqueued {
        id: envelope.id,
        kind: envelope.kind.clone(),
        lane: lane.clone(),
        at,
        not_before: envelope.moving.not_before,
        key: fixed.key.clone(),
        origin_id: fixed.origin_id.clone(),
        tags: fixed.tags.clone(),
        occasion: fixed.schedule.clone().map(|schedule| store::Occasion {
            schedule,
            due: fixed.occurrence,
            revision: fixed.revision,
        }),
        args_fingerprint,
    }
}

/// Lists what is wrong with a request whoever sends it, and whenever.
pub(crate) fn problems_of(request: Request) -> Vec<Problem> {
    let (namespace, shapes) = (Namespace::default(), Shapes::default());
    let rules = Rules {
        namespace: &namespace,
        // Whether what expires does so before a given instant is the clock's matter.
        now: request.at.unwrap_or_default(),
        payload_limit: usize::MAX,
        producer: "",
        shapes: &shapes,
    };
    match Draft::new(request.in_lane(None), &rules) {
        Err(EnqueueError::Invalid(Problems(problems))) => problems,
        // Nothing is sent, and no payload is too large.
        Ok(_) | Err(_) => Vec::new(),
    }
}

struct Named {
    kind: KindName,
    queue: QueueName,
    id: TaskId,
    origin_id: Option<String>,
    by: Option<&'static str>,
}

/// Reads kind, queue and id; nothing where one of them is wrong.
fn names(request: &Request, namespace: &Namespace, problems: &mut Vec<Problem>) -> Option<Named> {
    let kind = note("kind", request.kind.parse::<KindName>(), problems);
    let queue = match &request.queue {
        Some(text) => note("queue", text.parse::<QueueName>(), problems),
        None => Some(QueueName::default()),
    };
    if request.id.is_some() && request.key.is_some() {
        let why = "it cannot stand beside id; give one of them (a key names the task by its kind \
                   and your text, an id names it alone)";
        problems.push(Problem::new("key", why));
        return None;
    }
    if let Some(text) = &request.id {
        let (id, origin_id) = note("id", TaskId::foreign(namespace, text), problems)?;
        return Some(Named { kind: kind?, queue: queue?, id, origin_id, by: Some("id") });
    }
    let (id, by) = match (&request.key, &kind) {
        (Some(key), Some(kind)) => {
            (note("key", TaskId::from_key(namespace, kind, key), problems)?, Some("key"))
        }
        (Some(_), None) => return None,
        (None, _) => (TaskId::mint(), None),
    };
    Some(Named { kind: kind?, queue: queue?, id, origin_id: None, by })
}

/// Reads the instant before which the task does not start; nothing where it may start at once.
fn due(request: &Request, now: Millis, problems: &mut Vec<Problem>) -> Option<Millis> {
    if request.delay.is_some() && request.at.is_some() {
        problems.push(Problem::new("at", "it cannot stand beside delay; give one of them"));
    }
    if request.delay.is_some_and(|delay| delay > duration::LONGEST) {
        problems.push(too_long("delay", duration::LONGEST));
    }
    let due = request.at.or_else(|| request.delay.map(|delay| now.after(delay)))?;
    (due > now).then_some(due)
}

fn expiry(
    request: &Request,
    now: Millis,
    due: Option<Millis>,
    problems: &mut Vec<Problem>,
) -> Option<Millis> {
    let expires = request.expires?;
    if expires > duration::LONGEST {
        problems.push(too_long("expires", duration::LONGEST));
    }
    let expires_at = now.after(expires);
    if expires_at <= due.unwrap_or(now) {
        let why = "the task would expire before it is due; make it longer than the delay, or leave \
                   it out";
        problems.push(Problem::new("expires", why));
    }
    Some(expires_at)
}

fn check_limits(request: &Request, problems: &mut Vec<Problem>) {
    if let Some(timeout) = request.timeout {
        if timeout < Duration::from_millis(1) {
            problems.push(Problem::new("timeout", "it is below 1ms, the shortest time limit"));
        } else if timeout > MAX_TIMEOUT {
            problems.push(too_long("timeout", MAX_TIMEOUT));
        }
    }
    if request.result_ttl.is_some_and(|ttl| ttl > MAX_RESULT_TTL) {
        problems.push(too_long("result_ttl", MAX_RESULT_TTL));
    }
    if let Some(attempts) = request.max_attempts
        && !(1..=MAX_MAX_ATTEMPTS).contains(&attempts)
    {
        let why = format!("it is {attempts}; it must be within 1 and {MAX_MAX_ATTEMPTS}");
        problems.push(Problem::new("max_attempts", why));
    }
    if request.tags.len() > MAX_TAGS {
        let why = format!("there are {}; at most {MAX_TAGS} are allowed", request.tags.len());
        problems.push(Problem::new("tags", why));
    }
    let wrong = |(name, value): &(&String, &String)| {
        name.is_empty() || name.len() > MAX_TAG_NAME || value.len() > MAX_TAG
    };
    if let Some((name, _)) = request.tags.iter().find(wrong) {
        let name: String = name.chars().take(40).collect();
        let why = format!(
            "tag {name:?} is not allowed; a name has 1 to {MAX_TAG_NAME} bytes, a value at most \
             {MAX_TAG}"
        );
        problems.push(Problem::new("tags", why));
    }
}

fn args(args: Args, problems: &mut Vec<Problem>) -> Option<Bytes> {
    let why = match args {
        Args::Written(json) => return Some(json),
        Args::Given(json) => match check_json(&json) {
            Ok(()) => return Some(json),
            Err(why) => format!("they are not JSON: {why}"),
        },
        Args::Failed(why) => format!("they cannot be written as JSON: {why}"),
    };
    problems.push(Problem::new("args", why));
    None
}

fn note<T, E: std::fmt::Display>(
    field: &str,
    read: Result<T, E>,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    read.map_err(|error| problems.push(Problem::new(field, error))).ok()
}

fn too_long(field: &str, most: Duration) -> Problem {
    Problem::new(
        field,
        format!("it is longer than {}, the longest allowed", duration::format(most)),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use leveret_common::shape::Shape;

    use super::*;

    fn draft(request: Request) -> Result<Draft, EnqueueError> {
        let mut shapes = Shapes::default();
        shapes.insert("shaped".parse().unwrap(), Arc::new(Seven));
        let namespace = Namespace::default();
        let rules = Rules {
            namespace: &namespace,
            now: Millis(1_000_000),
            payload_limit: 100,
            producer: "t",
            shapes: &shapes,
        };
        Draft::new(request, &rules)
    }

    /// The shape of 7.
    struct Seven;

    impl Shape for Seven {
        fn check(&self, args: &[u8]) -> Result<(), Misfit> {
            let misfit = || Misfit { path: "/a".to_owned(), why: "it is not 7".to_owned() };
            if args == b"7" { Ok(()) } else { Err(misfit()) }
        }
    }

    #[test]
    fn args_of_another_shape_are_a_problem_of_that_place() {
        assert!(
            draft(Request::new("shaped", &7)).is_ok() && draft(Request::new("any", &8)).is_ok()
        );
        let expected = [("args/a".to_owned(), "it is not 7".to_owned())];
        assert_eq!(problems(Request::new("shaped", &8)), expected);
    }

    fn problems(request: Request) -> Vec<(String, String)> {
        match draft(request) {
            Err(EnqueueError::Invalid(Problems(all))) => {
                all.into_iter().map(|problem| (problem.field, problem.why)).collect()
            }
            other => panic!("{:?}", other.map(|draft| draft.envelope)),
        }
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let request = Request::from_json("a b", "{")
            .queue("Mail")
            .id("")
            .delay(Duration::from_secs(9))
            .at(Millis(5))
            .timeout(Duration::ZERO)
            .max_attempts(0)
            .tag("", "x");
        let found = problems(request);
        let mut fields: Vec<_> = found.iter().map(|(field, _)| field.as_str()).collect();
        fields.sort_unstable();
        let all = ["args", "at", "id", "kind", "max_attempts", "queue", "tags", "timeout"];
        assert_eq!(fields, all, "{found:?}");
    }

    #[test]
    fn args_that_are_no_utf_8_are_no_json() {
        let found = problems(Request::from_json("a", b"\"\xff\"".as_slice()));
        assert_eq!(found[0].0, "args");
        assert!(found[0].1.contains("invalid utf-8"), "{found:?}");
    }

    #[test]
    fn a_tags_name_fits_a_key_of_amqp() {
        let tagged = |length: usize| Request::new("a", &1).tag("n".repeat(length), "x");
        assert!(draft(tagged(MAX_TAG_NAME)).is_ok());
        assert_eq!(problems(tagged(MAX_TAG_NAME + 1))[0].0, "tags");
    }

    #[test]
    fn a_key_and_an_id_cannot_both_name_a_task() {
        let found = problems(Request::new("a", &1).id("x").key("y"));
        assert!(found[0].1.contains("give one of them"), "{found:?}");
    }

    #[test]
    fn a_task_cannot_expire_before_it_is_due() {
        let hour = Duration::from_secs(3_600);
        assert_eq!(problems(Request::new("a", &1).delay(hour).expires(hour))[0].0, "expires");
        assert_eq!(problems(Request::new("a", &1).expires(Duration::ZERO))[0].0, "expires");
        let draft = draft(Request::new("a", &1).delay(hour).expires(hour * 2)).unwrap();
        assert_eq!(draft.envelope.fixed.expires_at, Some(Millis(8_200_000)));
        assert_eq!(draft.envelope.moving.not_before, Some(Millis(4_600_000)));
    }

    #[test]
    fn a_past_instant_means_now() {
        let past = draft(Request::new("a", &1).at(Millis(5))).unwrap();
        assert_eq!(past.state(), TaskState::Queued);
        assert!(matches!(past.to_publish().to, Destination::Lane(_)));
        let later = draft(Request::new("a", &1).at(Millis(1_000_001))).unwrap();
        assert_eq!(later.state(), TaskState::Delayed);
        assert!(matches!(later.to_publish().to, Destination::Delay { .. }));
    }

    #[test]
    fn args_over_the_limit_are_refused_with_both_numbers() {
        let fits = format!("\"{}\"", "x".repeat(98));
        assert!(draft(Request::from_json("a", fits.clone())).is_ok());
        let error = draft(Request::from_json("a", format!("{fits} "))).err().unwrap();
        assert!(matches!(error, EnqueueError::TooLarge { size: 101, limit: 100 }), "{error}");
    }

    #[test]
    fn args_that_json_cannot_hold_are_refused() {
        let map = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert_eq!(problems(Request::new("a", &map))[0].0, "args");
    }

    #[test]
    fn what_was_asked_for_is_in_the_envelope() {
        let request = Request::new("order.paid", &[1, 2])
            .queue("mail")
            .id("order-7")
            .timeout(Duration::from_secs(3))
            .max_attempts(4)
            .tag("tenant", "42")
            .result_ttl(Duration::from_secs(60));
        let draft = draft(request).unwrap();
        let wire = draft.to_publish().wire;
        let namespace = Namespace::default();
        let decoded = leveret_common::envelope::decode(&namespace, &wire).unwrap();
        let leveret_common::envelope::Decoded::Task(read) = decoded else { panic!("{decoded:?}") };
        // The wire has whole seconds.
        assert_eq!(read.fixed.enqueued_at, Some(Millis(1_000_000)));
        assert_eq!(*read, draft.envelope);
        assert_eq!(read.fixed.origin_id.as_deref(), Some("order-7"));
        assert_eq!(
            (draft.named_by, draft.lane.to_string()),
            (Some("id"), "mail.normal".to_owned())
        );
    }
}
