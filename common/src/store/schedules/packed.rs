//! Positions and occurrences as short text, the same on every backend.
//!
//! There are as many positions as schedules, and twenty times as many occurrences: as JSON they
//! would take most of a store's memory.
//!
//! - position: `seq epoch through queued previous`, `-` where there is none;
//! - occurrence: `due cause planned at revision fate [by]`, with `planned` and `at` counted from
//!   `due`. Cause: `c`lock, catch-`u`p, `q`ueued, run `n`ow, `b`ackfill. Fate: `f` and the task's id,
//!   `w`aiting, or left out: `m`issed, `o`verlap, `r`efused, and how many.
//!
//! The scripts on Redis read the first two numbers of a position and nothing else.

use uuid::Uuid;

use super::{Cause, Fate, Occurrence, Position, Skip};
use crate::clock::Millis;
use crate::id::TaskId;

/// Tells that a text is no position or no occurrence that this program knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no {what} that this version knows")]
pub(crate) struct Unreadable {
    what: &'static str,
}

pub(crate) fn position(position: &Position) -> String {
    let Position { seq, epoch, through, queued, previous } = position;
    let queued = queued.map_or_else(|| "-".to_owned(), |due| due.0.to_string());
    let previous = previous.map_or_else(|| "-".to_owned(), id);
    format!("{seq} {epoch} {} {queued} {previous}", through.0)
}

pub(crate) fn read_position(text: &str) -> Result<Position, Unreadable> {
    let read = || {
        let mut fields = text.split(' ');
        let mut next = || fields.next();
        let (seq, epoch) = (number(next()?)?, number(next()?)?);
        let through = Millis(number(next()?)?);
        let queued = optional(next()?, |due| number(due).map(Millis))?;
        let previous = optional(next()?, task)?;
        next().is_none().then_some(Position { seq, epoch, through, queued, previous })
    };
    read().ok_or(Unreadable { what: "position" })
}

pub(crate) fn occurrence(occurrence: &Occurrence) -> String {
    let Occurrence { due, cause, fate, at, planned, revision, by } = occurrence;
    let cause = match cause {
        Cause::Clock => 'c',
        Cause::CatchUp => 'u',
        Cause::Queued => 'q',
        Cause::RunNow => 'n',
        Cause::Backfill => 'b',
    };
    let fate = match fate {
        Fate::Fired { task } => format!("f{}", id(*task)),
        Fate::Waiting => "w".to_owned(),
        Fate::Skipped { why: Skip::Missed, count } => format!("m{count}"),
        Fate::Skipped { why: Skip::Overlap, count } => format!("o{count}"),
        Fate::Skipped { why: Skip::Refused, count } => format!("r{count}"),
    };
    let from_due = |instant: &Millis| i128::from(instant.0) - i128::from(due.0);
    let (planned, at) = (from_due(planned), from_due(at));
    let by = by.as_ref().map(|by| format!(" {by}")).unwrap_or_default();
    format!("{} {cause} {planned} {at} {revision} {fate}{by}", due.0)
}

pub(crate) fn read_occurrence(text: &str) -> Result<Occurrence, Unreadable> {
    let read = || {
        // The last is free text, and may hold spaces.
        let mut fields = text.splitn(7, ' ');
        let mut next = || fields.next();
        let due = number(next()?)?;
        let cause = match next()? {
            "c" => Cause::Clock,
            "u" => Cause::CatchUp,
            "q" => Cause::Queued,
            "n" => Cause::RunNow,
            "b" => Cause::Backfill,
            _ => return None,
        };
        let from_due = |text: &str| {
            let instant = i128::from(due).checked_add(text.parse().ok()?)?;
            u64::try_from(instant).ok().map(Millis)
        };
        let (planned, at) = (from_due(next()?)?, from_due(next()?)?);
        let revision = next()?.parse().ok()?;
        let fate = fate(next()?)?;
        let by = next().map(str::to_owned);
        Some(Occurrence { due: Millis(due), cause, fate, at, planned, revision, by })
    };
    read().ok_or(Unreadable { what: "occurrence" })
}

