//! Promises about the walk itself: what is taken, in whose turn, and that all of it stays.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    Anybody, By, DeskUnderTest, OVER_A_HANDFUL, id, is_busy, keep_all, many, numbers, queue,
    replay_all, terms,
};
use crate::backend::Backend;
use crate::desk::walk::Terms;
use crate::desk::{Desk, DeskError, Plan, Verdict, Walked};
use crate::envelope::{Wire, header};
use crate::id::Owner;
use crate::store::Letter;

pub(super) async fn a_hundred_walks_keep_every_letter_as_it_was(under: DeskUnderTest) {
    let sent = many(30);
    under.bury(&sent).await;
    for turn in 0..100 {
        let mut plan = keep_all();
        let walked = under.walk(30, &mut plan).await;
        let expected = Walked { total: 30, taken: 30, kept: 30, ..Walked::default() };
        assert_eq!(walked, expected, "walk {turn}");
        // Each once; in which order is not promised, since what a walk prefetched goes back.
        plan.asked.sort_unstable();
        assert_eq!(plan.asked, (0..30).collect::<Vec<_>>(), "walk {turn}");
    }
    under.lists(&sent).await;
    under.rest_at(30).await;
    assert_eq!(under.letters(30).await, sent, "not a byte has changed");
}

pub(super) async fn a_walk_right_behind_another_meets_every_letter(under: DeskUnderTest) {
    let sent = many(100);
    under.bury(&sent).await;
    under.rest_at(100).await;
    let desk = Desk::new(under.backend.clone());
    for turn in 0..20 {
        // Nobody waits until what the last one had prefetched is back.
        let walked = desk.walk(&queue(), &mut keep_all(), &terms()).await.unwrap();
        assert_eq!((walked.total, walked.kept), (100, 100), "walk {turn}");
        let listed = under.backend.letters.counts().await.unwrap();
        assert_eq!(listed.get(&queue()), Some(&100), "walk {turn}");
    }
}

pub(super) async fn a_walk_of_no_letters_ends_at_once(under: DeskUnderTest) {
    let mut plan = keep_all();
    assert_eq!(under.walk(0, &mut plan).await, Walked::default());
    assert!(plan.asked.is_empty());
}

pub(super) async fn a_walk_takes_more_letters_than_a_hand_holds_and_tells_how_far_it_is(
    under: DeskUnderTest,
) {
    struct Listening(Vec<Walked>);
    #[async_trait]
    impl Plan for Listening {
        fn decide(&mut self, _: &Letter, _: &Wire) -> Verdict {
            Verdict::Keep
        }

        async fn walked(&mut self, walked: &Walked) {
            self.0.push(*walked);
        }
    }
    let sent = many(OVER_A_HANDFUL);
    under.bury(&sent).await;
    let mut plan = Listening(Vec::new());
    let walked = under.walk(OVER_A_HANDFUL, &mut plan).await;
    assert_eq!(walked.kept, OVER_A_HANDFUL as u64);
    assert!(plan.0.len() >= 2, "it is told after each handful: {:?}", plan.0);
    assert!(plan.0.is_sorted_by_key(|walked| walked.taken), "{:?}", plan.0);
    assert_eq!(plan.0.last(), Some(&walked));
    under.rest_at(OVER_A_HANDFUL).await;
    assert_eq!(under.letters(OVER_A_HANDFUL).await, sent);
}

pub(super) async fn letters_that_died_after_the_walk_began_are_left_alone(under: DeskUnderTest) {
    let mut sent = many(6);
    // A clock beside ours goes ahead, or a letter fell in while the walk was on its way.
    let later = under.backend.clock.now().after(Duration::from_secs(3_600));
    for wire in &mut sent[2..4] {
        wire.headers.insert(header::DEAD_AT.to_owned(), later.0.into());
    }
    under.bury(&sent).await;
    let mut plan = replay_all();
    let walked = under.walk(6, &mut plan).await;
    assert_eq!(plan.asked, [0, 1, 4, 5]);
    assert_eq!((walked.replayed, walked.kept), (4, 2));
    under.lists(&sent[2..4]).await;
    assert_eq!(under.letters(2).await, sent[2..4]);
    assert_eq!(numbers(&under.tasks("mail.high", 4).await), [0, 1, 4, 5]);
}

pub(super) async fn letters_that_come_during_a_walk_are_left_for_the_next(under: DeskUnderTest) {
    let sent = many(6);
    under.bury(&sent[..4]).await;
    let (desk, queue) = (under.desk(), queue());
    let begun = Notify::new();
    let mut plan = By::new(|_: &Letter| {
        begun.notify_one();
        Verdict::Replay(None)
    });
    // Two a second: there is a wait after the first two, in which others die.
    let terms = Terms { rate: Some(2.0), ..terms() };
    let late = async {
        begun.notified().await;
        under.publish_letters(&sent[4..]).await;
        under.list_letters(&sent[4..]).await;
    };
    let (walked, ()) = tokio::join!(desk.walk(&queue, &mut plan, &terms), late);
    let walked = walked.expect("the walk goes through");
    assert_eq!((walked.total, walked.taken, walked.replayed), (4, 4, 4));
    plan.asked.sort_unstable();
    assert_eq!(plan.asked, [0, 1, 2, 3]);
    under.rest_at(2).await;
    under.lists(&sent[4..]).await;
    assert_eq!(under.letters(2).await, sent[4..]);
}

