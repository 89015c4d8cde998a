//! Promises about what becomes of a letter: replayed, discarded, replaced (rule R1).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    By, DeskUnderTest, dead, id, keep_all, lane, many, number, numbers, order, queue, replay_all,
    stray, terms,
};
use crate::backend::Backend;
use crate::clock::Millis;
use crate::desk::walk::{Replacement, Terms};
use crate::desk::{Desk, Plan, Verdict, Walked};
use crate::envelope::{DeadReason, Decoded, HeaderValue, Wire, decode, header};
use crate::id::TaskId;
use crate::ledger::Marking;
use crate::name::QueueName;
use crate::store::{Act, Action, Behind, Gone, Letter, Letters, StoreError, StoreErrorKind};

/// What a replay of a [`dead`] letter must look like: its message before it ever ran, one replay
/// on.
fn fresh(letter: &Wire, replay: u32) -> Wire {
    let mut wire = stray(number(letter));
    wire.message_id.clone_from(&letter.message_id);
    wire.headers.insert(header::REPLAY.to_owned(), replay.into());
    wire
}

fn only(numbers: &'static [usize], verdict: Verdict) -> By<impl FnMut(&Letter) -> Verdict + Send> {
    By::new(move |letter: &Letter| {
        let number: usize = letter.args.parse().expect("a number");
        if numbers.contains(&number) { verdict.clone() } else { Verdict::Keep }
    })
}

impl DeskUnderTest {
    async fn acts_are(&self, of: &Wire, expected: &[Action]) {
        self.recorded(id(of), "the act is remembered", |record| {
            let by_ada = record.acts.iter().all(|act: &Act| act.by == "ada");
            by_ada && record.acts.iter().map(|act| act.action).eq(expected.iter().copied())
        })
        .await;
    }
}

pub(super) async fn a_replayed_letter_starts_anew_in_its_own_lane(under: DeskUnderTest) {
    let sent = many(5);
    under.bury(&sent).await;
    let walked = under.walk(5, &mut only(&[1, 3], Verdict::Replay(None))).await;
    let expected = Walked { total: 5, taken: 5, kept: 3, replayed: 2, ..Walked::default() };
    assert_eq!(walked, expected);
    let started = under.tasks("mail.high", 2).await;
    assert_eq!(started, [fresh(&sent[1], 1), fresh(&sent[3], 1)]);
    // What a worker makes of it: the same task, at its first attempt, free of its past.
    let Ok(Decoded::Task(task)) = decode(&under.backend.namespace, &started[0]) else {
        panic!("a replay is a task: {:?}", started[0]);
    };
    assert_eq!((task.id, task.order), (id(&sent[1]), order(1, 1)));
    assert_eq!(task.fixed.key.as_deref(), Some("key 1"));
    assert_eq!(task.fixed.expires_at, None);
    assert_eq!(task.moving, crate::envelope::Moving::default());
    let kept = [sent[0].clone(), sent[2].clone(), sent[4].clone()];
    under.lists(&kept).await;
    under.acts_are(&sent[1], &[Action::Replayed { replay: 1 }]).await;
    under.acts_are(&sent[0], &[]).await;
    assert_eq!(under.letters(3).await, kept);
}

pub(super) async fn a_letter_is_replayed_into_another_lane(under: DeskUnderTest) {
    let sent = many(2);
    under.bury(&sent).await;
    let to = Verdict::Replay(Some(lane("post.low")));
    let walked = under.walk(2, &mut only(&[0], to)).await;
    assert_eq!((walked.replayed, walked.kept), (1, 1));
    assert_eq!(under.tasks("post.low", 1).await, [fresh(&sent[0], 1)]);
    assert_eq!(under.tasks("mail.high", 0).await, []);
    under.lists(&sent[1..]).await;
}

