//! When all work of a fleet is over, and what the oracle says then.
//!
//! At rest the queues of the fleet are empty, apart from dead letters: nothing waits, is parked, or is in the hands of a
//! worker. A broker is looked into from outside; an embedded file has one process, which is asked for every task.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use leveret_common::id::TaskId;
use tokio::time::{Instant, sleep};

use super::Fleet;
pub use super::explain::Explained;
pub use super::owed::follow_ups_of;
use crate::error::Error;
use crate::node::{Broker, QueueState};
use crate::oracle::judge::is_surely_recorded;
use crate::oracle::{Event, Evidence, Finding, judge};

/// How often it is looked whether all is over.
const LOOK: Duration = Duration::from_millis(250);
/// How many questions are asked at once.
const AT_ONCE: usize = 16;
/// How many tasks `explain` is asked for at rest.
const SAMPLE: usize = 24;
/// Up to so many tasks each is asked for; of more only those of which the journal does not say enough.
const ASKED: usize = 5_000;
/// Most of one sort that is told.
const TOLD: usize = 5;

impl Fleet {
    /// Waits until every accepted task is over and nothing rests in a queue, for `patience` at most, and judges.
    ///
    /// Nobody may put tasks in any more.
    ///
    /// # Errors
    /// When gateway or broker cannot be asked, though nothing is wrong any more.
    ///
    /// # Cancel safety
    /// It only looks.
    pub async fn settle_down(
        &self,
        broker: Option<&Broker>,
        patience: Duration,
        chance: &mut fastrand::Rng,
    ) -> Result<Finding, Error> {
        let left = self.come_to_rest(broker, patience).await;
        let evidence = self.evidence().await?;
        let mut finding = judge(&evidence);
        finding.wrong.extend(left.map(|left| format!("not at rest after {patience:?}: {left}")));
        finding.wrong.extend(self.log.surprises());
        finding.wrong.extend(self.early(&evidence)?);
        let some = self.explained(SAMPLE, true, chance).await?;
        finding.wrong.extend(some.contradictions);
        if some.unanswered > 0 {
            finding.wrong.push(format!("explain does not answer for {} tasks", some.unanswered));
        }
        self.remark(&evidence, &mut finding);
        Ok(finding)
    }

    /// Waits until all is over; what is left when the time is up.
    async fn come_to_rest(&self, broker: Option<&Broker>, patience: Duration) -> Option<String> {
        let began = Instant::now();
        let known = self.journal.read().and_then(|history| self.owed(&history));
        let known = known.unwrap_or_else(|_| self.books.open().clone());
        let mut open: Vec<TaskId> = known.tasks().keys().copied().collect();
        loop {
            // Who was just started again, or is still declaring its queues, does not answer at first.
            let left = self.left(broker, &mut open).await;
            let left = left.unwrap_or_else(|error| Some(error.to_string()));
            if left.is_none() || began.elapsed() > patience {
                return left;
            }
            sleep(LOOK).await;
        }
    }

    /// Tells what is not over.
    async fn left(
        &self,
        broker: Option<&Broker>,
        open: &mut Vec<TaskId>,
    ) -> Result<Option<String>, Error> {
        let in_use = match broker {
            Some(broker) => self.in_use(broker).await?,
            None => self.still_open(open).await?,
        };
        let missing = self.missing().await?;
        let some: Vec<_> = missing.iter().take(TOLD).map(TaskId::to_string).collect();
        let never = format!("{} never ended ({})", missing.len(), some.join(", "));
        Ok(match (in_use, missing.is_empty()) {
            (in_use, true) => in_use,
            (None, false) => Some(never),
            (Some(in_use), false) => Some(format!("{in_use}; {never}")),
        })
    }

    /// Names the queues of the fleet that hold something, by two looks between which nothing moved.
    async fn in_use(&self, broker: &Broker) -> Result<Option<String>, Error> {
        let (first, second) = (self.queues(broker).await?, self.queues(broker).await?);
        let held: Vec<String> = second
            .iter()
            .filter(|queue| queue.held() > 0)
            .map(|queue| {
                format!("{} holds {} and {} unacked", queue.name, queue.ready, queue.unacked)
            })
            .collect();
        if second.is_empty() {
            return Ok(Some("the broker lists no queue of the fleet".to_owned()));
        }
        if held.is_empty() && first != second {
            return Ok(Some("something moves".to_owned()));
        }
        Ok((!held.is_empty()).then(|| held.join(", ")))
    }

    /// Returns the queues of the fleet, apart from dead letters.
    async fn queues(&self, broker: &Broker) -> Result<Vec<QueueState>, Error> {
        let prefix = format!("{}.", self.settings().namespace);
        let dead = format!("{prefix}dead.");
        let mut queues = broker.queues_of(&prefix).await?;
        queues.retain(|queue| !queue.name.starts_with(&dead));
        queues.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(queues)
    }

