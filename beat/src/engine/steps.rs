//! Steps: what is done about one schedule at one time, in order, and where it has got with each.
//!
//! Pure. An overlap is decided here, from whether the previous occurrence's task is over; finding
//! that out is [`super::overlap`]'s. Guards that steps count only in their order: where one could
//! not be done, those behind it are decided anew.

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;
use leveret_common::schedule::Overlap;
use leveret_common::store::{Cause, Fate, Occurrence, Skip};

use super::catch_up::{Due, LeftOut, Reckoning};
use super::roster::Row;

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Put it in.
    PutIn(Due),
    /// Leave these out.
    LeaveOut(LeftOut, Skip),
    /// Let it wait for the previous one to be over.
    Wait(Due),
}

/// What became of an occurrence that was to be put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The broker has its task.
    Confirmed(TaskId),
    /// It was refused for good.
    Refused,
    /// It is not known to be there; to be repeated.
    Failed,
}

/// Decides what is done about what is due. `waiting` is the occurrence that waits for the previous
/// one to be over; `is_over` says whether that is so.
pub(super) fn steps(
    overlap: Overlap,
    reckoning: &Reckoning,
    waiting: Option<Due>,
    is_over: bool,
) -> Vec<Step> {
    let dues = &reckoning.put_in[..];
    let mut steps = Vec::with_capacity(dues.len() + 1);
    steps.extend(reckoning.left_out.map(|missed| Step::LeaveOut(missed, Skip::Missed)));
    let rest = match (overlap, is_over) {
        (Overlap::Allow, _) => {
            steps.extend(dues.iter().copied().map(Step::PutIn));
            return steps;
        }
        (Overlap::Cancel, _) => {
            let Some((last, before)) = dues.split_last() else { return steps };
            steps.extend(left_out(before));
            steps.push(Step::PutIn(*last));
            return steps;
        }
        (Overlap::Skip, false) => dues,
        (Overlap::Skip, true) => put_in_first(&mut steps, dues),
        (Overlap::Queue, false) if waiting.is_some() => dues,
        (Overlap::Queue, false) => wait_first(&mut steps, dues),
        (Overlap::Queue, true) => {
            let rest = match waiting {
                Some(due) => {
                    // It is older than what was left out meanwhile.
                    steps.insert(0, Step::PutIn(due));
                    dues
                }
                None => put_in_first(&mut steps, dues),
            };
            wait_first(&mut steps, rest)
        }
    };
    steps.extend(left_out(rest));
    steps
}

fn put_in_first<'a>(steps: &mut Vec<Step>, dues: &'a [Due]) -> &'a [Due] {
    let Some((first, rest)) = dues.split_first() else { return dues };
    steps.push(Step::PutIn(*first));
    rest
}

fn wait_first<'a>(steps: &mut Vec<Step>, dues: &'a [Due]) -> &'a [Due] {
    let Some((first, rest)) = dues.split_first() else { return dues };
    steps.push(Step::Wait(*first));
    rest
}

fn left_out(dues: &[Due]) -> Option<Step> {
    let last = dues.last()?.due;
    Some(Step::LeaveOut(LeftOut { last, count: dues.len() as u64 }, Skip::Overlap))
}

