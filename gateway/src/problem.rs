//! Problems: every answer that is not a success, as RFC 9457 has them.
//!
//! A handler returns a [`Problem`]; [`render`] alone writes it, because only there the request is
//! known. Types are relative references such as `/problems/unknown-task`, a closed list.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use leveret_beat::definition;
use leveret_beat::expression::Expression;
use leveret_beat::timetable::TimetableError;
use leveret_common::broker::{BrokerError, PublishError};
use leveret_common::desk::DeskError;
use leveret_common::id::TaskId;
use leveret_common::schedule::Source;
use leveret_common::store::StoreError;
use leveret_producer::{EnqueueError, Problem as FieldProblem};
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::name;
use crate::operations::OperationError;
pub(crate) use crate::sort::Sort;

/// The media type of problems.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// After how many seconds a client may try again what is unavailable now.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// One thing that is wrong with a request.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Flaw {
    /// Which of several schedules it is about: its name, or else its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples("line 7"))]
    place: Option<String>,
    /// The field, the parameter or the header.
    #[schema(examples("max_attempts"))]
    field: String,
    /// What is wrong with it, and how to mend it.
    #[schema(examples("it is 0; it must be within 1 and 1000"))]
    why: String,
    /// The first wrong character of a filter or an expression, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    column: Option<usize>,
}

/// A problem; boxed, so that the good case stays small.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Problem(Box<Document>);

/// Why a request was not answered with success: a problem document of RFC 9457.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document {
    /// What sort of problem it is: one of a closed list.
    #[serde(rename = "type")]
    #[schema(schema_with = crate::openapi::problem::types)]
    kind: String,
    /// The sort in words; always the same for one type.
    title: &'static str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What failed, on what, why, and how to mend it.
    detail: String,
    /// The path that was asked; left out where the problem is a line among others.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// The task that it is about, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::TaskId>)]
    id: Option<TaskId>,
    /// How that task ended, where it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::State>)]
    state: Option<&'static str>,
    /// Where the schedule comes from that is not ours to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::openapi::fleet::Source>)]
    source: Option<Source>,
    /// What makes it safe to ask again for tasks of a schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// The revision of the schedule that somebody else changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u32>,
    /// Everything that is wrong with the request, at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Flaw>,
    #[serde(skip)]
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(crate) fn new(sort: Sort, detail: impl Into<String>) -> Self {
        let header = sort.has_retry_after().then_some((header::RETRY_AFTER, RETRY_AFTER));
        Self(Box::new(Document {
            kind: sort.kind(),
            title: sort.title,
            status: sort.status.as_u16(),
            detail: detail.into(),
            instance: None,
            id: None,
            state: None,
            source: None,
            key: None,
            revision: None,
            errors: Vec::new(),
            header,
        }))
    }

    /// The problem of a request with `errors`, told all at once.
    pub(crate) fn invalid(sort: Sort, errors: Vec<FieldProblem>) -> Self {
        let detail = match errors.as_slice() {
            [FieldProblem { field, why }] => format!("{field}: {why}"),
            many => format!("{} things are wrong with it, listed under errors", many.len()),
        };
        let flaw = |FieldProblem { field, why }| Flaw { place: None, field, why, column: None };
        let mut problem = Self::new(sort, detail);
        problem.0.errors = errors.into_iter().map(flaw).collect();
        problem
    }

    /// The problem of a schedule that says `when`, where that could be read, with `errors`.
    pub(crate) fn of_schedule(errors: Vec<FieldProblem>, when: Option<&str>) -> Self {
        let mut problem = Self::invalid(Sort::INVALID_SCHEDULE, errors);
        for flaw in &mut problem.0.errors {
            flaw.column = when.and_then(|when| column(when, &flaw.field, &flaw.why));
        }
        problem
    }

    /// The problem of many schedules with `flaws`, each with its column where it has one.
    pub(crate) fn of_schedules(flaws: Vec<(definition::Flaw, Option<usize>)>) -> Self {
        let (things, verb) = if flaws.len() == 1 { ("thing", "is") } else { ("things", "are") };
        let count = flaws.len();
        let detail =
            format!("nothing was changed: {count} {things} {verb} wrong, listed under errors");
        let mut problem = Self::new(Sort::INVALID_SCHEDULE, detail);
        let flaw = |(definition::Flaw { place, problem: FieldProblem { field, why } }, column)| {
            Flaw { place: Some(place), field, why, column }
        };
        problem.0.errors = flaws.into_iter().map(flaw).collect();
        problem
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }

    pub(crate) fn about(mut self, id: TaskId) -> Self {
        self.0.id = Some(id);
        self
    }
}

