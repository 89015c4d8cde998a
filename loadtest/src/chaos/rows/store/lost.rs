//! The store forgets, or does not answer.

use std::time::Duration;

use leveret_common::id::TaskId;
use tokio::time::{Instant, sleep, timeout};

use super::super::super::row::Play;
use super::super::super::stage::{Plan, Stage};
use super::super::wait::runs;
use super::wiped;
use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::producers::Load;
use crate::node::Reply;
use crate::oracle::{Event, Finding};

/// How long all work may take to end once the producers have stopped.
const PATIENCE: Duration = Duration::from_secs(120);
/// Runs before the first fault: the pace to come back to.
const PACE: usize = 100;
/// How long a store is away that is started again.
const AWAY: Duration = Duration::from_secs(3);
/// How soon work has to go on once it is back.
const PAUSE: Duration = Duration::from_secs(10);
/// How often it is wiped.
const WIPES: usize = 5;
/// Runs between two wipes, so that each meets a fleet at work.
const BETWEEN: usize = 60;
/// How long it hangs, and in a play with the full numbers.
const HANGS: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(60));
/// A claim that was granted just before it hangs is written down by its handler soon after.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

pub(super) async fn restarted_empty(play: Play) -> Result<Finding, Error> {
    let mut stage = Stage::open(&play, Plan::default()).await?;
    let producers = stage.load(&Load::default());
    stage.ran(PACE).await?;

    stage.say("starts the store again, empty");
    stage.harmed();
    let from = Fleet::now();
    stage.store()?.stop_without_saving().await?;
    // What is known ends here, whenever it is noticed.
    stage.note(Event::Wiped { at: Fleet::now() });
    sleep(AWAY).await;
    stage.store()?.start_again_empty().await?;
    let held = stage.store()?.ask(&["DBSIZE"]).await?;
    stage.note(Event::CutOff { pid: None, from, to: Fleet::now() });
    stage.healed();
    stage.ask_for_some().await?;

    // The fleet begins at once to write its heartbeats.
    stage.happened("it kept what it had", held.number().is_some_and(|held| held < 50))?;
    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    if finding.recovered.is_some_and(|after| after > PAUSE) {
        finding.wrong.push(format!("tasks were taken again only after {:?}", finding.recovered));
    }
    Ok(finding)
}

pub(super) async fn wiped_five_times(play: Play) -> Result<Finding, Error> {
    let mut stage = Stage::open(&play, Plan::default()).await?;
    let producers = stage.load(&Load::default());
    stage.ran(PACE).await?;
    stage.harmed();
    let slots = stage.fleet.settings().slots * stage.workers().len();
    for wipe in 1..=WIPES {
        stage.say(format!("wipes the store, {wipe} of {WIPES}"));
        let held = stage.store()?.ask(&["DBSIZE"]).await?;
        stage.happened("there was nothing to wipe", held.number() > Some(0))?;
        stage.wipe().await?;
        stage.healed();
        stage.ask_for_some().await?;
        let ran = stage.fleet.journal.read()?.len();
        stage.ran(ran + BETWEEN).await?;
    }
    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    let (second, most) = (finding.explained(), (WIPES * slots) as u64);
    if second > most {
        finding
            .wrong
            .push(format!("{second} second runs, and at most {most} tasks were in flight"));
    }
    finding.add(wiped::while_detached(&mut stage).await?);
    finding.add(wiped::among_many(&mut stage).await?);
    Ok(finding)
}

pub(super) async fn hanging(play: Play) -> Result<Finding, Error> {
    let mut stage = Stage::open(&play, Plan::default()).await?;
    let producers = stage.load(&Load::default());
    stage.ran(PACE).await?;
    let running = stage.put("slow").await?;
    runs(&stage, running).await?;

    stage.say("has the store hang");
    stage.harmed();
    let from = Fleet::now();
    stage.store()?.pause()?;
    let seen =
        while_it_hangs(&mut stage, running, if play.is_full { HANGS.1 } else { HANGS.0 }).await;
    stage.store()?.resume()?;
    let to = Fleet::now();
    stage.note(Event::CutOff { pid: None, from, to });
    stage.healed();

    let (answered, ended) = seen?;
    stage.happened("the store answered", answered.is_none())?;
    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    let history = stage.fleet.journal.read()?;
    let claimed =
        history.all().filter(|run| run.began > from.after(ON_ITS_WAY) && run.began < to).count();
    if claimed > 0 {
        finding.wrong.push(format!("{claimed} runs began while the store hung"));
    }
    if !ended {
        finding.wrong.push(format!("{running} did not end while the store hung"));
    }
    if history.of(running).len() > 1 {
        finding.wrong.push(format!("{running} ended while the store hung, and ran again"));
    }
    Ok(finding)
}

/// Returns what the store answers, and whether a task that runs comes to its end meanwhile.
async fn while_it_hangs(
    stage: &mut Stage,
    running: TaskId,
    lasts: Duration,
) -> Result<(Option<Reply>, bool), Error> {
    let began = Instant::now();
    stage.fleet.let_go()?;
    let answered = timeout(Duration::from_secs(2), stage.store()?.ask(&["PING"])).await;
    let answered = answered.ok().and_then(Result::ok);
    let mut ended = false;
    while began.elapsed() < lasts {
        ended = ended || stage.fleet.runs(running)?.iter().any(|run| run.end.is_some());
        sleep(Duration::from_millis(100)).await;
    }
    Ok((answered, ended))
}
