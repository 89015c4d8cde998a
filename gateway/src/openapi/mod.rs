//! The OpenAPI document of the HTTP API, made from the code: routes bring their operations, answers
//! and orders their schemas.
//!
//! A route that is not described cannot be added, because both come from one macro
//! (`route::described`). What no macro knows is added here: the words at the head, the token, and
//! problems. The same bytes for every gateway of a version: nothing in it tells of an installation.

pub(crate) mod fleet;
pub(crate) mod name;
pub(crate) mod problem;
mod schema;
pub(crate) mod written;

use std::sync::LazyLock;

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Components, Info, License, OpenApi, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::Document;
use crate::route;

/// The operations by what they are about, in reading order.
const TAGS: [(&str, &str); 7] = [
    ("tasks", "Put tasks in, ask what became of them, cancel them."),
    ("dead letters", "Tasks that will not be tried again by themselves: list, replay, discard."),
    ("queues", "What waits where, and pauses."),
    ("workers", "Who performs tasks, and what they are asked to do."),
    ("schedules", "When which task is put in by itself."),
    ("doctor", "What is wrong, or soon will be, and how to mend it."),
    ("probes", "For orchestrators and monitoring, and this document."),
];

/// The name of the token among the security schemes.
const TOKEN: &str = "token";

static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(|| finish(route::described().into_openapi()));

/// The document as it is served.
pub(crate) static JSON: LazyLock<Vec<u8>> = LazyLock::new(|| {
    // A document of texts and numbers can always be written.
    serde_json::to_vec(&*DOCUMENT).unwrap_or_default()
});

/// Writes the OpenAPI document of the HTTP API for people to read: the one that a gateway of this
/// version serves at `/v1/openapi.json`.
#[must_use]
pub fn openapi() -> String {
    serde_json::to_string_pretty(&*DOCUMENT).unwrap_or_default()
}

/// Lists the routes with their methods: `GET POST /v1/schedules`.
pub(crate) fn routes() -> Vec<String> {
    DOCUMENT.paths.paths.keys().map(|path| format!("{} {path}", methods(path).join(" "))).collect()
}

/// Returns the methods that a path takes.
pub(crate) fn methods(path: &str) -> Vec<&'static str> {
    let Some(item) = DOCUMENT.paths.paths.get(path) else { return Vec::new() };
    let PathItem { get, put, post, delete, .. } = item;
    let named = [("GET", get), ("POST", post), ("PUT", put), ("DELETE", delete)];
    named.into_iter().filter_map(|(name, operation)| operation.as_ref().map(|_| name)).collect()
}

/// Returns the operations of a path.
fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, .. } = item;
    [get, post, put, delete].into_iter().flatten()
}

fn finish(mut api: OpenApi) -> OpenApi {
    api.info = info();
    api.servers = None;
    api.tags = Some(
        TAGS.map(|(name, words)| TagBuilder::new().name(name).description(Some(words)).build())
            .to_vec(),
    );
    // Without tokens none is needed, so that both are right.
    let security = [SecurityRequirement::new(TOKEN, [""; 0]), SecurityRequirement::default()];
    api.security = Some(security.to_vec());
    let components = api.components.get_or_insert_with(Components::new);
    components.security_schemes.insert(TOKEN.to_owned(), RefOr::T(token()));
    components.responses.extend(problem::answers());
    let mut schemas = name::all();
    schemas.push((Document::name().into_owned(), Document::schema()));
    Document::schemas(&mut schemas);
    components.schemas.extend(schemas);
    schema::settle(&mut api);
    api
}

fn info() -> Info {
    let mut info = Info::new("Leveret", env!("CARGO_PKG_VERSION"));
    info.description = Some(include_str!("head.md").to_owned());
    info.license = Some(License::new("MIT OR Apache-2.0"));
    info
}

fn token() -> SecurityScheme {
    let words = "One of the tokens in `gateway.token_file`. A gateway without that file needs none \
                 and answers its own machine only.";
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(words));
    SecurityScheme::Http(scheme.build())
}
