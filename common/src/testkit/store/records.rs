//! Promises about what is remembered of a task.

use std::time::Duration;

use super::{SOON, StoreUnderTest, failure};
use crate::clock::{Clock, Millis, SystemClock};
use crate::envelope::{DeadReason, Order};
use crate::id::TaskId;
use crate::store::{
    Act, Action, AttemptNote, Enqueued, MAX_HISTORY, MAX_SEEN, Occasion, TaskRecord,
};
use crate::testkit::eventually;

const NOW: Millis = Millis(1_790_000_000_000);

fn enqueued(id: TaskId) -> Enqueued {
    Enqueued {
        id,
        kind: "email.welcome".parse().expect("a kind"),
        lane: "mail.high".parse().expect("a lane"),
        at: NOW,
        not_before: Some(NOW.after(Duration::from_secs(60))),
        key: Some("welcome 7 \"grün\"\n".to_owned()),
        origin_id: Some("order-7".to_owned()),
        tags: [("tenant".to_owned(), "42".to_owned())].into(),
        occasion: Some(Occasion {
            schedule: "report.nightly".to_owned(),
            due: Some(NOW),
            revision: Some(3),
        }),
        args_fingerprint: uuid::Uuid::from_u128(7),
    }
}

fn note(id: TaskId, attempt: u32) -> AttemptNote {
    AttemptNote {
        id,
        kind: "email.welcome".parse().expect("a kind"),
        lane: "mail.high".parse().expect("a lane"),
        order: Order { replay: 0, attempt },
        worker: "host:4711".to_owned(),
        started_at: Some(NOW),
        ended_at: NOW.after(Duration::from_millis(30)),
        outcome: "retry".to_owned(),
        next_at: Some(NOW.after(Duration::from_secs(2))),
        reason: None,
        failure: Some(failure("connection refused\n\0\"")),
        result: None,
        result_ttl: None,
    }
}

impl StoreUnderTest {
    async fn find(&self, id: TaskId) -> TaskRecord {
        self.records.find(&[id]).await.expect("the store answers").remove(0)
    }

    /// Waits for `record`: records are best effort and may be written a moment later.
    async fn finds(&self, id: TaskId, record: &TaskRecord) {
        eventually(SOON, "the record is found", || async {
            let found = self.find(id).await;
            assert!(found.history.len() <= record.history.len(), "too much: {found:?}");
            found == *record
        })
        .await;
    }
}

pub(super) async fn what_was_remembered_is_found(under: StoreUnderTest) {
    let id = TaskId::mint();
    let accepted = enqueued(id);
    under.records.enqueued(std::slice::from_ref(&accepted)).await.expect("it is written");
    let mut record = TaskRecord { enqueued: Some(accepted), ..TaskRecord::default() };
    under.finds(id, &record).await;
    let died = AttemptNote {
        outcome: "dead".to_owned(),
        started_at: None,
        next_at: None,
        reason: Some(DeadReason::AttemptsExhausted),
        ..note(id, 2)
    };
    let replayed = AttemptNote {
        order: Order { replay: 1, attempt: 1 },
        outcome: "done".to_owned(),
        failure: None,
        result: Some("{\"words\": 7, \"grün\": \"\\n\"}".to_owned()),
        ..note(id, 1)
    };
    let notes = [note(id, 1), died, replayed];
    under.records.attempted(&notes).await.expect("it is written");
    record.result.clone_from(&notes[2].result);
    // The result is kept apart from the history.
    record.history = notes.map(|note| AttemptNote { result: None, ..note }).to_vec();
    under.finds(id, &record).await;
}

pub(super) async fn the_first_record_of_a_task_stays(under: StoreUnderTest) {
    let first = enqueued(TaskId::mint());
    let repeated = Enqueued {
        at: NOW.after(Duration::from_secs(5)),
        args_fingerprint: uuid::Uuid::from_u128(8),
        ..first.clone()
    };
    under.records.enqueued(&[first.clone(), repeated.clone()]).await.expect("it is written");
    under.records.enqueued(&[repeated]).await.expect("a repeat is no error");
    let record = TaskRecord { enqueued: Some(first.clone()), ..TaskRecord::default() };
    under.finds(first.id, &record).await;
}

