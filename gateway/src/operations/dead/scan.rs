//! A scan of the index: the letters of several queues as one list, newest first.
//!
//! Each queue is read page by page and the newest head is taken next, so that a place in the list
//! is one letter's values, whatever the number of queues.

use std::collections::VecDeque;

use leveret_common::clock::Millis;
use leveret_common::desk::entries;
use leveret_common::filter::Filter;
use leveret_common::ledger::Entry;
use leveret_common::name::QueueName;
use leveret_common::store::{Behind, Letter};

use super::super::{OperationError, Operations, stored};
use super::subject;

/// Fewest and most letters that are read of a queue at a time.
const PAGE: (usize, usize) = (16, 256);
/// Most letters that are held for all queues together.
const HELD: usize = 2_048;
/// Most letters whose entries are read at a time.
const ENTRIES: usize = 256;

/// A scan under way.
pub(super) struct Scan<'a> {
    operations: &'a Operations,
    heads: Vec<Head>,
    page: usize,
    place: Option<Behind>,
    scanned: usize,
    now: Millis,
}

struct Head {
    queue: QueueName,
    letters: VecDeque<Letter>,
    behind: Option<Behind>,
    has_more: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(
        operations: &'a Operations,
        queues: Vec<QueueName>,
        behind: Option<Behind>,
        wanted: usize,
    ) -> Self {
        let each = HELD / queues.len().max(1);
        let page = wanted.min(each).clamp(PAGE.0, PAGE.1);
        let head = |queue| Head { queue, letters: VecDeque::new(), behind, has_more: true };
        let heads = queues.into_iter().map(head).collect();
        Self { operations, heads, page, place: behind, scanned: 0, now: operations.now() }
    }

    /// Returns how many letters were looked at.
    pub(super) const fn scanned(&self) -> usize {
        self.scanned
    }

    /// Returns where to go on; nothing where the list is over.
    pub(super) fn place(&self) -> Option<Behind> {
        let has_more = self.heads.iter().any(|head| head.has_more || !head.letters.is_empty());
        if has_more { self.place } else { None }
    }

    /// Looks at letters until `wanted` match or as many as can be checked at a time were looked
    /// at, and returns those that match and are not hidden; nothing where the list is over.
    pub(super) async fn next(
        &mut self,
        wanted: usize,
        filter: &Filter,
    ) -> Result<Option<Vec<Letter>>, OperationError> {
        let before = self.scanned;
        let mut found = Vec::new();
        while found.len() < wanted.min(ENTRIES) && self.scanned - before < ENTRIES {
            let Some(letter) = self.pop().await? else { break };
            self.scanned += 1;
            self.place = Some(Behind { died_at: letter.died_at, id: letter.id });
            if filter.matches(&subject(&letter, self.now)) {
                found.push(letter);
            }
        }
        if self.scanned == before {
            return Ok(None);
        }
        self.operations.without_hidden(found).await.map(Some)
    }

    /// Takes the newest letter of all queues.
    async fn pop(&mut self) -> Result<Option<Letter>, OperationError> {
        for head in &mut self.heads {
            if head.letters.is_empty() && head.has_more {
                let index = &self.operations.backend().letters;
                let page = index.list(&head.queue, head.behind, self.page);
                let page = stored("list the dead letters", page).await?;
                head.has_more = page.len() == self.page;
                if let Some(last) = page.last() {
                    head.behind = Some(Behind { died_at: last.died_at, id: last.id });
                }
                head.letters = page.into();
            }
        }
        let value = |head: &Head| head.letters.front().map(|letter| (letter.died_at, letter.id));
        let newest = self.heads.iter_mut().max_by_key(|head| value(head));
        Ok(newest.and_then(|head| head.letters.pop_front()))
    }
}

impl Operations {
    /// Leaves out letters whose task has begun anew since.
    pub(super) async fn without_hidden(
        &self,
        letters: Vec<Letter>,
    ) -> Result<Vec<Letter>, OperationError> {
        if letters.is_empty() {
            return Ok(letters);
        }
        let ids: Vec<_> = letters.iter().map(|letter| letter.id).collect();
        let read = entries::read(&*self.backend().ledger, &ids);
        let entries = stored("read the ledger", read).await?;
        // One whose entry cannot be read is shown: nobody knows of a replay of it.
        let shown = letters.into_iter().zip(entries).filter(|(letter, entry)| {
            let entry = entry.as_ref().ok().and_then(Option::as_ref);
            entry.is_none_or(|entry| replay_of(entry) <= letter.order.replay)
        });
        Ok(shown.map(|(letter, _)| letter).collect())
    }
}

const fn replay_of(entry: &Entry) -> u32 {
    match entry {
        Entry::Running(held) | Entry::Finishing(held, _) => held.order.replay,
        Entry::Waiting(waiting) => waiting.order.replay,
        Entry::Settled(settled) => settled.replay,
    }
}
