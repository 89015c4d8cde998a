//! F51: a soak. Faults by chance, one after the other, under a steady load; each is healed before the next.
//!
//! One worker and the gateway live through all of it: what they hold of the machine must not grow. The embedded
//! backend is one process, which is killed and drained, so nobody is left to be measured there.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::footprint::Footprint;
use crate::chaos::{Plan, Play, Proxied, Stage};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::producers::Load;
use crate::fleet::role::Role;
use crate::ground::On;
use crate::oracle::{Event, Finding};
use crate::proxy::fault::Fault as Link;

/// How long it works before the first fault: the pace to come back to, and the footprint to keep.
const BEFORE: Duration = Duration::from_secs(30);
/// How long a fault lasts that is no single blow.
const LASTS: Duration = Duration::from_secs(8);
/// How long it is left alone after each.
const BETWEEN: Duration = Duration::from_secs(6);
/// How often, and how many times more, it is looked at what a process holds.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: usize = 30;
const PATIENCE: Duration = Duration::from_secs(300);

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    WorkerKilled,
    WorkerDrained,
    WorkerStopped,
    ConnectionsCut,
    LinksSlow,
    StoreSilent,
    StoreWiped,
    StoreKilled,
    BrokerKilled,
}

impl Fault {
    const ALL: [Self; 9] = [
        Self::WorkerKilled,
        Self::WorkerDrained,
        Self::WorkerStopped,
        Self::ConnectionsCut,
        Self::LinksSlow,
        Self::StoreSilent,
        Self::StoreWiped,
        Self::StoreKilled,
        Self::BrokerKilled,
    ];
    /// Those of one process.
    const EMBEDDED: [Self; 2] = [Self::WorkerKilled, Self::WorkerDrained];
}

pub(super) async fn holds(play: Play) -> Result<Finding, Error> {
    let plan = Plan { workers: 3, proxied: Proxied::Everybody, ..Plan::default() };
    let mut stage = Stage::open(&play, plan).await?;
    let kinds =
        vec![("ok", 8), ("nap", 3), ("retry-once", 2), ("parent", 1), ("wrong", 1), ("long-ok", 1)];
    let producers = stage.load(&Load { rate: 12.0, kinds, producers: 3 });
    stage.say("works before the first fault");
    sleep(BEFORE).await;
    let before = footprints(&mut stage).await?;
    stage.harmed();
    let began = Instant::now();
    let lasts = Duration::from_secs(play.minutes * 60);
    let mut happened = Vec::new();
    while began.elapsed() < lasts {
        let faults = if play.on == On::Embedded { &Fault::EMBEDDED[..] } else { &Fault::ALL[..] };
        // Each of them once, then by chance.
        let by_chance = stage.chance().choice(faults).copied().unwrap_or(Fault::WorkerKilled);
        let fault = faults.get(happened.len()).copied().unwrap_or(by_chance);
        stage.say(format!("{} faults, now {fault:?}", happened.len() + 1));
        inflict(&mut stage, fault).await?;
        happened.push(fault);
        sleep(BETWEEN).await;
        stage.ask_for_some().await?;
    }
    stage.healed();
    // Before the oracle asks for every task over connections of its own.
    sleep(BETWEEN).await;
    let after = footprints(&mut stage).await?;
    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    stage.happened("nothing happened", !happened.is_empty())?;
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        finding.wrong.extend(after.leak_since(*before, name));
        let (fds, kib) = (after.descriptors, after.resident);
        finding.notes.push(format!(
            "{name}: {} descriptors and {} KiB at first, {fds} and {kib} KiB in the end",
            before.descriptors, before.resident,
        ));
    }
    finding.notes.push(format!("{} faults: {happened:?}", happened.len()));
    Ok(finding)
}

/// Returns what those hold that live through all of it: the least of several looks, because each program that runs
/// has pipes of its own.
async fn footprints(stage: &mut Stage) -> Result<Vec<(&'static str, Footprint)>, Error> {
    if stage.play().on == On::Embedded {
        return Ok(Vec::new());
    }
    let mut pids = Vec::new();
    pids.extend(stage.workers().first().map(|worker| ("the eldest worker", worker.pid())));
    pids.extend(stage.fleet.gateway().as_ref().map(|gateway| ("the gateway", gateway.pid())));
    let mut found = Vec::new();
    for (name, pid) in pids {
        let mut least = Footprint::of(pid)?;
        for _ in 0..LOOKS {
            sleep(LOOK).await;
            let now = Footprint::of(pid)?;
            least.descriptors = least.descriptors.min(now.descriptors);
            least.resident = least.resident.min(now.resident);
        }
        found.push((name, least));
    }
    Ok(found)
}

async fn inflict(stage: &mut Stage, fault: Fault) -> Result<(), Error> {
    let from = Fleet::now();
    match fault {
        Fault::WorkerKilled => {
            let victim = youngest(stage)?;
            stage.fleet.kill_worker(victim).await?;
            stage.fleet.start_worker("").await?;
        }
        Fault::WorkerDrained => {
            let victim = youngest(stage)?;
            stage.fleet.drain_worker(victim).await?;
            stage.fleet.start_worker("").await?;
        }
        Fault::WorkerStopped => {
            let ttl = stage.fleet.settings().heartbeat_ttl;
            let victim = youngest(stage)?;
            let paused = stage.fleet.pause_worker(victim)?;
            sleep(ttl * 3).await;
            stage.fleet.resume_worker(paused)?;
        }
        Fault::ConnectionsCut => {
            stage.to_broker()?.cut();
            stage.to_store()?.cut();
            let to = Fleet::now();
            stage.note(Event::CutOff { pid: None, from, to });
            stage.note(Event::BrokerLost { from, to });
        }
        Fault::LinksSlow => {
            let slow = || Link::Latency {
                mean: Duration::from_millis(60),
                jitter: Duration::from_millis(40),
            };
            stage.to_broker()?.set(slow());
            stage.to_store()?.set(slow());
            sleep(LASTS).await;
            stage.to_broker()?.set(Link::None);
            stage.to_store()?.set(Link::None);
        }
        Fault::StoreSilent => {
            stage.store()?.pause()?;
            sleep(LASTS).await;
            stage.store()?.resume()?;
            stage.note(Event::CutOff { pid: None, from, to: Fleet::now() });
        }
        Fault::StoreWiped => stage.wipe().await?,
        Fault::StoreKilled => {
            stage.store()?.kill().await?;
            stage.store()?.start_again().await?;
            let to = Fleet::now();
            stage.note(Event::CutOff { pid: None, from, to });
            // Its file is written each second.
            stage.note(Event::RolledBack { from: before(from), to });
        }
        Fault::BrokerKilled => {
            stage.broker()?.kill().await?;
            stage.broker()?.start_again().await?;
            stage.note(Event::BrokerLost { from, to: Fleet::now() });
        }
    }
    Ok(())
}

/// Returns the worker that was started last; the first one lives through all of it.
fn youngest(stage: &mut Stage) -> Result<u32, Error> {
    let youngest = stage.workers().last().map(Role::pid);
    youngest.ok_or_else(|| Error::unexpected("the stage", "has no worker"))
}

/// Returns two seconds before `at`.
const fn before(at: leveret_common::clock::Millis) -> leveret_common::clock::Millis {
    leveret_common::clock::Millis(at.0.saturating_sub(2_000))
}
