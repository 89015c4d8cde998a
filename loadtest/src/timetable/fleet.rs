//! The processes of the run: `leveret dev` alone, or a gateway, a worker and three beats.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;
use serde_json::Value;

use crate::error::{Error, while_doing};
use crate::ground::Ground;
use crate::process::Role;

/// The namespace of the run: the ids of its tasks derive from it.
pub(super) const NAMESPACE: &str = "timetable";
/// How many beats there are.
const BEATS: usize = 3;
/// How long a fleet may take until a beat leads.
const PATIENCE: Duration = Duration::from_secs(60);

/// The processes of a run.
pub(super) struct Fleet {
    config: PathBuf,
    door: Role,
    worker: Option<Role>,
    beats: Vec<Beat>,
    killed: (u32, u32),
}

/// A place for a beat, and since when nobody stands there.
enum Beat {
    Lives(Role),
    Killed(Instant),
}

impl Fleet {
    /// Starts all of them and waits until a beat leads.
    pub(super) fn start(ground: &Ground) -> Result<Self, Error> {
        let config = ground.path("leveret.toml");
        std::fs::write(&config, settings(ground)).map_err(while_doing("write settings"))?;
        let (door, worker, beats) = match ground.servers {
            None => (Role::start("dev", &config)?, None, Vec::new()),
            Some(_) => {
                let door = Role::start("gateway", &config)?;
                let worker = Role::start("worker", &config)?;
                let beats: Result<_, _> = (0..BEATS).map(|_| beat(&config)).collect();
                (door, Some(worker), beats?)
            }
        };
        let fleet = Self { config, door, worker, beats, killed: (0, 0) };
        let began = Instant::now();
        while fleet.leader()?.is_none() {
            if began.elapsed() > PATIENCE {
                return Err(Error::unexpected("the fleet", "has no leading beat after a minute"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(fleet)
    }

    /// Kills the beat that leads and, every other time, one that does not.
    pub(super) fn kill_one(&mut self) -> Result<(), Error> {
        if self.beats.is_empty() {
            return Ok(());
        }
        let leader = self.leader()?;
        let wants_leader = self.killed.0.is_multiple_of(2);
        let is_wanted = |beat: &Beat| match beat {
            Beat::Lives(role) => (Some(role.pid()) == leader) == wants_leader,
            Beat::Killed(_) => false,
        };
        let Some(place) = self.beats.iter_mut().find(|beat| is_wanted(beat)) else { return Ok(()) };
        let Beat::Lives(role) = std::mem::replace(place, Beat::Killed(Instant::now())) else {
            return Ok(());
        };
        role.kill();
        self.killed.0 += 1;
        self.killed.1 += u32::from(wants_leader);
        Ok(())
    }

    /// Starts beats again that were killed so long ago.
    pub(super) fn revive(&mut self, away: Duration) -> Result<(), Error> {
        for place in &mut self.beats {
            if matches!(place, Beat::Killed(since) if since.elapsed() >= away) {
                *place = beat(&self.config)?;
            }
        }
        Ok(())
    }

    /// Returns when a task's first attempt began.
    pub(super) fn started_at(&self, id: TaskId) -> Result<Option<Millis>, Error> {
        let task = self.door.json(&format!("/v1/tasks/{id}"))?;
        let started = task["history"][0]["started_at"].as_str();
        let started = started.and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok());
        Ok(started.and_then(|at| u64::try_from(at.timestamp_millis()).ok()).map(Millis))
    }

    /// Ends all, and tells how many beats were killed and how many of them led.
    pub(super) fn stop(self) -> Result<(u32, u32), Error> {
        for beat in self.beats {
            if let Beat::Lives(role) = beat {
                role.stop()?;
            }
        }
        if let Some(worker) = self.worker {
            worker.stop()?;
        }
        self.door.stop()?;
        Ok(self.killed)
    }

    /// Returns the process id of the beat that leads.
    fn leader(&self) -> Result<Option<u32>, Error> {
        let answer = self.door.json("/v1/beats")?;
        let beats = answer["beats"].as_array().map(Vec::as_slice).unwrap_or_default();
        let leads = |beat: &&Value| !beat["leads"].is_null() && beat["leads"] != false;
        let pid = beats.iter().find(leads).and_then(|beat| beat["pid"].as_u64());
        Ok(pid.and_then(|pid| u32::try_from(pid).ok()))
    }
}

/// Starts a beat without waiting until it has read the timetable.
fn beat(config: &Path) -> Result<Beat, Error> {
    Role::launch("beat", config).map(Beat::Lives)
}

fn settings(ground: &Ground) -> String {
    let mut text = format!(
        "data = \"{}\"\nnamespace = \"{NAMESPACE}\"\ngateway.listen = \"127.0.0.1:0\"\n\
         beat.file = \"{}\"\nlog.level = \"error\"\nworker.slots = 16\n\
         worker.queues = [\"default\", \"other\"]\n",
        ground.path("data").display(),
        ground.path("schedules.toml").display(),
    );
    if let Some(servers) = &ground.servers {
        text += &format!(
            "broker.url = \"{}\"\nstore.url = \"{}\"\n\
             worker.listen = \"127.0.0.1:0\"\nbeat.listen = \"127.0.0.1:0\"\n",
            servers.broker_url, servers.store_url
        );
    }
    text + &format!(
        "[kinds.journal]\nexec = [\"sh\", \"-c\", '{}']\n",
        format_args!(
            "echo \"$LEVERET_SCHEDULE $LEVERET_OCCURRENCE\" >> \"{}\"",
            ground.path("journal").display()
        )
    )
}