pub(super) async fn a_replay_of_a_replay_counts_on(under: DeskUnderTest) {
    let mut sent = dead(0);
    for (name, value) in [(header::REPLAY, "41"), (header::ATTEMPT, "3")] {
        sent.headers.insert(name.to_owned(), value.into());
    }
    under.bury(std::slice::from_ref(&sent)).await;
    under.walk(1, &mut replay_all()).await;
    assert_eq!(under.tasks("mail.high", 1).await, [fresh(&sent, 42)]);
    under.acts_are(&sent, &[Action::Replayed { replay: 42 }]).await;
}

pub(super) async fn a_replayed_task_that_dies_again_is_one_letter(under: DeskUnderTest) {
    let sent = dead(0);
    let reason = DeadReason::AttemptsExhausted;
    under.bury(std::slice::from_ref(&sent)).await;
    under.marked(id(&sent), None, order(0, 5), Marking::Dead(reason)).await;
    under.walk(1, &mut replay_all()).await;
    let started = under.tasks("mail.high", 1).await.remove(0);
    let hold = under.claimed(id(&started), order(1, 1)).await;
    let mut again = dead(0);
    again.message_id.clone_from(&sent.message_id);
    again.headers.insert(header::REPLAY.to_owned(), 1_u32.into());
    again.headers.insert(header::ATTEMPT.to_owned(), 1_u32.into());
    // As a worker buries it: decided, letter confirmed, marked.
    let failure = crate::ledger::Failure {
        class: "smtp".to_owned(),
        message: "refused".to_owned(),
        at: Millis(1),
    };
    let decision = crate::ledger::Decision {
        outcome: crate::ledger::Outcome::Dead { reason, failure },
        follow_ups: Vec::new(),
    };
    let decide = crate::ledger::Decide {
        id: id(&sent),
        hold,
        order: order(1, 1),
        decision,
        ttl: super::LONG,
    };
    under.backend.ledger.decide(&[decide]).await.expect("the store answers");
    under.bury(std::slice::from_ref(&again)).await;
    under.marked(id(&sent), Some(hold), order(1, 1), Marking::Dead(reason)).await;
    let mut plan = keep_all();
    let walked = under.walk(1, &mut plan).await;
    assert_eq!((walked.kept, plan.asked.len()), (1, 1));
    let listed = under.listed().await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].order, order(1, 1));
    under.walk(1, &mut replay_all()).await;
    assert_eq!(under.tasks("mail.high", 1).await, [fresh(&sent, 2)]);
}

pub(super) async fn a_discarded_letter_is_taken_away(under: DeskUnderTest) {
    let sent = many(4);
    under.bury(&sent).await;
    let walked = under.walk(4, &mut only(&[0, 3], Verdict::Discard)).await;
    let expected = Walked { total: 4, taken: 4, kept: 2, discarded: 2, ..Walked::default() };
    assert_eq!(walked, expected);
    under.lists(&sent[1..3]).await;
    under.acts_are(&sent[3], &[Action::Discarded { replay: 0 }]).await;
    assert_eq!(under.letters(2).await, sent[1..3]);
    assert_eq!(under.tasks("mail.high", 0).await, []);
}

pub(super) async fn a_replaced_letter_gives_way_to_its_edited_copy(under: DeskUnderTest) {
    let sent = many(3);
    under.bury(&sent).await;
    let dead_id = id(&sent[1]);
    let with = dead_id.edited(0, b"77");
    let mut wire = Wire {
        message_id: Some(with.to_string()),
        kind: Some("email.welcome".to_owned()),
        body: Bytes::from_static(b"77"),
        ..Wire::default()
    };
    wire.headers.insert(header::REPLAY_OF.to_owned(), dead_id.to_string().into());
    let copy = Replacement { id: with, lane: lane("mail.low"), wire: wire.clone() };
    let walked = under.walk(3, &mut only(&[1], Verdict::Replace(Box::new(copy)))).await;
    assert_eq!((walked.replaced, walked.kept), (1, 2));
    assert_eq!(under.tasks("mail.low", 1).await, [wire]);
    under.acts_are(&sent[1], &[Action::Replaced { replay: 0, with }]).await;
    under.lists(&[sent[0].clone(), sent[2].clone()]).await;
    assert_eq!(numbers(&under.letters(2).await), [0, 2]);
}

