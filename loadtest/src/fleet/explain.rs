//! What `task explain` says while a fleet is at work, held against what its handlers wrote down (I13).

use super::Fleet;
use crate::error::Error;
use crate::oracle::custody::{Known, contradiction};

impl Fleet {
    /// Asks `explain` for a sample of accepted tasks, and compares it with what the journal holds (I13).
    ///
    /// # Errors
    /// When the journal cannot be read.
    ///
    /// # Cancel safety
    /// It only asks.
    pub async fn explained(
        &self,
        count: usize,
        at_rest: bool,
        chance: &mut fastrand::Rng,
    ) -> Result<Explained, Error> {
        let tasks = self.books.open().tasks().clone();
        let sample: Vec<_> = chance.choose_multiple(tasks.iter(), count);
        let mut explained = Explained::default();
        for (id, promise) in sample {
            let (before, asked) = (self.runs(*id)?, Self::now());
            let Ok(answer) = self.door.explain(*id).await else {
                explained.unanswered += 1;
                continue;
            };
            explained.asked += 1;
            let (later, events) = (self.runs(*id)?, self.log.events());
            let known = Known {
                accepted: promise.at,
                runs: &before,
                later: &later,
                events: &events,
                asked,
                at_rest,
            };
            let found = contradiction(&answer, &known, &self.limits());
            explained.contradictions.extend(found.map(|why| format!("{id}: {why}")));
        }
        Ok(explained)
    }
}

/// What `explain` said of some tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explained {
    /// For how many it answered.
    pub asked: usize,
    /// For how many it did not.
    pub unanswered: usize,
    /// What contradicts the journal.
    pub contradictions: Vec<String>,
}
