//! Positions and occurrences: moved by compare-and-set, no older epoch over a later one.

use futures_util::future::join_all;

use super::*;
use crate::store::{MAX_OCCURRENCES, Skip};

pub(in crate::testkit::store) async fn a_position_moves_only_from_where_it_is_expected(
    under: StoreUnderTest,
) {
    let name = name("report");
    under.make(std::slice::from_ref(&name)).await;
    let first = advance(&name, 0, EPOCH);
    assert_eq!(under.advanced(&first).await, Advanced::Moved);
    let whole = Position {
        queued: Some(Millis(NOW + 7)),
        previous: Some(TaskId::mint()),
        ..position(2, EPOCH)
    };
    let second = Advance { to: whole.clone(), ..advance(&name, 1, EPOCH) };
    assert_eq!(under.advanced(&second).await, Advanced::Moved);
    let past = under.past(&name).await;
    for expected in [None, Some(0), Some(1), Some(3), Some(u64::MAX)] {
        let ask = Advance { expected, ..advance(&name, 5, EPOCH) };
        assert_eq!(under.advanced(&ask).await, Advanced::Elsewhere(whole.clone()), "{expected:?}");
    }
    assert_eq!(under.stands_at(&name).await, whole);
    assert_eq!(under.past(&name).await, past, "what was not moved over is not noted");
}

pub(in crate::testkit::store) async fn a_repeated_move_is_told_as_made_and_notes_nothing_twice(
    under: StoreUnderTest,
) {
    let name = name("report");
    under.make(std::slice::from_ref(&name)).await;
    let ask = advance(&name, 0, EPOCH);
    assert_eq!(under.advanced(&ask).await, Advanced::Moved);
    assert_eq!(under.advanced(&ask).await, Advanced::Moved);
    assert_eq!(under.past(&name).await, ask.occurrences);
    assert_eq!(under.stands_at(&name).await, ask.to);
    // Another leader's move to the same place is another move.
    let other = advance(&name, 0, EPOCH + 1);
    assert_eq!(under.advanced(&other).await, Advanced::Elsewhere(ask.to));
}

pub(in crate::testkit::store) async fn an_older_epoch_moves_nothing(under: StoreUnderTest) {
    let name = name("report");
    under.make(std::slice::from_ref(&name)).await;
    // As text, 9 is more than 10: epochs are compared as numbers.
    for (expected, epoch) in [(0, 9), (1, 10), (2, 10), (3, EPOCH)] {
        assert_eq!(under.advanced(&advance(&name, expected, epoch)).await, Advanced::Moved);
    }
    let there = position(4, EPOCH);
    for epoch in [0, 9, 10, EPOCH - 1] {
        let answer = under.advanced(&advance(&name, 4, epoch)).await;
        assert_eq!(answer, Advanced::Elsewhere(there.clone()), "{epoch}");
    }
    assert_eq!(under.past(&name).await.len(), 4);
    for (expected, epoch) in [(4, EPOCH), (5, EPOCH + 1), (6, u64::MAX - 1), (7, u64::MAX)] {
        assert_eq!(under.advanced(&advance(&name, expected, epoch)).await, Advanced::Moved);
    }
    let there = position(8, u64::MAX);
    let answer = under.advanced(&advance(&name, 8, u64::MAX - 1)).await;
    assert_eq!(answer, Advanced::Elsewhere(there));
}

