//! A timetable of twenty schedules, run by `leveret dev` or by three beats of which one is killed
//! again and again.
//!
//! What has to hold: every occurrence that its schedule names while the run lasts is performed
//! exactly once and never early. What is expected is computed from the timetable file, what was
//! performed stands in a journal that the tasks themselves write.

mod fleet;
pub(crate) mod judge;
pub(crate) mod owed;

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use leveret_common::clock::{Clock, Millis, SystemClock};
use leveret_common::name::Namespace;

use self::fleet::Fleet;
pub(crate) use self::judge::expected;
pub use self::judge::{Judged, Row};
use crate::error::{Error, while_doing};
use crate::ground::{Ground, On};

/// The schedules of the run.
const SCHEDULES: &str = include_str!("schedules.toml");
/// How long occurrences may take after the last was due.
const LAST_WAIT: Duration = Duration::from_secs(60);
/// How long a killed beat stays away.
const AWAY: Duration = Duration::from_secs(5);
/// How often the run looks at what happens.
const STEP: Duration = Duration::from_millis(100);

/// How long, and how rough.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How long occurrences are counted.
    pub lasts: Duration,
    /// How often a beat is killed, where there are several.
    pub kill_every: Duration,
}

/// What a run found.
#[derive(Debug)]
pub struct Found {
    /// Where.
    pub on: On,
    /// How long, and how rough.
    pub plan: Plan,
    /// Beats that were killed, and how many of them led.
    pub killed: (u32, u32),
    /// The schedules, by name.
    pub rows: Vec<Row>,
}

impl Found {
    /// Lists what should have held and did not.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures: Vec<String> = self.rows.iter().flat_map(Row::failures).collect();
        if self.on != On::Embedded && self.killed.1 == 0 {
            failures.push("no leading beat was killed: the run proves nothing".to_owned());
        }
        if self.rows.iter().all(|row| row.occurrences.is_empty()) {
            failures.push("nothing was due: the run proves nothing".to_owned());
        }
        failures
    }

    /// Returns how late each occurrence was started, in ms, sorted.
    #[must_use]
    pub fn lateness(&self) -> Vec<i64> {
        let all = self.rows.iter().flat_map(|row| &row.occurrences);
        let mut lateness: Vec<i64> = all.filter_map(|one| one.late).collect();
        lateness.sort_unstable();
        lateness
    }
}

/// Makes one run.
///
/// # Errors
/// When a part of it cannot be had or does not do its part; what should hold and does not is
/// [`Found::failures`].
pub fn run(on: On, plan: &Plan) -> Result<Found, Error> {
    let ground = Ground::open(on)?;
    let once = SystemClock.now().after(plan.lasts / 2);
    let timetable = format!("{SCHEDULES}\n{}", due_once(once));
    fs::write(ground.path("schedules.toml"), &timetable).map_err(while_doing("write schedules"))?;
    let mut fleet = Fleet::start(&ground)?;

    let began = SystemClock.now();
    let (started, mut last_kill) = (Instant::now(), Instant::now());
    while started.elapsed() < plan.lasts {
        if last_kill.elapsed() >= plan.kill_every {
            fleet.kill_one()?;
            last_kill = Instant::now();
        }
        fleet.revive(AWAY)?;
        std::thread::sleep(STEP);
    }
    let ended = SystemClock.now();
    fleet.revive(Duration::ZERO)?;

    let mut rows = expected(&timetable, began, ended)?;
    let wanted: usize = rows.iter().map(|row| row.occurrences.len()).sum();
    let waiting = Instant::now();
    let mut performed = journal(&ground)?;
    while judge::count(&rows, &performed) < wanted && waiting.elapsed() < LAST_WAIT {
        std::thread::sleep(STEP);
        performed = journal(&ground)?;
    }
    // A second run would come late: a worker that is drained starts nothing any more.
    let namespace: Namespace = fleet::NAMESPACE
        .parse()
        .map_err(|error| Error::unexpected("the namespace", format!("{error}")))?;
    judge::judge(&mut rows, &performed, &namespace, |id| fleet.started_at(id))?;
    let killed = fleet.stop()?;
    judge::recount(&mut rows, &journal(&ground)?);
    Ok(Found { on, plan: *plan, killed, rows })
}

/// Writes the schedule that is due once.
fn due_once(at: Millis) -> String {
    let seconds = at.0.div_ceil(1_000);
    let at = i64::try_from(seconds).ok().and_then(|at| chrono::DateTime::from_timestamp(at, 0));
    let at = at.unwrap_or_default().format("%Y-%m-%dT%H:%M:%SZ");
    format!("[schedules.\"at.once\"]\nwhen = \"at {at}\"\nkind = \"journal\"\n")
}

/// Reads what was performed: how often, by schedule and instant.
fn journal(ground: &Ground) -> Result<BTreeMap<(String, String), u32>, Error> {
    let path = ground.path("journal");
    let text = if path.exists() { fs::read_to_string(&path) } else { Ok(String::new()) };
    let mut runs = BTreeMap::new();
    for line in text.map_err(while_doing("read the journal"))?.lines() {
        if let Some((schedule, due)) = line.split_once(' ') {
            *runs.entry((schedule.to_owned(), due.to_owned())).or_insert(0) += 1;
        }
    }
    Ok(runs)
}
