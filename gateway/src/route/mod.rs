//! The routes, and what every request passes on its way to them.
//!
//! Order, from the outside: telemetry, the writing of problems, the time limit, the guard. The
//! guard stands before every route, those that do not exist included.

pub(crate) mod batch;
mod bulk;
mod dead;
mod doctor;
mod document;
mod ending;
mod health;
mod queues;
mod schedules;
mod tasks;
mod transfer;
mod workers;

pub(crate) use self::queues::MAX_WHY;
pub(crate) use self::workers::MOST_SLOTS;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, MatchedPath, Path, Request, State};
use axum::http::Uri;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use leveret_common::spawn::Spawner;
use tokio::time::timeout;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::Config;
use crate::guard::{self, Guard};
use crate::openapi;
use crate::openapi::problem::refusing;
use crate::operations::Operations;
use crate::problem::{self, Problem, Sort};
use crate::request::wrong;
use crate::server::{IsWorkerReady, RenderMetrics};
use crate::telemetry;

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

/// Puts the routes together, each with its description and the problems of its own.
pub(crate) fn described() -> OpenApiRouter<Door> {
    let task = [Sort::UNKNOWN_TASK];
    let letter = [Sort::UNKNOWN_LETTER, Sort::DESK_BUSY];
    let replay = [Sort::UNKNOWN_LETTER, Sort::DESK_BUSY, Sort::INVALID_TASK, Sort::KEY_CONFLICT];
    let worker = [Sort::UNKNOWN_WORKER];
    let schedule = [Sort::UNKNOWN_SCHEDULE];
    let change = [Sort::UNKNOWN_SCHEDULE, Sort::HELD_BY_ANOTHER_SOURCE, Sort::SCHEDULE_CHANGED];
    let put_in =
        [Sort::UNKNOWN_SCHEDULE, Sort::INVALID_SCHEDULE, Sort::INVALID_TASK, Sort::KEY_CONFLICT];
    OpenApiRouter::default()
        .routes(refusing(routes!(tasks::put_in), &[Sort::INVALID_TASK, Sort::KEY_CONFLICT]))
        .routes(refusing(routes!(tasks::ask_for), &task))
        .routes(refusing(
            routes!(ending::cancel),
            &[Sort::UNKNOWN_TASK, Sort::TOO_LATE, Sort::ALREADY_OVER],
        ))
        .routes(refusing(routes!(ending::explain), &[]))
        .routes(refusing(routes!(dead::list), &[]))
        .routes(refusing(routes!(dead::groups), &[]))
        .routes(refusing(routes!(transfer::export), &[Sort::DESK_BUSY]))
        .routes(refusing(routes!(transfer::import), &[]))
        .routes(refusing(routes!(bulk::replay), &[Sort::DESK_BUSY]))
        .routes(refusing(routes!(bulk::discard), &[Sort::DESK_BUSY]))
        .routes(refusing(routes!(bulk::reindex), &[Sort::DESK_BUSY]))
        .routes(refusing(routes!(dead::show), &letter))
        .routes(refusing(routes!(dead::replay), &replay))
        .routes(refusing(routes!(dead::discard), &letter))
        .routes(refusing(routes!(queues::list), &[]))
        .routes(refusing(routes!(queues::show), &[Sort::UNKNOWN_QUEUE]))
        .routes(refusing(routes!(queues::pause), &[]))
        .routes(refusing(routes!(queues::resume), &[]))
        .routes(refusing(routes!(workers::list), &[]))
        .routes(refusing(routes!(workers::show), &worker))
        .routes(refusing(routes!(workers::quiet), &worker))
        .routes(refusing(routes!(workers::resume), &worker))
        .routes(refusing(routes!(workers::stop), &worker))
        .routes(refusing(routes!(workers::resize), &worker))
        .routes(refusing(routes!(schedules::list), &[]))
        .routes(refusing(
            routes!(schedules::create),
            &[Sort::INVALID_SCHEDULE, Sort::SCHEDULE_EXISTS],
        ))
        .routes(refusing(routes!(schedules::many::plan), &[]))
        .routes(refusing(routes!(schedules::many::export), &[]))
        .routes(refusing(routes!(schedules::many::import), &[Sort::INVALID_SCHEDULE]))
        .routes(refusing(routes!(schedules::show), &schedule))
        .routes(refusing(
            routes!(schedules::replace),
            &[&change[..], &[Sort::INVALID_SCHEDULE]].concat(),
        ))
        .routes(refusing(routes!(schedules::delete), &change))
        .routes(refusing(routes!(schedules::act::pause), &schedule))
        .routes(refusing(routes!(schedules::act::resume), &schedule))
        .routes(refusing(routes!(schedules::act::run), &put_in))
        .routes(refusing(routes!(schedules::act::backfill), &put_in))
        .routes(refusing(routes!(schedules::look::next), &schedule))
        .routes(refusing(routes!(schedules::look::occurrences), &schedule))
        .routes(refusing(routes!(schedules::look::beats), &[]))
        .routes(refusing(routes!(doctor::examine), &[]))
        .routes(refusing(routes!(health::livez), &[]))
        .routes(refusing(routes!(health::readyz), &[]))
        .routes(refusing(routes!(health::metrics), &[Sort::UNKNOWN_ROUTE]))
        .routes(refusing(routes!(document::show), &[]))
        .routes(refusing(routes!(document::page), &[]))
        .routes(refusing(routes!(document::file), &[Sort::UNKNOWN_ROUTE]))
}

/// Returns the routes with what every request passes on its way to them.
pub(crate) fn router(door: Door, guard: Guard) -> Router {
    let request_timeout = door.config.request_timeout;
    Router::from(described())
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
    let routes = openapi::routes().join(", ");
    Problem::new(Sort::UNKNOWN_ROUTE, format!("there is nothing at {path}; there are {routes}"))
}

async fn wrong_method(request: Request) -> Problem {
    let method = request.method();
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let methods = openapi::methods(path).join(" and ");
    Problem::new(Sort::WRONG_METHOD, format!("{method} is not taken here; {path} takes {methods}"))
}