pub(super) async fn a_result_ends_when_its_task_says_so(under: StoreUnderTest) {
    let done = |result_ttl| AttemptNote {
        outcome: "done".to_owned(),
        result: Some("7".to_owned()),
        result_ttl,
        ..note(TaskId::mint(), 1)
    };
    let (brief, kept) = (done(Some(Duration::from_millis(400))), done(None));
    let notes = [brief.clone(), kept.clone()];
    under.records.attempted(&notes).await.expect("it is written");
    eventually(SOON, "only the brief result is gone", || async {
        let found = under.records.find(&[brief.id, kept.id]).await.expect("the store answers");
        found[0].result.is_none() && found[1].result.is_some()
    })
    .await;
    assert_eq!(under.find(brief.id).await.history.len(), 1, "its history is kept");
}

pub(super) async fn history_is_capped_and_the_oldest_go_first(under: StoreUnderTest) {
    let id = TaskId::mint();
    let most = u32::try_from(MAX_HISTORY).expect("a small cap");
    let notes: Vec<_> = (1..=most + 7).map(|attempt| note(id, attempt)).collect();
    let (first, rest) = notes.split_at(3);
    for one in first {
        under.records.attempted(std::slice::from_ref(one)).await.expect("it is written");
    }
    under.records.attempted(rest).await.expect("it is written");
    eventually(SOON, "the newest are kept, oldest first", || async {
        let record = under.find(id).await;
        assert!(record.history.len() <= MAX_HISTORY, "{} are kept", record.history.len());
        record.history.iter().map(|note| note.order.attempt).eq(8..=most + 7)
    })
    .await;
}

pub(super) async fn an_unknown_task_has_an_empty_record(under: StoreUnderTest) {
    assert_eq!(under.find(TaskId::mint()).await, TaskRecord::default());
    assert!(under.records.find(&[]).await.expect("nothing is asked").is_empty());
    under.records.enqueued(&[]).await.expect("nothing is written");
    under.records.attempted(&[]).await.expect("nothing is written");
}

pub(super) async fn records_are_found_in_the_order_asked(under: StoreUnderTest) {
    let ids: Vec<_> = (0..20).map(|_| TaskId::mint()).collect();
    let all: Vec<_> = ids.iter().map(|id| enqueued(*id)).collect();
    under.records.enqueued(&all).await.expect("it is written");
    let mut asked: Vec<_> = ids.iter().rev().copied().collect();
    asked.insert(3, TaskId::mint());
    eventually(SOON, "all are found", || async {
        let found = under.records.find(&asked).await.expect("the store answers");
        let found: Vec<_> =
            found.iter().map(|record| record.enqueued.as_ref().map(|e| e.id)).collect();
        let expected: Vec<_> = asked.iter().map(|id| ids.contains(id).then_some(*id)).collect();
        found == expected
    })
    .await;
}

fn act(id: TaskId, action: Action, ms: u64) -> Act {
    Act { id, action, at: NOW.after(Duration::from_millis(ms)), by: "ada \"grün\"".to_owned() }
}

pub(super) async fn what_people_did_is_remembered_oldest_first(under: StoreUnderTest) {
    let (id, other) = (TaskId::mint(), TaskId::mint());
    let acts = [
        act(id, Action::Cancelled { replay: 0 }, 1),
        act(id, Action::Replayed { replay: u32::MAX }, 2),
        // The order is that of the writing: clocks differ.
        act(id, Action::Replaced { replay: 1, with: other }, 1),
        act(id, Action::Discarded { replay: 2 }, 3),
    ];
    under.records.acted(&acts[..1]).await.expect("it is written");
    under.records.acted(&[]).await.expect("nothing is written");
    let others = act(other, Action::Discarded { replay: 0 }, 9);
    under.records.acted(&[acts[1].clone(), others.clone()]).await.expect("it is written");
    under.records.acted(&acts[2..]).await.expect("it is written");
    let record = TaskRecord { acts: acts.to_vec(), ..TaskRecord::default() };
    under.finds(id, &record).await;
    under.finds(other, &TaskRecord { acts: vec![others], ..TaskRecord::default() }).await;
}

