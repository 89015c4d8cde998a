//! Promises about cancelling (rule K1): not started where that can still be prevented, else
//! flagged for the holder, and never a change to what is decided or over.

use std::time::Duration;

use super::{LONG, SOON, StoreUnderTest, ask, ask_at, dead, done, nobody, retry};
use crate::clock::Millis;
use crate::envelope::{DeadReason, Order};
use crate::id::TaskId;
use crate::ledger::{
    Answer, Cancel, Cancelling, Claim, Ending, Entry, Hold, Mark, Marking, Outcome, Release,
    Ruling, Settled, Toll,
};
use crate::testkit::eventually;

/// Short enough to wait for, long enough to act in.
const BRIEF: Duration = Duration::from_millis(500);

fn cancelled(replay: u32) -> Entry {
    Entry::Settled(Settled { replay, ending: Ending::Cancelled })
}

impl StoreUnderTest {
    /// Claims the first message, flags the claim, and returns the hold.
    async fn flagged(&self, id: TaskId) -> Hold {
        let (hold, _) = self.granted(&ask(id)).await;
        assert_eq!(self.cancel(id, 0).await, Cancelling::Asked(hold));
        hold
    }

    /// Runs the first message to a failure that comes again as attempt 2.
    async fn waiting(&self, id: TaskId) {
        let (hold, _) = self.granted(&ask(id)).await;
        assert_eq!(self.decide(id, hold, Order::FIRST, retry("x")).await, Ruling::Accepted);
        let marked = self.mark(id, hold, Order::FIRST, Marking::Waiting).await;
        assert_eq!(marked, Ruling::Accepted);
    }

    /// Ends the first message with a mark.
    async fn ended(&self, id: TaskId, outcome: Outcome, marking: Marking) {
        let (hold, _) = self.granted(&ask(id)).await;
        assert_eq!(self.decide(id, hold, Order::FIRST, outcome).await, Ruling::Accepted);
        assert_eq!(self.mark(id, hold, Order::FIRST, marking).await, Ruling::Accepted);
    }

    /// Waits until so much time is over, by the store's clock.
    async fn is_over(&self, time: Duration) {
        let id = TaskId::mint();
        let witness = Cancel { id, replay: 0, ttl: time };
        let said = self.ledger.cancel(&[witness]).await.expect("the store answers");
        assert_eq!(said, [Cancelling::Cancelled]);
        eventually(SOON, "the witness is gone", || async { self.entry(id).await.is_none() }).await;
    }

    /// Flags a claim that is kept briefly, before it ends: for longer where the machine is slow.
    async fn flagged_in_time(&self) -> TaskId {
        for slower in [1, 4, 16] {
            let claim = Claim { ttl: BRIEF * slower, ..ask(TaskId::mint()) };
            let (held, _) = self.granted(&claim).await;
            match self.cancel(claim.id, 0).await {
                Cancelling::Asked(hold) if hold == held => return claim.id,
                Cancelling::Cancelled => {}
                other => panic!("a running task is flagged: {other:?}"),
            }
        }
        panic!("no claim was flagged before it ended");
    }

    async fn is_settled_as_cancelled(&self, claim: &Claim) {
        let answer = self.claim(claim).await;
        assert_eq!(answer, Answer::Settled(Ending::Cancelled), "{claim:?}");
    }
}

pub(super) async fn a_task_that_nobody_claimed_is_cancelled_before_it_starts(
    under: StoreUnderTest,
) {
    let id = TaskId::mint();
    assert_eq!(under.cancel(id, 0).await, Cancelling::Cancelled);
    assert_eq!(under.entry(id).await, Some(cancelled(0)));
    under.is_settled_as_cancelled(&ask(id)).await;
    under.is_settled_as_cancelled(&ask_at(id, 0, 7)).await;
    // Once is enough: a second cancel finds it over.
    assert_eq!(under.cancel(id, 0).await, Cancelling::Over(Ending::Cancelled));
}

pub(super) async fn a_waiting_task_is_cancelled_and_its_next_attempt_is_not_run(
    under: StoreUnderTest,
) {
    let id = TaskId::mint();
    under.waiting(id).await;
    assert_eq!(under.cancel(id, 0).await, Cancelling::Cancelled);
    assert_eq!(under.entry(id).await, Some(cancelled(0)));
    under.is_settled_as_cancelled(&ask_at(id, 0, 2)).await;
    // Whoever asks knows of a replay that the ledger has not heard of yet: both are cancelled.
    let id = TaskId::mint();
    under.waiting(id).await;
    assert_eq!(under.cancel(id, 2).await, Cancelling::Cancelled);
    under.is_settled_as_cancelled(&ask_at(id, 2, 1)).await;
    // Whoever asks knows less than the ledger: the ledger's replay is cancelled.
    let id = TaskId::mint();
    let (hold, _) = under.granted(&ask_at(id, 3, 1)).await;
    assert_eq!(under.release(id, hold).await, Ruling::Accepted);
    assert_eq!(under.cancel(id, 0).await, Cancelling::Cancelled);
    assert_eq!(under.entry(id).await, Some(cancelled(3)));
}

