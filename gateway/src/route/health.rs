//! The routes of probes: alive, ready, metrics.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use leveret_producer::Problem as FieldProblem;
use serde::Serialize;
use utoipa::ToSchema;

use super::Door;
use crate::problem::{Problem, Sort};

/// How a process is.
#[derive(Serialize, ToSchema)]
#[schema(as = Probe)]
pub(crate) struct Health {
    /// `alive` or `ready`.
    status: &'static str,
    version: &'static str,
}

const fn health(status: &'static str) -> Json<Health> {
    Json(Health { status, version: env!("CARGO_PKG_VERSION") })
}

/// Tell whether the process answers
#[utoipa::path(
    get,
    path = "/livez",
    tag = "probes",
    operation_id = "getLiveness",
    security(()),
    responses(
        (status = 200, description = "It answers", body = Health),
    ),
)]
pub(super) async fn livez() -> Json<Health> {
    health("alive")
}

/// Tell whether tasks can be put in
///
/// Broker and ledger can be used, and the worker of this process, if it has one, takes tasks. Looks at both servers at
/// most once a second.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "probes",
    operation_id = "getReadiness",
    security(()),
    responses(
        (status = 200, description = "They can", body = Health),
    ),
)]
pub(super) async fn readyz(State(door): State<Door>) -> Result<Json<Health>, Problem> {
    let mut troubles = door.operations.troubles().await;
    if door.worker.as_ref().is_some_and(|is_ready| !is_ready()) {
        let why = "the worker of this process does not take tasks yet, or any more";
        troubles.push(FieldProblem::new("worker", why));
    }
    if troubles.is_empty() {
        return Ok(health("ready"));
    }
    for FieldProblem { field, why } in &mut troubles {
        tracing::warn!(part = %field, error = %why, "not ready");
        // This answer needs no token, and the reason names hosts and users.
        if door.config.tokens.is_some() {
            "the gateway's log says why".clone_into(why);
        }
    }
    Err(Problem::invalid(Sort::UNAVAILABLE, troubles))
}

/// Show the metrics of this process
///
/// In Prometheus' text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "probes",
    operation_id = "getMetrics",
    responses(
        (status = 200, description = "The metrics", body = String, content_type = "text/plain"),
    ),
)]
pub(super) async fn metrics(State(door): State<Door>) -> Response {
    match &door.metrics {
        Some(render) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], render()).into_response()
        }
        None => {
            let detail = "this process collects no metrics";
            Problem::new(Sort::UNKNOWN_ROUTE, detail).into_response()
        }
    }
}
