//! Deciding: what is done about one schedule that is due.
//!
//! Pure. Whether the task of its previous occurrence is over is asked in between, where that counts.

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;
use leveret_common::schedule::Overlap;
use leveret_common::store::{Cause, Skip};

use super::catch_up::{Due, LeftOut, Look, Reckoning, Terms, reckon};
use super::roster::Row;
use super::steps::{Step, steps};

/// What is decided.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It depends on whether this task is over; the first occurrence was planned then.
    Ask(TaskId, Millis),
    /// These steps are taken.
    Take(Vec<Step>),
}

/// Decides what is done about a schedule, as far as it does not depend on its previous occurrence.
pub(super) fn at_first(known: &Row, look: &Look) -> Decision {
    let overlap = known.entry.definition.overlap;
    let until = if overlap == Overlap::Allow { look.until } else { look.now };
    let look = &Look { until, ..*look };
    let Some(previous) = known.reached.previous else {
        return Decision::Take(after_previous(known, look, true));
    };
    let reckoning = reckoned(known, look);
    match reckoning.put_in.first() {
        Some(first) if overlap != Overlap::Allow => Decision::Ask(previous, first.planned),
        _ => Decision::Take(steps(overlap, &reckoning, None, true)),
    }
}

fn reckoned(known: &Row, look: &Look) -> Reckoning {
    let definition = &known.entry.definition;
    match known.timing.as_ref().filter(|_| known.is_on()) {
        Some(timing) => {
            let terms = Terms { misfire: definition.misfire, expires: definition.expires };
            let mut reckoning = reckon(timing, &terms, known.from(), look);
            if definition.overlap == Overlap::Cancel && known.failures > 0 {
                // The oldest may be with the broker: it is made certain before others follow.
                reckoning.put_in.truncate(1);
            }
            reckoning
        }
        None => Reckoning::default(),
    }
}

/// Decides what is done about a schedule, knowing whether its previous occurrence is over.
pub(super) fn after_previous(known: &Row, look: &Look, is_over: bool) -> Vec<Step> {
    let definition = &known.entry.definition;
    let reckoning = reckoned(known, look);
    let Some((due, timing)) = known.reached.queued.zip(known.timing.as_ref()) else {
        return steps(definition.overlap, &reckoning, None, is_over);
    };
    if !known.is_on() {
        return Vec::new();
    }
    let waiting = Due { due, planned: timing.planned(due), cause: Cause::Queued };
    let is_late =
        definition.expires.is_some_and(|expires| waiting.planned.after(expires) <= look.now);
    if is_late {
        // It has waited longer than it may.
        let mut all = vec![Step::LeaveOut(LeftOut { last: due, count: 1 }, Skip::Overlap)];
        all.extend(steps(definition.overlap, &reckoning, None, is_over));
        return all;
    }
    if definition.overlap == Overlap::Queue {
        return steps(Overlap::Queue, &reckoning, Some(waiting), is_over);
    }
    // Changed to another rule while one was waiting.
    let mut all = Vec::new();
    if is_over || definition.overlap == Overlap::Allow {
        all.push(Step::PutIn(waiting));
    }
    all.extend(steps(definition.overlap, &reckoning, None, false));
    all
}

#[cfg(test)]
mod tests {
    use leveret_common::schedule::{Definition, Source};
    use leveret_common::store::{ScheduleEntry, Scheduled};

    use super::super::roster::Roster;
    use super::*;

    const BEGIN: u64 = 1_800_000_000_000;

    fn at(seconds: u64) -> Millis {
        Millis(BEGIN + seconds * 1_000)
    }

    /// Decides about a schedule of every ten seconds, half a minute after the beginning.
    fn decided(overlap: Overlap, change: impl FnOnce(&mut Row)) -> String {
        let mut definition = Definition::new("every 10s", "demo.tick".parse().unwrap());
        definition.overlap = overlap;
        let entry = ScheduleEntry {
            name: "a".parse().unwrap(),
            definition,
            source: Source::Api { by: "test".to_owned() },
            revision: 1,
            since: at(0),
            paused: None,
            created_at: at(0),
            changed_at: at(0),
        };
        let mut roster = Roster::default();
        let row = roster.put(Scheduled { entry, position: None }, at(0), true);
        let known = roster.get_mut(row).unwrap();
        change(known);
        let look = Look { now: at(30), until: at(30), most: 500, count_to: 1_000 };
        let after = |due: Millis| due.since(at(0)).as_secs();
        match at_first(known, &look) {
            Decision::Ask(_, planned) => format!("ask {}", after(planned)),
            Decision::Take(steps) => {
                let words = steps.into_iter().map(|step| match step {
                    Step::PutIn(due) => format!("in {}", after(due.due)),
                    Step::Wait(due) => format!("wait {}", after(due.due)),
                    Step::LeaveOut(left, _) => format!("out {}", after(left.last)),
                });
                words.collect::<Vec<_>>().join(", ")
            }
        }
    }

    #[test]
    fn one_that_waits_goes_first_also_where_no_previous_one_is_known() {
        let waits = |known: &mut Row| {
            (known.reached.through, known.reached.queued) = (at(10), Some(at(10)));
        };
        assert_eq!(decided(Overlap::Queue, waits), "in 10, wait 20, out 30");
        assert_eq!(decided(Overlap::Queue, |_| ()), "in 10, wait 20, out 30");
    }

    #[test]
    fn one_of_unknown_fate_is_repeated_before_another_takes_its_place() {
        assert_eq!(decided(Overlap::Cancel, |_| ()), "out 20, in 30");
        assert_eq!(decided(Overlap::Cancel, |known| known.failures = 1), "in 10");
    }

    #[test]
    fn the_previous_one_is_asked_about_only_where_that_counts() {
        let previous = |known: &mut Row| known.reached.previous = Some(TaskId::mint());
        assert_eq!(decided(Overlap::Skip, previous), "ask 10");
        assert_eq!(decided(Overlap::Allow, previous), "in 10, in 20, in 30");
    }
}
