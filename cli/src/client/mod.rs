//! The gateway's client: what operator commands say to it and how its refusals read.
//!
//! Answers stay JSON, so that a newer gateway's members reach the user unchanged. Nothing is
//! repeated by itself; whoever calls knows whether a repetition can double anything. Every request
//! says who asks ([`actor`]), because what people do to tasks is recorded.

mod actor;
mod answers;
mod refusal;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use leveret_common::config::Secret;
use leveret_common::config::settings::GatewaySettings;
use leveret_common::duration::DurationText;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use reqwest::{RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use self::answers::Answers;
pub(crate) use self::refusal::Refusal;
use crate::error::{Error, Loss};

/// What was tried, as "failed to …" goes on.
pub(crate) type Operation = Cow<'static, str>;

/// The longest that the gateway waits for a result in one request.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How much later than the gateway's own limit its answer may come.
const MARGIN: Duration = Duration::from_secs(10);
/// How many times longer many lines may take than one request.
const MANY: u32 = 4;
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer that comes bit by bit may be silent, at least.
const SILENCE: Duration = Duration::from_secs(180);
/// Most of a foreign answer that is shown.
const SHOWN: usize = 200;
/// The header of the key that makes a request repeatable.
const KEY: &str = "idempotency-key";
/// Many lines, in requests and in answers.
const NDJSON: &str = "application/x-ndjson";

/// Speaks to one gateway.
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<Secret>,
    /// What one request may take beside its wait: the gateway gives up before.
    patience: Duration,
}

impl Client {
    /// Creates a client of the configured gateway; connects with the first request.
    pub(crate) fn new(settings: &GatewaySettings) -> Result<Self, Error> {
        let mut headers = HeaderMap::new();
        if let Some(actor) = actor::header() {
            headers.insert(actor::NAME, actor);
        }
        let patience = settings.request_timeout + MARGIN;
        let mut http = reqwest::Client::builder();
        if settings.url.starts_with("http://") {
            // Nothing to trust: a machine without certificates is no reason to fail.
            http = http.tls_certs_only([]);
        }
        let http = http
            // A gateway is inside; a proxy of the environment would only be in the way.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            // Of a single request too, which must not be cut off before its own time is over.
            .read_timeout(SILENCE.max(patience))
            .default_headers(headers)
            .user_agent(concat!("leveret/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| Error::System {
                operation: "set up the HTTP client",
                source: std::io::Error::other(source),
            })?;
        Ok(Self { http, url: settings.url.clone(), token: settings.token.clone(), patience })
    }

    /// Asks for what is at `path`.
    ///
    /// # Cancel safety
    /// Only asks.
    pub(crate) async fn get(
        &self,
        operation: impl Into<Operation>,
        path: &str,
    ) -> Result<Value, Error> {
        self.answer(&operation.into(), self.http.get(self.at(path)).timeout(self.patience)).await
    }

    /// Asks for what is at `path`, to be read as a `T`.
    ///
    /// # Cancel safety
    /// Only asks.
    pub(crate) async fn get_as<T: DeserializeOwned>(
        &self,
        operation: impl Into<Operation>,
        path: &str,
    ) -> Result<T, Error> {
        self.answer(&operation.into(), self.http.get(self.at(path)).timeout(self.patience)).await
    }

