//! The node that leads a loaded lane cannot reach the others, and nobody is told: what they say to one another goes
//! nowhere. Clients reach all of them.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::super::stage::Stage;
use super::{Told, another_leads, leads, lost_since, progress};
use crate::error::Error;
use crate::fleet::Fleet;

/// How long a node may take to notice that it is alone, with RabbitMQ's own `net_ticktime`.
const NOTICES: Duration = Duration::from_secs(100);

pub(super) async fn cut_off(stage: &mut Stage) -> Result<Told, Error> {
    let leader = leads(stage, 0).await?;
    stage.say(format!("cuts node {leader} off, which leads"));
    let from = Fleet::now();
    let before = stage.ring()?.withheld(leader);
    stage.ring()?.cut_off(leader);
    let began = Instant::now();
    let mut told = progress(stage, "leader partitioned away").await?;
    another_leads(stage, leader).await?;
    let withheld = stage.ring()?.withheld(leader) - before;
    stage.happened("nothing was kept from arriving", withheld > 0)?;

    stage.say("waits until it knows that it is alone");
    while serves(stage, leader).await? {
        if began.elapsed() > NOTICES {
            let what = format!("has not noticed a partition after {NOTICES:?}");
            return Err(Error::unexpected("RabbitMQ", what));
        }
        sleep(Duration::from_millis(100)).await;
    }
    told.notes.push(format!("the node that was cut off paused after {:.1?}", began.elapsed()));
    stage.ask_for_some().await?;

    stage.say("heals the partition");
    stage.ring()?.heal(leader);
    stage.ring()?.cluster.comes_together().await?;
    lost_since(stage, from);
    Ok(told)
}

/// Whether a node serves clients.
async fn serves(stage: &mut Stage, node: usize) -> Result<bool, Error> {
    let told = stage.ring()?.cluster.node(node).ask("rabbit:is_running().").await?;
    Ok(told == "true")
}
