//! Promises about how an attempt's end is recorded (rules C1, C5, L5, P3).

use bytes::Bytes;

use super::{LONG, StoreUnderTest, ask, ask_at, dead, done, nobody, retry};
use crate::broker::Destination;
use crate::envelope::{DeadReason, Order, Wire};
use crate::id::{Fence, TaskId, Token};
use crate::ledger::{
    Answer, Decide, Decision, Ending, Entry, FollowUp, Held, Hold, Marking, Outcome, Ruling, Toll,
};

const FIRST: Order = Order::FIRST;
const SECOND: Order = Order { replay: 0, attempt: 2 };

pub(super) async fn done_settles_older_and_equal_replays_and_a_greater_one_starts_anew(
    under: StoreUnderTest,
) {
    let request = ask_at(TaskId::mint(), 1, 2);
    let id = request.id;
    let (hold, _) = under.granted(&request).await;
    assert_eq!(under.decide(id, hold, request.order, done()).await, Ruling::Accepted);
    assert_eq!(under.mark(id, hold, request.order, Marking::Done).await, Ruling::Accepted);
    for (replay, attempt) in [(0, 1), (1, 1), (1, 2), (1, 99)] {
        let answer = under.claim(&ask_at(id, replay, attempt)).await;
        assert_eq!(answer, Answer::Settled(Ending::Done), "{replay}.{attempt}");
    }
    let (_, toll) = under.granted(&ask_at(id, 2, 1)).await;
    assert_eq!(toll, Toll { starts: 1, ..Toll::default() });
}

pub(super) async fn done_without_a_decision_is_marked_from_running(under: StoreUnderTest) {
    let id = TaskId::mint();
    let (hold, _) = under.granted(&ask(id)).await;
    assert_eq!(under.mark(id, hold, FIRST, Marking::Done).await, Ruling::Accepted);
    assert_eq!(under.claim(&ask(id)).await, Answer::Settled(Ending::Done));
}

pub(super) async fn a_retry_is_marked_only_after_its_decision(under: StoreUnderTest) {
    let id = TaskId::mint();
    let (hold, _) = under.granted(&ask(id)).await;
    let before = under.entry(id).await;
    for marking in [Marking::Waiting, Marking::Dead(DeadReason::Rule)] {
        assert_eq!(under.mark(id, hold, FIRST, marking).await, Ruling::Refused);
    }
    assert_eq!(under.entry(id).await, before);
}

pub(super) async fn a_retried_task_awaits_the_next_attempt_and_older_ones_are_stale(
    under: StoreUnderTest,
) {
    let id = TaskId::mint();
    let (hold, _) = under.granted(&ask(id)).await;
    assert_eq!(under.decide(id, hold, FIRST, retry("once")).await, Ruling::Accepted);
    // Decided, not yet published: nobody may run it, and nobody may ignore it.
    let answer = under.claim(&ask(id)).await;
    assert!(matches!(answer, Answer::Busy { hold: by, .. } if by == hold), "{answer:?}");
    assert_eq!(under.mark(id, hold, FIRST, Marking::Waiting).await, Ruling::Accepted);
    assert_eq!(under.claim(&ask(id)).await, Answer::Stale);
    let (next, toll) = under.granted(&ask_at(id, 0, 2)).await;
    assert!(next.fence > hold.fence);
    assert_eq!(toll.starts, 2);
}

pub(super) async fn crashes_are_carried_from_attempt_to_attempt(under: StoreUnderTest) {
    let id = TaskId::mint();
    let (gone, _) = under.granted(&ask(id)).await;
    let (hold, _) = under.taken(&ask(id), gone).await;
    assert_eq!(under.decide(id, hold, FIRST, retry("x")).await, Ruling::Accepted);
    assert_eq!(under.mark(id, hold, FIRST, Marking::Waiting).await, Ruling::Accepted);
    let Some(Entry::Waiting(waiting)) = under.entry(id).await else { panic!("not waiting") };
    assert_eq!((waiting.order, waiting.fence), (SECOND, hold.fence));
    let (hold, toll) = under.granted(&ask_at(id, 0, 2)).await;
    assert_eq!(toll, Toll { starts: 3, crashes: 1, charged: gone.fence });
    // A replay is a fresh start.
    assert_eq!(under.decide(id, hold, SECOND, retry("x")).await, Ruling::Accepted);
    assert_eq!(under.mark(id, hold, SECOND, Marking::Waiting).await, Ruling::Accepted);
    let (_, toll) = under.granted(&ask_at(id, 1, 1)).await;
    assert_eq!(toll, Toll { starts: 1, ..Toll::default() });
}

pub(super) async fn a_dead_letter_is_settled_with_its_reason(under: StoreUnderTest) {
    for reason in DeadReason::ALL {
        let id = TaskId::mint();
        let (hold, _) = under.granted(&ask(id)).await;
        assert_eq!(under.decide(id, hold, FIRST, dead(reason)).await, Ruling::Accepted);
        assert_eq!(under.mark(id, hold, FIRST, Marking::Dead(reason)).await, Ruling::Accepted);
        assert_eq!(under.claim(&ask(id)).await, Answer::Settled(Ending::Dead(reason)));
    }
}

