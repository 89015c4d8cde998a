//! What an onlooker knows who forgets nothing, and what must be true of it.

use std::collections::{BTreeMap, BTreeSet};

use leveret_common::envelope::Order;
use leveret_common::id::Owner;
use leveret_common::ledger::{Cancelling, Ending, Entry, Settled};
use proptest::prelude::*;

use super::world::World;
use super::{MAX_ATTEMPTS, MAX_CRASHES};

#[derive(Debug, Default)]
pub(super) struct Ghost {
    pub(super) starts: BTreeMap<Order, u32>,
    /// Replays whose handler succeeded, whose success is owed a follow-up, for which that is
    /// recorded, and whose follow-up is sent.
    pub(super) completed: BTreeSet<u32>,
    pub(super) owed: BTreeSet<u32>,
    pub(super) decided: BTreeSet<u32>,
    pub(super) sent: BTreeSet<u32>,
    /// Each dead letter that was ever published.
    pub(super) dead: Vec<Order>,
    pub(super) expired: BTreeSet<u32>,
    pub(super) cancel: CancelGhost,
    pub(super) crash_while_running: bool,
    /// Workers that ended with a claim which they did not only wait with.
    pub(super) kills: u32,
    /// Runs that a drain ended.
    pub(super) drained: u32,
    pub(super) paused: bool,
    pub(super) wiped: bool,
    /// An entry was kept to its end, and something of its task still rested in the broker.
    pub(super) forgotten: bool,
    /// What must not happen unless a wipe or a pause explains it.
    pub(super) broken: Vec<String>,
}

/// What was said to those who cancelled.
#[derive(Debug, Default)]
pub(super) struct CancelGhost {
    pub(super) was_asked_for: bool,
    /// Everything up to this replay is cancelled, until then.
    promise: Option<(u32, u64)>,
    /// Everything up to this replay was recorded as cancelled once.
    ended: Option<u32>,
    /// The holder was asked to stop this.
    asked: Option<(Order, Owner)>,
    /// Of this replay, the holder was asked to stop.
    was_asked: Option<u32>,
}

impl CancelGhost {
    pub(super) fn answered(&mut self, said: Cancelling, entry: Option<&Entry>, until: u64) {
        self.was_asked_for = true;
        match (said, entry) {
            (
                Cancelling::Cancelled | Cancelling::Over(Ending::Cancelled),
                Some(Entry::Settled(settled)),
            ) => self.recorded(settled.replay, until),
            (Cancelling::Asked(hold), Some(Entry::Running(held))) => {
                self.asked = Some((held.order, hold.owner));
                self.was_asked = Some(held.order.replay);
            }
            _ => {}
        }
    }

    pub(super) fn recorded(&mut self, replay: u32, until: u64) {
        let before = self.promise.filter(|(of, _)| *of >= replay);
        self.promise = Some(before.map_or((replay, until), |(of, end)| (of, end.max(until))));
        self.ended = self.ended.max(Some(replay));
        self.asked = None;
    }

    /// It ended before its holder was stopped.
    pub(super) fn flag_settled(&mut self) {
        self.asked = None;
    }

    /// The entry is gone with its flag.
    pub(super) fn flag_ended(&mut self) {
        (self.asked, self.was_asked) = (None, None);
    }

    pub(super) fn wiped(&mut self) {
        self.promise = None;
        self.flag_ended();
    }

    /// A later replay runs: its entry is in the place of the cancel's, and is kept as its outcome is.
    fn replaced_by(&mut self, replay: u32) {
        self.promise = self.promise.filter(|(of, _)| *of >= replay);
    }

    fn forbids(&self, order: Order, owner: Owner, now: u64) -> Option<String> {
        if let Some((replay, until)) = self.promise
            && order.replay <= replay
            && now < until
        {
            return Some(format!("cancel forgotten: {order:?} runs"));
        }
        if let Some((asked, holder)) = self.asked
            && order.replay <= asked.replay
            && (order, owner) != (asked, holder)
        {
            return Some(format!("cancel forgotten: {order:?} runs, asked was {asked:?}"));
        }
        None
    }
}