pub(super) async fn a_rate_spreads_replays_over_time(under: DeskUnderTest) {
    let sent = many(15);
    under.bury(&sent).await;
    let terms = Terms { rate: Some(10.0), ..terms() };
    let start = Instant::now();
    let walked = under.desk().walk(&queue(), &mut replay_all(), &terms).await;
    assert_eq!(walked.expect("it walks").replayed, 15);
    // A rate is a most: what is faster breaks it, what is slower does not.
    let (took, least) = (start.elapsed(), Duration::from_millis(1_400));
    assert!(took >= least, "15 replays at 10 a second took {took:?}");
    assert_eq!(numbers(&under.tasks("mail.high", 15).await), (0..15).collect::<Vec<_>>());
}

pub(super) async fn a_walk_forgets_descriptions_of_letters_that_are_gone(under: DeskUnderTest) {
    let (there, gone) = (many(3), many(3));
    under.bury(&there).await;
    under.describe_ghosts(&gone).await;
    // Somebody else's queue is not this walk's matter.
    let mut elsewhere = under.described(&dead(9), Millis(1));
    elsewhere.queue = "post".parse().expect("a queue");
    let other = std::slice::from_ref(&elsewhere);
    under.backend.letters.describe(other).await.expect("the store answers");
    under.walk(3, &mut keep_all()).await;
    under.lists(&there).await;
    let read = under.backend.letters.read(&[elsewhere.id]).await.expect("the store answers");
    assert_eq!(read, [Some(elsewhere)]);
}

pub(super) async fn a_letter_of_a_task_that_is_done_is_replayed_where_somebody_insists(
    under: DeskUnderTest,
) {
    struct Insisting;
    impl Plan for Insisting {
        fn decide(&mut self, _: &Letter, _: &Wire) -> Verdict {
            Verdict::Replay(None)
        }

        fn insists(&self, letter: &Letter) -> bool {
            letter.args == "0"
        }
    }
    let sent = many(2);
    under.bury(&sent).await;
    for wire in &sent {
        under.marked(id(wire), None, order(6, 1), Marking::Done).await;
    }
    let walked = under.walk(2, &mut Insisting).await;
    assert_eq!((walked.replayed, walked.superseded), (1, 1));
    let started = under.tasks("mail.high", 1).await;
    assert_eq!(started, [fresh(&sent[0], 7)], "above the replay that ended");
    under.acts_are(&sent[0], &[Action::Replayed { replay: 7 }]).await;
    under.claimed(id(&sent[0]), order(7, 1)).await;
    under.lists(&[]).await;
    under.rest_at(0).await;
}

pub(super) async fn any_bytes_can_be_kept_and_replayed(under: DeskUnderTest) {
    let mut odd = dead(7);
    odd.message_id = Some("no uuid, but \"text\"".to_owned());
    odd.kind = Some("\u{202e} no kind".to_owned());
    odd.content_type = Some("text/plain".to_owned());
    odd.headers.insert(header::ATTEMPT.to_owned(), "many".into());
    odd.headers.insert(header::TAGS.to_owned(), HeaderValue::Bool(true));
    odd.headers.insert(header::REASON.to_owned(), "malformed".into());
    odd.headers.insert(header::ORIGIN.to_owned(), "no lane at all".into());
    under.bury(std::slice::from_ref(&odd)).await;
    under.walk(1, &mut keep_all()).await;
    let listed = under.listed().await;
    assert_eq!(listed[0].origin_id.as_deref(), Some("no uuid, but \"text\""));
    assert_eq!(listed[0].reason, Some(DeadReason::Malformed));
    under.walk(1, &mut replay_all()).await;
    let started = under.tasks("mail", 1).await.remove(0);
    assert_eq!((&started.message_id, &started.kind), (&odd.message_id, &odd.kind));
    assert_eq!(started.body, odd.body);
    assert_eq!(started.number(header::REPLAY), Some(1));
    assert_eq!(started.headers.get(header::TAGS), Some(&HeaderValue::Bool(true)));
}

