//! What a row waits for before it goes on.

use std::time::Duration;

use leveret_common::id::TaskId;
use tokio::time::{Instant, sleep};

use super::super::stage::Stage;
use crate::error::Error;

/// How long the next step of a play may take.
pub(super) const SOON: Duration = Duration::from_secs(60);

/// Waits until a task runs.
pub(super) async fn runs(stage: &Stage, id: TaskId) -> Result<(), Error> {
    let began = Instant::now();
    while stage.fleet.runs(id)?.is_empty() {
        if began.elapsed() > SOON {
            return Err(Error::unexpected(id.to_string(), format!("does not run after {SOON:?}")));
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
