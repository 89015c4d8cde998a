//! The routes, and what every request passes on its way to them.
//!
//! Order, from the outside: telemetry, the writing of problems, the time limit, the guard. The
//! guard stands before every route, those that do not exist included.

pub(crate) mod batch;
mod bulk;
mod dead;
mod doctor;
mod ending;
mod health;
mod queues;
mod schedules;
mod tasks;
mod transfer;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::Uri;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use leveret_common::spawn::Spawner;
use tokio::time::timeout;

use crate::config::Config;
use crate::guard::{self, Guard};
use crate::operations::Operations;
use crate::problem::{self, Problem, Sort};
use crate::request::wrong;
use crate::server::{IsWorkerReady, RenderMetrics};
use crate::telemetry;

/// The routes, as an unknown one is answered.
const ROUTES: &str = "POST /v1/tasks, GET /v1/tasks/{id}, GET /v1/tasks/{id}/explain, \
    POST /v1/tasks/{id}/cancel, GET /v1/dead, GET /v1/dead/groups, GET /v1/dead/export, \
    POST /v1/dead/{replay,discard,import,reindex}, GET /v1/dead/{id}, \
    POST /v1/dead/{id}/{replay,discard}, GET /v1/queues, GET /v1/queues/{queue}, \
    POST /v1/queues/{queue}/{pause,resume}, GET /v1/workers, GET /v1/workers/{worker}, \
    POST /v1/workers/{worker}/{quiet,resume,stop,resize}, GET /v1/schedules, POST /v1/schedules, \
    GET /v1/schedules/export, POST /v1/schedules/{import,plan}, GET /v1/schedules/{name}, \
    PUT /v1/schedules/{name}, DELETE /v1/schedules/{name}, \
    POST /v1/schedules/{name}/{pause,resume,run,backfill}, \
    GET /v1/schedules/{name}/{next,occurrences}, GET /v1/beats, GET /v1/doctor, GET /livez, \
    GET /readyz, GET /metrics";

/// What every handler is given.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) operations: Operations,
    pub(crate) config: Arc<Config>,
    pub(crate) spawner: Spawner,
    pub(crate) metrics: Option<RenderMetrics>,
    pub(crate) worker: Option<IsWorkerReady>,
}

/// The one variable part of a path.
pub(crate) struct Name(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read: Result<Path<String>, PathRejection> =
            Path::from_request_parts(parts, state).await;
        read.map(|Path(name)| Self(name)).map_err(|error| wrong("path", error.body_text()))
    }
}

/// Puts the routes together.
pub(crate) fn router(door: Door, guard: Guard) -> Router {
    let request_timeout = door.config.request_timeout;
    Router::new()
        .route("/v1/tasks", post(tasks::put_in))
        .route("/v1/tasks/{id}", get(tasks::ask_for))
        .route("/v1/tasks/{id}/cancel", post(ending::cancel))
        .route("/v1/tasks/{id}/explain", get(ending::explain))
        .route("/v1/dead", get(dead::list))
        .route("/v1/dead/groups", get(dead::groups))
        .route("/v1/dead/export", get(transfer::export))
        .route("/v1/dead/import", post(transfer::import))
        .route("/v1/dead/replay", post(bulk::replay))
        .route("/v1/dead/discard", post(bulk::discard))
        .route("/v1/dead/reindex", post(bulk::reindex))
        .route("/v1/dead/{id}", get(dead::show))
        .route("/v1/dead/{id}/replay", post(dead::replay))
        .route("/v1/dead/{id}/discard", post(dead::discard))
        .route("/v1/queues", get(queues::list))
        .route("/v1/queues/{queue}", get(queues::show))
        .route("/v1/queues/{queue}/pause", post(queues::pause))
        .route("/v1/queues/{queue}/resume", post(queues::resume))
        .route("/v1/workers", get(workers::list))
        .route("/v1/workers/{worker}", get(workers::show))
        .route("/v1/workers/{worker}/quiet", post(workers::quiet))
        .route("/v1/workers/{worker}/resume", post(workers::resume))
        .route("/v1/workers/{worker}/stop", post(workers::stop))
        .route("/v1/workers/{worker}/resize", post(workers::resize))
        .route("/v1/schedules", get(schedules::list).post(schedules::create))
        .route(
            "/v1/schedules/{name}",
            get(schedules::show)
                .post(schedules::of_many)
                .put(schedules::replace)
                .delete(schedules::delete),
        )
        .route("/v1/schedules/{name}/pause", post(schedules::pause))
        .route("/v1/schedules/{name}/resume", post(schedules::resume))
        .route("/v1/schedules/{name}/run", post(schedules::run))
        .route("/v1/schedules/{name}/backfill", post(schedules::backfill))
        .route("/v1/schedules/{name}/next", get(schedules::next))
        .route("/v1/schedules/{name}/occurrences", get(schedules::occurrences))
        .route("/v1/beats", get(schedules::beats))
        .route("/v1/doctor", get(doctor::examine))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(door)
        .layer(middleware::from_fn_with_state(Arc::new(guard), guard::watch))
        .layer(middleware::from_fn_with_state(request_timeout, limit))
        .layer(middleware::from_fn(problem::render))
        .layer(middleware::from_fn(telemetry::observe))
}

/// Ends a request that takes too long. An answer that has begun is not cut off.
async fn limit(State(most): State<Duration>, request: Request, next: Next) -> Response {
    match timeout(most, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!(
                "the request took longer than {most:?} (gateway.request_timeout); if it was an \
                 enqueue, repeat it with the same key or id"
            );
            Problem::new(Sort::UNCONFIRMED, detail).into_response()
        }
    }
}

async fn unknown_route(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(80).collect();
    Problem::new(Sort::UNKNOWN_ROUTE, format!("there is nothing at {path}; there are {ROUTES}"))
}

async fn wrong_method(request: Request) -> Problem {
    let method = request.method();
    Problem::new(Sort::WRONG_METHOD, format!("{method} is not taken here; there are {ROUTES}"))
}
