//! Somebody takes the fleet's rights on the broker away, or its password, and gives them back.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::super::row::Play;
use super::super::super::stage::{Plan, Stage};
use super::super::refusal::{Refusal, refusal};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::producers::Load;
use crate::fleet::role::Role;
use crate::oracle::{Event, Finding};

/// How long all work may take to end once the producers have stopped.
const PATIENCE: Duration = Duration::from_secs(120);
/// How soon a process says that it cannot do its work, and that it can again.
const SOON: Duration = Duration::from_secs(30);
/// For how long it has to say that it cannot: one that connects again says so for a moment, too.
const STEADY: Duration = Duration::from_secs(3);
/// Runs before the first fault: the pace to come back to.
const PACE: usize = 100;
/// Who the fleet is on the broker.
const USER: &str = "guest";

pub(super) async fn revoked(play: Play) -> Result<Finding, Error> {
    let mut stage = Stage::open(&play, Plan::default()).await?;
    let producers = stage.load(&Load::default());
    stage.ran(PACE).await?;
    let pids = pids(&mut stage);
    stage.harmed();
    let revoke: [&[&str]; 2] = [
        &["set_permissions", USER, "^$", "^$", "^$"],
        &["set_permissions", USER, ".*", ".*", ".*"],
    ];
    let no_right = without(&mut stage, "its rights", revoke).await?;
    let ran = stage.fleet.journal.read()?.len();
    stage.ran(ran + PACE).await?;
    let rotate: [&[&str]; 2] =
        [&["change_password", USER, "another"], &["change_password", USER, USER]];
    let no_entry = without(&mut stage, "its password", rotate).await?;

    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    if self::pids(&mut stage) != pids {
        finding.wrong.push("a process was started again".to_owned());
    }
    for (refused, what) in [(no_right, "rights"), (no_entry, "password")] {
        finding.wrong.extend(refused.wrong());
        finding.notes.push(format!("without its {what}: {}", refused.told()));
    }
    Ok(finding)
}

/// Takes something away, until everybody says so, and gives it back, until everybody is ready.
async fn without(
    stage: &mut Stage,
    what: &str,
    [take, give]: [&[&str]; 2],
) -> Result<Refusal, Error> {
    stage.say(format!("takes the fleet {what}"));
    let from = Fleet::now();
    stage.broker()?.control(take).await?;
    // Who is in keeps what the broker has found out about it.
    stage.broker()?.close_connections("closed by a test").await?;
    let is_red = everybody(stage, false).await;
    let refused = refusal(stage).await?;
    stage.broker()?.control(give).await?;
    stage.note(Event::BrokerLost { from, to: Fleet::now() });
    stage.healed();
    is_red?;
    everybody(stage, true).await?;
    stage.happened(&format!("a task was accepted without {what}"), refused.is_some())?;
    refused.ok_or_else(|| Error::unexpected("the gateway", "does not refuse"))
}

/// Waits until every process says that it is ready, or that it is not.
async fn everybody(stage: &mut Stage, ready: bool) -> Result<(), Error> {
    let (began, mut since) = (Instant::now(), None);
    loop {
        let mut others = Vec::new();
        for role in stage.workers().iter() {
            others.extend(says_else(role, ready).await);
        }
        if let Some(gateway) = stage.fleet.gateway() {
            others.extend(says_else(gateway, ready).await);
        }
        since = others.is_empty().then(|| since.unwrap_or_else(Instant::now));
        if since.is_some_and(|since| ready || since.elapsed() > STEADY) {
            return Ok(());
        }
        if began.elapsed() > SOON {
            let what = if ready { "are not ready again" } else { "still say that they are ready" };
            return Err(Error::unexpected(others.join(", "), format!("{what} after {SOON:?}")));
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Returns the name of a process that does not say what it should.
async fn says_else(role: &Role, ready: bool) -> Option<String> {
    (role.is_ready().await != ready).then(|| role.name().to_owned())
}

fn pids(stage: &mut Stage) -> Vec<u32> {
    let mut pids: Vec<u32> = stage.workers().iter().map(Role::pid).collect();
    pids.extend(stage.fleet.gateway().as_ref().map(Role::pid));
    pids
}