fn fate(text: &str) -> Option<Fate> {
    let rest = text.get(1..)?;
    let skipped = |why| Some(Fate::Skipped { why, count: number(rest)? });
    match text.get(..1)? {
        "f" => Some(Fate::Fired { task: task(rest)? }),
        "w" if rest.is_empty() => Some(Fate::Waiting),
        "m" => skipped(Skip::Missed),
        "o" => skipped(Skip::Overlap),
        "r" => skipped(Skip::Refused),
        _ => None,
    }
}

fn id(task: TaskId) -> String {
    task.uuid().as_simple().to_string()
}

fn task(text: &str) -> Option<TaskId> {
    Uuid::try_parse(text).ok().map(TaskId::from)
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

/// Reads a field that may be `-`.
#[allow(clippy::option_option, reason = "an absent field is something else than an unreadable one")]
fn optional<T>(text: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    if text == "-" { Some(None) } else { read(text).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUE: Millis = Millis(1_790_000_000_000);

    fn task_id() -> TaskId {
        "0192f0c1-2345-7abc-8def-0123456789ab".parse().unwrap()
    }

    #[test]
    fn a_position_comes_back_as_it_was_and_is_short() {
        let whole = Position {
            seq: 17,
            epoch: 1_790_000_000_000_123,
            through: DUE,
            queued: Some(Millis(DUE.0 + 1)),
            previous: Some(task_id()),
        };
        let bare = Position {
            seq: 0,
            epoch: u64::MAX,
            through: Millis(u64::MAX),
            queued: None,
            previous: None,
        };
        for one in [&whole, &bare] {
            assert_eq!(read_position(&position(one)).as_ref(), Ok(one));
        }
        assert_eq!(
            position(&whole),
            "17 1790000000000123 1790000000000 1790000000001 0192f0c123457abc8def0123456789ab"
        );
        assert_eq!(position(&Position { epoch: 3, through: DUE, ..bare }), "0 3 1790000000000 - -");
    }

    #[test]
    fn an_occurrence_comes_back_as_it_was_and_is_short() {
        let fates = [
            Fate::Fired { task: task_id() },
            Fate::Waiting,
            Fate::Skipped { why: Skip::Missed, count: u64::MAX },
            Fate::Skipped { why: Skip::Overlap, count: 1 },
            Fate::Skipped { why: Skip::Refused, count: 2 },
        ];
        let causes = [Cause::Clock, Cause::CatchUp, Cause::Queued, Cause::RunNow, Cause::Backfill];
        let instants = [(DUE, DUE), (Millis(DUE.0 + 40), Millis(DUE.0 - 150)), (Millis(0), DUE)];
        let whos = [None, Some(""), Some("lea"), Some("Lea of\nthe  night ")];
        for (cause, fate) in causes.into_iter().flat_map(|cause| fates.map(|fate| (cause, fate))) {
            for ((planned, at), by) in instants.into_iter().zip(whos) {
                let by = by.map(str::to_owned);
                let one = Occurrence { due: DUE, cause, fate, at, planned, revision: 3, by };
                assert_eq!(read_occurrence(&occurrence(&one)), Ok(one));
            }
        }
        let fired = Occurrence {
            due: DUE,
            cause: Cause::Clock,
            fate: fates[0],
            at: Millis(DUE.0 + 12),
            planned: DUE,
            revision: 1,
            by: None,
        };
        let expected = "1790000000000 c 0 12 1 f0192f0c123457abc8def0123456789ab";
        assert_eq!(occurrence(&fired), expected);
    }

    #[test]
    fn what_another_version_or_hand_wrote_is_not_read_as_something_else() {
        for text in ["", "1", "1 2 3", "1 2 3 - x", "1 2 3 - - 4", "-1 2 3 - -", "1 2 x - -"] {
            assert!(read_position(text).is_err(), "{text}");
        }
        let wrong = [
            "",
            "1 c 0 0 1",
            "1 z 0 0 1 w",
            "1 c 0 0 1 z",
            "1 c 0 0 1 f1",
            "1 c 0 0 1 w1",
            "1 c -2 0 1 w",
            "1 c 0 0 1 m",
            "x c 0 0 1 w",
            "1 c 0 0 1 ä",
        ];
        for text in wrong {
            assert!(read_occurrence(text).is_err(), "{text}");
        }
    }
}
