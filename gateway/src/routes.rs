//! The routes, and what every request passes on its way to them.
//!
//! Order, from the outside: telemetry, the writing of problems, the time limit, the guard. The
//! guard stands before every route, those that do not exist included.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use leveret_common::spawn::Spawner;
use tokio::time::timeout;

use crate::config::Config;
use crate::guard::{self, Guard};
use crate::operations::Operations;
use crate::problem::{self, Problem, Sort};
use crate::server::{IsWorkerReady, RenderMetrics};
use crate::{health, tasks, telemetry};

/// The routes, as an unknown one is answered.
const ROUTES: &str = "POST /v1/tasks, GET /v1/tasks/{id}, GET /livez, GET /readyz, GET /metrics";

/// What every handler is given.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) operations: Operations,
    pub(crate) config: Arc<Config>,
    pub(crate) spawner: Spawner,
    pub(crate) metrics: Option<RenderMetrics>,
    pub(crate) worker: Option<IsWorkerReady>,
}

/// Puts the routes together.
pub(crate) fn router(door: Door, guard: Guard) -> Router {
    let request_timeout = door.config.request_timeout;
    Router::new()
        .route("/v1/tasks", post(tasks::put_in))
        .route("/v1/tasks/{id}", get(tasks::ask_for))
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

/// Ends a request that takes too long.
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
