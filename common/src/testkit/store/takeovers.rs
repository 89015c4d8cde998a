//! Promises about taking a task over from a holder that is gone (rules C2–C4, C7, P1).

use super::{MAX_CRASHES, StoreUnderTest, ask, ask_at, dead, nobody, retry};
use crate::clock::Millis;
use crate::envelope::{DeadReason, Order};
use crate::id::{Fence, TaskId};
use crate::ledger::{Answer, Claim, Ending, Entry, Hold, Marking, Outcome, Ruling, Toll};

pub(super) async fn a_takeover_of_the_expected_holder_charges_a_crash(under: StoreUnderTest) {
    let id = TaskId::mint();
    let (dead, _) = under.granted(&ask(id)).await;
    let (hold, toll) = under.taken(&ask(id), dead).await;
    assert!(hold.fence > dead.fence);
    assert_eq!(toll, Toll { starts: 2, crashes: 1, charged: dead.fence });
    let answer = under.claim(&ask(id)).await;
    assert!(matches!(answer, Answer::Busy { hold: by, .. } if by == hold), "{answer:?}");
}

pub(super) async fn a_takeover_of_another_holder_changes_nothing(under: StoreUnderTest) {
    let id = TaskId::mint();
    let (hold, _) = under.granted(&ask(id)).await;
    let before = under.entry(id).await;
    let wrong_owner = Hold { owner: nobody().owner, ..hold };
    let wrong_fence = Hold { fence: Fence(hold.fence.0 - 1), ..hold };
    for expected in [wrong_owner, wrong_fence, nobody()] {
        assert_eq!(under.take_over(&ask(id), expected, false).await, Answer::Again);
    }
    assert_eq!(under.entry(id).await, before);
}

pub(super) async fn of_two_takeovers_one_wins(under: StoreUnderTest) {
    let id = TaskId::mint();
    let (dead, _) = under.granted(&ask(id)).await;
    let (one, two) = (ask(id), ask(id));
    let answers =
        tokio::join!(under.take_over(&one, dead, false), under.take_over(&two, dead, false));
    assert!(
        matches!(
            &answers,
            (Answer::Claimed { .. }, Answer::Again) | (Answer::Again, Answer::Claimed { .. })
        ),
        "{answers:?}"
    );
}

pub(super) async fn a_repeated_takeover_gets_its_claim_again_under_a_new_fence(
    under: StoreUnderTest,
) {
    let id = TaskId::mint();
    let (gone, _) = under.granted(&ask(id)).await;
    let request = ask(id);
    let (first, toll) = under.taken(&request, gone).await;
    let (hold, same) = under.taken(&request, gone).await;
    assert_eq!(same, toll, "its reply was lost: that charges no second crash");
    assert!(hold.fence > first.fence);
    // The same for a resumed one.
    assert_eq!(under.decide(id, hold, Order::FIRST, retry("x")).await, Ruling::Accepted);
    let request = ask(id);
    let first = under.take_over(&request, hold, false).await;
    let again = under.take_over(&request, hold, false).await;
    let (
        Answer::Resume { fence: lost, decision, .. },
        Answer::Resume { fence, order, decision: same },
    ) = (first, again)
    else {
        panic!("it is decided, so it is resumed")
    };
    assert!(fence > lost);
    assert_eq!(same, decision);
    let hold = Hold { owner: request.owner, fence };
    assert_eq!(under.mark(id, hold, order, Marking::Waiting).await, Ruling::Accepted);
}

pub(super) async fn an_orphaned_claim_charges_no_crash(under: StoreUnderTest) {
    let id = TaskId::mint();
    let (orphan, _) = under.granted(&ask(id)).await;
    let answer = under.take_over(&ask(id), orphan, true).await;
    let Answer::Claimed { fence, toll } = answer else { panic!("{answer:?}") };
    assert!(fence > orphan.fence);
    assert_eq!(toll, Toll { starts: 2, crashes: 0, charged: Fence(0) });
}

pub(super) async fn a_newer_attempt_over_a_dead_holder_charges_no_crash(under: StoreUnderTest) {
    let id = TaskId::mint();
    let (first, _) = under.granted(&ask(id)).await;
    let (second, toll) = under.taken(&ask(id), first).await;
    assert_eq!(toll.crashes, 1);
    let (third, toll) = under.taken(&ask_at(id, 0, 2), second).await;
    assert!(third.fence > second.fence);
    assert_eq!(toll, Toll { starts: 3, crashes: 1, charged: first.fence });
    let Some(Entry::Running(held)) = under.entry(id).await else { panic!("not running") };
    assert_eq!(held.order, Order { replay: 0, attempt: 2 });
}

