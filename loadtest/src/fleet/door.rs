//! The gateway of a fleet, asked over HTTP as anybody would.
//!
//! Where it listens may change while it is used: it is killed and started again. An answer is one of three: the
//! task was accepted, it was refused for good, or it is not known, and the same request has to be sent again.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use leveret_common::id::TaskId;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::error::Error;

/// How long an answer may take: longer than the gateway waits for a confirm.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most letters of one page.
const PAGE: usize = 500;

/// The gateway, wherever it listens at the moment.
#[derive(Debug, Clone)]
pub struct Door {
    client: Client,
    url: Arc<RwLock<String>>,
}

/// What is known of a task after it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was accepted, now or before.
    Accepted,
    /// It was refused for good, with why.
    Refused(String),
    /// It may have been accepted or not, with what came instead of an answer.
    Unknown(String),
}

impl Door {
    /// Makes one that leads nowhere yet.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new() -> Result<Self, Error> {
        let client = Client::builder().timeout(PATIENCE).build();
        let client =
            client.map_err(|error| Error::unexpected("the HTTP client", error.to_string()))?;
        Ok(Self { client, url: Arc::default() })
    }

    /// Has it lead elsewhere from now on.
    pub fn lead_to(&self, url: &str) {
        url.clone_into(&mut self.url.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Returns where it leads.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns its client.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a task once.
    ///
    /// # Cancel safety
    /// Dropped, the task may have been accepted or not.
    pub async fn send(&self, task: &Value) -> Answer {
        let sent = self.client.post(format!("{}/v1/tasks", self.url())).json(task).send().await;
        match sent {
            Ok(answer) => {
                let status = answer.status();
                answer_of(status, answer.text().await.unwrap_or_default())
            }
            Err(error) => Answer::Unknown(error.to_string()),
        }
    }

    /// Sends many tasks in one request; the answers are in their order.
    ///
    /// # Cancel safety
    /// Dropped, any of them may have been accepted or not.
    pub async fn send_all(&self, tasks: &[Value]) -> Vec<Answer> {
        let lines: Vec<String> = tasks.iter().map(Value::to_string).collect();
        let request = self.client.post(format!("{}/v1/tasks", self.url()));
        let request = request.header("content-type", "application/x-ndjson").body(lines.join("\n"));
        let text = match request.send().await {
            Ok(answer) => answer.text().await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let mut answers = vec![Answer::Unknown("no line came for it".to_owned()); tasks.len()];
        match text {
            Err(why) => answers.fill(Answer::Unknown(why)),
            Ok(text) => {
                for line in text.lines().filter_map(|line| serde_json::from_str(line).ok()) {
                    let at = line_number(&line).and_then(|line| answers.get_mut(line));
                    if let Some(answer) = at {
                        *answer = answer_of_line(&line);
                    }
                }
            }
        }
        answers
    }

    /// Returns the JSON that a path answers, with its status.
    ///
    /// # Errors
    /// When nobody answers, or not in JSON.
    ///
    /// # Cancel safety
    /// It only asks.
    pub async fn get(&self, path: &str) -> Result<(u16, Value), Error> {
        let asked = self.client.get(format!("{}{path}", self.url())).send().await;
        let wrong = |error: reqwest::Error| Error::unexpected(path, error.to_string());
        let answer = asked.map_err(wrong)?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await.map_err(wrong)?))
    }

    /// Posts JSON, and returns status and text of the answer.
    ///
    /// # Errors
    /// When nobody answers.
    ///
    /// # Cancel safety
    /// Dropped, it may have been done or not.
    pub async fn post(&self, path: &str, body: &Value) -> Result<(u16, String), Error> {
        let asked = self.client.post(format!("{}{path}", self.url())).json(body).send().await;
        let wrong = |error: reqwest::Error| Error::unexpected(path, error.to_string());
        let answer = asked.map_err(wrong)?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.map_err(wrong)?))
    }

    /// Returns what the gateway knows of a task; nothing where nobody knows it.
    ///
    /// # Errors
    /// When it cannot be asked.
    ///
    /// # Cancel safety
    /// It only asks.
    pub async fn task(&self, id: TaskId) -> Result<Option<Value>, Error> {
        self.known(&format!("/v1/tasks/{id}")).await
    }

    /// Asks where a task is and why.
    ///
    /// # Errors
    /// When it cannot be asked.
    ///
    /// # Cancel safety
    /// It only asks.
    pub async fn explain(&self, id: TaskId) -> Result<Value, Error> {
        let path = format!("/v1/tasks/{id}/explain");
        match self.get(&path).await? {
            (200, explained) => Ok(explained),
            (status, told) => Err(Error::unexpected(path, format!("answers {status}: {told}"))),
        }
    }

    /// Returns the listed dead letters with their reasons.
    ///
    /// # Errors
    /// When they cannot be listed.
    ///
    /// # Cancel safety
    /// It only asks.
    pub async fn letters(&self) -> Result<BTreeMap<TaskId, String>, Error> {
        let mut found = BTreeMap::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/dead?limit={PAGE}{cursor}");
            let (status, page) = self.get(&path).await?;
            let letters = page["letters"].as_array().filter(|_| status == 200);
            let letters = letters.ok_or_else(|| {
                Error::unexpected("/v1/dead", format!("answers {status}: {page}"))
            })?;
            for letter in letters {
                let id = letter["id"].as_str().and_then(|id| id.parse().ok());
                if let Some(id) = id {
                    found.insert(id, letter["reason"].as_str().unwrap_or_default().to_owned());
                }
            }
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(found),
            }
        }
    }

    /// Has the list of dead letters written anew, from the letters themselves.
    ///
    /// # Errors
    /// When that fails.
    ///
    /// # Cancel safety
    /// What was written stays written.
    pub async fn reindex(&self) -> Result<(), Error> {
        let (status, told) = self.post("/v1/dead/reindex", &json!({})).await?;
        // The last line says how it ended; without any queue of dead letters there is none.
        let failed = told.lines().any(|line| line.contains("\"error\":{"));
        if status == 200 && !failed {
            return Ok(());
        }
        Err(Error::unexpected("/v1/dead/reindex", format!("answers {status}: {told}")))
    }

    async fn known(&self, path: &str) -> Result<Option<Value>, Error> {
        match self.get(path).await? {
            (200, known) => Ok(Some(known)),
            (404, _) => Ok(None),
            (status, told) => Err(Error::unexpected(path, format!("answers {status}: {told}"))),
        }
    }
}

