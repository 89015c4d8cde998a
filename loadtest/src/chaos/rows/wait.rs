//! What a row waits for before it goes on.

use std::time::Duration;

use leveret_common::id::TaskId;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::super::stage::Stage;
use crate::error::Error;
use crate::fleet::Fleet;

/// How long the next step of a play may take.
pub(super) const SOON: Duration = Duration::from_secs(60);

/// Waits until a task runs.
pub(super) async fn runs(stage: &Stage, id: TaskId) -> Result<(), Error> {
    ran(&stage.fleet, id, 1).await
}

/// The same for a task that may have many before it.
pub(super) async fn runs_within(
    stage: &Stage,
    id: TaskId,
    patience: Duration,
) -> Result<(), Error> {
    ran_within(&stage.fleet, id, 1, patience).await
}

/// Waits until a task has begun to run so often.
pub(super) async fn ran(fleet: &Fleet, id: TaskId, times: usize) -> Result<(), Error> {
    ran_within(fleet, id, times, SOON).await
}

async fn ran_within(
    fleet: &Fleet,
    id: TaskId,
    times: usize,
    patience: Duration,
) -> Result<(), Error> {
    let began = Instant::now();
    while fleet.runs(id)?.len() < times {
        if began.elapsed() > patience {
            let what = format!("has not run {times} times after {patience:?}");
            return Err(Error::unexpected(id.to_string(), what));
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Puts a task in that runs when every copy which is parked by now, for a detached task, has come back; it may be
/// parked for up to four heartbeat TTLs.
pub(super) async fn put_behind_copies(fleet: &Fleet) -> Result<TaskId, Error> {
    let id = TaskId::mint();
    let delay = format!("{}ms", (fleet.settings().heartbeat_ttl * 4).as_millis());
    let task = json!({ "kind": "ok", "id": id, "args": 1, "delay": delay });
    fleet.put_as(id, "ok", task).await.map(|()| id)
}

/// Waits until every copy that is parked by now has come back.
pub(super) async fn copies_come_back(fleet: &Fleet) -> Result<(), Error> {
    let behind = put_behind_copies(fleet).await?;
    ran(fleet, behind, 1).await
}
