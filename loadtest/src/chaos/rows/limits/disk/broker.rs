//! The disk under RabbitMQ is full to the last byte: its own alarm, which comes sooner on a healthy one, is set so low
//! that it does not help.

use std::time::Duration;

use super::super::super::declared;
use super::{accepts_within, keeps_full, told, untyped};
use crate::chaos::Stage;
use crate::error::Error;
use crate::fleet::Fleet;
use crate::oracle::{Event, Finding};

/// How long a broker that has space again may take to accept a task, before its operator starts it again.
const BY_ITSELF: Duration = Duration::from_secs(10);
/// How soon a task is accepted by one that was started again.
const BACK: Duration = Duration::from_secs(60);

/// Has the disk full for a while.
pub(super) async fn full(stage: &mut Stage) -> Result<Finding, Error> {
    declared::are_written(stage).await?;
    stage.say("fills the disk of the broker");
    let from = Fleet::now();
    let kept = keeps_full(stage, stage.small_disks()?.0).await;
    stage.small_disks()?.0.free()?;
    let (refusals, accepted) = kept?;
    stage.happened("nobody was refused by a broker without space", !refusals.is_empty())?;

    let mut finding = Finding::default();
    finding.wrong.extend(untyped(&refusals, "the broker's disk"));
    finding.notes.push(told("the broker's disk", &refusals, accepted));
    finding.notes.push(comes_back(stage).await?);
    stage.note(Event::BrokerLost { from, to: Fleet::now() });
    Ok(finding)
}

/// Waits until the broker accepts tasks, and starts it again where it does not by itself; says which.
async fn comes_back(stage: &mut Stage) -> Result<String, Error> {
    let is_alive = stage.broker()?.pid().is_ok();
    if is_alive && let Some(after) = accepts_within(stage, BY_ITSELF).await? {
        return Ok(format!("the broker accepts {:.1} s after space is back", after.as_secs_f64()));
    }
    stage.say("starts the broker again");
    if stage.broker()?.pid().is_ok() {
        stage.broker()?.stop().await?;
    }
    stage.broker()?.start_again().await?;
    let Some(after) = accepts_within(stage, BACK).await? else {
        return Err(Error::unexpected("the gateway", "takes nothing from a broker started again"));
    };
    let how = if is_alive { "took nothing" } else { "had ended" };
    let after = after.as_secs_f64();
    Ok(format!("the broker {how}, and accepts {after:.1} s after it was started again"))
}
