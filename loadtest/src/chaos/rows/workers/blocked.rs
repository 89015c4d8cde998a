//! F6: handlers that never yield block all threads of theirs for three heartbeat TTLs.
//!
//! Heartbeats to broker and store go on (invariant I10): no connection is made anew, and nothing runs twice.

use std::time::Duration;

use super::trouble;
use crate::chaos::{Cast, Plan, Play, Proxied, Stage};
use crate::error::Error;
use crate::fleet::settings::Settings;
use crate::ground::On;
use crate::oracle::Finding;

const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn holds(play: Play) -> Result<Finding, Error> {
    // Two missed ones end the connection.
    let keys = "broker.heartbeat = \"2s\"\n".to_owned();
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let settings = Settings { keys, slots: threads + 2, ..trouble::settings() };
    let blocked = settings.heartbeat_ttl * 3;
    let plan = Plan {
        workers: 1,
        cast: Cast::Trouble,
        proxied: Proxied::Workers,
        settings,
        ..Plan::default()
    };
    let mut stage = Stage::open(&play, plan).await?;
    let before = connections(&stage)?;
    stage.say("all threads of handlers are busy");
    let millis = u64::try_from(blocked.as_millis()).unwrap_or(u64::MAX);
    for _ in 0..threads {
        trouble::put(&stage.fleet, "block", millis).await?;
    }
    stage.ran(threads).await?;
    // These wait for a thread.
    for _ in 0..2 {
        trouble::put(&stage.fleet, "fine", 0).await?;
    }
    stage.ask_for_some().await?;
    let mut finding = stage.judged(PATIENCE).await?;
    let after = connections(&stage)?;

    if after != before {
        finding.wrong.push(format!("connections were made anew: {before:?}, then {after:?}"));
    }
    let history = stage.fleet.journal.read()?;
    let short = history.all().filter(|run| {
        run.end.is_some_and(|end| end.at.since(run.began) >= blocked - Duration::from_millis(50))
    });
    stage.happened("no handler blocked for so long", short.count() == threads)?;
    if finding.explained() > 0 || finding.done != finding.accepted {
        finding.wrong.push("a blocked handler's task did not simply end done".to_owned());
    }
    Ok(finding)
}

/// Returns how many connections the worker has made to broker and store by now.
fn connections(stage: &Stage) -> Result<(u64, u64), Error> {
    if stage.play().on == On::Embedded {
        return Ok((0, 0));
    }
    Ok((stage.to_broker()?.seen().connections, stage.to_store()?.seen().connections))
}