    /// Has what is at `path` replaced.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have been replaced.
    pub(crate) async fn put(
        &self,
        operation: impl Into<Operation>,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Value, Error> {
        let request = self.http.put(self.at(path)).json(body).timeout(self.patience);
        self.answer(&operation.into(), request).await
    }

    /// Has what is at `path` deleted.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have been deleted.
    pub(crate) async fn delete(
        &self,
        operation: impl Into<Operation>,
        path: &str,
    ) -> Result<Value, Error> {
        self.answer(&operation.into(), self.http.delete(self.at(path)).timeout(self.patience)).await
    }

    /// Has something done.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have been done.
    pub(crate) async fn post(
        &self,
        operation: impl Into<Operation>,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Value, Error> {
        let request = self.http.post(self.at(path)).json(body).timeout(self.patience);
        self.answer(&operation.into(), request).await
    }

    /// Has something done that `key` makes safe to ask for again.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have been done: ask again with the same key.
    pub(crate) async fn post_with_key(
        &self,
        operation: impl Into<Operation>,
        path: &str,
        key: &str,
        body: &impl Serialize,
    ) -> Result<Value, Error> {
        let request = self.http.post(self.at(path)).header(KEY, key).json(body);
        self.answer(&operation.into(), request.timeout(self.patience)).await
    }

    /// Asks for many lines.
    ///
    /// # Cancel safety
    /// Only asks.
    pub(crate) async fn get_lines(
        &self,
        operation: impl Into<Operation>,
        path: &str,
    ) -> Result<Answers, Error> {
        self.lines(operation.into(), self.http.get(self.at(path))).await
    }

    /// Has something long done, which tells line by line how far it is. It ends when the answer is
    /// dropped.
    ///
    /// # Cancel safety
    /// Dropped, some of it may have been done.
    pub(crate) async fn post_for_lines(
        &self,
        operation: impl Into<Operation>,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Answers, Error> {
        self.lines(operation.into(), self.http.post(self.at(path)).json(body)).await
    }

    /// Sends NDJSON `lines` to `path` and returns the answers, as a rule one for each line.
    ///
    /// # Cancel safety
    /// Dropped, any of them may or may not have been taken.
    pub(crate) async fn post_lines(
        &self,
        operation: impl Into<Operation>,
        path: &str,
        lines: Bytes,
    ) -> Result<Vec<Value>, Error> {
        let operation = operation.into();
        let request = self
            .http
            .post(self.at(path))
            .header(CONTENT_TYPE, NDJSON)
            .header(ACCEPT, NDJSON)
            .body(lines)
            .timeout(self.patience * MANY);
        let response = self.send(&operation, request).await?;
        let text = response.text().await.map_err(|error| self.lost(&operation, &error))?;
        let answer =
            |line: &str| serde_json::from_str(line).map_err(|_| self.alien(&operation, line));
        text.lines().filter(|line| !line.trim().is_empty()).map(answer).collect()
    }

    /// Asks where a task stands, once it has ended or `wait` is over. At most a minute is waited.
    ///
    /// # Cancel safety
    /// Only asks.
    pub(crate) async fn task(&self, id: &str, wait: Option<Duration>) -> Result<Value, Error> {
        let mut path = format!("/v1/tasks/{}", part(id));
        let wait = wait.map(|wait| wait.min(LONGEST_WAIT));
        if let Some(wait) = wait {
            path.push_str(&format!("?wait={}", DurationText(wait)));
        }
        let patience = self.patience + wait.unwrap_or_default();
        let request = self.http.get(self.at(&path)).timeout(patience);
        self.answer(&about("ask for task", id), request).await
    }

    /// Creates the failure of a request whose answer broke off.
    pub(crate) fn broken_off(
        &self,
        operation: impl Into<Operation>,
        why: String,
        note: &str,
    ) -> Error {
        let (operation, note) = (operation.into(), format!("; {note}"));
        Error::Unreachable { operation, url: self.url.clone(), why, note, loss: Loss::Broken }
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        operation: &Operation,
        request: RequestBuilder,
    ) -> Result<T, Error> {
        let response = self.send(operation, request).await?;
        let text = response.text().await.map_err(|error| self.lost(operation, &error))?;
        serde_json::from_str(&text).map_err(|_| self.alien(operation, &text))
    }

    async fn lines(&self, operation: Operation, request: RequestBuilder) -> Result<Answers, Error> {
        let response = self.send(&operation, request.header(ACCEPT, NDJSON)).await?;
        Ok(Answers::new(operation, self.url.clone(), response))
    }

    async fn send(
        &self,
        operation: &Operation,
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
            Ok(refusal) => {
                let operation = operation.clone();
                Err(Error::Refused { operation, refusal: Box::new(refusal) })
            }
            Err(_) => Err(self.alien(operation, &format!("{status}: {text}"))),
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn lost(&self, operation: &Operation, error: &reqwest::Error) -> Error {
        lost(operation, &self.url, error)
    }

    fn alien(&self, operation: &Operation, answer: &str) -> Error {
        alien(operation, &self.url, answer)
    }
}

fn lost(operation: &Operation, url: &str, error: &reqwest::Error) -> Error {
    let loss = match error {
        error if error.is_connect() => Loss::Absent,
        error if error.is_timeout() => Loss::Late,
        _ => Loss::Broken,
    };
    let note = match loss {
        Loss::Absent => String::new(),
        Loss::Late | Loss::Broken => "; the request may have arrived".to_owned(),
    };
    Error::Unreachable {
        operation: operation.clone(),
        url: url.to_owned(),
        why: root_cause(error),
        note,
        loss,
    }
}

fn alien(operation: &Operation, url: &str, answer: &str) -> Error {
    let shown: String = answer.chars().take(SHOWN).collect();
    let why = format!("it answered {shown:?}");
    Error::Alien { operation: operation.clone(), url: url.to_owned(), why }
}

/// Returns what the system said, without the wrappings that say only "error sending request".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// Names an operation on what the user typed, without what a terminal would obey.
pub(crate) fn about(operation: &str, typed: &str) -> Operation {
    let shown: String = typed
        .chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect();
    format!("{operation} {shown}").into()
}

/// Escapes what is not allowed in one part of a path or in a value of a query.
pub(crate) fn part(text: &str) -> String {
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
    use super::*;

    #[test]
    fn an_answer_is_waited_for_longer_than_the_gateway_takes() {
        let client = Client::new(&GatewaySettings::default()).unwrap();
        assert!(client.patience > GatewaySettings::default().request_timeout);
        let hour = Duration::from_secs(3_600);
        let settings = GatewaySettings { request_timeout: hour, ..GatewaySettings::default() };
        assert!(Client::new(&settings).unwrap().patience > hour);
    }

    #[test]
    fn an_id_of_any_text_is_one_part_of_the_path() {
        assert_eq!(part("../a b/ü?"), "%2E%2E%2Fa%20b%2F%C3%BC%3F");
    }

    #[test]
    fn what_was_typed_is_told_without_escape_sequences() {
        assert_eq!(about("ask for task", "a\u{1b}[31mb"), "ask for task a\\u{1b}[31mb");
    }
}
