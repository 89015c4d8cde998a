//! Counts and times every request, by the pattern of its route.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use leveret_common::telemetry::names::{self, label};
use metrics::{counter, histogram};

/// Watches one request.
pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let route = match request.extensions().get::<MatchedPath>() {
        Some(path) => path.as_str().to_owned(),
        None => "unknown".to_owned(),
    };
    let method = name(request.method());
    let began = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    let seconds = began.elapsed().as_secs_f64();
    histogram!(names::GATEWAY_REQUEST_SECONDS, label::ROUTE => route.clone(), label::METHOD => method)
        .record(seconds);
    counter!(
        names::GATEWAY_REQUESTS,
        label::ROUTE => route, label::METHOD => method, label::STATUS => status,
    )
    .increment(1);
    response
}

/// Names a method; those that anybody may invent share one name, so that metrics stay few.
fn name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
