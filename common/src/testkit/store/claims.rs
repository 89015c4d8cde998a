//! Promises about who may run a task (rules C1, C6, C7).

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;

use super::{SOON, StoreUnderTest, ask, ask_at};
use crate::clock::Millis;
use crate::id::{Fence, TaskId, Token};
use crate::ledger::{Answer, Claim, Ending, Entry, Hold, Marking, Ruling};
use crate::testkit::eventually;

pub(super) async fn the_first_claim_is_granted_and_the_second_is_busy(under: StoreUnderTest) {
    let first = ask(TaskId::mint());
    let (hold, toll) = under.granted(&first).await;
    assert_eq!((toll.starts, toll.crashes, toll.charged), (1, 0, Fence(0)));
    let second = under.claim(&ask(first.id)).await;
    let Answer::Busy { hold: by, age } = second else { panic!("{second:?}") };
    assert_eq!(by, hold);
    assert!(age < SOON, "claimed a moment ago, said to be {age:?} old");
    eventually(SOON, "a claim grows older by the ledger's own time", || async {
        let answer = under.claim(&ask(first.id)).await;
        matches!(answer, Answer::Busy { age: later, .. } if later >= age + Duration::from_millis(20))
    })
    .await;
    let Some(Entry::Running(held)) = under.entry(first.id).await else { panic!("not running") };
    assert_eq!((held.hold, held.token, held.order), (hold, first.token, first.order));
    assert!(!held.cancel);
}

pub(super) async fn a_repeated_request_gets_its_claim_again_under_a_new_fence(
    under: StoreUnderTest,
) {
    let request = ask(TaskId::mint());
    let (first, toll) = under.granted(&request).await;
    let (again, same) = under.granted(&request).await;
    assert_eq!(same, toll, "its reply was lost: that costs nothing");
    // Who judged the lost claim to be an orphan comes too late.
    assert!(again.fence > first.fence);
    assert_eq!(under.take_over(&ask(request.id), first, true).await, Answer::Again);
    assert_eq!(under.mark(request.id, first, request.order, Marking::Done).await, Ruling::Refused);
    assert_eq!(under.mark(request.id, again, request.order, Marking::Done).await, Ruling::Accepted);
}

pub(super) async fn another_request_of_the_same_owner_is_busy_with_itself(under: StoreUnderTest) {
    let first = ask(TaskId::mint());
    let (hold, _) = under.granted(&first).await;
    let second = Claim { token: Token::draw(), ..first };
    let answer = under.claim(&second).await;
    assert!(matches!(answer, Answer::Busy { hold: by, .. } if by == hold), "{answer:?}");
}

pub(super) async fn five_hundred_claims_at_once_grant_exactly_one(under: StoreUnderTest) {
    let id = TaskId::mint();
    // Twenty callers at once, of which each asks twenty-five times in one batch.
    let batches: Vec<Vec<_>> = (0..20).map(|_| (0..25).map(|_| ask(id)).collect()).collect();
    let answers = join_all(batches.iter().map(|batch| under.ledger.claim(batch))).await;
    let answers: Vec<_> = answers.into_iter().flat_map(|a| a.expect("the store answers")).collect();
    assert_eq!(answers.len(), 500);
    let granted: Vec<_> = answers
        .iter()
        .filter_map(|a| if let Answer::Claimed { fence, .. } = a { Some(*fence) } else { None })
        .collect();
    assert_eq!(granted.len(), 1);
    for answer in &answers {
        if let Answer::Busy { hold, .. } = answer {
            assert_eq!(hold.fence, granted[0]);
        }
    }
}

pub(super) async fn answers_keep_the_order_of_the_batch(under: StoreUnderTest) {
    let held = ask(TaskId::mint());
    let (hold, _) = under.granted(&held).await;
    let expired = Claim { expires_at: Some(Millis(1)), ..ask(TaskId::mint()) };
    let batch = [ask(TaskId::mint()), ask(held.id), expired, ask(TaskId::mint())];
    let answers = under.ledger.claim(&batch).await.expect("the store answers");
    let [
        Answer::Claimed { .. },
        Answer::Busy { hold: by, .. },
        Answer::Settled(Ending::Expired),
        Answer::Claimed { .. },
    ] = &answers[..]
    else {
        panic!("{answers:?}")
    };
    assert_eq!(*by, hold);
    let ids = [batch[3].id, TaskId::mint(), batch[0].id];
    let entries = under.ledger.entries(&ids).await.expect("the store answers");
    let tokens: Vec<_> = entries
        .iter()
        .map(|e| if let Some(Entry::Running(held)) = e { Some(held.token) } else { None })
        .collect();
    assert_eq!(tokens, [Some(batch[3].token), None, Some(batch[0].token)]);
    assert!(under.ledger.claim(&[]).await.expect("nothing is asked").is_empty());
    assert!(under.ledger.entries(&[]).await.expect("nothing is asked").is_empty());
}

