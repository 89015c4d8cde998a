//! Of a task that is dead or over.

use leveret_common::store::{Action, TaskState, TaskView};

use super::{Custody, Facts, Said, time};

impl Facts {
    /// It is a dead letter; `view` is absent where only the list of dead letters knows it.
    pub(super) fn dead(&self, view: Option<&TaskView>) -> Said {
        let note = view.and_then(|view| view.history.last());
        let failure = note.and_then(|note| note.failure.as_ref());
        let letter = self.letter.as_ref();
        let reason = letter
            .and_then(|letter| letter.reason)
            .or_else(|| self.settled_reason())
            .or_else(|| note.and_then(|note| note.reason));
        let error_class = letter
            .map(|letter| letter.class.clone())
            .or_else(|| failure.map(|failure| failure.class.clone()));
        let error = letter
            .map(|letter| letter.error.clone())
            .or_else(|| failure.map(|failure| failure.message.clone()));
        let since = letter.map(|l| l.died_at).or_else(|| note.map(|note| note.ended_at));
        let attempts = letter.map(|letter| letter.order.attempt);
        let attempts = attempts.or_else(|| view.map(|view| view.attempt)).unwrap_or(0);
        let queue = letter
            .map(|letter| letter.queue.clone())
            .or_else(|| self.lane.as_ref().map(|lane| lane.queue.clone()));
        let when = since.map_or_else(String::new, |since| format!(" {}", self.ago(since)));
        let why = reason.map_or("no reason is recorded", |reason| reason.as_str());
        let summary = format!("It died{when} ({why}) after attempt {attempts}.");
        let mut because = Vec::new();
        if let (Some(class), Some(error)) = (&error_class, &error)
            && !(class.is_empty() && error.is_empty())
        {
            because.push(format!("The last failure ({class}): {error}"));
        }
        let listed = letter.is_some();
        let mut advice = vec![format!(
            "Mend what failed, then `leveret dead replay {id}`, or `leveret dead discard {id}`; \
             docs/dead-reasons.md says what to do about {why}.",
            id = self.id
        )];
        if !listed {
            because.push(
                "The list of dead letters does not know it: the list lags behind, or somebody took \
                 the letter away and no record says so."
                    .to_owned(),
            );
            advice.push(match &queue {
                Some(queue) => {
                    format!("If it is not listed: `leveret dead reindex --queue {queue}`.")
                }
                None => "If it is not listed: `leveret dead reindex`.".to_owned(),
            });
        }
        let custody = Custody::Dead { queue, reason, error_class, error, attempts, since, listed };
        Said { summary, custody, because, advice }
    }

    /// It is over: done, or because somebody said so.
    pub(super) fn over(&self, view: &TaskView) -> Said {
        let act = view.acts.last().filter(|act| {
            matches!(
                (view.state, act.action),
                (TaskState::Cancelled, Action::Cancelled { .. })
                    | (TaskState::Discarded, Action::Discarded { .. })
                    | (TaskState::Replaced, Action::Replaced { .. })
            )
        });
        let since = act.map(|act| act.at).or_else(|| view.history.last().map(|note| note.ended_at));
        let by = act.map(|act| act.by.clone());
        let with = act.and_then(|act| match act.action {
            Action::Replaced { with, .. } => Some(with),
            Action::Cancelled { .. } | Action::Replayed { .. } | Action::Discarded { .. } => None,
        });
        let when = since.map_or_else(String::new, |since| format!(" {}", self.ago(since)));
        let who = by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
        let summary = match view.state {
            TaskState::Done => format!("It was completed{when}."),
            TaskState::Cancelled => format!("It was cancelled{when}{who}."),
            TaskState::Expired => "It was not started before its expiry, as its sender asked; it \
                                   will not run."
                .to_owned(),
            TaskState::Discarded => {
                format!("It was dead, and its letter was discarded{when}{who}.")
            }
            TaskState::Replaced => match with {
                Some(with) => format!("It was dead, and replaced{when}{who} by task {with}."),
                None => format!("It was dead, and replaced{when}{who} by an edited copy."),
            },
            other => format!("It is {}{when}.", other.as_str()),
        };
        let mut because = Vec::new();
        if let (TaskState::Done, Some(note)) = (view.state, view.history.last()) {
            let attempt = note.order.attempt;
            because.push(format!("Attempt {attempt} succeeded on worker {}.", note.worker));
        }
        if self.entry.is_none() {
            because.push(format!(
                "The ledger has forgotten it; the record says so, and is kept for {}.",
                time::rough(self.kept)
            ));
        }
        let advice = match with {
            Some(with) => vec![format!("Follow the copy: `leveret task explain {with}`.")],
            None => Vec::new(),
        };
        Said { summary, custody: Custody::Over { since, by, with }, because, advice }
    }
}
