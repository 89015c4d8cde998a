//! Many schedules in one beat, and many due in the same second.
//!
//! What has to hold: a beat that is started again has read its timetable within three seconds, ten
//! thousand schedules fit into 50 MB, and of ten thousand occurrences due in the same second every one
//! is confirmed, ninety-nine of a hundred within a second of being due.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use leveret_common::clock::{Clock, Millis, SystemClock};

use crate::error::{Error, while_doing};
use crate::ground::{Ground, On};
use crate::process::{Role, ask};
use crate::watch::{Watch, redis_peak};

/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a loaded timetable is looked at.
const REST: Duration = Duration::from_secs(5);
/// How long before they are due the schedules of the last step are there.
const AHEAD: Duration = Duration::from_secs(20);
/// Within this, a beat has read its timetable.
const LOADED_WITHIN: Duration = Duration::from_secs(3);
/// As much memory as a beat of its own with [`SMALL`] schedules may take, in bytes.
const MEMORY: u64 = 50_000_000;
/// How many schedules that limit is for.
const SMALL: u64 = 10_000;
/// How late one of a hundred occurrences may be confirmed, in ms.
const LATE: i64 = 1_000;

/// How much.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many schedules are loaded, one step for each number.
    pub loaded: Vec<u64>,
    /// How many are due in the same second.
    pub due: u64,
}

/// What a run found.
#[derive(Debug)]
pub struct Found {
    /// Where.
    pub on: On,
    /// What was loaded.
    pub loaded: Vec<Loaded>,
    /// How many are due in the same second.
    pub due: u64,
    /// How late each of them was confirmed, in ms, sorted.
    pub late: Vec<i64>,
    /// What rests in the queue afterwards.
    pub resting: u64,
    /// What Redis says of its own data at most, in bytes.
    pub redis_peak: Option<u64>,
}

/// What many schedules cost.
#[derive(Debug, Clone, Copy)]
pub struct Loaded {
    /// How many.
    pub schedules: u64,
    /// From the start of the process that wrote them into the store until it had them.
    pub made: Duration,
    /// From the start of the next process until it had read them.
    pub read: Duration,
    /// Peak PSS of the process that wrote them, in bytes.
    pub made_peak: u64,
    /// Peak PSS of the process that read them, in bytes.
    pub peak: u64,
    /// PSS of that process at rest, in bytes.
    pub rest: u64,
    /// PSS of such a process without any schedule, in bytes.
    pub empty: u64,
}

impl Loaded {
    /// Returns how many bytes of memory a schedule costs.
    #[must_use]
    pub fn each(&self) -> u64 {
        self.rest.saturating_sub(self.empty) / self.schedules.max(1)
    }
}

impl Found {
    /// Lists what should have held and did not.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for loaded in &self.loaded {
            let Loaded { schedules, read, made_peak, peak, .. } = *loaded;
            let peak = peak.max(made_peak);
            if read > LOADED_WITHIN {
                failures.push(format!("{schedules} schedules are read in {read:?}"));
            }
            // On embedded the process is broker, store, gateway and worker too.
            if self.on != On::Embedded && schedules <= SMALL && peak > MEMORY {
                failures.push(format!("a beat with {schedules} schedules takes {peak} bytes"));
            }
        }
        let confirmed = self.late.len() as u64;
        if confirmed != self.due {
            failures.push(format!("{confirmed} of {} were confirmed", self.due));
        }
        let slow = self.late.iter().filter(|late| **late >= LATE).count() as u64;
        if slow * 100 > self.due {
            failures.push(format!("{slow} of {} were confirmed {LATE} ms late or more", self.due));
        }
        if self.resting != self.due {
            failures.push(format!("{} tasks rest in the queue, not {}", self.resting, self.due));
        }
        failures
    }
}

/// Makes one run.
///
/// # Errors
/// When a part of it cannot be had or does not do its part; what should hold and does not is
/// [`Found::failures`].
pub fn run(on: On, plan: &Plan) -> Result<Found, Error> {
    let mut loaded = Vec::new();
    for schedules in &plan.loaded {
        loaded.push(load(on, *schedules)?);
    }
    let ground = Ground::open(on)?;
    let config = write_settings(&ground)?;
    let seconds = SystemClock.now().after(AHEAD).0.div_ceil(1_000);
    let due = Millis(seconds * 1_000);
    write_timetable(&ground, plan.due, &format!("at {}", text(due)))?;
    let fleet = Fleet::start(&ground, &config)?;
    fleet.has(plan.due)?;
    // `leveret dev` has a worker too, and what is counted is what rests in the queue.
    ask(&config, fleet.door(), &["queue", "pause", "default"])?;
    if SystemClock.now() >= due {
        return Err(Error::unexpected("the beat", "read its timetable too late for the run"));
    }
    let began = Instant::now();
    let mut late = fleet.lateness()?;
    while (late.len() as u64) < plan.due && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(500));
        late = fleet.lateness()?;
    }
    late.sort_unstable();
    let queue = fleet.door().json("/v1/queues/default")?;
    let lanes = queue["lanes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let resting = lanes.iter().filter_map(|lane| lane["depth"].as_u64()).sum();
    fleet.stop()?;
    let redis_peak = ground.servers.as_ref().and_then(|servers| redis_peak(&servers.store_url));
    Ok(Found { on, loaded, due: plan.due, late, resting, redis_peak })
}