impl From<OperationError> for Problem {
    fn from(error: OperationError) -> Self {
        let text = error.to_string();
        match error {
            OperationError::Invalid(flaws) => Self::invalid(Sort::INVALID_REQUEST, flaws),
            OperationError::Filter(error) => {
                let column = Some(error.column);
                let flaw = Flaw { place: None, field: "filter".to_owned(), why: error.why, column };
                let mut problem = Self::new(Sort::INVALID_REQUEST, text);
                problem.0.errors = vec![flaw];
                problem
            }
            OperationError::UnknownTask { id, .. } => Self::new(Sort::UNKNOWN_TASK, text).about(id),
            OperationError::UnknownLetter { id, .. } => {
                Self::new(Sort::UNKNOWN_LETTER, text).about(id)
            }
            OperationError::UnknownWorker { .. } => Self::new(Sort::UNKNOWN_WORKER, text),
            OperationError::UnknownQueue(_) => Self::new(Sort::UNKNOWN_QUEUE, text),
            OperationError::TooLate { id } => Self::new(Sort::TOO_LATE, text).about(id),
            OperationError::AlreadyOver { id, state } => {
                let mut problem = Self::new(Sort::ALREADY_OVER, text).about(id);
                problem.0.state = Some(state.as_str());
                problem
            }
            OperationError::Enqueue(error) => error.into(),
            OperationError::Timetable(error) => (*error).into(),
            OperationError::Store(error) => error.into(),
            OperationError::Desk(DeskError::Busy { .. }) => Self::new(Sort::DESK_BUSY, text),
            OperationError::Publish(PublishError::TooLarge { .. }) => {
                Self::new(Sort::TOO_LARGE, text)
            }
            failed => {
                tracing::warn!(error = %text, "an operation failed");
                Self::new(of_failure(&failed), text)
            }
        }
    }
}

impl From<EnqueueError> for Problem {
    fn from(error: EnqueueError) -> Self {
        let text = error.to_string();
        match error {
            EnqueueError::Invalid(problems) => Self::invalid(Sort::INVALID_TASK, problems.0),
            EnqueueError::TooLarge { .. } => Self::new(Sort::TOO_LARGE, text),
            EnqueueError::KeyConflict { id, .. } => Self::new(Sort::KEY_CONFLICT, text).about(id),
            EnqueueError::Publish { id, source } => {
                tracing::warn!(task = %id, error = %source, "failed to publish a task");
                Self::new(of_publish(&source), text).about(id)
            }
            other => Self::new(Sort::INTERNAL, other.to_string()),
        }
    }
}

impl From<TimetableError> for Problem {
    fn from(error: TimetableError) -> Self {
        let text = error.to_string();
        match error {
            TimetableError::Unknown { .. } => Self::new(Sort::UNKNOWN_SCHEDULE, text),
            TimetableError::Exists { source_of, .. } => {
                let mut problem = Self::new(Sort::SCHEDULE_EXISTS, text);
                problem.0.source = Some(source_of);
                problem
            }
            TimetableError::Held { source_of, .. } => {
                let mut problem = Self::new(Sort::HELD_BY_ANOTHER_SOURCE, text);
                problem.0.source = Some(source_of);
                problem
            }
            TimetableError::Changed { revision, .. } => {
                let mut problem = Self::new(Sort::SCHEDULE_CHANGED, text);
                problem.0.revision = revision;
                problem
            }
            TimetableError::Invalid(flaws) => Self::invalid(Sort::INVALID_SCHEDULE, flaws),
            TimetableError::Flawed(flaws) => {
                Self::of_schedules(flaws.into_iter().map(|flaw| (flaw, None)).collect())
            }
            // The text of the whole error says how to ask again.
            TimetableError::Enqueue { source, nonce, .. }
            | TimetableError::Backfill { source, nonce, .. } => {
                let mut problem = Self::from(*source);
                problem.0.detail = text;
                problem.0.key = Some(nonce);
                problem
            }
            TimetableError::Store(error) => error.into(),
            other => Self::new(Sort::INTERNAL, other.to_string()),
        }
    }
}