pub(super) async fn a_cancelled_task_starts_anew_with_a_greater_replay(under: StoreUnderTest) {
    let id = TaskId::mint();
    assert_eq!(under.cancel(id, 1).await, Cancelling::Cancelled);
    under.is_settled_as_cancelled(&ask_at(id, 1, 4)).await;
    let (_, toll) = under.granted(&ask_at(id, 2, 1)).await;
    assert_eq!(toll, Toll { starts: 1, ..Toll::default() });
}

pub(super) async fn a_running_task_is_flagged_and_its_holder_is_named(under: StoreUnderTest) {
    let id = TaskId::mint();
    let claim = ask(id);
    let (hold, toll) = under.granted(&claim).await;
    let Some(Entry::Running(before)) = under.entry(id).await else { panic!("it runs") };
    assert!(!before.cancel);
    // However often it is asked, and whatever replay the asker knows of.
    for replay in [0, 0, 7] {
        assert_eq!(under.cancel(id, replay).await, Cancelling::Asked(hold));
    }
    let Some(Entry::Running(after)) = under.entry(id).await else { panic!("it still runs") };
    assert!(after.cancel, "the flag is in the entry, for who missed the signal");
    assert_eq!(after.toll, toll);
    assert_eq!(crate::ledger::Running { cancel: false, ..after }, before);
    assert!(matches!(under.claim(&ask(id)).await, Answer::Busy { hold: held, .. } if held == hold));
}

pub(super) async fn a_flag_outlives_the_repetition_of_the_claim(under: StoreUnderTest) {
    let id = TaskId::mint();
    let claim = ask(id);
    let (hold, _) = under.granted(&claim).await;
    assert_eq!(under.cancel(id, 0).await, Cancelling::Asked(hold));
    let (again, _) = under.granted(&claim).await;
    assert_ne!(again, hold);
    assert_eq!(under.decide(id, again, Order::FIRST, retry("x")).await, Ruling::Cancelled);
}

pub(super) async fn a_flagged_task_that_fails_ends_as_cancelled(under: StoreUnderTest) {
    let snooze = Outcome::Snooze { not_before: Millis(1_790_000_060_000) };
    for outcome in [retry("x"), snooze, dead(DeadReason::Handler)] {
        let id = TaskId::mint();
        let hold = under.flagged(id).await;
        let stranger = under.decide(id, nobody(), Order::FIRST, outcome.clone()).await;
        assert_eq!(stranger, Ruling::Refused, "the flag helps nobody else");
        let ruling = under.decide(id, hold, Order::FIRST, outcome.clone()).await;
        assert_eq!(ruling, Ruling::Cancelled, "{outcome:?}");
        assert_eq!(under.entry(id).await, Some(cancelled(0)));
        under.is_settled_as_cancelled(&ask_at(id, 0, 2)).await;
        assert_eq!(under.cancel(id, 0).await, Cancelling::Over(Ending::Cancelled));
        // Nothing is published of it, so nothing can be marked.
        let marked = under.mark(id, hold, Order::FIRST, Marking::Waiting).await;
        assert_eq!(marked, Ruling::Refused);
    }
}

pub(super) async fn a_flagged_task_that_succeeds_is_done(under: StoreUnderTest) {
    let id = TaskId::mint();
    let hold = under.flagged(id).await;
    assert_eq!(under.mark(id, hold, Order::FIRST, Marking::Done).await, Ruling::Accepted);
    assert_eq!(under.claim(&ask(id)).await, Answer::Settled(Ending::Done));
    // Also with follow-ups, which go through a decision.
    let id = TaskId::mint();
    let hold = under.flagged(id).await;
    assert_eq!(under.decide(id, hold, Order::FIRST, done()).await, Ruling::Accepted);
    assert_eq!(under.cancel(id, 0).await, Cancelling::TooLate);
    assert_eq!(under.mark(id, hold, Order::FIRST, Marking::Done).await, Ruling::Accepted);
    assert_eq!(under.claim(&ask(id)).await, Answer::Settled(Ending::Done));
}

