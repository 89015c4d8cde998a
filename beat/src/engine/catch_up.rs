//! Catching up: what becomes of the occurrences of one schedule that are due by now.
//!
//! A pure function of the schedule, of how far it has got and of the time, so that two leaders
//! decide alike. Bounded, however long nobody looked: occurrences that are left out are never
//! listed, and no more are put in at a time than is asked for.

use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::schedule::{Misfire, MisfirePolicy};
use leveret_common::store::Cause;

use crate::timing::Timing;

/// One occurrence that is to be put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// The instant that its schedule names.
    pub(super) due: Millis,
    /// When it is to be put in: with its jitter.
    pub(super) planned: Millis,
    /// Whether it was missed.
    pub(super) cause: Cause,
}

/// Occurrences that are left out together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// The last of them.
    pub(super) last: Millis,
    /// How many there are, as far as they were counted; at least 1.
    pub(super) count: u64,
}

/// What becomes of the occurrences that are due.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Reckoning {
    /// Those that were missed and are not caught up with. They are older than all of `put_in`.
    pub(super) left_out: Option<LeftOut>,
    /// Those that are to be put in, oldest first.
    pub(super) put_in: Vec<Due>,
}

/// What a schedule says about lateness.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) misfire: Misfire,
    /// How long after it was planned an occurrence may still be started.
    pub(super) expires: Option<Duration>,
}

/// The moment of a look, and how much is done in one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) now: Millis,
    /// What is planned until then is put in now: the present, and the lead.
    pub(super) until: Millis,
    /// Most occurrences that are put in.
    pub(super) most: usize,
    /// How far those that are left out are counted.
    pub(super) count_to: u64,
}

/// Decides what becomes of the occurrences after `from` that are due.
pub(super) fn reckon(timing: &Timing, terms: &Terms, from: Millis, look: &Look) -> Reckoning {
    let missed = last_planned_before(timing, from, late_before(terms, look.now));
    let mut put_in = missed.map_or_else(Vec::new, |last| late(timing, terms, from, last, look));
    let on_time = on_time(timing, missed.unwrap_or(from), look);
    if terms.misfire.policy == MisfirePolicy::Latest && !on_time.is_empty() {
        put_in.clear();
    }
    let left_out = match (missed, put_in.first()) {
        (None, _) => None,
        (Some(last), None) => left_out(timing, from, last, look),
        (Some(_), Some(first)) => left_out(timing, from, just_before(first.due), look),
    };
    put_in.extend(on_time);
    // What goes beyond is decided at the next look, when these have been put in.
    put_in.truncate(look.most);
    Reckoning { left_out, put_in }
}

/// What was planned before this instant is missed: it is later than the schedule allows, or the
/// task would have expired.
fn late_before(terms: &Terms, now: Millis) -> Millis {
    let missed = before(now, terms.misfire.after);
    let expired = terms.expires.map_or(Millis(0), |expires| just_after(before(now, expires)));
    missed.max(expired)
}

/// Chooses which of the missed occurrences are put in late.
fn late(timing: &Timing, terms: &Terms, from: Millis, last: Millis, look: &Look) -> Vec<Due> {
    let Misfire { policy, window, max, .. } = terms.misfire;
    let window = terms.expires.map_or(window, |expires| window.min(expires));
    let after = from.max(before(look.now, window));
    let chosen = match policy {
        MisfirePolicy::Skip => Vec::new(),
        MisfirePolicy::Latest => Some(last).filter(|last| *last > after).into_iter().collect(),
        MisfirePolicy::All => timing.newest(after, last, max as usize),
    };
    let late = |due| Due { due, planned: timing.planned(due), cause: Cause::CatchUp };
    chosen.into_iter().map(late).collect()
}