    /// Asks the one process for the tasks of `open`, and keeps those that are not over.
    async fn still_open(&self, open: &mut Vec<TaskId>) -> Result<Option<String>, Error> {
        let told = self.states(open).await?;
        open.retain(|id| !told.get(id).is_some_and(|state| is_terminal(state)));
        let state = |id: &TaskId| told.get(id).map_or("unknown", String::as_str);
        let first = open.first().map(|id| format!("{id} is {}", state(id)));
        Ok(first.map(|first| format!("{} are not over, {first}", open.len())))
    }

    /// Returns the accepted tasks that have neither ended well nor become a dead letter, as far as that is seen.
    async fn missing(&self) -> Result<Vec<TaskId>, Error> {
        let history = self.journal.read()?;
        let owed = self.owed(&history)?;
        let ended = |id: &TaskId| history.of(*id).iter().any(crate::oracle::Run::is_done);
        let mut missing: Vec<TaskId> =
            owed.tasks().keys().copied().filter(|id| !ended(id)).collect();
        if missing.is_empty() {
            return Ok(missing);
        }
        let mut letters = self.door.letters().await?;
        if missing.iter().any(|id| !letters.contains_key(id)) {
            // After a wipe the list is written again within a minute; this is sooner.
            self.door.reindex().await?;
            letters = self.door.letters().await?;
        }
        missing.retain(|id| !letters.contains_key(id));
        let told = self.states(&missing).await?;
        missing.retain(|id| {
            !matches!(told.get(id).map(String::as_str), Some("cancelled" | "expired"))
        });
        Ok(missing)
    }

    /// Gathers all that is known.
    async fn evidence(&self) -> Result<Evidence, Error> {
        // What the broker holds is a letter; what the store says of it may be older.
        self.door.reindex().await?;
        let history = self.journal.read()?;
        let mut evidence = Evidence {
            accepted: self.owed(&history)?,
            letters: self.door.letters().await?,
            history,
            told: BTreeMap::new(),
            events: self.log.events(),
            others: self.log.others(),
            limits: self.limits(),
        };
        let all = evidence.accepted.tasks().keys().copied();
        let asked_for: Vec<TaskId> = if self.is_embedded() || all.len() <= ASKED {
            all.collect()
        } else {
            all.filter(|id| is_doubtful(*id, &evidence)).collect()
        };
        evidence.told = self.states(&asked_for).await?;
        Ok(evidence)
    }

    /// Asks for the states of tasks; those that nobody knows are left out.
    async fn states(&self, ids: &[TaskId]) -> Result<BTreeMap<TaskId, String>, Error> {
        let asked = stream::iter(ids.iter().copied()).map(|id| async move {
            let known = self.door.task(id).await?;
            Ok::<_, Error>(known.and_then(|task| Some((id, task["state"].as_str()?.to_owned()))))
        });
        let told: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
        let told: Vec<Option<(TaskId, String)>> = told.into_iter().collect::<Result<_, _>>()?;
        Ok(told.into_iter().flatten().collect())
    }

    /// Waits until so many runs have begun, for a minute after the last one.
    ///
    /// # Errors
    /// When nothing new runs for a minute.
    ///
    /// # Cancel safety
    /// It only looks.
    pub async fn ran(&self, at_least: usize) -> Result<(), Error> {
        let (mut seen, mut since) = (0, Instant::now());
        while seen < at_least {
            let now = self.journal.read()?.len();
            if now > seen {
                (seen, since) = (now, Instant::now());
            } else if since.elapsed() > Duration::from_secs(60) {
                let what = format!("ran {seen} tasks, and nothing for a minute");
                return Err(Error::unexpected("the fleet", what));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn remark(&self, evidence: &Evidence, finding: &mut Finding) {
        let books = self.books.open();
        let counts = [
            (books.repeated, "requests were sent again"),
            (books.unknown().len() as u64, "tasks stayed unknown to their senders"),
            (books.refused().len() as u64, "tasks were refused"),
        ];
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            finding.notes.push(format!("{count} {what}"));
        }
        for event in &evidence.events {
            if let Event::Told { what, .. } = event {
                finding.notes.push(what.clone());
            }
        }
    }
}

/// Whether only the store can tell that a task is over.
fn is_doubtful(id: TaskId, evidence: &Evidence) -> bool {
    let mut runs = evidence.history.of(id).iter();
    !runs.any(|run| run.is_done() && is_surely_recorded(run, evidence))
}

fn is_terminal(state: &str) -> bool {
    ["done", "dead", "cancelled", "expired"].contains(&state)
}
