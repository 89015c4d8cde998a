//! Promises about letters that are not the last word on their task, and about what the broker
//! moved among the dead by itself.

use std::sync::Arc;

use super::{DeskUnderTest, dead, id, keep_all, many, order, queue, replay_all, stray, terms};
use crate::backend::Backend;
use crate::clock::Millis;
use crate::decorator::{Faults, Faulty, LedgerCall, Moment};
use crate::desk::walk::Terms;
use crate::desk::{Desk, Walked};
use crate::envelope::{DeadReason, Wire, header};
use crate::ledger::{Cancel, Decide, Decision, Failure, Hold, Marking, Outcome, Release, Ruling};
use crate::store::StoreErrorKind;

fn decision(reason: DeadReason) -> Decision {
    let failure = Failure { class: "x".to_owned(), message: "y".to_owned(), at: Millis(1) };
    Decision { outcome: Outcome::Dead { reason, failure }, follow_ups: Vec::new() }
}

impl DeskUnderTest {
    async fn released(&self, wire: &Wire, hold: Hold) {
        let ask = Release { id: id(wire), hold, ttl: super::LONG };
        let ruled = self.backend.ledger.release(&[ask]).await.expect("the store answers");
        assert_eq!(ruled, [Ruling::Accepted]);
    }

    /// Claims a letter's attempt and decides that it is dead, as its worker does before it marks.
    async fn burying(&self, wire: &Wire, reason: DeadReason) -> Hold {
        let hold = self.claimed(id(wire), order(0, 5)).await;
        let decision = decision(reason);
        let decide = Decide { id: id(wire), hold, order: order(0, 5), decision, ttl: super::LONG };
        let ruled = self.backend.ledger.decide(&[decide]).await.expect("the store answers");
        assert_eq!(ruled, [Ruling::Accepted]);
        hold
    }

    /// Claims a task's first attempt and decides that it comes again.
    async fn retried(&self, wire: &Wire) {
        self.retried_at(wire, 1).await;
    }

    /// The same of another attempt.
    async fn retried_at(&self, wire: &Wire, attempt: u32) {
        let hold = self.claimed(id(wire), order(0, attempt)).await;
        let outcome = Outcome::Snooze { not_before: Millis(1) };
        let decision = Decision { outcome, follow_ups: Vec::new() };
        let decide =
            Decide { id: id(wire), hold, order: order(0, attempt), decision, ttl: super::LONG };
        let ruled = self.backend.ledger.decide(&[decide]).await.expect("the store answers");
        assert_eq!(ruled, [Ruling::Accepted]);
        self.marked(id(wire), Some(hold), order(0, attempt), Marking::Waiting).await;
    }
}

pub(super) async fn a_letter_whose_task_went_on_and_ended_is_taken_away(under: DeskUnderTest) {
    let sent = many(4);
    under.bury(&sent).await;
    // Its replay is done; it was done all along; it was cancelled; and one that is really dead.
    under.marked(id(&sent[0]), None, order(1, 1), Marking::Done).await;
    under.marked(id(&sent[1]), None, order(0, 5), Marking::Done).await;
    let cancel = Cancel { id: id(&sent[2]), replay: 1, ttl: super::LONG };
    under.backend.ledger.cancel(&[cancel]).await.expect("the store answers");
    let reason = DeadReason::AttemptsExhausted;
    under.marked(id(&sent[3]), None, order(0, 5), Marking::Dead(reason)).await;
    let mut plan = keep_all();
    let walked = under.walk(4, &mut plan).await;
    let expected = Walked { total: 4, taken: 4, kept: 1, superseded: 3, ..Walked::default() };
    assert_eq!(walked, expected);
    assert_eq!(plan.asked, [3], "nobody is asked about what is over");
    under.lists(&sent[3..]).await;
    assert_eq!(under.letters(1).await, sent[3..]);
}