pub(in crate::testkit::store) async fn of_many_leaders_one_makes_each_move(under: StoreUnderTest) {
    const LEADERS: u64 = 16;
    const MOVES: u64 = 10;
    let name = name("report");
    under.make(std::slice::from_ref(&name)).await;
    // All of one epoch, as no two leaders should be: only the compare-and-set is left.
    let lead = async |number: u64| {
        let (mut at, mut moved) = (0, 0);
        while at < MOVES {
            let mut ask = advance(&name, at, EPOCH);
            ask.to.queued = Some(Millis(number));
            match under.advanced(&ask).await {
                Advanced::Moved => (at, moved) = (at + 1, moved + 1),
                Advanced::Elsewhere(there) => at = there.seq,
                Advanced::Gone => panic!("it is there"),
            }
        }
        moved
    };
    let moved: u64 = join_all((0..LEADERS).map(lead)).await.into_iter().sum();
    assert_eq!(moved, MOVES);
    assert_eq!(under.stands_at(&name).await.seq, MOVES);
    let due: Vec<_> = under.past(&name).await.iter().map(|one| one.due.0).collect();
    let expected: Vec<_> = (1..=MOVES).rev().map(|seq| position(seq, 0).through.0).collect();
    assert_eq!(due, expected, "each occurrence is noted once");
}

pub(in crate::testkit::store) async fn nobody_moves_a_schedule_that_is_gone(under: StoreUnderTest) {
    let name = name("report");
    let ask = advance(&name, 0, EPOCH);
    assert_eq!(under.advanced(&ask).await, Advanced::Gone);
    assert_eq!(under.past(&name).await, []);
    under.make(std::slice::from_ref(&name)).await;
    under.changed(deletion(&name, 1)).await;
    assert_eq!(under.advanced(&ask).await, Advanced::Gone);
    assert_eq!(under.schedule(&name).await, None);
    assert_eq!(under.past(&name).await, []);
}

pub(in crate::testkit::store) async fn a_position_that_was_lost_is_moved_from_anywhere(
    under: StoreUnderTest,
) {
    let names = [name("one"), name("two")];
    let lost = |name: &ScheduleName| Scheduled { entry: entry(name), position: None };
    under.restore(&names.clone().map(|name| lost(&name))).await;
    for (name, expected) in names.iter().zip([None, Some(41)]) {
        assert_eq!(under.schedule(name).await.map(|there| there.position), Some(None));
        let ask = Advance { expected, ..advance(name, 41, EPOCH) };
        assert_eq!(under.advanced(&ask).await, Advanced::Moved);
        assert_eq!(under.stands_at(name).await, ask.to);
    }
}

pub(in crate::testkit::store) async fn moves_are_answered_in_the_order_of_the_batch(
    under: StoreUnderTest,
) {
    let names: Vec<_> = (0..1_500).map(numbered).collect();
    under.make(&names).await;
    let gone = name("gone");
    let mut batch: Vec<_> = names.iter().map(|name| advance(name, 0, EPOCH)).collect();
    batch.insert(1_000, advance(&gone, 0, EPOCH));
    batch.push(advance(&names[7], 1, EPOCH));
    batch.push(advance(&names[7], 1, EPOCH + 1));
    let answers = under.advance(&batch).await;
    assert_eq!(answers.len(), batch.len());
    for (at, answer) in answers.iter().enumerate() {
        let expected = match at {
            1_000 => Advanced::Gone,
            1_502 => Advanced::Elsewhere(position(2, EPOCH)),
            _ => Advanced::Moved,
        };
        assert_eq!(*answer, expected, "{at}");
    }
    for name in [&names[0], &names[1_499]] {
        assert_eq!(under.stands_at(name).await, position(1, EPOCH));
    }
    assert_eq!(under.advance(&[]).await, []);
}

