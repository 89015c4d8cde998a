//! What a person sees of a task: its state, composed of the ledger's entry and the record.
//!
//! The ledger's word counts; the record fills in what the ledger does not know.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Interim;
use super::records::{Act, Action, AttemptNote, Enqueued, TaskRecord};
use crate::clock::Millis;
use crate::id::{Owner, TaskId};
use crate::ledger::{Ending, Entry, Settled};

/// Where a task stands. Clients must accept states that are not in this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TaskState {
    /// Waits in its lane.
    Queued,
    /// Waits for its time.
    Delayed,
    /// A worker has it.
    Running,
    /// Failed, and comes again.
    Retrying,
    /// Completed.
    Done,
    /// A dead letter.
    Dead,
    /// Cancelled by its sender or an operator.
    Cancelled,
    /// Not started before its expiry.
    Expired,
    /// Dead, and its dead letter taken away by an operator.
    Discarded,
    /// Dead, and an edited copy of it enqueued by an operator.
    Replaced,
}

impl TaskState {
    /// Tells whether nothing more happens by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Done
            | Self::Dead
            | Self::Cancelled
            | Self::Expired
            | Self::Discarded
            | Self::Replaced => true,
            Self::Queued | Self::Delayed | Self::Running | Self::Retrying => false,
        }
    }

    /// Returns the state's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delayed => "delayed",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Discarded => "discarded",
            Self::Replaced => "replaced",
        }
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A task as a person sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskView {
    /// Its id.
    pub id: TaskId,
    /// Where it stands.
    pub state: TaskState,
    /// The attempt that runs or ran last; 0 before the first.
    pub attempt: u32,
    /// Who runs it, and since when.
    pub running: Option<(Owner, Millis)>,
    /// When the next attempt, or the first, is due.
    pub next_at: Option<Millis>,
    /// What was accepted.
    pub enqueued: Option<Enqueued>,
    /// The attempts, oldest first.
    pub history: Vec<AttemptNote>,
    /// What people did to it, oldest first.
    pub acts: Vec<Act>,
    /// The result: JSON text.
    pub result: Option<String>,
    /// What its attempt said last of itself; read apart from the rest, by whoever shows it.
    pub interim: Option<Interim>,
}

impl TaskView {
    /// Composes the view; nothing when neither ledger nor records know the task.
    #[must_use]
    pub fn compose(
        id: TaskId,
        entry: Option<&Entry>,
        record: TaskRecord,
        now: Millis,
    ) -> Option<Self> {
        let TaskRecord { enqueued, history, acts, result } = record;
        let last = history.last();
        let retry_at = last.and_then(|note| note.next_at);
        let due = enqueued.as_ref().and_then(|record| record.not_before);
        let tried = last.map_or(0, |note| note.order.attempt);
        // The last of those about the newest replay: acts on doubled letters come late.
        let act = acts.iter().max_by_key(|act| act.action.replay());
        let (state, attempt, next_at) = match entry {
            Some(Entry::Running(held) | Entry::Finishing(held, _)) => {
                (TaskState::Running, held.order.attempt, None)
            }
            Some(Entry::Waiting(waiting)) if waiting.order.attempt <= 1 => {
                (TaskState::Queued, 0, None)
            }
            Some(Entry::Waiting(waiting)) => {
                (TaskState::Retrying, waiting.order.attempt - 1, retry_at)
            }
            Some(Entry::Settled(settled)) => match act.and_then(|act| after(act, settled)) {
                Some(TaskState::Queued) => (TaskState::Queued, 0, None),
                Some(state) => (state, tried, None),
                None => (ended(settled.ending), tried, None),
            },
            // After a wipe, or once its retention is over, the record's word is all there is.
            None => match (newest(last, act), &enqueued) {
                (Some(Newest::Act(act)), _) => match acted(act.action) {
                    TaskState::Queued => (TaskState::Queued, 0, None),
                    state => (state, tried, None),
                },
                (Some(Newest::Attempt(note)), _) => (noted(note), tried, retry_at),
                (None, None) => return None,
                (None, Some(_)) if due.is_some_and(|at| at > now) => (TaskState::Delayed, 0, due),
                (None, Some(_)) => (TaskState::Queued, 0, None),
            },
        };
        let interim = None;
        let running = match entry {
            Some(Entry::Running(held) | Entry::Finishing(held, _)) => {
                Some((held.hold.owner, Millis(held.claimed_at / 1_000)))
            }
            _ => None,
        };
        Some(Self {
            id,
            state,
            attempt,
            running,
            next_at,
            enqueued,
            history,
            acts,
            result,
            interim,
        })
    }
}