pub(super) async fn a_letter_whose_replay_is_on_its_way_is_hidden_and_kept(under: DeskUnderTest) {
    let sent = many(3);
    under.bury(&sent).await;
    // One replay runs, one was given back; a replay that nobody claimed is not known.
    under.claimed(id(&sent[0]), order(1, 1)).await;
    let hold = under.claimed(id(&sent[1]), order(1, 1)).await;
    under.released(&sent[1], hold).await;
    let mut plan = replay_all();
    let walked = under.walk(3, &mut plan).await;
    assert_eq!((walked.kept, walked.replayed), (2, 1));
    assert_eq!(plan.asked, [2]);
    under.lists(&[]).await;
    // Once the replay is done the letter goes, and not before.
    under.marked(id(&sent[2]), None, order(1, 1), Marking::Done).await;
    let hold = under.claimed(id(&sent[1]), order(1, 1)).await;
    under.marked(id(&sent[1]), Some(hold), order(1, 1), Marking::Done).await;
    let walked = under.walk(2, &mut plan).await;
    assert_eq!((walked.kept, walked.superseded), (1, 1));
    assert_eq!(under.letters(1).await, sent[..1]);
}

pub(super) async fn a_letter_whose_replay_died_again_gives_way_to_the_newer_one(
    under: DeskUnderTest,
) {
    let older = dead(0);
    let mut newer = dead(1);
    newer.message_id.clone_from(&older.message_id);
    newer.headers.insert(header::REPLAY.to_owned(), 1_u32.into());
    under.bury(&[older, newer.clone()]).await;
    let reason = DeadReason::AttemptsExhausted;
    under.marked(id(&newer), None, order(1, 5), Marking::Dead(reason)).await;
    let mut plan = keep_all();
    let walked = under.walk(2, &mut plan).await;
    assert_eq!((walked.kept, walked.superseded), (1, 1));
    assert_eq!(plan.asked, [1]);
    let listed = under.listed().await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].order, order(1, 5));
    assert_eq!(under.letters(1).await, [newer]);
}

pub(super) async fn a_letter_that_the_ledger_forgot_is_a_letter(under: DeskUnderTest) {
    // Its entry ended, or the store was wiped; another knows an older replay only.
    let mut sent = many(2);
    sent[1].headers.insert(header::REPLAY.to_owned(), 3_u32.into());
    under.bury_unlisted(&sent).await;
    let reason = DeadReason::AttemptsExhausted;
    under.marked(id(&sent[1]), None, order(2, 5), Marking::Dead(reason)).await;
    let mut plan = keep_all();
    assert_eq!(under.walk(2, &mut plan).await.kept, 2);
    assert_eq!(plan.asked, [0, 1]);
    under.lists(&sent).await;
}

pub(super) async fn a_letter_whose_worker_has_not_marked_it_yet_is_not_touched(
    under: DeskUnderTest,
) {
    let sent = many(2);
    under.bury(&sent).await;
    let reason = DeadReason::Rule;
    let hold = under.burying(&sent[0], reason).await;
    let mut plan = replay_all();
    let walked = under.walk(2, &mut plan).await;
    assert_eq!((walked.replayed, walked.kept), (1, 1));
    assert_eq!(plan.asked, [1]);
    under.lists(&sent[..1]).await;
    // Its worker comes to it; from then on it is a letter.
    under.marked(id(&sent[0]), Some(hold), order(0, 5), Marking::Dead(reason)).await;
    let walked = under.walk(1, &mut plan).await;
    assert_eq!(walked.replayed, 1);
    assert_eq!(under.tasks("mail.high", 2).await.len(), 2);
}