pub(in crate::testkit::store) async fn every_occurrence_is_listed_as_it_was_noted(
    under: StoreUnderTest,
) {
    let name = name("report");
    under.make(std::slice::from_ref(&name)).await;
    let fates = [
        Fate::Fired { task: TaskId::mint() },
        Fate::Skipped { why: Skip::Missed, count: 4_000 },
        Fate::Skipped { why: Skip::Overlap, count: 1 },
        Fate::Skipped { why: Skip::Refused, count: 2 },
        Fate::Waiting,
    ];
    let causes = [Cause::Clock, Cause::CatchUp, Cause::Queued, Cause::RunNow, Cause::Backfill];
    let one = |at: usize| Occurrence {
        cause: causes[at],
        fate: fates[at],
        // Put in early by a hundredth, or late by an hour.
        at: Millis(NOW + [0, 3_600_000, 12, 0, 5][at] - 10),
        planned: Millis(NOW + at as u64 * 1_500),
        revision: [1, 2, u32::MAX, 4, 5][at],
        by: [None, None, None, Some("Lea of\nthe night \"ä\""), Some("")][at].map(str::to_owned),
        ..fired(NOW)
    };
    let occurrences: Vec<_> = (0..5).map(one).collect();
    let ask = Advance { occurrences: occurrences.clone(), ..advance(&name, 0, EPOCH) };
    assert_eq!(under.advanced(&ask).await, Advanced::Moved);
    let newest_first: Vec<_> = occurrences.into_iter().rev().collect();
    assert_eq!(under.past(&name).await, newest_first);
}

pub(in crate::testkit::store) async fn the_newest_occurrences_are_kept(under: StoreUnderTest) {
    let name = name("report");
    under.make(std::slice::from_ref(&name)).await;
    let all: Vec<_> = (0..70).map(|n| fired(NOW + n * 1_000)).collect();
    let kept = |until: usize| -> Vec<Occurrence> {
        all[until.saturating_sub(MAX_OCCURRENCES)..until].iter().rev().cloned().collect()
    };
    let mut at = 0;
    for (seq, take) in [(0, 3), (1, 0), (2, 16), (3, 1), (4, 1), (5, 44), (6, 5)] {
        let occurrences = all[at..at + take].to_vec();
        let ask = Advance { occurrences, ..advance(&name, seq, EPOCH) };
        assert_eq!(under.advanced(&ask).await, Advanced::Moved);
        at += take;
        assert_eq!(under.past(&name).await, kept(at), "after {at}");
    }
}

pub(in crate::testkit::store) async fn what_people_asked_for_is_noted_with_what_the_clock_did(
    under: StoreUnderTest,
) {
    let (one, two, gone) = (name("one"), name("two"), name("gone"));
    under.make(&[one.clone(), two.clone()]).await;
    let ask = advance(&one, 0, EPOCH);
    under.advanced(&ask).await;
    let by_hand = |due| {
        let by = Some("lea".to_owned());
        Occurrence { cause: Cause::Backfill, by, ..fired(due) }
    };
    let notes: Vec<_> = (0..25).map(|n| by_hand(NOW - n)).collect();
    let mut batch: Vec<_> = notes.iter().map(|note| (two.clone(), note.clone())).collect();
    batch.insert(3, (one.clone(), notes[0].clone()));
    batch.insert(4, (gone.clone(), notes[0].clone()));
    under.note(&batch).await;
    under.note(&[]).await;

    assert_eq!(under.past(&one).await, [notes[0].clone(), ask.occurrences[0].clone()]);
    let newest: Vec<_> = notes[5..].iter().rev().cloned().collect();
    assert_eq!(under.past(&two).await, newest);
    assert_eq!(under.past(&gone).await, []);
    assert_eq!(under.schedule(&gone).await, None);
    assert_eq!(under.stands_at(&one).await, ask.to, "a note moves nothing");
}

pub(in crate::testkit::store) async fn schedules_share_nothing(under: StoreUnderTest) {
    let names = ["a", "a.b", "a-b", "a.b.c"].map(name);
    under.make(&names).await;
    let ask = advance(&names[1], 0, EPOCH);
    assert_eq!(under.advanced(&ask).await, Advanced::Moved);
    under.changed(replacement(&names[1], 1, "second")).await;
    under.changed(deletion(&names[0], 1)).await;
    for (name, revision, past) in [(&names[1], 2, 1), (&names[2], 1, 0), (&names[3], 1, 0)] {
        let there = under.schedule(name).await.expect("it is there");
        assert_eq!((there.entry.revision, under.past(name).await.len()), (revision, past));
        assert_eq!(there.position.map(|at| at.seq), Some(past as u64));
    }
}