fn answer_of(status: StatusCode, text: String) -> Answer {
    match status.as_u16() {
        200 | 202 => Answer::Accepted,
        // What a client did wrong stays wrong; a body that came too slowly, or too much at once, does not.
        408 | 429 => Answer::Unknown(text),
        400..=499 => Answer::Refused(text),
        _ => Answer::Unknown(text),
    }
}

fn line_number(line: &Value) -> Option<usize> {
    usize::try_from(line["line"].as_u64()?).ok()?.checked_sub(1)
}

fn answer_of_line(line: &Value) -> Answer {
    let error = &line["error"];
    if error.is_null() {
        return Answer::Accepted;
    }
    let status = error["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    answer_of(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_sender_did_wrong_is_refused_for_good() {
        let answer = |status: u16| answer_of(StatusCode::from_u16(status).unwrap(), String::new());
        assert_eq!(answer(202), Answer::Accepted);
        assert_eq!(answer(200), Answer::Accepted);
        assert_eq!(answer(400), Answer::Refused(String::new()));
        for again in [408, 429, 500, 503, 504] {
            assert_eq!(answer(again), Answer::Unknown(String::new()), "{again}");
        }
    }

    #[test]
    fn a_line_is_judged_by_its_own_error() {
        assert_eq!(answer_of_line(&json!({ "line": 1, "id": "x" })), Answer::Accepted);
        let line = json!({ "line": 2, "error": { "status": 504 } });
        assert!(matches!(answer_of_line(&line), Answer::Unknown(_)));
        assert_eq!(line_number(&line), Some(1));
    }
}