/// Finds where in the expression `when` the mistake stands that `why` tells; none where `field` is
/// another one, or no single place is wrong.
pub(crate) fn column(when: &str, field: &str, why: &str) -> Option<usize> {
    let wrong = when.parse::<Expression>().err().filter(|_| field == "when")?;
    wrong.problems().iter().find(|one| one.to_string() == why).map(|one| one.column)
}

/// Sorts what failed: what may be done all the same, what may work later, and what will not.
const fn of_failure(error: &OperationError) -> Sort {
    match error {
        OperationError::Unconfirmed { .. } => Sort::UNCONFIRMED,
        OperationError::Publish(source)
        | OperationError::Desk(DeskError::Publish { source, .. }) => of_publish(source),
        OperationError::Broker(source) | OperationError::Desk(DeskError::Broker(source)) => {
            of_broker(source)
        }
        OperationError::Desk(DeskError::Store(source)) if !source.retryable() => Sort::INTERNAL,
        _ => Sort::UNAVAILABLE,
    }
}

const fn of_broker(error: &BrokerError) -> Sort {
    match error {
        // Something else lies there under our name: it stays until somebody mends it.
        BrokerError::Topology { .. } => Sort::INTERNAL,
        _ => Sort::UNAVAILABLE,
    }
}

const fn of_publish(error: &PublishError) -> Sort {
    match error {
        PublishError::Unknown { .. } => Sort::UNCONFIRMED,
        other if other.retryable() => Sort::UNAVAILABLE,
        _ => Sort::INTERNAL,
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "failed to ask the store");
        let sort = if error.retryable() { Sort::UNAVAILABLE } else { Sort::INTERNAL };
        Self::new(sort, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the problem that a handler returned, and gives every answer its common headers.
pub(crate) async fn render(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    if let Some(mut problem) = response.extensions_mut().remove::<Problem>() {
        problem.0.instance = Some(path);
        let header = problem.0.header.take();
        // A struct of texts and numbers can always be written.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        *response.body_mut() = Body::from(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.remove(header::CONTENT_LENGTH);
        if let Some((name, value)) = header {
            headers.insert(name, value);
        }
    }
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use leveret_common::store::StoreErrorKind;

    use super::*;

    fn store(kind: StoreErrorKind) -> StoreError {
        let (endpoint, why) = ("here:6379".to_owned(), "why".to_owned());
        StoreError { operation: "renew a lease", endpoint, kind, why, source: None }
    }

    fn topology() -> BrokerError {
        BrokerError::Topology { name: "lv.lane.mail".to_owned(), why: "differs".to_owned() }
    }

    #[test]
    fn what_failed_says_whether_it_may_be_done_and_whether_to_try_again() {
        let within = Duration::from_secs(1);
        let why = || "no answer".to_owned();
        let publish = |source| DeskError::Publish { queue: "mail".parse().unwrap(), source };
        let cases: [(OperationError, u16); 12] = [
            (OperationError::Late { operation: "read", within }, 503),
            (OperationError::Away(why()), 503),
            (OperationError::Stopped, 503),
            (OperationError::Unconfirmed { operation: "pause the queue", why: why() }, 504),
            (PublishError::Unknown { within, why: why() }.into(), 504),
            (publish(PublishError::Unknown { within, why: why() }).into(), 504),
            (publish(PublishError::Blocked(why())).into(), 503),
            (publish(PublishError::Unroutable(why())).into(), 500),
            (topology().into(), 500),
            (DeskError::Broker(topology()).into(), 500),
            (DeskError::Store(store(StoreErrorKind::Timeout)).into(), 503),
            (DeskError::Store(store(StoreErrorKind::Corrupt)).into(), 500),
        ];
        for (error, status) in cases {
            let text = error.to_string();
            let problem = Problem::from(error);
            assert_eq!(problem.0.status, status, "{text}");
            assert_eq!(problem.0.header.is_some(), status != 500, "{text}");
        }
    }
}