/// Lists what is due after `from` and not missed.
fn on_time(timing: &Timing, from: Millis, look: &Look) -> Vec<Due> {
    timing
        .upcoming(from)
        .take_while(|due| *due <= look.until)
        .map(|due| Due { due, planned: timing.planned(due), cause: Cause::Clock })
        .take_while(|due| due.planned <= look.until)
        .take(look.most)
        .collect()
}

fn left_out(timing: &Timing, from: Millis, until: Millis, look: &Look) -> Option<LeftOut> {
    let last = timing.latest(from, until)?;
    Some(LeftOut { last, count: timing.count(from, until, look.count_to).max(1) })
}

/// Returns the last occurrence after `from` that is planned before `bound`.
fn last_planned_before(timing: &Timing, from: Millis, bound: Millis) -> Option<Millis> {
    let last = timing.latest(from, just_before(bound))?;
    // Jitter stays below the next occurrence, so that only the last one can be planned beyond.
    if timing.planned(last) < bound { Some(last) } else { timing.latest(from, just_before(last)) }
}

fn before(now: Millis, span: Duration) -> Millis {
    let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Millis(now.0.saturating_sub(span))
}

const fn just_before(at: Millis) -> Millis {
    Millis(at.0.saturating_sub(1))
}

const fn just_after(at: Millis) -> Millis {
    Millis(at.0.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use leveret_common::schedule::Definition;
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-21T00:00:00Z: a round instant for every interval used here.
    const BEGIN: u64 = 1_795_219_200_000;
    const DAYS_30: u64 = 30 * 86_400_000;

    fn timing(when: &str, jitter: u64) -> Timing {
        let mut definition = Definition::new(when, "demo.tick".parse().unwrap());
        definition.jitter = Some(Duration::from_millis(jitter)).filter(|jitter| !jitter.is_zero());
        Timing::new(&"tick".parse().unwrap(), &definition).unwrap()
    }

    fn terms(policy: MisfirePolicy) -> Terms {
        Terms { misfire: Misfire { policy, ..Misfire::default() }, expires: None }
    }

    fn at(after: u64) -> Millis {
        Millis(BEGIN + after)
    }

    fn look(now: u64) -> Look {
        Look { now: at(now), until: at(now), most: 500, count_to: 1_000 }
    }

    /// Returns how far the schedule has got afterwards.
    fn through(reckoning: &Reckoning) -> Option<Millis> {
        let last = reckoning.put_in.last().map(|due| due.due);
        last.or_else(|| reckoning.left_out.map(|left_out| left_out.last))
    }

    /// Lists what is put in, counted from the beginning; those that were missed are negative.
    fn dues(reckoning: &Reckoning) -> Vec<i64> {
        let due = |due: &Due| {
            let after = i64::try_from(due.due.0 - BEGIN).unwrap();
            if due.cause == Cause::CatchUp { -after } else { after }
        };
        reckoning.put_in.iter().map(due).collect()
    }

    fn skipped(reckoning: &Reckoning) -> Option<(u64, u64)> {
        reckoning.left_out.map(|left_out| (left_out.last.0 - BEGIN, left_out.count))
    }

    #[test]
    fn what_is_due_by_now_is_put_in_and_nothing_else() {
        let timing = timing("every 10s", 0);
        let reckoning = reckon(&timing, &terms(MisfirePolicy::Skip), at(0), &look(25_000));
        assert_eq!((dues(&reckoning), skipped(&reckoning)), (vec![10_000, 20_000], None));
        assert_eq!(through(&reckoning), Some(at(20_000)));
        let nothing = reckon(&timing, &terms(MisfirePolicy::Skip), at(20_000), &look(25_000));
        assert_eq!((nothing.clone(), through(&nothing)), (Reckoning::default(), None));
    }

    #[test]
    fn the_lead_puts_in_what_is_planned_soon() {
        let timing = timing("every 10s", 0);
        let soon = Look { until: at(10_000), ..look(9_800) };
        let reckoning = reckon(&timing, &terms(MisfirePolicy::Skip), at(0), &soon);
        assert_eq!(dues(&reckoning), [10_000]);
        let reckoning = reckon(&timing, &terms(MisfirePolicy::Skip), at(0), &look(9_800));
        assert!(dues(&reckoning).is_empty());
    }

    #[test]
    fn a_schedule_that_skips_puts_in_none_that_was_missed() {
        let timing = timing("every 50s", 0);
        let reckoning = reckon(&timing, &terms(MisfirePolicy::Skip), at(0), &look(300_000));
        // Missed is what was planned more than a minute ago: 50 s to 200 s.
        assert_eq!(dues(&reckoning), [250_000, 300_000]);
        assert_eq!(skipped(&reckoning), Some((200_000, 4)));
        // Exactly as late as is allowed is not missed.
        let reckoning = reckon(&timing, &terms(MisfirePolicy::Skip), at(0), &look(310_000));
        assert_eq!((dues(&reckoning)[0], skipped(&reckoning)), (250_000, Some((200_000, 4))));
    }

    #[test]
    fn the_latest_missed_one_is_put_in_unless_one_is_on_time() {
        let timing = timing("every 1h", 0);
        let late = reckon(&timing, &terms(MisfirePolicy::Latest), at(0), &look(5 * 3_600_000 - 1));
        assert_eq!(dues(&late), [-4 * 3_600_000]);
        assert_eq!(skipped(&late), Some((3 * 3_600_000, 3)));
        let on_time = reckon(&timing, &terms(MisfirePolicy::Latest), at(0), &look(5 * 3_600_000));
        assert_eq!(dues(&on_time), [5 * 3_600_000]);
        assert_eq!(skipped(&on_time), Some((4 * 3_600_000, 4)));
        // Not when it is older than the window.
        let mut short = terms(MisfirePolicy::Latest);
        short.misfire.window = Duration::from_secs(600);
        let none = reckon(&timing, &short, at(0), &look(5 * 3_600_000 - 1));
        assert_eq!((dues(&none), skipped(&none)), (vec![], Some((4 * 3_600_000, 4))));
    }

    #[test]
    fn all_within_the_window_are_put_in_at_most_the_newest_so_many() {
        let timing = timing("every 1h", 0);
        let mut all = terms(MisfirePolicy::All);
        all.misfire.max = 3;
        let reckoning = reckon(&timing, &all, at(0), &look(6 * 3_600_000));
        let hours = [-3, -4, -5, 6].map(|hour| hour * 3_600_000);
        assert_eq!((dues(&reckoning), skipped(&reckoning)), (hours.into(), Some((7_200_000, 2))));
        all.misfire.window = Duration::from_secs(2 * 3_600 - 1);
        let reckoning = reckon(&timing, &all, at(0), &look(6 * 3_600_000));
        assert_eq!(dues(&reckoning), [-5, 6].map(|hour| hour * 3_600_000));
        assert_eq!(skipped(&reckoning), Some((4 * 3_600_000, 4)));
    }

    #[test]
    fn what_would_have_expired_counts_as_missed() {
        let timing = timing("every 10s", 0);
        let mut soon = terms(MisfirePolicy::All);
        soon.expires = Some(Duration::from_secs(15));
        let reckoning = reckon(&timing, &soon, at(0), &look(45_000));
        assert_eq!((dues(&reckoning), skipped(&reckoning)), (vec![40_000], Some((30_000, 3))));
        let reckoning = reckon(&timing, &soon, at(0), &look(44_999));
        assert_eq!(dues(&reckoning), [30_000, 40_000]);
    }

    #[test]
    fn no_more_are_put_in_at_a_time_than_is_asked_for_and_the_next_look_goes_on() {
        let timing = timing("every 1s", 0);
        let mut all = terms(MisfirePolicy::All);
        all.misfire.max = 30;
        let few = Look { most: 20, ..look(100_000) };
        let (mut from, mut found, mut skips) = (at(0), Vec::new(), Vec::new());
        loop {
            let reckoning = reckon(&timing, &all, from, &few);
            let Some(next) = through(&reckoning) else { break };
            assert!(reckoning.put_in.len() <= 20 && next > from);
            found.extend(dues(&reckoning));
            skips.extend(skipped(&reckoning));
            from = next;
        }
        // Missed is what is older than 40 s: the newest 30 of those, and all since.
        let expected: Vec<i64> =
            (10..40).map(|s| -s * 1_000).chain((40..=100).map(|s| s * 1_000)).collect();
        assert_eq!((found, skips), (expected, vec![(9_000, 9)]));
    }

    #[test]
    fn a_month_of_seconds_is_caught_up_with_in_bounded_work() {
        let timing = timing("every 1s", 0);
        let policies = [MisfirePolicy::Skip, MisfirePolicy::Latest, MisfirePolicy::All];
        for policy in policies {
            let few = Look { most: 500, ..look(DAYS_30 + 500) };
            let reckoning = reckon(&timing, &terms(policy), at(0), &few);
            let late = reckoning.put_in.iter().filter(|due| due.cause == Cause::CatchUp).count();
            let on_time = reckoning.put_in.len() - late;
            let expected = if policy == MisfirePolicy::All { 100 } else { 0 };
            // Sixty seconds are not missed: those within a minute.
            assert_eq!((late, on_time), (expected, 60), "{policy:?}");
            assert_eq!(reckoning.left_out.unwrap().count, 1_000, "counted as far as asked");
        }
    }

    #[test]
    fn jitter_moves_the_bounds_and_keeps_the_order() {
        let timing = timing("every 10s", 9_000);
        let terms = terms(MisfirePolicy::Skip);
        let planned = timing.planned(at(10_000)).0 - BEGIN;
        assert!(dues(&reckon(&timing, &terms, at(0), &look(planned - 1))).is_empty());
        let reckoning = reckon(&timing, &terms, at(0), &look(planned));
        assert_eq!(
            reckoning.put_in,
            [Due { due: at(10_000), planned: at(planned), cause: Cause::Clock }]
        );
        // Missed a minute after it was planned, not a minute after it was due.
        let due = |now| reckon(&timing, &terms, at(0), &look(now)).put_in[0].due;
        assert_eq!((due(planned + 60_000), due(planned + 60_001)), (at(10_000), at(20_000)));
    }

    proptest! {
        #[test]
        fn each_occurrence_is_put_in_or_left_out_once_however_often_somebody_looks(
            steps in prop::collection::vec((0_u64..200_000, 1_usize..40), 1..40),
            policy in prop::sample::select(vec![
                MisfirePolicy::Skip, MisfirePolicy::Latest, MisfirePolicy::All,
            ]),
            max in 1_u32..20,
            jitter in 0_u64..20_000,
        ) {
            let timing = timing("every 7s", jitter);
            let mut terms = terms(policy);
            terms.misfire.max = max;
            let (mut from, mut now, mut put_in, mut left_out) = (at(0), 0, Vec::new(), 0);
            for (step, most) in steps {
                now += step;
                let look = Look { most, count_to: u64::MAX, ..look(now) };
                let reckoning = reckon(&timing, &terms, from, &look);
                let last_left_out = reckoning.left_out.map_or(from, |left_out| left_out.last);
                prop_assert!(reckoning.put_in.iter().all(|due| due.due > last_left_out));
                prop_assert!(reckoning.put_in.iter().all(|due| due.planned <= at(now)));
                put_in.extend(reckoning.put_in.iter().map(|due| due.due));
                left_out += reckoning.left_out.map_or(0, |left_out| left_out.count);
                let next = through(&reckoning).unwrap_or(from);
                prop_assert!(next >= from);
                from = next;
            }
            prop_assert!(put_in.is_sorted_by(|one, next| one < next));
            let all = timing.count(at(0), from, u64::MAX);
            prop_assert_eq!(put_in.len() as u64 + left_out, all);
        }
    }
}