pub(super) async fn a_newer_replay_over_a_dead_holder_owes_nothing(under: StoreUnderTest) {
    let id = TaskId::mint();
    let (first, _) = under.granted(&ask(id)).await;
    let (second, _) = under.taken(&ask(id), first).await;
    let (_, toll) = under.taken(&ask_at(id, 1, 1), second).await;
    assert_eq!(toll, Toll { starts: 1, crashes: 0, charged: Fence(0) });
}

pub(super) async fn crashes_up_to_the_limit_make_a_dead_letter(under: StoreUnderTest) {
    let id = TaskId::mint();
    let (mut last, _) = under.granted(&ask(id)).await;
    for crashes in 1..MAX_CRASHES {
        let (hold, toll) = under.taken(&ask(id), last).await;
        assert_eq!(toll.crashes, crashes);
        last = hold;
    }
    let request = ask(id);
    let answer = under.take_over(&request, last, false).await;
    let Answer::Resume { fence, order, decision } = answer else { panic!("{answer:?}") };
    assert!(fence > last.fence);
    assert_eq!(order, Order::FIRST);
    let Outcome::Dead { reason, failure } = &decision.outcome else { panic!("{decision:?}") };
    assert_eq!((*reason, failure.class.as_str()), (DeadReason::Poison, "crash"));
    assert_eq!(failure.message, "3 workers died while they ran this task");
    assert!(failure.at > Millis(1_700_000_000_000), "when: {:?}", failure.at);
    // It is decided: whoever comes next resumes the same, and marks it with the given fence.
    let hold = Hold { owner: request.owner, fence };
    let again = under.take_over(&ask(id), hold, false).await;
    let Answer::Resume { fence, decision: same, .. } = again else { panic!("{again:?}") };
    assert_eq!(same, decision);
    let Some(Entry::Finishing(held, _)) = under.entry(id).await else { panic!("not finishing") };
    assert_eq!(held.hold.fence, fence);
    let marked = under.mark(id, held.hold, order, Marking::Dead(DeadReason::Poison)).await;
    assert_eq!(marked, Ruling::Accepted);
    assert_eq!(under.claim(&ask(id)).await, Answer::Settled(Ending::Dead(DeadReason::Poison)));
}

pub(super) async fn a_takeover_of_a_decided_task_resumes_it_with_its_own_numbers(
    under: StoreUnderTest,
) {
    let id = TaskId::mint();
    let first = ask_at(id, 1, 4);
    let (gone, _) = under.granted(&first).await;
    assert_eq!(under.decide(id, gone, first.order, retry("why")).await, Ruling::Accepted);
    // The delivery in hand is a later one; the entry's numbers count (C4), and no crash is charged.
    let request = ask_at(id, 1, 5);
    let answer = under.take_over(&request, gone, false).await;
    let Answer::Resume { fence, order, decision } = answer else { panic!("{answer:?}") };
    assert!(fence > gone.fence);
    assert_eq!(order, first.order);
    assert_eq!(decision.outcome, retry("why"));
    let hold = Hold { owner: request.owner, fence };
    assert_eq!(under.mark(id, hold, order, Marking::Waiting).await, Ruling::Accepted);
    let (_, toll) = under.granted(&ask_at(id, 1, 5)).await;
    assert_eq!((toll.starts, toll.crashes), (2, 0));
}

pub(super) async fn a_decided_task_is_resumed_even_when_it_expired(under: StoreUnderTest) {
    let id = TaskId::mint();
    let (gone, _) = under.granted(&ask(id)).await;
    let outcome = dead(DeadReason::Handler);
    assert_eq!(under.decide(id, gone, Order::FIRST, outcome.clone()).await, Ruling::Accepted);
    let late = Claim { expires_at: Some(Millis(1)), ..ask(id) };
    let answer = under.take_over(&late, gone, false).await;
    let Answer::Resume { decision, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(decision.outcome, outcome);
    // A running one, though, expires at its takeover.
    let id = TaskId::mint();
    let (gone, _) = under.granted(&ask(id)).await;
    let late = Claim { expires_at: Some(Millis(1)), ..ask(id) };
    assert_eq!(under.take_over(&late, gone, false).await, Answer::Settled(Ending::Expired));
}

pub(super) async fn nothing_is_taken_over_where_nobody_holds(under: StoreUnderTest) {
    let id = TaskId::mint();
    assert_eq!(under.take_over(&ask(id), nobody(), false).await, Answer::Again);
    assert_eq!(under.entry(id).await, None);
    let (hold, _) = under.granted(&ask(id)).await;
    assert_eq!(under.release(id, hold).await, Ruling::Accepted);
    assert_eq!(under.take_over(&ask(id), hold, false).await, Answer::Again);
    let (hold, _) = under.granted(&ask(id)).await;
    assert_eq!(under.mark(id, hold, Order::FIRST, Marking::Done).await, Ruling::Accepted);
    assert_eq!(under.take_over(&ask(id), hold, false).await, Answer::Again);
}