/// Goes through `steps` with the answers to those that were to be put in, and notes in `row` how
/// far it has got. Returns what became of the occurrences, and false where one failed: those
/// behind it were not looked at.
pub(super) fn take(
    row: &mut Row,
    steps: &[Step],
    mut answers: impl Iterator<Item = Answer>,
    now: Millis,
) -> (Vec<Occurrence>, bool) {
    let revision = row.entry.revision;
    let mut occurrences = Vec::with_capacity(steps.len());
    for step in steps {
        let (due, planned, cause, fate) = match *step {
            Step::PutIn(Due { due, planned, cause }) => match answers.next() {
                Some(Answer::Confirmed(task)) => {
                    row.reached.previous = Some(task);
                    (due, planned, cause, Fate::Fired { task })
                }
                Some(Answer::Refused) => {
                    (due, planned, cause, Fate::Skipped { why: Skip::Refused, count: 1 })
                }
                Some(Answer::Failed) | None => return (occurrences, false),
            },
            Step::LeaveOut(LeftOut { last, count }, why) => {
                let cause = if why == Skip::Missed { Cause::CatchUp } else { Cause::Clock };
                (last, last, cause, Fate::Skipped { why, count })
            }
            Step::Wait(Due { due, planned, cause }) => (due, planned, cause, Fate::Waiting),
        };
        let reached = &mut row.reached;
        if fate == Fate::Waiting {
            reached.queued = Some(due);
        } else if reached.queued == Some(due) {
            reached.queued = None;
        }
        reached.through = reached.through.max(due);
        occurrences.push(Occurrence { due, cause, fate, at: now, planned, revision, by: None });
    }
    (occurrences, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(at: u64, cause: Cause) -> Due {
        Due { due: Millis(at), planned: Millis(at), cause }
    }

    /// Decides about the occurrences `dues`, the first `missed` of which are left out.
    fn decided(overlap: Overlap, dues: &[u64], waiting: Option<u64>, is_over: bool) -> String {
        let put_in = dues.iter().map(|at| due(*at, Cause::Clock)).collect();
        let left_out = Some(LeftOut { last: Millis(5), count: 3 });
        let reckoning = Reckoning { left_out, put_in };
        let waiting = waiting.map(|at| due(at, Cause::Queued));
        let words =
            steps(overlap, &reckoning, waiting, is_over).into_iter().map(|step| match step {
                Step::PutIn(due) => format!("in {}", due.due.0),
                Step::Wait(due) => format!("wait {}", due.due.0),
                Step::LeaveOut(left, Skip::Missed) => format!("missed {}", left.last.0),
                Step::LeaveOut(left, _) => format!("out {} x{}", left.last.0, left.count),
            });
        words.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn without_a_rule_all_that_is_due_is_put_in() {
        for is_over in [true, false] {
            let all = decided(Overlap::Allow, &[10, 20], None, is_over);
            assert_eq!(all, "missed 5, in 10, in 20");
        }
    }

    #[test]
    fn an_occurrence_is_left_out_while_the_previous_one_is_not_over() {
        let rule = |dues: &[u64], is_over| decided(Overlap::Skip, dues, None, is_over);
        assert_eq!(rule(&[10], true), "missed 5, in 10");
        assert_eq!(rule(&[10, 20, 30], true), "missed 5, in 10, out 30 x2");
        assert_eq!(rule(&[10, 20], false), "missed 5, out 20 x2");
        assert_eq!(rule(&[], true), "missed 5");
    }

    #[test]
    fn one_occurrence_waits_for_the_previous_one_to_be_over() {
        let rule = |dues: &[u64], waiting, is_over| decided(Overlap::Queue, dues, waiting, is_over);
        assert_eq!(rule(&[10], None, true), "missed 5, in 10");
        assert_eq!(rule(&[10, 20, 30, 40], None, true), "missed 5, in 10, wait 20, out 40 x2");
        assert_eq!(rule(&[10, 20], None, false), "missed 5, wait 10, out 20 x1");
        assert_eq!(rule(&[10, 20], Some(2), false), "missed 5, out 20 x2");
        assert_eq!(rule(&[], Some(2), true), "in 2, missed 5");
        assert_eq!(rule(&[10, 20], Some(2), true), "in 2, missed 5, wait 10, out 20 x1");
    }

    #[test]
    fn of_several_that_cancel_one_another_only_the_last_is_put_in() {
        for is_over in [true, false] {
            let last = decided(Overlap::Cancel, &[10, 20, 30], None, is_over);
            assert_eq!(last, "missed 5, out 20 x2, in 30");
        }
    }
}