pub(super) async fn letters_that_are_not_touched_do_not_hold_up_the_rest(under: DeskUnderTest) {
    let sent = many(15);
    under.bury(&sent).await;
    for wire in &sent[..12] {
        under.burying(wire, DeadReason::Rule).await;
    }
    let mut plan = replay_all();
    // With a rate, a walk holds little more than it replays in a second: less than those.
    let terms = Terms { rate: Some(1.0), ..terms() };
    under.rest_at(15).await;
    let walked = under.desk().walk(&queue(), &mut plan, &terms).await.expect("it walks");
    assert_eq!((walked.replayed, walked.kept), (3, 12));
    assert_eq!(plan.asked, [12, 13, 14]);
    assert_eq!(under.letters(12).await, sent[..12]);
}

pub(super) async fn a_stray_that_was_never_started_goes_back_to_its_lane_as_it_was(
    under: DeskUnderTest,
) {
    let mut sent = [stray(0), stray(1), dead(2)];
    sent[1].headers.insert(header::ORIGIN.to_owned(), "mail.low".into());
    under.bury_unlisted(&sent).await;
    // Claimed and given back is not started.
    let hold = under.claimed(id(&sent[1]), order(0, 1)).await;
    under.released(&sent[1], hold).await;
    let mut plan = replay_all();
    let walked = under.walk(3, &mut plan).await;
    assert_eq!((walked.returned, walked.replayed, walked.kept), (2, 1, 0));
    assert_eq!(plan.asked, [2], "nobody is asked about a stray");
    assert_eq!(under.tasks("mail", 1).await, sent[..1]);
    // Where it came from is said among the dead letters only.
    sent[1].headers.remove(header::ORIGIN);
    assert_eq!(under.tasks("mail.low", 1).await, sent[1..2]);
    under.lists(&[]).await;
    under.rest_at(0).await;
}

pub(super) async fn a_stray_that_was_started_becomes_a_letter_with_a_reason(under: DeskUnderTest) {
    let mut sent = stray(0);
    sent.headers.insert(header::ATTEMPT.to_owned(), 2_u32.into());
    under.bury_unlisted(std::slice::from_ref(&sent)).await;
    // Attempt 1 ran and failed, so the entry waits for this very message: it was started.
    under.retried(&sent).await;
    let mut plan = replay_all();
    let walked = under.walk(1, &mut plan).await;
    assert_eq!((walked.kept, walked.returned, walked.replayed), (1, 0, 0));
    let listed = under.listed().await;
    assert_eq!(listed[0].reason, Some(DeadReason::DeliveryLimit));
    assert!(!listed[0].error.is_empty());
    assert_eq!((listed[0].id, listed[0].order), (id(&sent), order(0, 2)));
    assert!(plan.asked.is_empty(), "it is described first, so that somebody can look at it");
    // From now on it is a letter like any other.
    let walked = under.walk(1, &mut plan).await;
    assert_eq!(walked.replayed, 1);
    let started = under.tasks("mail", 1).await.remove(0);
    assert_eq!(started.number(header::REPLAY), Some(1));
    assert!(!started.headers.contains_key(header::REASON));
}

pub(super) async fn a_stray_whose_task_runs_is_not_touched(under: DeskUnderTest) {
    let sent = stray(0);
    under.bury_unlisted(std::slice::from_ref(&sent)).await;
    under.claimed(id(&sent), order(0, 1)).await;
    let mut plan = replay_all();
    let walked = under.walk(1, &mut plan).await;
    assert_eq!((walked.kept, walked.returned), (1, 0));
    assert!(plan.asked.is_empty());
    under.lists(&[]).await;
    assert_eq!(under.letters(1).await, [sent]);
}

pub(super) async fn a_stray_of_a_replay_that_nobody_claimed_goes_back_too(under: DeskUnderTest) {
    let mut sent = [stray(0), stray(1)];
    for wire in &mut sent {
        wire.headers.insert(header::REPLAY.to_owned(), 1_u32.into());
    }
    under.bury_unlisted(&sent).await;
    // The ledger knows how the replay before ended, or that it waits.
    let reason = DeadReason::Handler;
    under.marked(id(&sent[0]), None, order(0, 1), Marking::Dead(reason)).await;
    under.retried(&sent[1]).await;
    let walked = under.walk(2, &mut keep_all()).await;
    assert_eq!((walked.returned, walked.kept), (2, 0));
    assert_eq!(under.tasks("mail", 2).await, sent);
}

