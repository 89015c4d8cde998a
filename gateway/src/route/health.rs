//! The routes of probes: alive, ready, metrics.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use leveret_producer::Problem as FieldProblem;
use serde::Serialize;

use super::Door;
use crate::problem::{Problem, Sort};

/// What a probe is told.
#[derive(Serialize)]
pub(crate) struct Health {
    status: &'static str,
    version: &'static str,
}

const fn health(status: &'static str) -> Json<Health> {
    Json(Health { status, version: env!("CARGO_PKG_VERSION") })
}

/// `GET /livez`: the process answers.
pub(super) async fn livez() -> Json<Health> {
    health("alive")
}

/// `GET /readyz`: broker and ledger can be used, and the worker of this process, if it has one,
/// takes tasks.
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

/// `GET /metrics`, in Prometheus' text format.
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
