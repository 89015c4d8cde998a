//! Both links are slow: late, uneven, narrow. Nothing is wrong with them, and nothing may be taken for it.

use std::time::Duration;

use super::super::super::row::Play;
use super::super::super::stage::{Plan, Proxied, Stage};
use super::{PATIENCE, counted};
use crate::error::Error;
use crate::fleet::Settings;
use crate::fleet::producers::Load;
use crate::oracle::Finding;
use crate::proxy::fault::Fault;

/// How late a byte is, one way: what is asked and what is answered share the 200 ms ± 100 of a round trip.
const LATENCY: Fault =
    Fault::Latency { mean: Duration::from_millis(100), jitter: Duration::from_millis(50) };
/// 256 kbit/s, of each connection.
const RATE: Fault = Fault::Rate { bytes_per_second: 32_000 };
/// Tasks that run over slow links.
const TASKS: usize = 150;

pub(super) async fn links(play: Play) -> Result<Finding, Error> {
    // Claims live as long as they do by default, measured in renewals.
    let settings = Settings {
        heartbeat: Duration::from_secs(1),
        heartbeat_ttl: Duration::from_secs(3),
        ..Settings::default()
    };
    let plan = Plan { proxied: Proxied::Everybody, settings, ..Plan::default() };
    let mut stage = Stage::open(&play, plan).await?;
    for proxy in [stage.to_broker()?, stage.to_store()?] {
        proxy.set(LATENCY);
        proxy.add(RATE);
    }
    let kinds = vec![("ok", 6), ("nap", 3), ("retry-once", 1)];
    let producers = stage.load(&Load { rate: 10.0, kinds, producers: 8 });
    stage.ran(TASKS).await?;

    let (broker, store) = (stage.to_broker()?.seen(), stage.to_store()?.seen());
    for (link, seen) in [("broker", broker), ("store", store)] {
        let was_slow = seen.delayed > 500 && seen.throttled > 0;
        stage.happened(&format!("the link to the {link} was not slow: {seen:?}"), was_slow)?;
    }
    // Still slow while the rest ends.
    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    let history = stage.fleet.journal.read()?;
    let tasks = stage.fleet.books.open().tasks().clone();
    for (id, promise) in &tasks {
        let runs = history.of(*id);
        let attempts = if promise.kind == "retry-once" { 2 } else { 1 };
        if runs.len() != attempts || runs.iter().any(|run| run.crashes > 0) {
            finding.wrong.push(format!("a {} ran as {runs:?}", promise.kind));
        }
    }
    finding.wrong.extend(lost_leases(&mut stage).await?);
    let repeated = stage.fleet.books.open().repeated;
    if repeated > 0 {
        finding.wrong.push(format!("{repeated} requests were refused or left in doubt"));
    }
    finding.notes.push(format!(
        "broker {} and store {} pieces late by 50 to 150 ms each way",
        broker.delayed, store.delayed
    ));
    Ok(finding)
}

/// Tells which workers could not renew their claims, or were late to.
async fn lost_leases(stage: &mut Stage) -> Result<Vec<String>, Error> {
    let mut lost = Vec::new();
    for worker in stage.workers().iter() {
        let counted = async |outcome: &str| {
            let metric = format!("leveret_heartbeats_total{{outcome=\"{outcome}\"}}");
            counted(worker, &metric).await
        };
        // The first renewal finds none.
        let (kept, absent, failed) =
            (counted("kept").await?, counted("absent").await?, counted("failed").await?);
        if kept == 0 || absent > 1 || failed > 0 {
            lost.push(format!(
                "worker {}: {kept} renewals kept, {absent} absent, {failed} failed",
                worker.pid()
            ));
        }
    }
    Ok(lost)
}