/// Loads schedules that are not due, twice: the second beat finds them in the store.
fn load(on: On, schedules: u64) -> Result<Loaded, Error> {
    let ground = Ground::open(on)?;
    let config = write_settings(&ground)?;
    write_timetable(&ground, 0, "")?;
    let (_, (_, empty)) = start_and_look(&ground, &config, 0)?;
    write_timetable(&ground, schedules, "")?;
    let (made, (made_peak, _)) = start_and_look(&ground, &config, schedules)?;
    let (read, (peak, rest)) = start_and_look(&ground, &config, schedules)?;
    Ok(Loaded { schedules, made, read, made_peak, peak, rest, empty })
}

/// Starts a fleet and stops it; tells how long its beat took, and its peak and resting PSS.
fn start_and_look(
    ground: &Ground,
    config: &Path,
    schedules: u64,
) -> Result<(Duration, (u64, u64)), Error> {
    let watch = Watch::begin();
    let fleet = Fleet::start(ground, config)?;
    watch.add(BEAT, fleet.beat().pid());
    fleet.has(schedules)?;
    let took = fleet.began.elapsed();
    std::thread::sleep(REST);
    let samples = watch.end();
    fleet.stop()?;
    let seen: Vec<u64> = samples.get(BEAT).into_iter().flatten().map(|look| look.pss).collect();
    let peak = seen.iter().max().copied().unwrap_or_default();
    Ok((took, (peak, seen.last().copied().unwrap_or_default())))
}

/// The name of the watched process.
const BEAT: &str = "the beat";

/// `leveret dev`, or a gateway and a beat.
struct Fleet {
    door: Option<Role>,
    beat: Role,
    /// When the beat's process was started.
    began: Instant,
}

impl Fleet {
    fn start(ground: &Ground, config: &Path) -> Result<Self, Error> {
        if ground.servers.is_none() {
            let began = Instant::now();
            return Ok(Self { door: None, beat: Role::launch("dev", config)?, began });
        }
        let door = Some(Role::start("gateway", config)?);
        let began = Instant::now();
        Ok(Self { door, beat: Role::launch("beat", config)?, began })
    }

    fn door(&self) -> &Role {
        self.door.as_ref().unwrap_or(&self.beat)
    }

    const fn beat(&self) -> &Role {
        &self.beat
    }

    /// Waits until the beat leads and has so many schedules.
    fn has(&self, schedules: u64) -> Result<(), Error> {
        let wanted = [format!("leveret_schedules {schedules}"), "leveret_beat_leads 1".to_owned()];
        loop {
            let metrics = self.beat.get("/metrics").map(|(_, text)| text).unwrap_or_default();
            if wanted.iter().all(|wanted| metrics.lines().any(|line| line == wanted)) {
                return Ok(());
            }
            if self.began.elapsed() > PATIENCE {
                return Err(Error::unexpected("the beat", "does not get its schedules"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns how late the last occurrence of each schedule was confirmed, where there was one.
    fn lateness(&self) -> Result<Vec<i64>, Error> {
        let mut late = Vec::new();
        let mut path = "/v1/schedules?limit=1000".to_owned();
        loop {
            let page = self.door().json(&path)?;
            let schedules = page["schedules"].as_array().map(Vec::as_slice).unwrap_or_default();
            late.extend(schedules.iter().filter_map(|one| one["last"]["lateness_ms"].as_i64()));
            let Some(cursor) = page["next"].as_str().filter(|_| !schedules.is_empty()) else {
                return Ok(late);
            };
            path = format!("/v1/schedules?limit=1000&cursor={cursor}");
        }
    }

    fn stop(self) -> Result<(), Error> {
        self.beat.stop()?;
        self.door.map_or(Ok(()), Role::stop)
    }
}

fn write_settings(ground: &Ground) -> Result<std::path::PathBuf, Error> {
    let mut text = format!(
        "data = \"{}\"\nnamespace = \"schedules\"\ngateway.listen = \"127.0.0.1:0\"\n\
         beat.file = \"{}\"\nlog.level = \"error\"\n",
        ground.path("data").display(),
        ground.path("schedules.toml").display(),
    );
    if let Some(servers) = &ground.servers {
        text += &format!(
            "broker.url = \"{}\"\nstore.url = \"{}\"\nbeat.listen = \"127.0.0.1:0\"\n",
            servers.broker_url, servers.store_url
        );
    }
    let path = ground.path("leveret.toml");
    fs::write(&path, text).map_err(while_doing("write settings"))?;
    Ok(path)
}

/// Writes so many schedules, due as `when` says, or some day next year where it says nothing.
fn write_timetable(ground: &Ground, schedules: u64, when: &str) -> Result<(), Error> {
    let write = || {
        let mut file = BufWriter::new(File::create(ground.path("schedules.toml"))?);
        for n in 0..schedules {
            let (minute, hour, day, month) = (n % 60, n / 60 % 24, n / 1_440 % 28 + 1, n % 12 + 1);
            let at = format!("{minute} {hour} {day} {month} *");
            let when = if when.is_empty() { &at } else { when };
            writeln!(
                file,
                "[schedules.\"load.{n}\"]\nwhen = \"{when}\"\nkind = \"load.test\"\n\
                 zone = \"Europe/Berlin\"\nargs = {{ n = {n}, table = \"orders\" }}\n"
            )?;
        }
        file.flush()
    };
    write().map_err(while_doing("write schedules"))
}

fn text(at: Millis) -> String {
    let at = i64::try_from(at.0).ok().and_then(chrono::DateTime::from_timestamp_millis);
    at.unwrap_or_default().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