pub(super) async fn a_letter_keeps_all_its_tags(under: DeskUnderTest) {
    let text = |n: usize, size: usize| format!("{n:0>size$}");
    let tag = |n| (text(n, header::MAX_TAG_NAME), HeaderValue::from(text(n, header::MAX_TAG)));
    let tags = (0..header::MAX_TAGS).map(tag).collect();
    let mut sent = dead(0);
    sent.headers.insert(header::TAGS.to_owned(), HeaderValue::Table(tags));
    under.bury(std::slice::from_ref(&sent)).await;
    under.walk(1, &mut keep_all()).await;
    assert_eq!(under.listed().await[0].tags.len(), header::MAX_TAGS);
    under.walk(1, &mut replay_all()).await;
    assert_eq!(
        under.tasks("mail.high", 1).await,
        [fresh(&sent, 1)].map(|mut wire| {
            wire.headers.insert(header::TAGS.to_owned(), sent.headers[header::TAGS].clone());
            wire
        })
    );
}

pub(super) async fn a_letter_that_does_not_say_when_it_died_ages(under: DeskUnderTest) {
    let mut sent = dead(0);
    sent.headers.remove(header::DEAD_AT);
    under.bury(std::slice::from_ref(&sent)).await;
    for _ in 0..2 {
        under.walk(1, &mut keep_all()).await;
        assert_eq!(under.listed().await[0].died_at, Millis(1_789_999_000_000));
    }
    let kept = under.letters(1).await.remove(0);
    assert_eq!(kept.number(header::DEAD_AT), Some(1_789_999_000_000), "it says so from now on");
}

/// A list that takes no descriptions.
struct Mute(Arc<dyn Letters>);

#[async_trait]
impl Letters for Mute {
    async fn describe(&self, _: &[Letter]) -> Result<(), StoreError> {
        Err(StoreError {
            operation: "describe dead letters",
            endpoint: "a test".to_owned(),
            kind: StoreErrorKind::Corrupt,
            why: "an injected fault".to_owned(),
            source: None,
        })
    }

    async fn forget(&self, batch: &[Gone]) -> Result<(), StoreError> {
        self.0.forget(batch).await
    }

    async fn list(
        &self,
        queue: &QueueName,
        behind: Option<Behind>,
        most: usize,
    ) -> Result<Vec<Letter>, StoreError> {
        self.0.list(queue, behind, most).await
    }

    async fn read(&self, ids: &[TaskId]) -> Result<Vec<Option<Letter>>, StoreError> {
        self.0.read(ids).await
    }

    async fn counts(&self) -> Result<BTreeMap<QueueName, u64>, StoreError> {
        self.0.counts().await
    }
}

pub(super) async fn what_cannot_be_described_keeps_nothing_else_from_being_noted(
    under: DeskUnderTest,
) {
    let sent = many(6);
    under.bury(&sent).await;
    let letters = Arc::new(Mute(Arc::clone(&under.backend.letters)));
    let desk = Desk::new(Backend { letters, ..under.backend.clone() });
    let mut plan = only(&[1, 3, 5], Verdict::Discard);
    let walked = desk.walk(&queue(), &mut plan, &terms()).await.expect("it walks");
    assert_eq!((walked.discarded, walked.kept), (3, 3));
    for discarded in [&sent[1], &sent[3], &sent[5]] {
        under.acts_are(discarded, &[Action::Discarded { replay: 0 }]).await;
    }
    let listed = under.listed().await;
    assert!(listed.iter().all(|letter| ["0", "2", "4"].contains(&letter.args.as_str())));
}
