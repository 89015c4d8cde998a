//! What a request says beside its path: parameters, a small JSON body, and who asks.
//!
//! Guards that nothing is passed over in silence: an unknown parameter or member is refused with
//! the nearest that exists. A body without a media type is refused as well, because a page of
//! another site can send one without asking first.

use std::str::FromStr;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::extract::Query;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use leveret_common::filter::Filter;
use leveret_producer::{Problem as FieldProblem, nearest};
use serde::de::DeserializeOwned;

use crate::body;
use crate::media::{self, Media};
use crate::operations::OperationError;
use crate::problem::{Problem, Sort};
use crate::route::Door;

/// The header that says who asks.
const BY: &str = "leveret-by";
/// Longest name of who asks.
pub(crate) const MAX_BY: usize = 128;
/// Most bytes of a body that holds orders, edited args apart.
const MAX_ORDER: usize = 64 << 10;

/// Says that one part of the request is wrong.
pub(crate) fn wrong(field: &str, why: impl std::fmt::Display) -> Problem {
    Problem::invalid(Sort::INVALID_REQUEST, vec![FieldProblem::new(field, why)])
}

/// The parameters of a query, as they were written.
pub(crate) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<Vec<(String, String)>>::from_request_parts(parts, state).await {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(error) => Err(wrong("query", error.body_text())),
        }
    }
}

impl Parameters {
    /// Refuses parameters other than `names`, repeated ones and empty ones.
    pub(crate) fn only(&self, names: &[&str]) -> Result<(), Problem> {
        for (place, (name, value)) in self.0.iter().enumerate() {
            if !names.contains(&name.as_str()) {
                let why = match names {
                    [] => "there are no parameters here; leave it out".to_owned(),
                    names => nearest::unknown("parameter", name, names),
                };
                return Err(wrong(name, why));
            }
            if self.0[..place].iter().any(|(before, _)| before == name) {
                return Err(wrong(name, "it stands there twice; give it once"));
            }
            // An empty filter matches everything. Of the others none is passed over in silence: what
            // was meant to narrow a request down, and came out empty, would widen it.
            if value.is_empty() && name != "filter" {
                return Err(wrong(name, "it is empty; give it a value, or leave it out"));
            }
        }
        Ok(())
    }

    /// Returns a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Reads a parameter.
    pub(crate) fn read<T: FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, Problem> {
        let read = |text: &str| text.parse().map_err(|error| wrong(name, error));
        self.text(name).map(read).transpose()
    }

    /// Reads a switch: `true` or `false`.
    pub(crate) fn switch(&self, name: &str) -> Result<bool, Problem> {
        match self.text(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(wrong(name, "write true or false")),
        }
    }

    /// Reads the filter; an absent one matches everything.
    pub(crate) fn filter(&self) -> Result<Filter, Problem> {
        filter(self.text("filter"))
    }
}

/// Reads a filter; an absent one matches everything.
pub(crate) fn filter(text: Option<&str>) -> Result<Filter, Problem> {
    let read = text.unwrap_or_default().parse::<Filter>();
    read.map_err(|error| OperationError::from(error).into())
}

/// Reads orders from a JSON body; without a body they are the default ones. `beside` is how many
/// bytes more than usual are taken.
pub(crate) async fn orders<T: DeserializeOwned + Default>(
    door: &Door,
    headers: &HeaderMap,
    body: Body,
    beside: usize,
) -> Result<T, Problem> {
    let has_type = headers.contains_key(header::CONTENT_TYPE);
    if has_type && media::read(headers)? != Media::Json {
        let detail = "send Content-Type: application/json";
        return Err(Problem::new(Sort::MEDIA_TYPE, detail));
    }
    let limit = MAX_ORDER + beside;
    let json = body::whole(headers, body, limit, door.config.idle_timeout).await?;
    if json.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    if !has_type {
        let detail = "a body needs Content-Type: application/json";
        return Err(Problem::new(Sort::MEDIA_TYPE, detail));
    }
    serde_json::from_slice(&json).map_err(|error| wrong("body", error))
}

/// Returns who asks, as far as they say.
pub(crate) fn actor(headers: &HeaderMap) -> Result<String, Problem> {
    let Some(value) = headers.get(BY) else { return Ok("unknown".to_owned()) };
    let text = String::from_utf8_lossy(value.as_bytes());
    let text = text.trim();
    let is_fine =
        !text.is_empty() && text.chars().count() <= MAX_BY && !text.chars().any(char::is_control);
    if is_fine {
        return Ok(text.to_owned());
    }
    Err(wrong("Leveret-By", format!("write who you are in at most {MAX_BY} visible characters")))
}
