//! What a walk writes down: descriptions of what rests, and who did what. Best effort: the broker has
//! what counts.

use std::collections::BTreeMap;

use super::round::{Deed, Step, Walk};
use crate::backend::Backend;
use crate::store::{Act, Action, Behind, Gone, Letter, StoreError};

/// Descriptions read at a time when those of letters that are gone are looked for.
const PAGE: usize = 500;

impl Walk<'_> {
    /// Writes what people will ask for. One part that fails keeps no other from being written.
    pub(super) async fn note(&self, ended: &[Step]) {
        let (mut letters, mut gone, mut acts) = (BTreeMap::new(), Vec::new(), Vec::new());
        let at = self.backend.clock.now();
        for Step { letter, deed, .. } in ended {
            let replay = letter.order.replay;
            let action = match deed {
                Deed::Keep => {
                    letters.insert((letter.id, letter.order), letter.clone());
                    continue;
                }
                Deed::Hide | Deed::SendBack | Deed::Supersede => None,
                Deed::Replay(replay) => Some(Action::Replayed { replay: *replay }),
                Deed::Discard => Some(Action::Discarded { replay }),
                Deed::Replace(with) => Some(Action::Replaced { replay, with: *with }),
            };
            gone.push(Gone { id: letter.id, queue: letter.queue.clone(), order: letter.order });
            let by = self.terms.by.clone();
            acts.extend(action.map(|action| Act { id: letter.id, action, at, by }));
        }
        let letters: Vec<Letter> = letters.into_values().collect();
        let Backend { letters: index, records, .. } = self.backend;
        if !letters.is_empty() {
            self.lags("the list of dead letters lags behind", index.describe(&letters).await);
        }
        if !gone.is_empty() {
            self.lags("the list of dead letters lags behind", index.forget(&gone).await);
        }
        if !acts.is_empty() {
            self.lags("who did what to dead letters is not recorded", records.acted(&acts).await);
        }
    }

    fn lags(&self, what: &'static str, written: Result<(), StoreError>) {
        if let Err(error) = written {
            tracing::warn!(queue = %self.queue, %error, "{what}");
        }
    }

    /// After a whole walk: descriptions that it did not write anew are of letters that are gone.
    pub(super) async fn forget_the_gone(&self) {
        let index = &self.backend.letters;
        let mut behind = None;
        loop {
            let page = match index.list(self.queue, behind, PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(%error, "the list of dead letters lags behind");
                    return;
                }
            };
            let Some(last) = page.last() else { return };
            behind = Some(Behind { died_at: last.died_at, id: last.id });
            let gone: Vec<Gone> = page
                .iter()
                .filter(|letter| letter.described_at < self.began && letter.died_at <= self.began)
                .map(|letter| Gone {
                    id: letter.id,
                    queue: letter.queue.clone(),
                    order: letter.order,
                })
                .collect();
            if let Err(error) = index.forget(&gone).await {
                tracing::warn!(%error, "the list of dead letters lags behind");
                return;
            }
        }
    }
}