pub(super) async fn a_decision_of_another_holder_is_refused(under: StoreUnderTest) {
    let id = TaskId::mint();
    let (hold, _) = under.granted(&ask(id)).await;
    let before = under.entry(id).await;
    let other = Hold { owner: nobody().owner, ..hold };
    assert_eq!(under.decide(id, other, FIRST, done()).await, Ruling::Refused);
    assert_eq!(under.mark(id, other, FIRST, Marking::Done).await, Ruling::Refused);
    assert_eq!(under.entry(id).await, before);
    // After the end, too: a second end would be published twice.
    assert_eq!(under.mark(id, hold, FIRST, Marking::Done).await, Ruling::Accepted);
    assert_eq!(under.decide(id, hold, FIRST, retry("x")).await, Ruling::Refused);
    assert_eq!(under.claim(&ask(id)).await, Answer::Settled(Ending::Done));
}

pub(super) async fn an_older_fence_of_the_same_owner_is_refused(under: StoreUnderTest) {
    let first = ask(TaskId::mint());
    let id = first.id;
    let (old, _) = under.granted(&first).await;
    let again = crate::ledger::Claim { token: Token::draw(), ..first };
    let (new, _) = under.taken(&again, old).await;
    assert_eq!(new.owner, old.owner);
    assert_eq!(under.decide(id, old, FIRST, done()).await, Ruling::Refused);
    assert_eq!(under.mark(id, old, FIRST, Marking::Done).await, Ruling::Refused);
    assert_eq!(under.release(id, old).await, Ruling::Refused);
    assert_eq!(under.decide(id, new, FIRST, done()).await, Ruling::Accepted);
}

pub(super) async fn a_decision_on_an_absent_entry_is_accepted(under: StoreUnderTest) {
    let (id, hold) = (TaskId::mint(), nobody());
    assert_eq!(under.decide(id, hold, SECOND, retry("wiped")).await, Ruling::Accepted);
    let Some(Entry::Finishing(held, decision)) = under.entry(id).await else {
        panic!("not finishing")
    };
    assert_eq!((held.hold, held.order, decision.outcome), (hold, SECOND, retry("wiped")));
    assert!(
        held.claimed_at > 1_700_000_000_000_000,
        "the ledger's time in µs: {}",
        held.claimed_at
    );
    assert_eq!(under.decide(id, nobody(), SECOND, done()).await, Ruling::Refused);
    assert_eq!(under.mark(id, hold, SECOND, Marking::Waiting).await, Ruling::Accepted);
    assert_eq!(under.claim(&ask_at(id, 0, 2)).await, Answer::Stale);
}

pub(super) async fn a_mark_on_an_absent_entry_is_accepted(under: StoreUnderTest) {
    let (id, hold) = (TaskId::mint(), nobody());
    assert_eq!(under.mark(id, hold, FIRST, Marking::Waiting).await, Ruling::Accepted);
    assert_eq!(under.claim(&ask(id)).await, Answer::Stale);
    let (next, _) = under.granted(&ask_at(id, 0, 2)).await;
    assert!(next.fence > hold.fence);
    let id = TaskId::mint();
    let dead = Marking::Dead(DeadReason::MaxAge);
    assert_eq!(under.mark(id, nobody(), FIRST, dead).await, Ruling::Accepted);
    assert_eq!(under.claim(&ask(id)).await, Answer::Settled(Ending::Dead(DeadReason::MaxAge)));
}

pub(super) async fn a_repeated_decision_keeps_the_first(under: StoreUnderTest) {
    let id = TaskId::mint();
    let (hold, _) = under.granted(&ask(id)).await;
    assert_eq!(under.decide(id, hold, FIRST, retry("first")).await, Ruling::Accepted);
    assert_eq!(under.decide(id, hold, FIRST, done()).await, Ruling::Accepted);
    let Some(Entry::Finishing(_, decision)) = under.entry(id).await else {
        panic!("not finishing")
    };
    assert_eq!(decision.outcome, retry("first"));
}

pub(super) async fn a_repeated_mark_is_refused_and_changes_nothing(under: StoreUnderTest) {
    let id = TaskId::mint();
    let (hold, _) = under.granted(&ask(id)).await;
    assert_eq!(under.decide(id, hold, FIRST, retry("x")).await, Ruling::Accepted);
    assert_eq!(under.mark(id, hold, FIRST, Marking::Waiting).await, Ruling::Accepted);
    let before = under.entry(id).await;
    assert_eq!(under.mark(id, hold, FIRST, Marking::Waiting).await, Ruling::Refused);
    assert_eq!(under.entry(id).await, before);
}

