//! The node that leads a loaded lane is killed, and started again.

use super::super::super::stage::Stage;
use super::{Told, another_leads, leads, lost_since, progress};
use crate::error::Error;
use crate::fleet::Fleet;

pub(super) async fn killed(stage: &mut Stage) -> Result<Told, Error> {
    let leader = leads(stage, 0).await?;
    stage.say(format!("kills node {leader}, which leads"));
    let from = Fleet::now();
    stage.ring()?.cluster.node_mut(leader).kill().await?;
    let told = progress(stage, "leader killed").await?;
    stage.ask_for_some().await?;
    another_leads(stage, leader).await?;

    stage.say("starts it again");
    stage.ring()?.cluster.node_mut(leader).start_again().await?;
    stage.ring()?.cluster.comes_together().await?;
    lost_since(stage, from);
    Ok(told)
}