pub(super) async fn a_stopped_walk_leaves_the_rest_untouched(under: DeskUnderTest) {
    struct Stopping(CancellationToken);
    #[async_trait]
    impl Plan for Stopping {
        fn decide(&mut self, _: &Letter, _: &Wire) -> Verdict {
            Verdict::Replay(None)
        }

        async fn walked(&mut self, walked: &Walked) {
            if walked.taken >= 6 {
                self.0.cancel();
            }
        }
    }
    let sent = many(12);
    under.bury(&sent).await;
    let stop = CancellationToken::new();
    let terms = Terms { rate: Some(3.0), stop: stop.clone(), ..terms() };
    let walked = under.desk().walk(&queue(), &mut Stopping(stop), &terms).await;
    let walked = walked.expect("a stop is no error");
    // A hand may hold less than it could.
    assert!((6..9).contains(&walked.taken) && walked.replayed == walked.taken, "{walked:?}");
    let taken = usize::try_from(walked.taken).expect("a small number");
    under.rest_at(12 - taken).await;
    // Their descriptions stay too, though this walk did not write them anew.
    assert_eq!(under.listed().await.len(), 12 - taken);
    let left = under.letters(12 - taken).await;
    let started = under.tasks("mail.high", taken).await;
    let mut seen = numbers(&started);
    seen.extend(numbers(&left));
    seen.sort_unstable();
    assert_eq!(seen, (0..12).collect::<Vec<_>>());
}

pub(super) async fn a_plan_that_has_enough_leaves_the_rest_untouched(under: DeskUnderTest) {
    struct Few(usize);
    impl Plan for Few {
        fn decide(&mut self, _: &Letter, _: &Wire) -> Verdict {
            self.0 -= 1;
            Verdict::Discard
        }

        fn is_over(&self) -> bool {
            self.0 == 0
        }
    }
    let sent = many(OVER_A_HANDFUL);
    under.bury(&sent).await;
    let walked = under.walk(OVER_A_HANDFUL, &mut Few(3)).await;
    assert_eq!(walked.discarded, 3);
    assert!(walked.taken < OVER_A_HANDFUL as u64, "{walked:?}");
    under.lists(&sent[3..]).await;
    under.rest_at(OVER_A_HANDFUL - 3).await;
    let left = under.letters(OVER_A_HANDFUL - 3).await;
    assert_eq!(numbers(&left), (3..OVER_A_HANDFUL).collect::<Vec<_>>());
}

pub(super) async fn a_second_walker_is_told_that_somebody_walks(under: DeskUnderTest) {
    under.bury(&many(4)).await;
    let name = format!("dead/{}", queue());
    let other = Owner::mint();
    let lease = under.backend.leases.acquire(&name, other, super::LONG).await;
    let lease = lease.expect("the store answers").expect("nobody walks");
    let mut plan = keep_all();
    let walked = under.desk().walk(&queue(), &mut plan, &terms()).await;
    assert!(is_busy(&walked), "{walked:?}");
    assert!(plan.asked.is_empty());
    // Another queue's walk is not in the way.
    let elsewhere = "post".parse().expect("a queue");
    under.desk().walk(&elsewhere, &mut plan, &terms()).await.expect("nobody walks that one");
    under.backend.leases.give_back(&lease).await.expect("the store answers");
    // And each walk gives its own lease back, also one that fails or is stopped.
    let stop = CancellationToken::new();
    stop.cancel();
    let stopped = Terms { stop, ..terms() };
    for terms in [terms(), stopped, terms()] {
        under.rest_at(4).await;
        let walked = under.desk().walk(&queue(), &mut plan, &terms).await;
        assert!(walked.is_ok(), "{walked:?}");
    }
    assert_eq!(plan.asked.len(), 8);
}

pub(super) async fn a_walker_whose_lease_is_lost_ends_and_loses_nothing(under: DeskUnderTest) {
    let sent = many(4);
    under.bury(&sent).await;
    let leases = Arc::new(Anybody { renews: false });
    let desk = Desk::new(Backend { leases, ..under.backend.clone() });
    // So slow that the lease must be renewed on the way.
    let terms = Terms { rate: Some(0.05), ..terms() };
    let walked = desk.walk(&queue(), &mut replay_all(), &terms).await;
    assert!(matches!(walked, Err(DeskError::LeaseLost { .. })), "{walked:?}");
    assert_eq!(numbers(&under.tasks("mail.high", 1).await), [0]);
    under.lists(&sent[1..]).await;
    assert_eq!(numbers(&under.letters(3).await), [1, 2, 3]);
}

pub(super) async fn two_walkers_at_once_lose_nothing(under: DeskUnderTest) {
    let sent = many(40);
    under.bury(&sent).await;
    let desk = Desk::new(under.without_leases());
    let queue = queue();
    let odd = |letter: &Letter| match letter.id.uuid().as_u128() % 3 {
        0 => Verdict::Replay(None),
        _ => Verdict::Keep,
    };
    let (mut one, mut two) = (By::new(odd), By::new(odd));
    let terms = terms();
    let (first, second) =
        tokio::join!(desk.walk(&queue, &mut one, &terms), desk.walk(&queue, &mut two, &terms));
    let (first, second) = (first.expect("it walks"), second.expect("it walks"));
    let replayed = usize::try_from(first.replayed + second.replayed).expect("a small number");
    let (start_anew, stay): (Vec<_>, Vec<_>) =
        sent.into_iter().partition(|wire| id(wire).uuid().as_u128().is_multiple_of(3));
    // Each may have ended while the other held the rest; whatever was not met is still there.
    let left = 40 - replayed;
    under.rest_at(left).await;
    let mut seen = numbers(&under.tasks("mail.high", replayed).await);
    seen.extend(numbers(&under.letters(left).await));
    seen.sort_unstable();
    assert_eq!(seen, (0..40).collect::<Vec<_>>(), "{first:?} {second:?}");
    assert!(replayed <= start_anew.len() && left >= stay.len());
}