enum Newest<'a> {
    Attempt(&'a AttemptNote),
    Act(&'a Act),
}

/// Tells which came later. The replay says so, where it can: clocks differ, and an act is noted
/// after it was done.
fn newest<'a>(note: Option<&'a AttemptNote>, act: Option<&'a Act>) -> Option<Newest<'a>> {
    let (note, act) = match (note, act) {
        (Some(note), Some(act)) => (note, act),
        (Some(note), None) => return Some(Newest::Attempt(note)),
        (None, Some(act)) => return Some(Newest::Act(act)),
        (None, None) => return None,
    };
    let tried_after = match note.order.replay.cmp(&act.action.replay()) {
        Ordering::Greater => true,
        Ordering::Less => false,
        Ordering::Equal => match act.action {
            Action::Replayed { .. } => true,
            Action::Cancelled { .. } => note.ended_at > act.at,
            Action::Discarded { .. } | Action::Replaced { .. } => false,
        },
    };
    Some(if tried_after { Newest::Attempt(note) } else { Newest::Act(act) })
}

/// Returns what an act made of a task that had ended; nothing where it was about an earlier end.
fn after(act: &Act, settled: &Settled) -> Option<TaskState> {
    let is_dead = matches!(settled.ending, Ending::Dead(_));
    match act.action {
        Action::Replayed { replay } if replay > settled.replay => Some(TaskState::Queued),
        Action::Discarded { replay } | Action::Replaced { replay, .. }
            if is_dead && replay >= settled.replay =>
        {
            Some(acted(act.action))
        }
        Action::Replayed { .. }
        | Action::Discarded { .. }
        | Action::Replaced { .. }
        | Action::Cancelled { .. } => None,
    }
}

const fn acted(action: Action) -> TaskState {
    match action {
        Action::Cancelled { .. } => TaskState::Cancelled,
        Action::Replayed { .. } => TaskState::Queued,
        Action::Discarded { .. } => TaskState::Discarded,
        Action::Replaced { .. } => TaskState::Replaced,
    }
}

const fn ended(ending: Ending) -> TaskState {
    match ending {
        Ending::Done => TaskState::Done,
        Ending::Dead(_) => TaskState::Dead,
        Ending::Cancelled => TaskState::Cancelled,
        Ending::Expired => TaskState::Expired,
    }
}

fn noted(note: &AttemptNote) -> TaskState {
    match note.outcome.as_str() {
        "done" => TaskState::Done,
        "dead" => TaskState::Dead,
        "expired" => TaskState::Expired,
        "cancelled" => TaskState::Cancelled,
        _ => TaskState::Retrying,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{DeadReason, Order};
    use crate::id::{Fence, Token};
    use crate::ledger::{Decision, Hold, Outcome, Running, Toll, Waiting};

    const NOW: Millis = Millis(1_000_000);

    fn order(replay: u32, attempt: u32) -> Order {
        Order { replay, attempt }
    }

    fn sent(not_before: Option<Millis>) -> Enqueued {
        Enqueued {
            id: TaskId::mint(),
            kind: "email.welcome".parse().unwrap(),
            lane: "mail.high".parse().unwrap(),
            at: NOW,
            not_before,
            key: None,
            origin_id: None,
            tags: std::collections::BTreeMap::new(),
            occasion: None,
            args_fingerprint: uuid::Uuid::nil(),
        }
    }

    fn note(order: Order, outcome: &str, ended_at: u64) -> AttemptNote {
        AttemptNote {
            id: TaskId::mint(),
            kind: "email.welcome".parse().unwrap(),
            lane: "mail.high".parse().unwrap(),
            order,
            worker: String::new(),
            started_at: None,
            ended_at: Millis(ended_at),
            outcome: outcome.to_owned(),
            next_at: (outcome == "retry").then_some(Millis(ended_at + 5)),
            reason: None,
            failure: None,
            result: None,
            result_ttl: None,
        }
    }

    fn act(action: Action, at: u64) -> Act {
        Act { id: TaskId::mint(), action, at: Millis(at), by: "ada".to_owned() }
    }

    fn running(order: Order) -> Running {
        Running {
            hold: Hold { owner: Owner::mint(), fence: Fence(7) },
            token: Token(1),
            claimed_at: 999_000_000,
            order,
            toll: Toll::default(),
            cancel: true,
        }
    }

    fn waiting(order: Order) -> Entry {
        Entry::Waiting(Waiting { order, fence: Fence(1), toll: Toll::default() })
    }

    fn settled(replay: u32, ending: Ending) -> Entry {
        Entry::Settled(Settled { replay, ending })
    }

    fn dead(replay: u32) -> Entry {
        settled(replay, Ending::Dead(DeadReason::Handler))
    }

    /// What is seen of a task: its state, its attempt, and when the next is due.
    fn seen(entry: Option<&Entry>, record: TaskRecord) -> Option<(TaskState, u32, Option<u64>)> {
        let view = TaskView::compose(TaskId::mint(), entry, record, NOW)?;
        Some((view.state, view.attempt, view.next_at.map(|at| at.0)))
    }

    fn record(history: &[AttemptNote], acts: &[Act]) -> TaskRecord {
        let (history, acts) = (history.to_vec(), acts.to_vec());
        TaskRecord { enqueued: Some(sent(None)), history, acts, result: None }
    }

    #[test]
    fn a_task_of_which_nothing_is_known_has_no_view() {
        assert_eq!(seen(None, TaskRecord::default()), None);
    }

    #[test]
    fn the_ledger_says_where_a_living_task_stands() {
        let history = [note(order(0, 1), "retry", 900_000)];
        let known = || record(&history, &[]);
        let held = running(order(0, 2));
        let view = TaskView::compose(TaskId::mint(), Some(&Entry::Running(held)), known(), NOW);
        let view = view.unwrap();
        assert_eq!((view.state, view.attempt), (TaskState::Running, 2));
        assert_eq!(view.running, Some((held.hold.owner, Millis(999_000))));
        let outcome = Outcome::Done { result: None };
        let decision = Decision { outcome, follow_ups: Vec::new() };
        let finishing = Entry::Finishing(held, decision);
        assert_eq!(seen(Some(&finishing), known()), Some((TaskState::Running, 2, None)));
        let between = waiting(order(0, 2));
        let expected = Some((TaskState::Retrying, 1, Some(900_005)));
        assert_eq!(seen(Some(&between), known()), expected);
        // Given back before it started.
        let released = waiting(order(0, 1));
        assert_eq!(seen(Some(&released), record(&[], &[])), Some((TaskState::Queued, 0, None)));
    }

    #[test]
    fn a_task_that_ended_is_seen_as_it_ended() {
        let history = [note(order(0, 3), "dead", 900_000)];
        for (ending, state) in [
            (Ending::Done, TaskState::Done),
            (Ending::Dead(DeadReason::Poison), TaskState::Dead),
            (Ending::Cancelled, TaskState::Cancelled),
            (Ending::Expired, TaskState::Expired),
        ] {
            let found = seen(Some(&settled(0, ending)), record(&history, &[]));
            assert_eq!(found, Some((state, 3, None)));
            assert!(state.is_final());
        }
    }

    #[test]
    fn a_replayed_task_is_queued_until_its_replay_is_claimed_and_then_what_became_of_it() {
        let history = [note(order(0, 3), "dead", 900_000)];
        let replayed = act(Action::Replayed { replay: 1 }, 950_000);
        let known = || record(&history, std::slice::from_ref(&replayed));
        assert_eq!(seen(Some(&dead(0)), known()), Some((TaskState::Queued, 0, None)));
        let held = Entry::Running(running(order(1, 1)));
        assert_eq!(seen(Some(&held), known()), Some((TaskState::Running, 1, None)));
        // Dead again, and done at last: the act is about an earlier end.
        for (entry, state) in
            [(dead(1), TaskState::Dead), (settled(1, Ending::Done), TaskState::Done)]
        {
            assert_eq!(seen(Some(&entry), known()), Some((state, 3, None)));
        }
        // Cancelled while the replay waited in its lane.
        let cancelled = settled(1, Ending::Cancelled);
        let acts = [replayed.clone(), act(Action::Cancelled { replay: 1 }, 960_000)];
        let found = seen(Some(&cancelled), record(&history, &acts));
        assert_eq!(found, Some((TaskState::Cancelled, 3, None)));
    }

    #[test]
    fn a_discarded_or_replaced_letter_ends_its_task_unless_it_went_on() {
        let with = TaskId::mint();
        let history = [note(order(0, 3), "dead", 900_000)];
        for (action, state) in [
            (Action::Discarded { replay: 0 }, TaskState::Discarded),
            (Action::Replaced { replay: 0, with }, TaskState::Replaced),
        ] {
            let acts = [act(action, 950_000)];
            let known = || record(&history, &acts);
            assert_eq!(seen(Some(&dead(0)), known()), Some((state, 3, None)));
            // Its entry has ended, or the store was wiped.
            assert_eq!(seen(None, known()), Some((state, 3, None)));
            assert!(state.is_final());
            // It was a letter of an earlier end.
            assert_eq!(seen(Some(&dead(1)), known()), Some((TaskState::Dead, 3, None)));
            let done = settled(0, Ending::Done);
            assert_eq!(seen(Some(&done), known()), Some((TaskState::Done, 3, None)));
        }
    }

    #[test]
    fn an_act_on_a_doubled_letter_does_not_hide_that_the_other_was_replayed() {
        let history = [note(order(0, 3), "dead", 900_000)];
        let acts = [
            act(Action::Replayed { replay: 1 }, 950_000),
            act(Action::Discarded { replay: 0 }, 960_000),
        ];
        let found = seen(Some(&dead(0)), record(&history, &acts));
        assert_eq!(found, Some((TaskState::Queued, 0, None)));
    }

    #[test]
    fn without_an_entry_the_record_is_believed() {
        let later =
            TaskRecord { enqueued: Some(sent(Some(Millis(NOW.0 + 9)))), ..Default::default() };
        assert_eq!(seen(None, later), Some((TaskState::Delayed, 0, Some(NOW.0 + 9))));
        let due = TaskRecord { enqueued: Some(sent(Some(NOW))), ..Default::default() };
        assert_eq!(seen(None, due), Some((TaskState::Queued, 0, None)));
        for (outcome, state) in [
            ("done", TaskState::Done),
            ("dead", TaskState::Dead),
            ("expired", TaskState::Expired),
            ("cancelled", TaskState::Cancelled),
        ] {
            let found = seen(None, record(&[note(order(0, 2), outcome, 900_000)], &[]));
            assert_eq!(found, Some((state, 2, None)));
        }
        for outcome in ["retry", "snooze"] {
            let found = seen(None, record(&[note(order(0, 2), outcome, 900_000)], &[]));
            assert_eq!(found.unwrap().0, TaskState::Retrying);
        }
    }

    #[test]
    fn without_an_entry_the_replay_says_what_came_last_and_then_the_clock() {
        let died = note(order(0, 3), "dead", 900_000);
        let replayed = act(Action::Replayed { replay: 1 }, 950_000);
        let found =
            seen(None, record(std::slice::from_ref(&died), std::slice::from_ref(&replayed)));
        assert_eq!(found, Some((TaskState::Queued, 0, None)));
        // The replay ended before its act was noted.
        let done = note(order(1, 1), "done", 940_000);
        let found = seen(None, record(&[died.clone(), done], &[replayed]));
        assert_eq!(found, Some((TaskState::Done, 1, None)));
        // A cancel that came while it ran, and one before it ended in success all the same.
        for (at, state) in [(890_000, TaskState::Dead), (910_000, TaskState::Cancelled)] {
            let cancelled = [act(Action::Cancelled { replay: 0 }, at)];
            let found = seen(None, record(std::slice::from_ref(&died), &cancelled));
            assert_eq!(found, Some((state, 3, None)));
        }
    }
}