pub(super) async fn one_id_twice_in_a_batch_is_granted_once(under: StoreUnderTest) {
    let id = TaskId::mint();
    let batch = [ask(id), ask(id)];
    let answers = under.ledger.claim(&batch).await.expect("the store answers");
    let [Answer::Claimed { fence, .. }, Answer::Busy { hold, .. }] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert_eq!(*hold, Hold { owner: batch[0].owner, fence: *fence });
}

pub(super) async fn a_message_older_than_the_running_one_is_stale(under: StoreUnderTest) {
    let id = TaskId::mint();
    under.granted(&ask_at(id, 2, 3)).await;
    for (replay, attempt) in [(2, 2), (1, 9), (0, 1)] {
        assert_eq!(under.claim(&ask_at(id, replay, attempt)).await, Answer::Stale);
    }
    for (replay, attempt) in [(2, 3), (2, 4), (3, 1)] {
        let answer = under.claim(&ask_at(id, replay, attempt)).await;
        assert!(matches!(answer, Answer::Busy { .. }), "{answer:?}");
    }
}

pub(super) async fn an_expired_task_is_settled_as_expired(under: StoreUnderTest) {
    let late = Claim { expires_at: Some(Millis(1_700_000_000_000)), ..ask(TaskId::mint()) };
    assert_eq!(under.claim(&late).await, Answer::Settled(Ending::Expired));
    // Remembered, also for a copy that carries no expiry.
    assert_eq!(under.claim(&ask(late.id)).await, Answer::Settled(Ending::Expired));
    assert!(matches!(under.claim(&ask_at(late.id, 1, 1)).await, Answer::Claimed { .. }));
}

pub(super) async fn a_task_not_yet_expired_is_granted(under: StoreUnderTest) {
    let year_2200 = Some(Millis(7_258_118_400_000));
    under.granted(&Claim { expires_at: year_2200, ..ask(TaskId::mint()) }).await;
}

pub(super) async fn a_fence_grows_with_every_claim_even_over_an_absent_entry(
    under: StoreUnderTest,
) {
    let id = TaskId::mint();
    let mut fences = Vec::new();
    let mut last = under.granted(&ask(id)).await.0;
    for _ in 0..5 {
        fences.push(last.fence);
        last = under.taken(&Claim { max_crashes: 99, ..ask(id) }, last).await.0;
    }
    under.release(id, last).await;
    fences.push(last.fence);
    let brief = Claim { ttl: Duration::from_millis(50), max_crashes: 99, ..ask(id) };
    fences.push(under.granted(&brief).await.0.fence);
    eventually(SOON, "the entry ends", || async { under.entry(id).await.is_none() }).await;
    fences.push(under.granted(&ask(id)).await.0.fence);
    assert!(fences.is_sorted(), "{fences:?}");
    assert_eq!(fences.iter().collect::<HashSet<_>>().len(), fences.len(), "one came twice");
}

pub(super) async fn an_entry_ends_by_itself_after_its_ttl(under: StoreUnderTest) {
    let brief = Claim { ttl: Duration::from_millis(400), ..ask(TaskId::mint()) };
    let start = std::time::Instant::now();
    under.granted(&brief).await;
    let kept = ask(TaskId::mint());
    under.granted(&kept).await;
    eventually(SOON, "the entry ends", || async { under.entry(brief.id).await.is_none() }).await;
    assert!(start.elapsed() >= brief.ttl, "it ended after {:?}", start.elapsed());
    // An ended entry is no entry to a claim either, and others stay.
    under.granted(&ask(brief.id)).await;
    assert!(under.entry(kept.id).await.is_some());
}

pub(super) async fn ids_share_nothing(under: StoreUnderTest) {
    let ids: Vec<_> = (0..50).map(|_| TaskId::mint()).collect();
    let batch: Vec<_> = ids.iter().map(|id| ask(*id)).collect();
    let answers = under.ledger.claim(&batch).await.expect("the store answers");
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Claimed { .. })), "{answers:?}");
}

pub(super) async fn an_open_store_says_that_it_serves(under: StoreUnderTest) {
    under.ledger.check().await.expect("it serves");
}
