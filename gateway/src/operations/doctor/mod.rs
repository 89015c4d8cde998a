//! The doctor: what is wrong, or soon will be, and how to mend it.
//!
//! The backend's parts look at themselves; beside that, what only the whole shows is judged in
//! `own`: kinds that nobody serves, clocks that differ, memory that will not do; and in `beats`:
//! whether somebody puts in what is due. Guards that a part
//! that hangs is a finding and not a hanging doctor, and that a broker that is away hides nothing
//! of what the store knows.

mod beats;
mod own;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use leveret_beat::timing::Timing;
use leveret_common::broker::{Place, Survey};
use leveret_common::clock::Millis;
use leveret_common::diagnose::{Diagnose, Finding, Health};
use leveret_common::id::TaskId;
use leveret_common::name::{Lane, QueueName};
use leveret_common::store::{Behind, Heartbeat, Letter, Pause, Scheduled, Seen};
use tokio::time::timeout;

use self::beats::{Entry, Timetable};
use self::own::Died;
use super::schedules::AHEAD;
use super::{Known, OperationError, Operations, stored};

/// How long one part may look at itself; it promises about five seconds.
const EXAMINATION: Duration = Duration::from_secs(8);
/// Most lanes that are looked at.
const MOST_LANES: usize = 2_000;
/// Most schedules that are looked at, and how many at a time.
const MOST_SCHEDULES: usize = 5_000;
const BATCH: usize = 1_000;
/// Most letters of a queue that are counted of one hour.
const MOST_LETTERS: usize = 256;
const HOUR: Duration = Duration::from_secs(3_600);

/// What the doctor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Whether nothing is bad; risks do not count.
    pub healthy: bool,
    /// Everything that was looked at, the worst first.
    pub findings: Vec<Finding>,
}

/// What the fleet as a whole shows.
struct Situation<'a> {
    now: Millis,
    known: &'a Known,
    retention: leveret_common::store::Retention,
    workers: Vec<Heartbeat>,
    seen: Vec<Seen>,
    pauses: Vec<Pause>,
    lanes: Vec<(Lane, Survey)>,
    /// Why nobody could count what rests in the queues.
    uncounted: Option<String>,
    died: Vec<Died>,
    timetable: Timetable,
    /// How many bytes the store has room for, as far as it says.
    room: Option<u64>,
}

