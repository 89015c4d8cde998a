//! What became of a task that was performed, and of all that one call has performed.

use std::collections::BTreeMap;
use std::fmt;

use leveret_common::clock::Millis;
use leveret_common::envelope::{DeadReason, cut};
use leveret_common::id::TaskId;
use leveret_common::name::{KindName, Lane};
use leveret_common::store::{AttemptNote, TaskState, TaskView};
use leveret_producer::Task;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::fail::{fail, or_fail};

/// Most characters of an error that are shown in a line.
const SHOWN: usize = 200;

/// What became of a task in one attempt.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Became {
    /// It is completed.
    Done {
        /// What the handler answered, `null` where that was nothing.
        result: Value,
    },
    /// It failed, and comes again.
    Retry {
        /// When.
        at: Millis,
        /// The error class.
        class: String,
        /// The message.
        error: String,
    },
    /// It asked to come again, and no attempt is used up.
    Snoozed {
        /// When it comes.
        until: Millis,
    },
    /// It is a dead letter.
    Dead {
        /// Why.
        reason: DeadReason,
        /// The error class.
        class: String,
        /// The message.
        error: String,
    },
    /// Somebody cancelled it.
    Cancelled,
    /// Its time to start was over.
    Expired,
    /// Its worker died with it; it is back in its lane.
    Crashed,
    /// There is no handler of its kind here: it waits for a newer worker.
    Parked {
        /// Until when.
        until: Millis,
    },
}

impl Became {
    /// Reads what was noted of an attempt.
    pub(super) fn of(note: &AttemptNote) -> Self {
        let at = note.next_at.unwrap_or(note.ended_at);
        let (class, error) = note.failure.as_ref().map_or_else(Default::default, |failure| {
            (failure.class.clone(), failure.message.clone())
        });
        match (note.outcome.as_str(), note.reason) {
            ("retry", _) => Self::Retry { at, class, error },
            ("snooze", _) => Self::Snoozed { until: at },
            ("dead", Some(reason)) => Self::Dead { reason, class, error },
            ("cancelled", _) => Self::Cancelled,
            ("expired", _) => Self::Expired,
            _ => Self::Done { result: read(note.result.as_deref()) },
        }
    }

    /// Reads how a task ended that is over; nothing where it is not.
    pub(super) fn ended(view: &TaskView) -> Option<Self> {
        match view.state {
            TaskState::Done => Some(Self::Done { result: read(view.result.as_deref()) }),
            TaskState::Cancelled => Some(Self::Cancelled),
            TaskState::Expired => Some(Self::Expired),
            state if state.is_final() => view.history.last().map(Self::of),
            _ => None,
        }
    }

    /// Tells whether it is completed.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }

    /// Tells whether it failed and comes again.
    #[must_use]
    pub const fn is_retry(&self) -> bool {
        matches!(self, Self::Retry { .. })
    }

    /// Tells whether it is a dead letter.
    #[must_use]
    pub const fn is_dead(&self) -> bool {
        matches!(self, Self::Dead { .. })
    }

    /// Returns the message of what failed.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Retry { error, .. } | Self::Dead { error, .. } => Some(error),
            Self::Done { .. }
            | Self::Snoozed { .. }
            | Self::Cancelled
            | Self::Expired
            | Self::Crashed
            | Self::Parked { .. } => None,
        }
    }

    /// Returns the result of a completed task.
    ///
    /// # Panics
    /// When the task is not completed, or its result is no `R`.
    #[must_use]
    #[track_caller]
    pub fn result<R: DeserializeOwned>(&self) -> R {
        let Self::Done { result } = self else {
            fail(&format!("the task has no result: it is {self}"));
        };
        or_fail(serde_json::from_value(result.clone()), "read the result of the task")
    }
}

fn read(result: Option<&str>) -> Value {
    // What is kept as a result was checked to be JSON.
    result.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

impl fmt::Display for Became {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done { result: Value::Null } => to.write_str("done"),
            Self::Done { result } => write!(to, "done: {}", cut(&result.to_string(), SHOWN)),
            Self::Retry { class, error, .. } => {
                write!(to, "to be tried again, after {class}: {}", cut(error, SHOWN))
            }
            Self::Snoozed { .. } => to.write_str("snoozed"),
            Self::Dead { reason, class, error } => {
                write!(to, "dead ({reason}), after {class}: {}", cut(error, SHOWN))
            }
            Self::Cancelled => to.write_str("cancelled"),
            Self::Expired => to.write_str("expired"),
            Self::Crashed => to.write_str("back in its lane, because its worker died"),
            Self::Parked { .. } => to.write_str("parked, because no handler here knows its kind"),
        }
    }
}

/// A task that was performed, and what became of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Performed {
    /// The task.
    pub id: TaskId,
    /// Its kind.
    pub kind: KindName,
    /// The lane it came from: queue and class.
    pub lane: Lane,
    /// Which attempt this was.
    pub attempt: u32,
    /// What became of it.
    pub became: Became,
}

impl fmt::Display for Performed {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, kind, attempt, became, .. } = self;
        write!(to, "{kind} {id}, attempt {attempt}: {became}")
    }
}

/// What one call has performed, in order.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Summary {
    /// The attempts.
    pub performed: Vec<Performed>,
}

impl Summary {
    /// Counts the attempts.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.performed.len()
    }

    /// Counts the tasks that were completed.
    #[must_use]
    pub fn done(&self) -> usize {
        self.count(Became::is_done)
    }

    /// Counts the attempts that failed and come again.
    #[must_use]
    pub fn retried(&self) -> usize {
        self.count(Became::is_retry)
    }

    /// Counts the tasks that became dead letters.
    #[must_use]
    pub fn dead(&self) -> usize {
        self.count(Became::is_dead)
    }

    /// Returns what became of the tasks of a kind.
    pub fn of<T: Task>(&self) -> impl Iterator<Item = &Became> {
        let is_of = |kind: &str| T::KIND == kind || T::ALIASES.contains(&kind);
        let of_kind = self.performed.iter().filter(move |one| is_of(one.kind.as_str()));
        of_kind.map(|one| &one.became)
    }

    fn count(&self, what: fn(&Became) -> bool) -> usize {
        self.performed.iter().filter(|one| what(&one.became)).count()
    }

    /// Says how often each kind was performed, the most frequent first.
    pub(super) fn by_kind(&self) -> String {
        let mut counts = BTreeMap::new();
        for one in &self.performed {
            *counts.entry(one.kind.as_str()).or_insert(0_usize) += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let said = counts.into_iter().map(|(kind, count)| format!("{kind} {count} times"));
        said.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.performed.is_empty() {
            return to.write_str("nothing was due");
        }
        for (at, one) in self.performed.iter().enumerate() {
            let line_break = if at == 0 { "" } else { "\n" };
            write!(to, "{line_break}{one}")?;
        }
        Ok(())
    }
}
