//! What the gateway answers to somebody who puts a task in while something is away.

use std::time::{Duration, Instant};

use leveret_common::id::TaskId;
use serde_json::{Value, json};

use super::super::stage::Stage;
use crate::error::Error;

/// How long a confirm is waited for (`broker.publish_deadline`), and a little more for the way.
const DEADLINE: Duration = Duration::from_secs(12);
/// The sorts of problems that tell a sender to come again under the same id.
const NOT_NOW: [&str; 3] = ["blocked", "unavailable", "unconfirmed"];

/// An answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// The sort of the problem: the end of its `type`.
    pub(super) sort: String,
    /// Seconds.
    pub(super) retry_after: Option<u64>,
    pub(super) took: Duration,
    /// What a person reads.
    pub(super) detail: String,
}

impl Refusal {
    /// Tells what of it is not as a sender may expect: one of a few sorts, in time.
    pub(super) fn wrong(&self) -> Option<String> {
        let is_typed = NOT_NOW.contains(&self.sort.as_str());
        (!is_typed || self.took > DEADLINE).then(|| format!("the gateway refuses so: {self:?}"))
    }

    /// Tells it in a line.
    pub(super) fn told(&self) -> String {
        let (status, sort, took) = (self.status, &self.sort, self.took.as_secs_f64());
        format!("{status} {sort} after {took:.1} s ({})", self.detail)
    }
}

/// Tries once to put a task in; how it was refused, or nothing where it was accepted.
pub(super) async fn refusal(stage: &Stage) -> Result<Option<Refusal>, Error> {
    let (id, began) = (TaskId::mint(), Instant::now());
    let door = &stage.fleet.door;
    let task = json!({ "kind": "ok", "id": id, "args": 1 });
    // It is not asked again, so what became of it stays unknown.
    stage.fleet.books.open().leave_unknown(id);
    let sent = door.client().post(format!("{}/v1/tasks", door.url())).json(&task).send().await;
    let answer = sent.map_err(|error| Error::unexpected("the gateway", error.to_string()))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(None);
    }
    let header = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let retry_after = header.and_then(|text| text.parse().ok());
    let problem: Value = answer.json().await.unwrap_or_default();
    let sort = problem["type"].as_str().and_then(|kind| kind.rsplit(['/', ':', '#']).next());
    Ok(Some(Refusal {
        status: status.as_u16(),
        sort: sort.unwrap_or_default().to_owned(),
        retry_after,
        took: began.elapsed(),
        detail: problem["detail"].as_str().unwrap_or_default().to_owned(),
    }))
}
