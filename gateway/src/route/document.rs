//! The routes of the document that describes all routes, and of its viewer.
//!
//! They need no token: a browser that opens a page cannot send one, and nothing here tells of an
//! installation, because it is the same for every gateway of a version. The viewer lies in
//! `assets/`, asks no other server, and is held to that by its policy: scripts and styles of this
//! gateway only, and none that stand in the page.

use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::unknown_route;
use crate::openapi;
use crate::openapi::name;
use crate::problem::Problem;

/// What the viewer may do.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";
/// The files change with the version of the gateway only.
const KEPT: &str = "private, max-age=3600";

const PAGE: &str = include_str!("../../assets/docs/index.html");
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// What the page is made of, and the licences of what is not ours.
const FILES: [(&str, &str, &[u8]); 6] = [
    ("start.js", SCRIPT, include_bytes!("../../assets/docs/start.js")),
    (
        "swagger-ui-bundle.js",
        SCRIPT,
        include_bytes!("../../assets/swagger-ui/swagger-ui-bundle.js"),
    ),
    ("swagger-ui.css", STYLE, include_bytes!("../../assets/swagger-ui/swagger-ui.css")),
    ("LICENSE", TEXT, include_bytes!("../../assets/swagger-ui/LICENSE")),
    ("NOTICE", TEXT, include_bytes!("../../assets/swagger-ui/NOTICE")),
    (
        "swagger-ui-bundle.js.LICENSE.txt",
        TEXT,
        include_bytes!("../../assets/swagger-ui/swagger-ui-bundle.js.LICENSE.txt"),
    ),
];

/// Describe this API
///
/// This document: OpenAPI 3.1, made from the code that answers.
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    tag = "probes",
    operation_id = "getOpenApi",
    security(()),
    responses((status = 200, description = "The document", body = Object)),
)]
pub(super) async fn show() -> Response {
    let json = Bytes::from_static(&openapi::JSON);
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

/// Read this document in a browser
///
/// And send requests, with a token where one is needed.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "probes",
    operation_id = "viewDocs",
    security(()),
    responses((status = 200, description = "The page", body = String, content_type = "text/html")),
)]
pub(super) async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    (headers, PAGE).into_response()
}

/// Get a file of that page
#[utoipa::path(
    get,
    path = "/docs/{file}",
    tag = "probes",
    operation_id = "getDocsFile",
    security(()),
    params(("file" = name::DocsFile, Path, description = "The file")),
    responses((
        status = 200,
        description = "The file",
        content(
            (String = "text/javascript"),
            (String = "text/css"),
            (String = "text/plain"),
        ),
    )),
)]
pub(super) async fn file(uri: Uri) -> Result<Response, Problem> {
    let asked = uri.path().rsplit('/').next().unwrap_or_default();
    let Some((_, media, bytes)) = FILES.iter().find(|(name, ..)| *name == asked) else {
        return Err(unknown_route(uri).await);
    };
    let mut response = Bytes::from_static(bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(KEPT));
    Ok(response)
}