pub(super) async fn a_refused_holder_gets_its_crash_back(under: StoreUnderTest) {
    let id = TaskId::mint();
    let (paused, _) = under.granted(&ask(id)).await;
    let (hold, toll) = under.taken(&ask(id), paused).await;
    assert_eq!((toll.crashes, toll.charged), (1, paused.fence));
    // It was not dead: it comes back and is refused, once at no cost to the count of crashes.
    for _ in 0..2 {
        assert_eq!(under.decide(id, paused, FIRST, done()).await, Ruling::Refused);
        let Some(Entry::Running(held)) = under.entry(id).await else { panic!("not running") };
        assert_eq!((held.hold, held.toll.crashes, held.toll.charged), (hold, 0, Fence(0)));
    }
    // Somebody else's refusal gives nothing back; also when it is a mark or a release.
    let (hold, _) = under.taken(&ask(id), hold).await;
    assert_eq!(under.decide(id, nobody(), FIRST, done()).await, Ruling::Refused);
    assert_eq!(under.release(id, nobody()).await, Ruling::Refused);
    let Some(Entry::Running(held)) = under.entry(id).await else { panic!("not running") };
    assert_eq!((held.hold, held.toll.crashes), (hold, 1));
}

pub(super) async fn a_released_claim_costs_nothing(under: StoreUnderTest) {
    let id = TaskId::mint();
    let (gone, _) = under.granted(&ask(id)).await;
    let (hold, toll) = under.taken(&ask(id), gone).await;
    assert_eq!((toll.starts, toll.crashes), (2, 1));
    assert_eq!(under.release(id, hold).await, Ruling::Accepted);
    let (next, toll) = under.granted(&ask(id)).await;
    assert!(next.fence > hold.fence);
    assert_eq!(toll, Toll { starts: 2, crashes: 1, charged: gone.fence });
    // After a wipe there is nothing to give back.
    assert_eq!(under.release(TaskId::mint(), hold).await, Ruling::Accepted);
}

pub(super) async fn a_release_by_another_holder_is_refused(under: StoreUnderTest) {
    let id = TaskId::mint();
    let (hold, _) = under.granted(&ask(id)).await;
    assert_eq!(under.release(id, nobody()).await, Ruling::Refused);
    // A decided task is not given back: its outcome stands.
    assert_eq!(under.decide(id, hold, FIRST, retry("x")).await, Ruling::Accepted);
    assert_eq!(under.release(id, hold).await, Ruling::Refused);
    assert!(matches!(under.entry(id).await, Some(Entry::Finishing(..))));
}

pub(super) async fn a_claim_is_written_again_only_where_nothing_is(under: StoreUnderTest) {
    let toll = Toll { starts: 3, crashes: 2, charged: Fence(5) };
    let held = |id| Held { id, hold: nobody(), token: Token(11), order: SECOND, toll, ttl: LONG };
    let ask_absent = held(TaskId::mint());
    under.reassert(ask_absent.clone()).await;
    let Some(Entry::Running(now)) = under.entry(ask_absent.id).await else { panic!("not running") };
    assert_eq!((now.hold, now.token), (ask_absent.hold, ask_absent.token));
    assert_eq!((now.order, now.toll, now.cancel), (SECOND, toll, false));
    assert_eq!(under.mark(ask_absent.id, now.hold, SECOND, Marking::Done).await, Ruling::Accepted);
    under.reassert(ask_absent.clone()).await;
    assert_eq!(under.claim(&ask_at(ask_absent.id, 0, 2)).await, Answer::Settled(Ending::Done));
    let other = ask(TaskId::mint());
    under.granted(&other).await;
    let before = under.entry(other.id).await;
    under.reassert(held(other.id)).await;
    assert_eq!(under.entry(other.id).await, before);
}

pub(super) async fn a_decision_keeps_its_follow_ups_and_any_text(under: StoreUnderTest) {
    let text = "two\nlines \"quoted\" \\ grün \u{1F407} \0 %s '; --  end ";
    let wire = Wire {
        message_id: Some(TaskId::mint().to_string()),
        kind: Some("next.step".to_owned()),
        headers: [("lv-key".to_owned(), text.into())].into(),
        body: Bytes::from_static(b"\xff\x00not text"),
        ..Wire::default()
    };
    let to = Destination::Lane("mail.high".parse().expect("a lane"));
    let follow_ups = vec![
        FollowUp { to, wire: wire.clone() },
        FollowUp {
            to: Destination::Delay {
                lane: "mail".parse().expect("a lane"),
                until: crate::clock::Millis(1_790_000_000_123),
            },
            wire: Wire { body: Bytes::from("x".repeat(100_000)), ..wire },
        },
    ];
    let outcome = Outcome::Done { result: Some(format!("\"{text}\"")) };
    let decision = Decision { outcome, follow_ups };
    let id = TaskId::mint();
    let (hold, _) = under.granted(&ask(id)).await;
    let ask_decide = Decide { id, hold, order: FIRST, decision: decision.clone(), ttl: LONG };
    let ruling = under.ledger.decide(&[ask_decide]).await.expect("the store answers");
    assert_eq!(ruling, [Ruling::Accepted]);
    let answer = under.take_over(&ask(id), hold, false).await;
    let Answer::Resume { decision: kept, order, .. } = answer else { panic!("{answer:?}") };
    assert_eq!((kept, order), (decision, FIRST));
}
