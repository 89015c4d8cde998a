//! F51: a soak. Faults by chance, one after the other, under a steady load; each is healed before the next.
//!
//! Each fault there is happens once, in an order by chance, however short the soak; then chance has its way until the
//! time is over. Each has to show that it did what it is for. A timetable that is due each second goes on all the while:
//! beats are among those who are killed and stopped. A second gateway with clients of its own is, too.
//!
//! One worker and the first gateway live through all of it: what they hold of the machine must not grow. The embedded
//! backend is one process, which is killed and drained, so nobody is left to be measured there.

mod beats;
mod fault;
mod processes;
mod servers;

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use self::fault::{Fault, inflict};
use super::super::footprint::{Footprint, Sampler, growth, summary};
use super::super::wait::SOON;
use crate::chaos::{Plan, Play, Proxied, Stage};
use crate::error::Error;
use crate::fleet::door::Door;
use crate::fleet::producers::{Load, Producers};
use crate::fleet::role::Role;
use crate::fleet::{Fleet, Settings};
use crate::ground::On;
use crate::oracle::Finding;

/// How long it works before the first fault: the pace to come back to, and the footprint to keep.
const BEFORE: Duration = Duration::from_secs(20);
/// How long it is left alone after each fault.
const BETWEEN: Duration = Duration::from_secs(5);
/// How long beats may still put in what they have begun with when the timetable is paused, and how long they take to begin.
const MARGIN: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(300);
/// Each second, and what was missed is made up for.
const TIMETABLE: &str = "\
[schedules.tick]
when = \"every 1s\"
kind = \"ok\"
misfire = \"all\"

[schedules.tock]
when = \"every 2s phase 1s\"
kind = \"ok\"
misfire = \"all\"
";
const SCHEDULES: [&str; 2] = ["tick", "tock"];

/// A soak at work.
struct Soak {
    stage: Stage,
    /// A gateway that may be killed, with a door of its own; none on the embedded backend.
    second: Option<Role>,
    door: Door,
}

pub(super) async fn holds(play: Play) -> Result<Finding, Error> {
    let mut soak = Soak::open(&play).await?;
    let producers = soak.load();
    soak.stage.say("works before the first fault");
    sleep(BEFORE).await;
    let before = soak.footprints()?;
    let sampler = Sampler::begin(soak.measured());
    soak.stage.harmed();
    let happened = soak.work(Duration::from_secs(play.minutes * 60)).await?;
    soak.stage.healed();
    // Before the oracle asks for every task over connections of its own.
    sleep(BETWEEN).await;
    let samples = sampler.end().await;
    let after = soak.footprints()?;
    soak.pause_timetable().await?;
    let stage = &mut soak.stage;
    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        finding.wrong.extend(after.leak_since(*before, name));
    }
    for (name, samples) in &samples {
        finding.wrong.extend(growth(samples, name));
        finding.notes.extend(summary(samples, name));
    }
    let due = stage.fleet.count_due()?;
    stage.happened("nothing was due by the timetable", due > 0)?;
    finding.notes.push(format!("{due} instants of the timetable"));
    finding.notes.push(format!("{} faults: {happened:?}", happened.len()));
    Ok(finding)
}

impl Soak {
    async fn open(play: &Play) -> Result<Self, Error> {
        let settings = Settings {
            // A leader that is stopped for five leases is not waited for.
            keys: "beat.lease = \"1s\"\n".to_owned(),
            timetable: TIMETABLE,
            ..Settings::default()
        };
        let plan =
            Plan { workers: 3, beats: 2, proxied: Proxied::Everybody, settings, ..Plan::default() };
        let mut stage = Stage::open(play, plan).await?;
        // A task may meet one kill after the other by chance, and be taken for what kills: by the oracle's count only.
        stage.fleet.books.open().allow_poison();
        let door = Door::new()?;
        let second = if play.on == On::Embedded {
            None
        } else {
            let second = stage.fleet.start("gateway", "").await?;
            door.lead_to(second.url());
            Some(second)
        };
        let mut soak = Self { stage, second, door };
        soak.leader(None, SOON).await?;
        sleep(MARGIN).await;
        soak.stage.fleet.due.from = Some(Fleet::now());
        Ok(soak)
    }

    /// Sets producers to work, through each of the gateways.
    fn load(&mut self) -> Producers {
        let kinds = vec![
            ("ok", 8),
            ("nap", 3),
            ("retry-once", 2),
            ("parent", 1),
            ("wrong", 1),
            ("long-ok", 1),
        ];
        let load = Load { rate: 12.0, kinds, producers: 3 };
        let producers = self.stage.load(&load);
        if self.second.is_none() {
            return producers;
        }
        let (load, books) =
            (Load { rate: 4.0, producers: 2, ..load }, self.stage.fleet.books.clone());
        producers.and(Producers::begin(&load, &self.door, &books, self.stage.chance()))
    }

    /// Inflicts every fault once, and more by chance until the time is over.
    async fn work(&mut self, lasts: Duration) -> Result<Vec<Fault>, Error> {
        let faults = Fault::of(self.stage.play().on);
        let mut first = faults.to_vec();
        self.stage.chance().shuffle(&mut first);
        let (began, mut happened) = (Instant::now(), Vec::new());
        while happened.len() < first.len() || began.elapsed() < lasts {
            let by_chance = self.stage.chance().choice(faults).copied();
            let Some(fault) = first.get(happened.len()).copied().or(by_chance) else { break };
            self.stage.say(format!("{} faults, now {fault:?}", happened.len() + 1));
            inflict(self, fault).await?;
            happened.push(fault);
            sleep(BETWEEN).await;
            self.stage.ask_for_some().await?;
        }
        let is_missing = |fault: &&Fault| !happened.contains(fault);
        let missing: Vec<&Fault> = faults.iter().filter(is_missing).collect();
        self.stage.happened(&format!("never came {missing:?}"), missing.is_empty())?;
        Ok(happened)
    }

    /// Has the beats put in nothing more: what is not due any more is not owed.
    async fn pause_timetable(&mut self) -> Result<(), Error> {
        // What is due while they are told may be put in or not.
        sleep(MARGIN).await;
        let now = Fleet::now();
        self.stage.fleet.due.to = Some(now);
        for name in SCHEDULES {
            let path = format!("/v1/schedules/{name}/pause");
            let (status, told) = self.stage.fleet.door.post(&path, &json!({})).await?;
            if status != 200 {
                return Err(Error::unexpected(path, format!("answers {status}: {told}")));
            }
        }
        Ok(())
    }

    /// Names those that live through all of it.
    fn measured(&mut self) -> Vec<(&'static str, u32)> {
        if self.stage.play().on == On::Embedded {
            return Vec::new();
        }
        let eldest = self.stage.workers().first().map(|worker| ("the eldest worker", worker.pid()));
        let gateway = self.stage.fleet.gateway().as_ref();
        eldest.into_iter().chain(gateway.map(|role| ("the gateway", role.pid()))).collect()
    }

    fn footprints(&mut self) -> Result<Vec<(&'static str, Footprint)>, Error> {
        let of = |(name, pid)| Ok((name, Footprint::of(pid)?));
        self.measured().into_iter().map(of).collect()
    }
}
