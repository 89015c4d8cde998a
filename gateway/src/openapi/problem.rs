//! Which problems an operation may be answered with.
//!
//! What every operation may meet is said here, what only some do stands beside their route.

use std::collections::BTreeMap;

use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa_axum::router::UtoipaMethodRouter;

use super::name::reference;
use crate::problem::{MEDIA_TYPE, Sort};
use crate::route::Door;

/// What any operation may be answered with.
const ANY: [Sort; 5] =
    [Sort::FOREIGN_PAGE, Sort::WRONG_HOST, Sort::INTERNAL, Sort::UNAVAILABLE, Sort::UNCONFIRMED];
/// What one with a body may be answered with beside that.
const BODY: [Sort; 3] = [Sort::SLOW_BODY, Sort::TOO_LARGE, Sort::MEDIA_TYPE];

/// Says which problems of its own a route has.
pub(crate) fn refusing(route: UtoipaMethodRouter<Door>, own: &[Sort]) -> UtoipaMethodRouter<Door> {
    let (schemas, mut paths, methods) = route;
    for item in paths.paths.values_mut() {
        super::operations_mut(item).for_each(|operation| refuse(operation, own));
    }
    (schemas, paths, methods)
}

fn refuse(operation: &mut Operation, own: &[Sort]) {
    let mut sorts = own.to_vec();
    sorts.extend(ANY);
    // An operation that says nothing of security needs the token that all others need.
    if operation.security.is_none() {
        sorts.push(Sort::NO_TOKEN);
    }
    if operation.request_body.is_some() {
        sorts.extend(BODY);
    }
    // The probes ignore parameters; all others refuse those that they do not know.
    if !operation.tags.iter().flatten().any(|tag| tag == "probes") {
        sorts.push(Sort::INVALID_REQUEST);
    }
    let mut of_status: BTreeMap<u16, Vec<Sort>> = BTreeMap::new();
    for sort in Sort::ALL.iter().filter(|sort| sorts.contains(sort)) {
        of_status.entry(sort.status.as_u16()).or_default().push(*sort);
    }
    for (status, sorts) in of_status {
        let response = match sorts.as_slice() {
            [sort] => Ref::from_response_name(sort.name).into(),
            several => RefOr::T(answer(several)),
        };
        operation.responses.responses.insert(status.to_string(), response);
    }
}

/// Returns the answers that are the same wherever they are given, by their sort.
pub(super) fn answers() -> impl Iterator<Item = (String, RefOr<Response>)> {
    Sort::ALL.iter().map(|sort| (sort.name.to_owned(), RefOr::T(answer(&[*sort]))))
}

fn answer(sorts: &[Sort]) -> Response {
    let line = |sort: &Sort| format!("`{}`: {}.", sort.kind(), sort.title);
    let words: Vec<_> = sorts.iter().map(line).collect();
    let content = ContentBuilder::new().schema(Some(reference("Problem"))).build();
    let mut response =
        ResponseBuilder::new().description(words.join("\n\n")).content(MEDIA_TYPE, content);
    if sorts.iter().any(|sort| sort.has_retry_after()) {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
        let mut header = Header::new(Schema::from(seconds));
        header.description = Some("After how many seconds to try again.".to_owned());
        response = response.header("Retry-After", header);
    }
    if sorts.contains(&Sort::NO_TOKEN) {
        let mut header = Header::default();
        header.description = Some("Which token is asked for.".to_owned());
        response = response.header("WWW-Authenticate", header);
    }
    response.build()
}

/// The types of problems: a closed list.
pub(crate) fn types() -> RefOr<Schema> {
    let kinds = Sort::ALL.iter().map(|sort| sort.kind());
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(kinds))
        .description(Some("What sort of problem it is: one of a closed list."))
        .examples(["/problems/invalid-task"])
        .into()
}
