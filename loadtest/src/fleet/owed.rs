//! What the system owes: what was accepted, what follows from it, and what is due.

use std::collections::BTreeSet;

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;
use leveret_common::name::KindName;

use super::Fleet;
use super::settings::FOLLOW_UPS;
use crate::error::Error;
use crate::oracle::{Accepted, History};

impl Fleet {
    /// Returns what was accepted, the follow-ups that its success owes, and what is due by the timetable.
    pub(super) fn owed(&self, history: &History) -> Result<Accepted, Error> {
        let mut owed = self.books.open().clone();
        self.add_due(&mut owed)?;
        owed.expect_by(|kind| self.settings().ending_of(kind));
        let Ok(ok) = "ok".parse::<KindName>() else { return Ok(owed) };
        let parents: Vec<(TaskId, Millis)> = owed
            .tasks()
            .iter()
            .filter(|(_, promise)| promise.kind.ends_with("parent"))
            .filter_map(|(id, _)| {
                let end = history.of(*id).iter().find(|run| run.is_done())?.end?;
                Some((*id, end.at))
            })
            .collect();
        for (parent, at) in parents {
            for follow_up in follow_ups_of(parent, &ok) {
                owed.accept(follow_up, "ok", at);
            }
        }
        Ok(owed)
    }
}

/// Returns the ids of the follow-ups of a `parent`, as long as nobody replays it.
pub fn follow_ups_of(parent: TaskId, ok: &KindName) -> Vec<TaskId> {
    let mut seen = BTreeSet::new();
    let follow_up = |args: &'static str| {
        let ordinal = u32::from(!seen.insert(args));
        parent.follow_up(0, ok, args.as_bytes(), ordinal)
    };
    FOLLOW_UPS.map(follow_up).to_vec()
}
