//! Dead letters: listed and counted from their index, shown, replayed, edited, discarded, carried
//! out and in.
//!
//! Lists answer from the index and never touch a queue; whatever changes a letter walks its queue
//! ([`leveret_common::desk`]). Guards that a list hides letters whose replay is on its way, and
//! that a request looks at no more than [`MOST_SCANNED`] letters.

mod bulk;
mod edit;
mod export;
mod groups;
mod import;
mod one;
mod scan;

use std::collections::BTreeSet;

use leveret_common::broker::{Place, Survey};
use leveret_common::clock::Millis;
use leveret_common::filter::{Filter, Subject};
use leveret_common::name::{Class, Lane, QueueName};
use leveret_common::store::{Behind, Letter};

pub use self::bulk::{Bulk, Deed, Matching, Progress, Walks};
pub use self::edit::Edit;
pub use self::export::Exported;
pub use self::groups::{By, Group, Groups, QueueCount};
pub use self::import::{Imported, Line};
pub use self::one::{Outcome, Shown};
use self::scan::Scan;
use super::{OperationError, Operations, stored};

/// Most letters that one request looks at in the index.
pub const MOST_SCANNED: usize = 10_000;
/// Most letters of one page.
pub const MOST_LISTED: usize = 1_000;

/// A page of dead letters, newest first over all queues.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The letters.
    pub letters: Vec<Letter>,
    /// Where the next page begins, where there is more to look at.
    pub next: Option<Behind>,
    /// How many were looked at for this page.
    pub scanned: usize,
}

impl Operations {
    /// Lists at most `limit` letters that match, from the beginning or behind a place. A page with
    /// few letters and a `next` means that the rest did not match so far.
    ///
    /// # Errors
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn letters(
        &self,
        filter: &Filter,
        limit: usize,
        behind: Option<Behind>,
    ) -> Result<Page, OperationError> {
        let queues = self.listed_queues(filter).await?;
        let mut scan = Scan::new(self, queues, behind, limit);
        let mut letters = Vec::new();
        while letters.len() < limit && scan.scanned() < MOST_SCANNED {
            let wanted = (limit - letters.len()).min(MOST_SCANNED - scan.scanned());
            let Some(chunk) = scan.next(wanted, filter).await? else { break };
            letters.extend(chunk);
        }
        Ok(Page { letters, next: scan.place(), scanned: scan.scanned() })
    }

    /// Returns the queues whose listed letters can match.
    async fn listed_queues(&self, filter: &Filter) -> Result<Vec<QueueName>, OperationError> {
        let counts = stored("count the dead letters", self.backend().letters.counts()).await?;
        let may_match = |queue: &QueueName| {
            filter.queues().is_none_or(|named| named.iter().any(|name| name == queue.as_str()))
        };
        Ok(counts.into_keys().filter(may_match).collect())
    }

    /// Returns the queues whose dead letters can match. One that looks empty may only be in another
    /// walker's hands: whoever walks it is told so.
    async fn queues_to_walk(&self, filter: &Filter) -> Result<Vec<QueueName>, OperationError> {
        let outline = self.outline().await?;
        let named = filter.queues();
        let queues: BTreeSet<QueueName> = match named {
            Some(named) => named.iter().filter_map(|name| name.parse().ok()).collect(),
            None => outline.queues,
        };
        let queues: Vec<QueueName> = queues.into_iter().collect();
        let places: Vec<Place> = queues.iter().cloned().map(Place::Dead).collect();
        let surveys = self.survey(&places).await?;
        let may_hold = |queue: &QueueName, survey: &Survey| {
            survey.depth > 0
                || survey.consumers > 0
                || named.is_some()
                || outline.listed.contains_key(queue)
        };
        let held = queues.into_iter().zip(surveys).filter(|(queue, seen)| may_hold(queue, seen));
        Ok(held.map(|(queue, _)| queue).collect())
    }
}

/// Returns what a filter is compared with.
fn subject(letter: &Letter, now: Millis) -> Subject<'_> {
    let class = letter.origin.split_once('.').and_then(|(_, class)| class.parse::<Class>().ok());
    Subject {
        id: letter.id.to_string(),
        origin_id: letter.origin_id.as_deref().unwrap_or_default(),
        key: letter.key.as_deref().unwrap_or_default(),
        kind: &letter.kind,
        queue: letter.queue.as_str(),
        class: class.unwrap_or_default().as_str(),
        state: "dead",
        reason: letter.reason.map_or("", |reason| reason.as_str()),
        error_class: &letter.class,
        error: &letter.error,
        tags: Some(&letter.tags),
        age: Some(now.since(letter.died_at)),
        attempt: letter.order.attempt,
        replay: letter.order.replay,
    }
}

/// Returns the lane that a replay goes to, where it is not its own.
fn target(own: &Lane, queue: Option<&QueueName>, class: Option<Class>) -> Option<Lane> {
    if queue.is_none() && class.is_none() {
        return None;
    }
    let queue = queue.cloned().unwrap_or_else(|| own.queue.clone());
    Some(Lane::new(queue, class.unwrap_or(own.class)))
}
