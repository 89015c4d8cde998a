//! The broker is full: publishers are blocked, consumers go on.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::super::row::Play;
use super::super::super::stage::{Plan, Stage};
use super::super::footprint::Footprint;
use super::super::refusal::{Refusal, refusal};
use super::super::wait::runs;
use crate::error::Error;
use crate::fleet::journal::Journal;
use crate::fleet::producers::Load;
use crate::fleet::settings::{go, kind};
use crate::fleet::{Fleet, Settings};
use crate::node::{Alarm, QueueState};
use crate::oracle::{Event, Finding};

/// How long an alarm lasts, and in a play with the full numbers.
const LASTS: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));
/// How long all work may take to end once the producers have stopped.
const PATIENCE: Duration = Duration::from_secs(120);
/// Runs before the first fault: the pace to come back to.
const PACE: usize = 100;
/// Tasks in the lane when the alarm is raised: workers have to end them all the same.
const BACKLOG: usize = 40;
/// Tasks whose first attempt fails under the alarm. Fewer than slots, which they hold.
const RETRIES: usize = 2;
/// Their kind.
const RETRIED: &str = "retried-under-alarm";
/// The lane of all of them.
const LANE: &str = "chaos.lane.default.normal";
/// Within how many seconds a sender is told to come again.
const COME_AGAIN: u64 = 2;

pub(super) async fn raised(play: Play) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    for alarm in [Alarm::Memory, Alarm::Disk] {
        finding.add(one(&play, alarm).await?);
    }
    Ok(finding)
}

/// The usual kinds, and one whose first attempt fails when it is told to.
fn plan(play: &Play) -> Plan {
    let folder = play.folder.join("fleet");
    let wait = format!("while [ ! -e {} ]; do sleep 0.05; done", go(&folder).display());
    let work = format!("{wait}; [ $LEVERET_ATTEMPT != 1 ]");
    let tables = kind(RETRIED, "5m", &Journal::in_folder(&folder).script(&work));
    Plan { settings: Settings { tables, ..Settings::default() }, ..Plan::default() }
}

async fn one(play: &Play, alarm: Alarm) -> Result<Finding, Error> {
    let name = format!("{alarm:?}").to_lowercase();
    let play = Play { folder: play.folder.join(&name), ..play.clone() };
    let mut stage = Stage::open(&play, plan(&play)).await?;
    // No retries and no dead letters of theirs: what is unacked under the alarm is counted.
    let load = Load { kinds: vec![("ok", 3), ("nap", 1)], ..Load::default() };
    let producers = stage.load(&load);
    stage.ran(PACE).await?;

    stage.say(format!("raises the {name} alarm"));
    stage.fleet.put_many("nap", BACKLOG).await?;
    for id in stage.fleet.put_many(RETRIED, RETRIES).await? {
        runs(&stage, id).await?;
    }
    stage.harmed();
    let from = Fleet::now();
    stage.broker()?.set_alarm(alarm, true).await?;
    stage.fleet.let_go()?;
    let lasts = if play.is_full { LASTS.1 } else { LASTS.0 };
    let seen = under_the_alarm(&mut stage, lasts).await;
    stage.broker()?.set_alarm(alarm, false).await?;
    stage.note(Event::BrokerLost { from, to: Fleet::now() });
    stage.healed();

    let seen = seen?;
    stage
        .happened(&format!("nobody was refused by the {name} alarm"), !seen.refusals.is_empty())?;
    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    finding.wrong.extend(seen.wrong(&name));
    let slowest = seen.refusals.iter().map(|refused| refused.took).max();
    finding.notes.push(format!(
        "{name} alarm: refused {} times, the slowest answer after {:?}",
        seen.refusals.len(),
        slowest.unwrap_or_default()
    ));
    Ok(finding)
}

/// What was seen while an alarm lasted.
struct Seen {
    refusals: Vec<Refusal>,
    /// The lane at the end.
    lane: Option<QueueState>,
    leak: Option<String>,
}

impl Seen {
    fn wrong(&self, name: &str) -> Vec<String> {
        let mut wrong: Vec<String> = self.leak.iter().cloned().collect();
        // The first may have been on its way when the alarm came.
        wrong.extend(self.refusals.iter().skip(1).filter_map(|refused| {
            let is_told = refused.status == 503
                && refused.retry_after.is_some_and(|seconds| seconds <= COME_AGAIN)
                && refused.took <= Duration::from_secs(COME_AGAIN);
            (!is_told).then(|| format!("under the {name} alarm the gateway answers {refused:?}"))
        }));
        let is_worked_off = self.lane.as_ref().is_some_and(|lane| {
            // What waits to be published again is unacked, and nothing else is there.
            (lane.ready, lane.unacked) == (0, RETRIES as u64)
        });
        if !is_worked_off {
            wrong.push(format!("under the {name} alarm the lane ends as {:?}", self.lane));
        }
        wrong
    }
}

async fn under_the_alarm(stage: &mut Stage, lasts: Duration) -> Result<Seen, Error> {
    let gateway = stage.fleet.gateway().as_ref().map(crate::fleet::role::Role::pid);
    let gateway = gateway.ok_or_else(|| Error::unexpected("the gateway", "is not running"))?;
    let (began, before) = (Instant::now(), Footprint::of(gateway)?);
    let mut refusals = Vec::new();
    while began.elapsed() < lasts {
        refusals.extend(refusal(stage).await?);
        sleep(Duration::from_millis(200)).await;
    }
    stage.ask_for_some().await?;
    let lane = stage.broker()?.queues().await?.into_iter().find(|queue| queue.name == LANE);
    let leak = Footprint::of(gateway)?.leak_since(before, "the gateway");
    Ok(Seen { refusals, lane, leak })
}