pub(super) async fn a_flagged_task_that_is_given_back_ends_as_cancelled(under: StoreUnderTest) {
    let id = TaskId::mint();
    let hold = under.flagged(id).await;
    assert_eq!(under.release(id, hold).await, Ruling::Cancelled);
    assert_eq!(under.entry(id).await, Some(cancelled(0)));
    under.is_settled_as_cancelled(&ask(id)).await;
}

pub(super) async fn a_takeover_of_a_flagged_task_settles_it_and_runs_nothing(
    under: StoreUnderTest,
) {
    let id = TaskId::mint();
    let hold = under.flagged(id).await;
    // A wrong guess of the holder changes nothing, flagged or not.
    assert_eq!(under.take_over(&ask(id), nobody(), false).await, Answer::Again);
    let answer = under.take_over(&ask(id), hold, false).await;
    assert_eq!(answer, Answer::Settled(Ending::Cancelled));
    assert_eq!(under.entry(id).await, Some(cancelled(0)));
    // The old holder was only paused; its failure changes nothing any more.
    assert_eq!(under.decide(id, hold, Order::FIRST, retry("x")).await, Ruling::Refused);
    assert_eq!(under.entry(id).await, Some(cancelled(0)));
}

pub(super) async fn a_takeover_by_a_replay_of_a_flagged_task_runs_the_replay(
    under: StoreUnderTest,
) {
    let id = TaskId::mint();
    let hold = under.flagged(id).await;
    let replay = ask_at(id, 1, 1);
    assert!(matches!(under.claim(&replay).await, Answer::Busy { hold: held, .. } if held == hold));
    // Whoever was told that it is settled would ack the replay, which nobody has cancelled.
    let (_, toll) = under.taken(&replay, hold).await;
    assert_eq!(toll, Toll { starts: 1, ..Toll::default() });
    assert_eq!(under.claim(&ask(id)).await, Answer::Stale, "what was cancelled does not run");
}

pub(super) async fn a_cancel_after_the_decision_comes_too_late(under: StoreUnderTest) {
    for outcome in [done(), retry("x"), dead(DeadReason::Rule)] {
        let id = TaskId::mint();
        let (hold, _) = under.granted(&ask(id)).await;
        assert_eq!(under.decide(id, hold, Order::FIRST, outcome).await, Ruling::Accepted);
        let before = under.entry(id).await;
        assert!(matches!(before, Some(Entry::Finishing(..))));
        assert_eq!(under.cancel(id, 0).await, Cancelling::TooLate);
        assert_eq!(under.cancel(id, 5).await, Cancelling::TooLate);
        assert_eq!(under.entry(id).await, before, "what is decided is published as decided");
    }
}

pub(super) async fn a_task_that_is_over_stays_as_it_ended(under: StoreUnderTest) {
    let ids = [(); 3].map(|()| TaskId::mint());
    under.ended(ids[0], done(), Marking::Done).await;
    let reason = DeadReason::AttemptsExhausted;
    under.ended(ids[1], dead(reason), Marking::Dead(reason)).await;
    let late = Claim { expires_at: Some(Millis(1)), ..ask(ids[2]) };
    assert_eq!(under.claim(&late).await, Answer::Settled(Ending::Expired));
    for (id, ending) in ids.into_iter().zip([Ending::Done, Ending::Dead(reason), Ending::Expired]) {
        let before = under.entry(id).await;
        assert_eq!(under.cancel(id, 0).await, Cancelling::Over(ending));
        assert_eq!(under.entry(id).await, before);
    }
}

pub(super) async fn a_replay_that_waits_in_its_lane_is_cancelled(under: StoreUnderTest) {
    let id = TaskId::mint();
    let reason = DeadReason::Handler;
    under.ended(id, dead(reason), Marking::Dead(reason)).await;
    // An operator's replay is published; the ledger is not touched by that.
    assert_eq!(under.cancel(id, 1).await, Cancelling::Cancelled);
    assert_eq!(under.entry(id).await, Some(cancelled(1)));
    under.is_settled_as_cancelled(&ask_at(id, 1, 1)).await;
    under.granted(&ask_at(id, 2, 1)).await;
}

