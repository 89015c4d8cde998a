//! Problems: every answer that is not a success, as RFC 9457 has them.
//!
//! A handler returns a [`Problem`]; [`render`] alone writes it, because only there the request is
//! known. Types are relative references such as `/problems/unknown-task`, a closed list.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use leveret_common::broker::PublishError;
use leveret_common::id::TaskId;
use leveret_common::store::StoreError;
use leveret_producer::{EnqueueError, Problem as FieldProblem};
use serde::Serialize;

/// After how many seconds a client may try again what is unavailable now.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// What sort of problem it is: the last part of its type, its status and its title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sort(&'static str, StatusCode, &'static str);

impl Sort {
    pub(crate) const INVALID_REQUEST: Self =
        Self("invalid-request", StatusCode::BAD_REQUEST, "The request is not valid");
    pub(crate) const INVALID_TASK: Self =
        Self("invalid-task", StatusCode::BAD_REQUEST, "The task is not valid");
    pub(crate) const NO_TOKEN: Self =
        Self("unauthorized", StatusCode::UNAUTHORIZED, "A valid token is needed");
    pub(crate) const FOREIGN_PAGE: Self =
        Self("foreign-page", StatusCode::FORBIDDEN, "Requests of other web pages are refused");
    pub(crate) const UNKNOWN_TASK: Self =
        Self("unknown-task", StatusCode::NOT_FOUND, "Nobody knows this task");
    pub(crate) const UNKNOWN_ROUTE: Self =
        Self("unknown-route", StatusCode::NOT_FOUND, "There is nothing at this path");
    pub(crate) const WRONG_METHOD: Self =
        Self("wrong-method", StatusCode::METHOD_NOT_ALLOWED, "This path takes another method");
    pub(crate) const SLOW_BODY: Self =
        Self("slow-body", StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time");
    pub(crate) const KEY_CONFLICT: Self =
        Self("key-conflict", StatusCode::CONFLICT, "The key belongs to another task");
    pub(crate) const TOO_LARGE: Self =
        Self("too-large", StatusCode::PAYLOAD_TOO_LARGE, "The request is too large");
    pub(crate) const MEDIA_TYPE: Self = Self(
        "unsupported-media-type",
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "The body is of a type that is not taken",
    );
    pub(crate) const WRONG_HOST: Self =
        Self("wrong-host", StatusCode::MISDIRECTED_REQUEST, "The gateway does not go by this name");
    pub(crate) const INTERNAL: Self =
        Self("internal", StatusCode::INTERNAL_SERVER_ERROR, "The gateway failed");
    pub(crate) const UNAVAILABLE: Self =
        Self("unavailable", StatusCode::SERVICE_UNAVAILABLE, "A server behind is not available");
    pub(crate) const UNCONFIRMED: Self =
        Self("unconfirmed", StatusCode::GATEWAY_TIMEOUT, "It is not known whether it was accepted");
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, Serialize)]
struct Flaw {
    field: String,
    why: String,
}

/// A problem; boxed, so that the good case stays small.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Problem(Box<Document>);

/// A problem as it is written.
#[derive(Debug, Clone, Serialize)]
struct Document {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// The task that it is about, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<TaskId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Flaw>,
    #[serde(skip)]
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(crate) fn new(sort: Sort, detail: impl Into<String>) -> Self {
        let Sort(name, status, title) = sort;
        let header = matches!(sort, Sort::UNAVAILABLE | Sort::UNCONFIRMED)
            .then_some((header::RETRY_AFTER, RETRY_AFTER));
        Self(Box::new(Document {
            kind: format!("/problems/{name}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            instance: None,
            id: None,
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
        let flaw = |FieldProblem { field, why }| Flaw { field, why };
        let mut problem = Self::new(sort, detail);
        problem.0.errors = errors.into_iter().map(flaw).collect();
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

impl From<EnqueueError> for Problem {
    fn from(error: EnqueueError) -> Self {
        let text = error.to_string();
        match error {
            EnqueueError::Invalid(problems) => Self::invalid(Sort::INVALID_TASK, problems.0),
            EnqueueError::TooLarge { .. } => Self::new(Sort::TOO_LARGE, text),
            EnqueueError::KeyConflict { id, .. } => Self::new(Sort::KEY_CONFLICT, text).about(id),
            EnqueueError::Publish { id, source } => {
                let sort = match &source {
                    PublishError::Unknown { .. } => Sort::UNCONFIRMED,
                    other if other.retryable() => Sort::UNAVAILABLE,
                    _ => Sort::INTERNAL,
                };
                tracing::warn!(task = %id, error = %source, "failed to publish a task");
                Self::new(sort, text).about(id)
            }
            other => Self::new(Sort::INTERNAL, other.to_string()),
        }
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
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.remove(header::CONTENT_LENGTH);
        if let Some((name, value)) = header {
            headers.insert(name, value);
        }
    }
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
