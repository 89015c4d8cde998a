//! Of dead letters.

use std::collections::BTreeMap;

use leveret_common::id::TaskId;
use leveret_common::store::{Behind, Letter, MAX_ARGS_SHOWN};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::cursor;
use crate::openapi::name;
use crate::operations::dead::{Group, Groups, Matching, Page, QueueCount, Shown};
use crate::operations::time::text as time;

/// A dead letter: a task that will not be tried again by itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub(crate) struct LetterAnswer {
    #[schema(value_type = name::TaskId)]
    id: TaskId,
    /// Whose dead letters it is among.
    #[schema(value_type = name::QueueName)]
    queue: String,
    /// The kind, as it was sent.
    kind: String,
    /// The lane that it came from.
    origin: String,
    /// The replay in which it died.
    replay: u32,
    /// The attempts of that replay.
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::DeadReasonName>)]
    reason: Option<&'static str>,
    /// The class of the last error.
    error_class: String,
    /// The message of the last error.
    error: String,
    #[schema(value_type = name::Instant)]
    died_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::Instant>)]
    first_failed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// What its sender calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_id: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    /// The args: JSON where they are shown whole and are JSON, else text.
    #[schema(value_type = Value)]
    args: Box<RawValue>,
    /// How many bytes the args have.
    args_size: usize,
    /// Whether the args are shown whole.
    args_whole: bool,
}

impl LetterAnswer {
    fn new(letter: Letter, whole: Option<String>) -> Self {
        // Not by the length of the text: what is no UTF-8 grows where it is replaced.
        let args_whole = whole.is_some() || letter.args_size <= MAX_ARGS_SHOWN;
        let shown = whole.unwrap_or(letter.args);
        let args = match args_whole {
            true => super::json(shown),
            false => serde_json::value::to_raw_value(&shown).unwrap_or_default(),
        };
        Self {
            id: letter.id,
            queue: letter.queue.to_string(),
            kind: letter.kind,
            origin: letter.origin,
            replay: letter.order.replay,
            attempt: letter.order.attempt,
            reason: letter.reason.map(|reason| reason.as_str()),
            error_class: letter.class,
            error: letter.error,
            died_at: time(letter.died_at),
            first_failed_at: letter.first_failed_at.map(time),
            key: letter.key,
            origin_id: letter.origin_id,
            tags: letter.tags,
            args,
            args_size: letter.args_size,
            args_whole,
        }
    }
}

impl From<Letter> for LetterAnswer {
    fn from(letter: Letter) -> Self {
        Self::new(letter, None)
    }
}

impl From<Shown> for LetterAnswer {
    fn from(shown: Shown) -> Self {
        let whole = shown.args.map(|args| String::from_utf8_lossy(&args).into_owned());
        Self::new(shown.letter, whole)
    }
}

/// A page of dead letters, the newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterPage)]
pub(crate) struct PageAnswer {
    letters: Vec<LetterAnswer>,
    /// The `cursor` of the next page; `null` where this is the last.
    #[schema(required = true)]
    next: Option<String>,
    /// How many letters were looked at.
    scanned: usize,
}

impl From<Page> for PageAnswer {
    fn from(page: Page) -> Self {
        let next = page.next.map(|behind: Behind| cursor::write(&behind));
        let letters = page.letters.into_iter().map(LetterAnswer::from).collect();
        Self { letters, next, scanned: page.scanned }
    }
}

/// Dead letters in groups, the largest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterGroups)]
pub(crate) struct GroupsAnswer {
    groups: Vec<GroupAnswer>,
    /// How many letters there are in all groups.
    total: u64,
    /// Whether all letters were looked at.
    complete: bool,
    queues: Vec<CountAnswer>,
}

/// Dead letters that have something in common.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterGroup)]
struct GroupAnswer {
    /// What they have in common: a kind, a queue, a reason or a class of errors.
    value: String,
    count: u64,
    /// When the oldest died.
    #[schema(value_type = name::Instant)]
    oldest: String,
    /// When the newest died.
    #[schema(value_type = name::Instant)]
    newest: String,
    /// One of them.
    #[schema(value_type = name::TaskId)]
    example: TaskId,
}

/// How many dead letters a queue has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterCount)]
struct CountAnswer {
    #[schema(value_type = name::QueueName)]
    queue: String,
    /// Those that rest in the broker.
    depth: u64,
    /// Those that are listed; where this differs, the list lags behind.
    listed: u64,
}

impl From<Groups> for GroupsAnswer {
    fn from(groups: Groups) -> Self {
        let group = |Group { value, count, oldest, newest, example }| GroupAnswer {
            value,
            count,
            oldest: time(oldest),
            newest: time(newest),
            example,
        };
        let count = |QueueCount { queue, depth, listed }| CountAnswer {
            queue: queue.to_string(),
            depth,
            listed,
        };
        Self {
            groups: groups.groups.into_iter().map(group).collect(),
            total: groups.total,
            complete: groups.complete,
            queues: groups.queues.into_iter().map(count).collect(),
        }
    }
}

/// What a bulk verb would be about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MatchingDeadLetters)]
pub(crate) struct MatchingAnswer {
    /// How many letters match.
    matching: u64,
    /// Some of them; at most 5.
    examples: Vec<LetterAnswer>,
    /// Whether all letters were looked at.
    complete: bool,
}

impl From<Matching> for MatchingAnswer {
    fn from(found: Matching) -> Self {
        let examples = found.examples.into_iter().map(LetterAnswer::from).collect();
        Self { matching: found.matching, examples, complete: found.complete }
    }
}

#[cfg(test)]
mod tests {
    use leveret_common::clock::Millis;
    use leveret_common::desk::letter::describe;
    use leveret_common::envelope::Wire;

    use super::*;

    #[test]
    fn args_that_were_cut_are_not_called_whole_however_long_their_text_became() {
        // Each of these bytes is replaced by three.
        for (size, is_whole) in [(MAX_ARGS_SHOWN, true), (MAX_ARGS_SHOWN + 1, false)] {
            let wire = Wire { body: vec![0xff; size].into(), ..Wire::default() };
            let (queue, now) = ("mail".parse().unwrap(), Millis(7));
            let letter = describe(&"lv".parse().unwrap(), &queue, &wire, now, now);
            assert_eq!(letter.args.len(), 3 * MAX_ARGS_SHOWN);
            let answer = LetterAnswer::from(letter);
            assert_eq!((answer.args_size, answer.args_whole), (size, is_whole));
        }
    }
}