pub(super) async fn a_cancelled_task_is_remembered_for_the_time_asked(under: StoreUnderTest) {
    let (brief, long) = (TaskId::mint(), TaskId::mint());
    let asks =
        [Cancel { id: long, replay: 0, ttl: LONG }, Cancel { id: brief, replay: 0, ttl: BRIEF }];
    let said = under.ledger.cancel(&asks).await.expect("the store answers");
    assert_eq!(said, [Cancelling::Cancelled; 2]);
    assert_eq!(under.entry(brief).await, Some(cancelled(0)));
    eventually(SOON, "the brief cancel is forgotten", || async {
        under.entry(brief).await.is_none()
    })
    .await;
    assert_eq!(under.entry(long).await, Some(cancelled(0)));
}

pub(super) async fn a_task_that_is_told_to_be_cancelled_stays_so_for_the_time_asked(
    under: StoreUnderTest,
) {
    let at_once = Duration::from_millis(50);
    // Given back by a drain or a pause: it rests in its lane for longer than that was kept.
    let (waits_briefly, waits_long) = (TaskId::mint(), TaskId::mint());
    for (id, ttl) in [(waits_briefly, BRIEF), (waits_long, LONG)] {
        let (hold, _) = under.granted(&ask(id)).await;
        let release = Release { id, hold, ttl };
        let ruled = under.ledger.release(&[release]).await.expect("the store answers");
        assert_eq!(ruled, [Ruling::Accepted]);
    }
    // A replay of a task whose end is remembered briefly, or for long.
    let (over_briefly, over_long) = (TaskId::mint(), TaskId::mint());
    for (id, ttl) in [(over_briefly, BRIEF), (over_long, LONG)] {
        let (hold, _) = under.granted(&ask(id)).await;
        let mark = Mark { id, hold, order: Order::FIRST, marking: Marking::Done, ttl };
        let ruled = under.ledger.mark(&[mark]).await.expect("the store answers");
        assert_eq!(ruled, [Ruling::Accepted]);
    }
    let again = TaskId::mint();
    let cancel = |id, replay, ttl| Cancel { id, replay, ttl };
    let asks = [
        cancel(waits_briefly, 0, LONG),
        cancel(waits_long, 0, at_once),
        cancel(over_briefly, 1, LONG),
        cancel(over_long, 1, at_once),
        cancel(again, 0, BRIEF),
        cancel(again, 0, LONG),
        cancel(again, 0, at_once),
    ];
    let said = under.ledger.cancel(&asks).await.expect("the store answers");
    assert_eq!(said[..4], [Cancelling::Cancelled; 4]);
    let over = Cancelling::Over(Ending::Cancelled);
    assert_eq!(said[4..], [Cancelling::Cancelled, over, over]);
    // What is kept as briefly, and written after all of these, ends after them.
    under.is_over(BRIEF).await;
    for (id, replay) in
        [(waits_briefly, 0), (waits_long, 0), (over_briefly, 1), (over_long, 1), (again, 0)]
    {
        assert_eq!(under.entry(id).await, Some(cancelled(replay)), "{asks:?}");
    }
}

pub(super) async fn a_flag_does_not_change_how_long_a_claim_is_kept(under: StoreUnderTest) {
    // Neither is it prolonged, nor cut short: a flag set by a task's time limit must not outlive
    // the claim.
    let long = Claim { ttl: LONG, ..ask(TaskId::mint()) };
    let (held, _) = under.granted(&long).await;
    let asked = Cancel { id: long.id, replay: 0, ttl: Duration::from_millis(50) };
    let said = under.ledger.cancel(&[asked]).await.expect("the store answers");
    assert_eq!(said, [Cancelling::Asked(held)]);
    let brief = under.flagged_in_time().await;
    eventually(SOON, "what was kept briefly is gone", || async {
        under.entry(brief).await.is_none()
    })
    .await;
    // That took longer than the time in the cancel of this one.
    assert!(matches!(under.entry(long.id).await, Some(Entry::Running(held)) if held.cancel));
}

pub(super) async fn cancels_are_answered_in_the_order_of_the_batch(under: StoreUnderTest) {
    let ids = [(); 4].map(|()| TaskId::mint());
    let (running, _) = under.granted(&ask(ids[1])).await;
    under.ended(ids[2], done(), Marking::Done).await;
    let cancel = |id| Cancel { id, replay: 0, ttl: LONG };
    let batch = [ids[2], ids[1], ids[0], ids[0], ids[3]].map(cancel);
    let said = under.ledger.cancel(&batch).await.expect("the store answers");
    let expected = [
        Cancelling::Over(Ending::Done),
        Cancelling::Asked(running),
        Cancelling::Cancelled,
        Cancelling::Over(Ending::Cancelled),
        Cancelling::Cancelled,
    ];
    assert_eq!(said, expected);
    assert!(under.ledger.cancel(&[]).await.expect("nothing is asked").is_empty());
}