pub(super) async fn acts_are_capped_and_crowd_out_no_attempts(under: StoreUnderTest) {
    let id = TaskId::mint();
    under.records.attempted(&[note(id, 1)]).await.expect("it is written");
    let most = u32::try_from(MAX_HISTORY).expect("a small cap");
    let acts: Vec<_> =
        (0..most + 9).map(|replay| act(id, Action::Replayed { replay }, 1)).collect();
    let (first, rest) = acts.split_at(4);
    for one in first {
        under.records.acted(std::slice::from_ref(one)).await.expect("it is written");
    }
    under.records.acted(rest).await.expect("it is written");
    eventually(SOON, "the newest acts are kept, oldest first", || async {
        let record = under.find(id).await;
        assert!(record.acts.len() <= MAX_HISTORY, "{} are kept", record.acts.len());
        record.history.len() == 1 && record.acts == acts[9..]
    })
    .await;
}

/// A task of this kind that was enqueued to this lane right now, as far as the store can tell.
fn sent(lane: &str, kind: &str) -> Enqueued {
    Enqueued {
        lane: lane.parse().expect("a lane"),
        kind: kind.parse().expect("a kind"),
        at: SystemClock.now(),
        not_before: None,
        ..enqueued(TaskId::mint())
    }
}

impl StoreUnderTest {
    async fn seen(&self) -> Vec<(String, String)> {
        let seen = self.records.seen().await.expect("the store answers");
        let pairs = seen.iter().map(|pair| (pair.lane.to_string(), pair.kind.to_string()));
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort();
        pairs
    }
}

pub(super) async fn every_pair_of_lane_and_kind_is_seen_with_its_first_task(under: StoreUnderTest) {
    assert_eq!(under.seen().await, []);
    let mut expected = Vec::new();
    // Whoever notes pairs once in a while must not take a new one for one noted already.
    for (lane, kind) in [
        ("mail.high", "email.welcome"),
        ("mail.high", "email.bye"),
        ("mail.low", "email.welcome"),
        ("post.high", "email.welcome"),
    ] {
        under.records.enqueued(&[sent(lane, kind)]).await.expect("it is written");
        expected.push((lane.to_owned(), kind.to_owned()));
        expected.sort();
        eventually(SOON, &format!("{kind} in {lane} is seen"), || async {
            under.seen().await == expected
        })
        .await;
    }
    let now = SystemClock.now();
    for pair in under.records.seen().await.expect("the store answers") {
        let off = now.since(pair.at).max(pair.at.since(now));
        assert!(off < Duration::from_secs(120), "{pair:?} is {off:?} off");
    }
}

pub(super) async fn a_pair_seen_again_is_listed_once(under: StoreUnderTest) {
    let batch: Vec<_> = (0..50).map(|_| sent("mail", "demo.echo")).collect();
    under.records.enqueued(&batch).await.expect("it is written");
    under.records.enqueued(&batch).await.expect("a repeat is no error");
    under.records.enqueued(&[sent("mail", "demo.other")]).await.expect("it is written");
    let pair = |kind: &str| ("mail.normal".to_owned(), kind.to_owned());
    eventually(SOON, "both pairs are seen, once each", || async {
        under.seen().await == [pair("demo.echo"), pair("demo.other")]
    })
    .await;
}

pub(super) async fn no_more_pairs_are_remembered_than_allowed(under: StoreUnderTest) {
    let many: Vec<_> = (0..MAX_SEEN + 300).map(|n| sent("mail", &format!("k{n}"))).collect();
    for batch in many.chunks(1_000) {
        under.records.enqueued(batch).await.expect("it is written");
    }
    let last = ("mail.normal".to_owned(), many.last().expect("some").kind.to_string());
    eventually(SOON, "the last pair is seen, and the list is not too long", || async {
        let seen = under.seen().await;
        seen.len() <= MAX_SEEN && seen.len() > MAX_SEEN / 2 && seen.contains(&last)
    })
    .await;
}
