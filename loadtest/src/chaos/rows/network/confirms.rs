//! Confirms are lost: senders do not know, ask again under the same id, and each task runs once.

use std::time::Duration;

use super::super::super::row::Play;
use super::super::super::stage::{Plan, Proxied, Stage};
use super::{PACE, PATIENCE, has_seen};
use crate::error::Error;
use crate::fleet::producers::Load;
use crate::fleet::{Fleet, Settings};
use crate::oracle::{Event, Finding};
use crate::proxy::fault::{Fault, Towards};

/// How many of them.
const SHARE: f64 = 0.3;
/// Confirms that are lost, gateway's and workers'. Each keeps its place in a publisher's window of 512 until the
/// connection is made anew.
const LOST: u64 = 150;
/// How long a step of the play may take.
const SOON: Duration = Duration::from_secs(90);
/// How often the broker is killed before it has confirmed.
const KILLS: usize = 3;
/// Bytes of a publish, at least.
const PUBLISH: u64 = 500;
/// Runs between two kills.
const BETWEEN: usize = 30;

pub(super) async fn lost(play: Play) -> Result<Finding, Error> {
    let settings =
        Settings { keys: "broker.publish_deadline = \"1s\"".to_owned(), ..Settings::default() };
    let plan = Plan { proxied: Proxied::Everybody, settings, ..Plan::default() };
    let mut stage = Stage::open(&play, plan).await?;
    let producers = stage.load(&Load { producers: 16, ..Load::default() });
    stage.ran(PACE).await?;

    stage.say("drops confirms");
    stage.harmed();
    stage.to_broker()?.set(Fault::DropReplies { share: SHARE });
    let were_lost = has_seen(stage.to_broker()?, SOON, |seen| seen.confirms_lost >= LOST).await;
    stage.ask_for_some().await?;
    stage.to_broker()?.set(Fault::None);
    let repeated = stage.fleet.books.open().repeated;
    stage.happened("too few confirms were lost", were_lost)?;
    stage.happened("no sender was left in doubt", repeated > 0)?;

    for kill in 1..=KILLS {
        killed_before_it_confirms(&mut stage, kill).await?;
        let ran = stage.fleet.journal.read()?.len();
        stage.ran(ran + BETWEEN).await?;
    }
    stage.healed();
    let in_doubt = stage.fleet.books.open().repeated - repeated;
    stage.happened("no sender was left in doubt by a kill", in_doubt > 0)?;
    let seen = stage.to_broker()?.seen();
    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    finding.notes.push(format!(
        "{} of {} confirms were lost; {repeated} requests in doubt by that, {in_doubt} by kills",
        seen.confirms_lost, seen.confirms
    ));
    Ok(finding)
}

/// Has the broker take publishes and die before its confirms arrive.
async fn killed_before_it_confirms(stage: &mut Stage, kill: usize) -> Result<(), Error> {
    stage.say(format!("kills the broker before it confirms, {kill} of {KILLS}"));
    let before = stage.to_broker()?.seen();
    stage.to_broker()?.set_towards(Towards::Client, Fault::Blackhole);
    let published = has_seen(stage.to_broker()?, SOON, |seen| {
        seen.to_server >= before.to_server + PUBLISH && seen.withheld > before.withheld
    });
    let were_published = published.await;
    let from = Fleet::now();
    stage.broker()?.kill().await?;
    // Nothing is left that could still confirm.
    stage.to_broker()?.set(Fault::Reset);
    stage.broker()?.start_again().await?;
    stage.to_broker()?.set(Fault::None);
    stage.note(Event::BrokerLost { from, to: Fleet::now() });
    stage.happened("nothing was published before the broker was killed", were_published)
}
