//! F47: every message is published three times, by a client that never learned of its confirms.
//!
//! One execution each: the ledger goes by the id, and the copies find it claimed or done.

use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use leveret_common::id::TaskId;

use crate::chaos::{Plan, Play, Stage};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::oracle::Finding;

const TASKS: usize = 300;
const COPIES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(120);
const LANE: &str = "default.normal";

pub(super) async fn holds(play: Play) -> Result<Finding, Error> {
    let mut stage = Stage::open(&play, Plan { workers: 3, ..Plan::default() }).await?;
    // What a worker serves is declared.
    stage.put("ok").await?;
    stage.ran(1).await?;
    let url = stage.broker()?.url();
    let connection =
        Connection::connect(&url, ConnectionProperties::default()).await.map_err(said)?;
    let channel = connection.create_channel().await.map_err(said)?;
    channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(said)?;
    let door = format!("{}.tasks", stage.fleet.settings().namespace);
    let ids: Vec<TaskId> = (0..TASKS).map(|_| TaskId::mint()).collect();
    stage.say("publishes every message three times");
    let (ahead, behind) = ids.split_at(TASKS / 2);
    // One half back to back, the other when the first copy may be done.
    for id in ahead {
        for _ in 0..COPIES {
            publish(&channel, &door, *id).await?;
        }
    }
    for _ in 0..COPIES {
        for id in behind {
            publish(&channel, &door, *id).await?;
        }
    }
    for id in &ids {
        stage.fleet.books.open().accept(*id, "ok", Fleet::now());
    }
    let mut finding = stage.judged(PATIENCE).await?;
    connection.close(200, "done".into()).await.map_err(said)?;
    let runs = stage.fleet.journal.read()?.len();
    if runs != TASKS + 1 {
        finding.wrong.push(format!("{} tasks ran {runs} times", TASKS + 1));
    }
    finding.notes.push(format!("{} messages were published", TASKS * COPIES));
    Ok(finding)
}

async fn publish(channel: &Channel, door: &str, id: TaskId) -> Result<(), Error> {
    let properties = BasicProperties::default()
        .with_message_id(ShortString::from(id.to_string()))
        .with_type(ShortString::from("ok"))
        .with_content_type(ShortString::from("application/json"))
        .with_delivery_mode(2);
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let sent = channel.basic_publish(door.into(), LANE.into(), options, b"1", properties).await;
    let confirmed = sent.map_err(said)?.await.map_err(said)?;
    if confirmed.is_ack() {
        return Ok(());
    }
    Err(Error::unexpected("RabbitMQ", format!("does not take a message: {confirmed:?}")))
}

#[allow(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn said(error: lapin::Error) -> Error {
    Error::unexpected("RabbitMQ", error.to_string())
}