impl Operations {
    /// Looks at everything. What cannot be reached is a finding too.
    ///
    /// # Cancel safety
    /// Changes nothing that a user would see.
    pub async fn doctor(&self) -> Diagnosis {
        let examinations = self.backend().patients.iter().map(examine);
        let looking = timeout(EXAMINATION, self.situation());
        let (mut findings, situation) = tokio::join!(join_all(examinations), looking);
        let late = OperationError::Late { operation: "look at the fleet", within: EXAMINATION };
        let situation = situation.unwrap_or(Err(late));
        let mut findings: Vec<Finding> = findings.drain(..).flatten().collect();
        match situation {
            Ok(mut situation) => {
                situation.room = findings.iter().find_map(|finding| finding.room);
                findings.extend(situation.findings());
            }
            Err(error) => {
                let found = format!("the fleet could not be looked at: {error}");
                let mend = "mend what is bad above; the rest is known then";
                findings.push(Finding::new("fleet", "known", Health::Bad, found).mend(mend));
            }
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.health));
        let healthy = findings.iter().all(|finding| finding.health < Health::Bad);
        Diagnosis { healthy, findings }
    }

    async fn situation(&self) -> Result<Situation<'_>, OperationError> {
        let backend = self.backend();
        let seen = stored("list what was enqueued", backend.records.seen()).await?;
        let outline = self.outline().await?;
        let lanes: Vec<Lane> = outline.lanes.into_iter().take(MOST_LANES).collect();
        let queues: Vec<_> = outline.queues.into_iter().take(MOST_LANES).collect();
        let places = lanes.iter().cloned().map(Place::Lane);
        let places: Vec<Place> = places.chain(queues.iter().cloned().map(Place::Dead)).collect();
        let (surveys, uncounted) = match self.survey(&places).await {
            Ok(surveys) => (surveys, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let mut surveys = surveys.into_iter();
        let lanes = lanes.into_iter().zip(surveys.by_ref()).collect();
        let mut died = Vec::new();
        for queue in queues {
            let depth = surveys.next().map(|survey| survey.depth);
            let listed = outline.listed.get(&queue).copied().unwrap_or(0);
            if depth.unwrap_or(0) > 0 || listed > 0 {
                died.push(self.died(queue, depth, listed).await?);
            }
        }
        Ok(Situation {
            now: self.now(),
            known: &self.shared.known,
            retention: backend.retention,
            workers: outline.workers,
            seen,
            pauses: outline.pauses.into_values().collect(),
            lanes,
            uncounted,
            died,
            timetable: self.timetable_at_a_glance().await?,
            room: None,
        })
    }

    /// Looks at the beats and at the first schedules.
    async fn timetable_at_a_glance(&self) -> Result<Timetable, OperationError> {
        let mut found = Timetable { beats: self.beats().await?, ..Timetable::default() };
        let mut behind = None;
        while found.schedules.len() < MOST_SCHEDULES {
            let page = self.backend().schedules.page(behind.as_ref(), BATCH);
            let page = stored("list the schedules", page).await?;
            found.is_whole = page.len() < BATCH;
            behind = page.last().map(|last| last.entry.name.clone());
            found.schedules.extend(page.into_iter().map(|found| self.glance(found)));
            if found.is_whole {
                break;
            }
        }
        Ok(found)
    }

    fn glance(&self, found: Scheduled) -> Entry {
        let Scheduled { entry, position } = found;
        let ahead = position.map(|reached| reached.through);
        let timing = Timing::new(&entry.name, &entry.definition).ok();
        let says = entry.definition;
        let usual = self.shared.producer.options().lanes.get(&says.kind);
        let queue = says.queue.or_else(|| usual.map(|lane| lane.queue.clone()));
        let class = says.class.or_else(|| usual.map(|lane| lane.class));
        Entry {
            lane: Lane::new(queue.unwrap_or_default(), class.unwrap_or_default()),
            name: entry.name,
            kind: says.kind,
            is_paused: entry.paused.is_some(),
            ahead: ahead.filter(|through| *through > self.now().after(AHEAD)),
            next: timing.as_ref().and_then(|timing| timing.next(self.now())),
            was_due: timing.and_then(|timing| timing.next(entry.since)).is_some(),
        }
    }

    /// Counts how many letters of a queue died in the last hour, and in the hour before.
    async fn died(
        &self,
        queue: QueueName,
        depth: Option<u64>,
        listed: u64,
    ) -> Result<Died, OperationError> {
        let now = self.now();
        let hour = |hours: u32| Millis(now.0.saturating_sub(millis(HOUR * hours)));
        let list = |behind| self.backend().letters.list(&queue, behind, MOST_LETTERS);
        let newest = stored("list the dead letters", list(None)).await?;
        // Among letters that died in the same millisecond any place does.
        let behind = Behind { died_at: hour(1), id: TaskId::of_bytes(b"") };
        let older = stored("list the dead letters", list(Some(behind))).await?;
        let since = |letters: &[Letter], from: Millis| {
            letters.iter().filter(|letter| letter.died_at > from).count()
        };
        let (lately, before) = (since(&newest, hour(1)), since(&older, hour(2)));
        Ok(Died { queue, depth, listed, lately, before })
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

async fn examine(patient: &Arc<dyn Diagnose>) -> Vec<Finding> {
    match timeout(EXAMINATION, patient.diagnose()).await {
        Ok(findings) => findings,
        Err(_) => {
            let found = format!("a part of the backend said nothing for {EXAMINATION:?}");
            let mend = "look whether broker and store answer at all, and at their logs";
            vec![Finding::new("backend", "answers", Health::Bad, found).mend(mend)]
        }
    }
}
