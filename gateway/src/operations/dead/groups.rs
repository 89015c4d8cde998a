//! Dead letters in groups: how many died of what, and whether the index lags behind the queues.

use std::collections::BTreeMap;

use leveret_common::broker::Place;
use leveret_common::clock::Millis;
use leveret_common::filter::Filter;
use leveret_common::id::TaskId;
use leveret_common::name::QueueName;
use leveret_common::store::Letter;

use super::super::{OperationError, Operations, stored};
use super::scan::Scan;

/// Most letters that one count looks at.
const MOST_COUNTED: usize = 100_000;
/// Most groups of one answer; the largest are shown.
const MOST_GROUPS: usize = 1_000;

/// What letters are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Their kind.
    Kind,
    /// Their queue.
    Queue,
    /// Why they are dead.
    Reason,
    /// The class of their last failure.
    ErrorClass,
}

/// Letters that have something in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What.
    pub value: String,
    /// How many.
    pub count: u64,
    /// When the first of them died.
    pub oldest: Millis,
    /// When the last of them died.
    pub newest: Millis,
    /// The one that died last.
    pub example: TaskId,
}

/// All groups, the largest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// At most a thousand.
    pub groups: Vec<Group>,
    /// How many letters were counted.
    pub total: u64,
    /// Whether all were looked at; false where there are more than are counted at once.
    pub complete: bool,
    /// What queues hold and what of it is listed.
    pub queues: Vec<QueueCount>,
}

/// How many dead letters a queue holds, and how many of them are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueCount {
    /// The queue.
    pub queue: QueueName,
    /// Letters that rest in the queue.
    pub depth: u64,
    /// Letters in the index. Less than there are: they will be listed within a minute, or by a
    /// reindex.
    pub listed: u64,
}

impl Operations {
    /// Counts the letters that match, in groups.
    ///
    /// # Errors
    /// When broker or store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn letter_groups(&self, by: By, filter: &Filter) -> Result<Groups, OperationError> {
        let queues = self.letter_counts(filter).await?;
        let listed = queues.iter().filter(|count| count.listed > 0);
        let mut scan =
            Scan::new(self, listed.map(|count| count.queue.clone()).collect(), None, usize::MAX);
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        let mut total = 0;
        while scan.scanned() < MOST_COUNTED {
            let Some(chunk) = scan.next(usize::MAX, filter).await? else { break };
            total += chunk.len() as u64;
            for letter in chunk {
                count(&mut groups, by, &letter);
            }
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_by(|one, other| other.count.cmp(&one.count).then(one.value.cmp(&other.value)));
        groups.truncate(MOST_GROUPS);
        Ok(Groups { groups, total, complete: scan.place().is_none(), queues })
    }

    /// Counts what queues hold beside what is listed; queues with neither are left out.
    async fn letter_counts(&self, filter: &Filter) -> Result<Vec<QueueCount>, OperationError> {
        let listed = stored("count the dead letters", self.backend().letters.counts()).await?;
        let queues: Vec<QueueName> = match filter.queues() {
            Some(named) => named.iter().filter_map(|name| name.parse().ok()).collect(),
            None => self.outline().await?.queues.into_iter().collect(),
        };
        let places: Vec<Place> = queues.iter().cloned().map(Place::Dead).collect();
        let surveys = self.survey(&places).await?;
        let counts = queues.into_iter().zip(surveys).map(|(queue, survey)| {
            let listed = listed.get(&queue).copied().unwrap_or(0);
            QueueCount { queue, depth: survey.depth, listed }
        });
        Ok(counts.filter(|count| count.depth > 0 || count.listed > 0).collect())
    }
}

fn count(groups: &mut BTreeMap<String, Group>, by: By, letter: &Letter) {
    let value = match by {
        By::Kind => letter.kind.clone(),
        By::Queue => letter.queue.to_string(),
        By::Reason => letter.reason.map_or("unknown", |reason| reason.as_str()).to_owned(),
        By::ErrorClass => letter.class.clone(),
    };
    let died_at = letter.died_at;
    let group = groups.entry(value.clone()).or_insert(Group {
        value,
        count: 0,
        oldest: died_at,
        newest: died_at,
        example: letter.id,
    });
    group.count += 1;
    group.oldest = group.oldest.min(died_at);
    group.newest = group.newest.max(died_at);
}