pub(super) async fn a_stray_whose_task_went_on_is_taken_away(under: DeskUnderTest) {
    let sent = [stray(0), stray(1), stray(2)];
    under.bury_unlisted(&sent).await;
    under.marked(id(&sent[0]), None, order(0, 1), Marking::Done).await;
    under.retried(&sent[1]).await;
    // A worker buried the task and could not end the message: the letter stands beside it.
    under.marked(id(&sent[2]), None, order(0, 1), Marking::Dead(DeadReason::Rule)).await;
    let walked = under.walk(3, &mut keep_all()).await;
    assert_eq!((walked.superseded, walked.kept, walked.returned), (3, 0, 0));
    under.rest_at(0).await;
    assert_eq!(under.tasks("mail", 0).await, []);
}

pub(super) async fn a_message_of_a_later_attempt_is_a_stray_too(under: DeskUnderTest) {
    // Each retry says what failed before, and none says why it is dead: the broker moved it here.
    let retry = |number| {
        let mut wire = stray(number);
        wire.headers.insert(header::ATTEMPT.to_owned(), 2_u32.into());
        wire.headers.insert(header::ERROR.to_owned(), "connection refused".into());
        wire
    };
    let sent = [retry(0), retry(1), retry(2)];
    under.bury_unlisted(&sent).await;
    // One runs, one has gone on without this copy, and of one nothing is known any more.
    under.claimed(id(&sent[0]), order(0, 2)).await;
    under.retried_at(&sent[1], 2).await;
    let mut plan = replay_all();
    let walked = under.walk(3, &mut plan).await;
    assert_eq!((walked.kept, walked.superseded, walked.hidden), (2, 1, 1), "{walked:?}");
    assert_eq!((walked.replayed, walked.returned), (0, 0), "{walked:?}");
    assert!(plan.asked.is_empty(), "none of them is a letter yet: {:?}", plan.asked);
    under.lists(&sent[2..]).await;
    assert_eq!(under.listed().await[0].reason, Some(DeadReason::DeliveryLimit));
    assert_eq!(under.tasks("mail", 0).await, []);
    let left = under.letters(2).await;
    assert_eq!(left[0], sent[0]);
    assert_eq!(left[1].text(header::REASON), Some("delivery-limit"));
}

pub(super) async fn an_entry_that_cannot_be_read_is_in_nobody_elses_way(under: DeskUnderTest) {
    let sent = many(6);
    under.bury(&sent).await;
    let faults = Faults::scripted();
    // All of a handful at once, then the first one by itself.
    for nth in [1, 2] {
        faults.fail_ledger(LedgerCall::Entries, nth, Moment::Before, StoreErrorKind::Corrupt);
    }
    let ledger = Arc::new(Faulty::new(Arc::clone(&under.backend.ledger), Arc::clone(&faults)));
    let desk = Desk::new(Backend { ledger, ..under.backend.clone() });
    let mut plan = replay_all();
    let walked = desk.walk(&queue(), &mut plan, &terms()).await.expect("one entry stops no walk");
    assert_eq!(faults.struck(), 2);
    assert_eq!((walked.replayed, walked.kept), (5, 1));
    let listed = under.listed().await;
    assert_eq!(listed.len(), 1, "it is listed, and nothing is done with it");
    assert!(!plan.asked.contains(&listed[0].args.parse().expect("a number")));
    // Once its entry can be read it is a letter like any other.
    assert_eq!(under.walk(1, &mut replay_all()).await.replayed, 1);
    assert_eq!(under.tasks("mail.high", 6).await.len(), 6);
}
