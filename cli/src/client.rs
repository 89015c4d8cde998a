//! The gateway's client: what operator commands say to it and how its refusals read.
//!
//! Answers stay JSON, so that a newer gateway's members reach the user unchanged. Nothing is
//! repeated by itself; whoever calls knows whether a repetition can double anything.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use leveret_common::config::Secret;
use leveret_common::config::settings::GatewaySettings;
use leveret_common::duration::DurationText;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::exit::Exit;

/// The longest that the gateway waits for a result in one request.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// What a request may take beside its wait: a publish deadline and a slow store.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// Most of a foreign answer that is shown.
const SHOWN: usize = 200;

/// Speaks to one gateway.
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<Secret>,
    /// What one NDJSON request may take.
    batch_patience: Duration,
}

/// A problem document (RFC 9457), as far as it is shown.
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    #[serde(default, rename = "type")]
    kind: String,
    status: u16,
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    errors: Vec<Flaw>,
}

/// One thing that is wrong with a request.
#[derive(Debug, Deserialize)]
struct Flaw {
    #[serde(default)]
    field: String,
    #[serde(default)]
    why: String,
}

impl Client {
    /// Creates a client of the configured gateway; connects with the first request.
    pub(crate) fn new(settings: &GatewaySettings) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            // A gateway is inside; a proxy of the environment would only be in the way.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .user_agent(concat!("leveret/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| Error::System {
                operation: "set up the HTTP client",
                source: std::io::Error::other(source),
            })?;
        let batch_patience = settings.request_timeout.max(PATIENCE) * 4;
        Ok(Self { http, url: settings.url.clone(), token: settings.token.clone(), batch_patience })
    }

    /// Enqueues one task.
    ///
    /// # Cancel safety
    /// Dropped, the task may or may not have been accepted.
    pub(crate) async fn enqueue(&self, task: &impl Serialize) -> Result<Value, Error> {
        let request = self.http.post(self.at("/v1/tasks")).json(task).timeout(PATIENCE);
        self.answer("enqueue the task", request).await
    }

    /// Enqueues the tasks of NDJSON `lines` and returns an answer for each.
    ///
    /// # Cancel safety
    /// Dropped, any of them may or may not have been accepted.
    pub(crate) async fn enqueue_lines(&self, lines: Bytes) -> Result<Vec<Value>, Error> {
        let operation = "enqueue the tasks";
        let request = self
            .http
            .post(self.at("/v1/tasks"))
            .header(CONTENT_TYPE, "application/x-ndjson")
            .header(ACCEPT, "application/x-ndjson")
            .body(lines)
            .timeout(self.batch_patience);
        let response = self.send(operation, request).await?;
        let text = response.text().await.map_err(|error| self.lost(operation, &error))?;
        let answer =
            |line: &str| serde_json::from_str(line).map_err(|_| self.alien(operation, line));
        text.lines().filter(|line| !line.trim().is_empty()).map(answer).collect()
    }

    /// Asks where a task stands, once it has ended or `wait` is over. At most a minute is waited.
    ///
    /// # Cancel safety
    /// Only asks.
    pub(crate) async fn task(&self, id: &str, wait: Option<Duration>) -> Result<Value, Error> {
        let mut path = format!("/v1/tasks/{}", escaped(id));
        let wait = wait.map(|wait| wait.min(LONGEST_WAIT));
        if let Some(wait) = wait {
            path.push_str(&format!("?wait={}", DurationText(wait)));
        }
        let patience = PATIENCE + wait.unwrap_or_default();
        let request = self.http.get(self.at(&path)).timeout(patience);
        self.answer("ask for the task", request).await
    }

    async fn answer(
        &self,
        operation: &'static str,
        request: RequestBuilder,
    ) -> Result<Value, Error> {
        let response = self.send(operation, request).await?;
        let text = response.text().await.map_err(|error| self.lost(operation, &error))?;
        serde_json::from_str(&text).map_err(|_| self.alien(operation, &text))
    }

    async fn send(
        &self,
        operation: &'static str,
        request: RequestBuilder,
    ) -> Result<Response, Error> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        };
        let response = request.send().await.map_err(|error| self.lost(operation, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = response.text().await.map_err(|error| self.lost(operation, &error))?;
        match serde_json::from_str::<Refusal>(&text) {
            Ok(refusal) => Err(Error::Refused { operation, refusal: Box::new(refusal) }),
            Err(_) => Err(self.alien(operation, &format!("{status}: {text}"))),
        }
    }

    /// Creates the failure of a request whose answer broke off.
    pub(crate) fn broken_off(&self, operation: &'static str, why: String) -> Error {
        let note = "; the rest may have arrived".to_owned();
        Error::Unreachable { operation, url: self.url.clone(), why, note }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn lost(&self, operation: &'static str, error: &reqwest::Error) -> Error {
        let note = match error.is_connect() {
            true => String::new(),
            false => "; the request may have arrived".to_owned(),
        };
        Error::Unreachable { operation, url: self.url.clone(), why: root_cause(error), note }
    }

    fn alien(&self, operation: &'static str, answer: &str) -> Error {
        let shown: String = answer.chars().take(SHOWN).collect();
        Error::Alien { operation, url: self.url.clone(), why: format!("it answered {shown:?}") }
    }
}

impl Refusal {
    /// Reads the refusal inside an answer to one line of many, if it is one.
    pub(crate) fn of_line(answer: &Value) -> Option<Self> {
        Self::deserialize(answer.get("error")?).ok()
    }

    /// Returns the exit code of a command that was refused so.
    pub(crate) fn exit(&self) -> Exit {
        match StatusCode::from_u16(self.status) {
            Ok(StatusCode::NOT_FOUND) if self.sort() == "unknown-task" => Exit::NotFound,
            Ok(
                StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::MISDIRECTED_REQUEST
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT,
            ) => Exit::Unreachable,
            Ok(status) if status.is_client_error() => Exit::Refused,
            Ok(_) | Err(_) => Exit::Failed,
        }
    }

    /// Returns the last part of the type, such as `unknown-task`.
    fn sort(&self) -> &str {
        self.kind.rsplit('/').next().unwrap_or(&self.kind)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = if self.detail.is_empty() { &self.title } else { &self.detail };
        write!(f, "{detail} ({} {})", self.status, self.sort())?;
        if self.errors.len() > 1 {
            for Flaw { field, why } in &self.errors {
                write!(f, "\n  {field}: {why}")?;
            }
        }
        if let (StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT, Some(id)) =
            (StatusCode::from_u16(self.status).unwrap_or_default(), &self.id)
        {
            write!(f, "\n  repeat it with --id {id}: so it cannot be doubled")?;
        }
        Ok(())
    }
}

/// Returns what the system said, without the wrappings that say only "error sending request".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// Escapes what is not allowed in a part of a path.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            // A part that is only dots would mean another folder.
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(status: u16, sort: &str) -> Refusal {
        let problem = json!({
            "type": format!("/problems/{sort}"), "status": status, "title": "No", "detail": "why",
            "id": "7", "errors": [{"field": "kind", "why": "a"}, {"field": "args", "why": "b"}],
        });
        Refusal::of_line(&json!({ "line": 1, "error": problem })).unwrap()
    }

    #[test]
    fn each_refusal_has_its_exit_code() {
        for (status, sort, exit) in [
            (400, "invalid-task", Exit::Refused),
            (401, "unauthorized", Exit::Unreachable),
            (404, "unknown-task", Exit::NotFound),
            (404, "unknown-route", Exit::Refused),
            (409, "key-conflict", Exit::Refused),
            (413, "too-large", Exit::Refused),
            (500, "internal", Exit::Failed),
            (503, "unavailable", Exit::Unreachable),
        ] {
            assert_eq!(refusal(status, sort).exit(), exit, "{status} {sort}");
        }
    }

    #[test]
    fn a_refusal_lists_all_that_is_wrong() {
        let text = refusal(400, "invalid-task").to_string();
        assert_eq!(text, "why (400 invalid-task)\n  kind: a\n  args: b");
    }

    #[test]
    fn an_id_of_any_text_is_one_part_of_the_path() {
        assert_eq!(escaped("../a b/ü?"), "%2E%2E%2Fa%20b%2F%C3%BC%3F");
    }
}