impl Ghost {
    pub(super) fn started(&mut self, order: Order, owner: Owner, now: u64) {
        *self.starts.entry(order).or_default() += 1;
        self.broken.extend(self.cancel.forbids(order, owner, now));
        self.cancel.replaced_by(order.replay);
    }

    pub(super) fn granted(&mut self, order: Order, crashes: u32) {
        if crashes > self.kills {
            let kills = self.kills;
            self.broken.push(format!("{order:?} is charged {crashes} crashes of {kills}"));
        }
    }

    fn has_letter(&self, replay: u32) -> bool {
        self.dead.iter().any(|order| order.replay == replay)
    }

    fn is_called_off(&self, replay: u32) -> bool {
        self.cancel.ended >= Some(replay) || self.expired.contains(&replay)
    }
}

impl World {
    pub(super) fn verify(&self) -> Result<(), TestCaseError> {
        let ghost = &self.ghost;
        let last = self.sent_replay;
        let is_done = ghost.completed.contains(&last);
        prop_assert!(
            is_done || ghost.has_letter(last) || ghost.is_called_off(last),
            "lost: neither done nor dead: {ghost:?}"
        );
        for replay in &ghost.owed {
            let is_excused = ghost.has_letter(*replay) || ghost.is_called_off(*replay);
            prop_assert!(
                is_excused || ghost.sent.contains(replay),
                "lost: the follow-up of a done task"
            );
        }
        // The message of a later attempt is published by the one before it and by nothing else.
        for order in ghost.starts.keys().filter(|order| order.attempt > 1) {
            let before = Order { attempt: order.attempt - 1, ..*order };
            let has_run = ghost.starts.contains_key(&before);
            prop_assert!(has_run, "lost: {before:?} never ran, and {order:?} did");
        }
        prop_assert!(ghost.expired.is_empty() || self.expires_at.is_some(), "expired too early");
        let cancelled = ghost.cancel.ended.is_some();
        prop_assert!(!cancelled || ghost.cancel.was_asked_for, "a cancel nobody asked for");
        if !ghost.wiped && !ghost.forgotten {
            self.verify_entry()?;
            prop_assert!(
                ghost.decided.is_subset(&ghost.sent),
                "lost: the follow-up of a recorded outcome: {ghost:?}"
            );
        }
        if !(ghost.wiped || ghost.paused) {
            prop_assert!(ghost.broken.is_empty(), "{:?}", ghost.broken);
        }
        let is_explained = ghost.crash_while_running || ghost.drained > 0;
        if !(ghost.wiped || ghost.forgotten || ghost.paused || is_explained) {
            for (order, starts) in &ghost.starts {
                prop_assert!(*starts <= 1, "unexplained second run of {order:?}: {starts}");
            }
        }
        Ok(())
    }

    fn verify_entry(&self) -> Result<(), TestCaseError> {
        let ghost = &self.ghost;
        let Some(Entry::Settled(Settled { replay, ending })) = self.entry else {
            return Err(TestCaseError::fail(format!(
                "at rest with an open entry: {:?}",
                self.entry
            )));
        };
        prop_assert!(replay <= self.sent_replay, "a replay nobody asked for");
        prop_assert!(
            ending != Ending::Done || !ghost.has_letter(replay),
            "done and a dead letter: {ghost:?}"
        );
        if !ghost.paused {
            let may_end_so = matches!(ending, Ending::Done | Ending::Cancelled);
            prop_assert!(
                ghost.cancel.was_asked != Some(replay) || may_end_so,
                "cancel forgotten: its holder was asked, it ended as {ending:?}"
            );
            for replay in 0..=self.sent_replay {
                let of = ghost.starts.iter().filter(|(order, _)| order.replay == replay);
                let starts: u32 = of.map(|(_, starts)| starts).sum();
                prop_assert!(
                    starts <= MAX_CRASHES + MAX_ATTEMPTS + ghost.drained,
                    "poison bound: {starts} starts"
                );
            }
        }
        Ok(())
    }
}
