//! The desk suite: what walking dead letters promises, on a whole backend.
//!
//! The desk is one piece of code above the seams; its promises (rules R1 to R3) rest on what
//! broker, ledger, letters and leases do together, so they are asked of every pair of them. A
//! backend's test calls [`suite`] with a constructor; the promises are the functions of the modules
//! below. Killed processes are another matter: here a walk's future is dropped instead.

mod cuts;
mod endings;
mod faults;
mod keeper;
mod standings;
mod walks;

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::eventually;
use super::suite::{self, cases};
use crate::backend::Backend;
use crate::broker::{Destination, Place, Publish, Settle};
use crate::clock::Millis;
use crate::desk::walk::Terms;
use crate::desk::{Desk, DeskError, Plan, Verdict, Walked, letter};
use crate::envelope::{HeaderValue, Order, Wire, header};
use crate::id::{Fence, Owner, TaskId, Token};
use crate::ledger::{Answer, Claim, Hold, Mark, Marking, Ruling};
use crate::name::{Lane, QueueName};
use crate::store::{Lease, Leases, Letter, StoreError, TaskRecord};

/// Within this, what must come has come: generous, because a loaded machine is no broken promise.
const SOON: Duration = Duration::from_secs(20);
/// For this long, what must not come is waited for.
const QUIET: Duration = Duration::from_millis(300);
/// How long entries are kept.
const LONG: Duration = Duration::from_secs(600);
/// More letters than a walk holds in its hand at a time.
const OVER_A_HANDFUL: usize = 300;

/// A whole backend with nothing in it.
pub struct DeskUnderTest {
    /// The backend, with a clock that runs by itself.
    pub backend: Backend,
    /// Dropped at the end of the case: a folder, for example.
    pub guard: Box<dyn Any + Send + Sync>,
}

/// Checks every promise on the backend called `name`; each case gets a backend from `make`.
///
/// # Panics
/// When promises are broken; the message lists them all.
///
/// # Cancel safety
/// Dropped, cases may run on.
pub async fn suite<F, Fut>(name: &str, make: F)
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = DeskUnderTest> + Send + 'static,
{
    let cases = cases![
        walks:
            a_hundred_walks_keep_every_letter_as_it_was,
            a_walk_right_behind_another_meets_every_letter,
            a_walk_of_no_letters_ends_at_once,
            a_walk_takes_more_letters_than_a_hand_holds_and_tells_how_far_it_is,
            letters_that_died_after_the_walk_began_are_left_alone,
            letters_that_come_during_a_walk_are_left_for_the_next,
            a_stopped_walk_leaves_the_rest_untouched,
            a_plan_that_has_enough_leaves_the_rest_untouched,
            a_second_walker_is_told_that_somebody_walks,
            a_walker_whose_lease_is_lost_ends_and_loses_nothing,
            two_walkers_at_once_lose_nothing;
        endings:
            a_replayed_letter_starts_anew_in_its_own_lane,
            a_letter_is_replayed_into_another_lane,
            a_replay_of_a_replay_counts_on,
            a_replayed_task_that_dies_again_is_one_letter,
            a_discarded_letter_is_taken_away,
            a_replaced_letter_gives_way_to_its_edited_copy,
            a_rate_spreads_replays_over_time,
            a_walk_forgets_descriptions_of_letters_that_are_gone,
            a_letter_of_a_task_that_is_done_is_replayed_where_somebody_insists,
            any_bytes_can_be_kept_and_replayed,
            a_letter_keeps_all_its_tags,
            a_letter_that_does_not_say_when_it_died_ages,
            what_cannot_be_described_keeps_nothing_else_from_being_noted;
        standings:
            a_letter_whose_task_went_on_and_ended_is_taken_away,
            a_letter_whose_replay_is_on_its_way_is_hidden_and_kept,
            a_letter_whose_replay_died_again_gives_way_to_the_newer_one,
            a_letter_that_the_ledger_forgot_is_a_letter,
            a_letter_whose_worker_has_not_marked_it_yet_is_not_touched,
            letters_that_are_not_touched_do_not_hold_up_the_rest,
            a_stray_that_was_never_started_goes_back_to_its_lane_as_it_was,
            a_stray_that_was_started_becomes_a_letter_with_a_reason,
            a_stray_whose_task_runs_is_not_touched,
            a_stray_of_a_replay_that_nobody_claimed_goes_back_too,
            a_stray_whose_task_went_on_is_taken_away,
            a_message_of_a_later_attempt_is_a_stray_too,
            an_entry_that_cannot_be_read_is_in_nobody_elses_way;
        faults:
            a_refused_publish_loses_no_letter,
            an_unknown_publish_loses_no_letter_and_runs_no_replay_twice,
            a_lost_ack_loses_no_letter_and_is_told,
            a_discard_whose_ack_is_lost_is_not_done,
            a_store_that_does_not_answer_ends_the_walk_and_loses_nothing,
            a_walk_dropped_before_its_publish_loses_nothing,
            a_walk_dropped_after_its_publish_doubles_at_most_what_was_in_hand;
        cuts:
            a_connection_that_is_lost_on_the_way_ends_the_walk_and_nothing_is_forgotten,
            a_broker_that_hands_nothing_out_is_no_empty_queue,
            a_walk_holds_few_letters_at_a_time,
            a_plan_that_takes_its_time_does_not_cost_the_lease;
        keeper:
            a_wiped_list_is_written_anew,
            a_list_that_agrees_is_left_alone,
            a_stray_goes_back_by_itself,
            what_is_no_letter_any_more_leaves_the_list,
            a_queue_that_somebody_walks_is_left_to_them,
            a_doubled_letter_is_not_walked_for_over_and_over,
            one_queues_trouble_is_not_in_the_way_of_the_next,
            a_stray_whose_worker_died_does_not_wait_for_its_entry_to_end,
            the_keeper_works_until_it_is_stopped;
    ];
    suite::run("desk", name, cases, make).await;
}

/// A plan made of a function; remembers the numbers of the letters it was asked about.
struct By<F> {
    decide: F,
    asked: Vec<usize>,
}

impl<F: FnMut(&Letter) -> Verdict + Send> By<F> {
    const fn new(decide: F) -> Self {
        Self { decide, asked: Vec::new() }
    }
}

impl<F: FnMut(&Letter) -> Verdict + Send> Plan for By<F> {
    fn decide(&mut self, letter: &Letter, wire: &Wire) -> Verdict {
        self.asked.push(number(wire));
        (self.decide)(letter)
    }
}

fn keep_all() -> By<impl FnMut(&Letter) -> Verdict + Send> {
    By::new(|_| Verdict::Keep)
}

fn replay_all() -> By<impl FnMut(&Letter) -> Verdict + Send> {
    By::new(|_| Verdict::Replay(None))
}

impl DeskUnderTest {
    fn desk(&self) -> Desk {
        Desk::new(self.backend.clone())
    }

    /// Walks, once the broker counts `count` letters.
    async fn walk(&self, count: usize, plan: &mut dyn Plan) -> Walked {
        self.rest_at(count).await;
        self.desk().walk(&queue(), plan, &terms()).await.expect("the walk goes through")
    }

    /// Publishes letters and describes them, as whoever buries a task does.
    async fn bury(&self, wires: &[Wire]) {
        self.bury_unlisted(wires).await;
        self.list_letters(wires).await;
    }

    /// Publishes letters that the list is not told of, and waits until they are counted.
    async fn bury_unlisted(&self, wires: &[Wire]) {
        let before = self.depth().await;
        self.publish_letters(wires).await;
        self.rest_at(before + wires.len()).await;
    }

    async fn publish_letters(&self, wires: &[Wire]) {
        let to = Destination::Dead(queue());
        let batch: Vec<_> =
            wires.iter().map(|wire| Publish { to: to.clone(), wire: wire.clone() }).collect();
        for answer in self.backend.broker.publish(&batch).await {
            answer.expect("it is published");
        }
    }

    async fn list_letters(&self, wires: &[Wire]) {
        let now = self.backend.clock.now();
        let described: Vec<_> = wires.iter().map(|wire| self.described(wire, now)).collect();
        self.backend.letters.describe(&described).await.expect("the store answers");
    }

    fn described(&self, wire: &Wire, at: Millis) -> Letter {
        letter::describe(&self.backend.namespace, &queue(), wire, at, at)
    }

    /// Describes letters that are nowhere, as of before any walk of the case.
    async fn describe_ghosts(&self, ghosts: &[Wire]) {
        let before = Millis(self.backend.clock.now().0 - 60_000);
        let described: Vec<_> = ghosts.iter().map(|wire| self.described(wire, before)).collect();
        self.backend.letters.describe(&described).await.expect("the store answers");
    }

    async fn depth(&self) -> usize {
        let place = Place::Dead(queue());
        let surveyed = self.backend.broker.survey(&[place]).await.expect("places are surveyed");
        usize::try_from(surveyed[0].depth).expect("a small number")
    }

    /// Waits until `count` letters rest.
    async fn rest_at(&self, count: usize) {
        let what = format!("{count} letters rest");
        eventually(SOON, &what, || async { self.depth().await == count }).await;
    }

    /// Takes exactly `count` messages out of a place, without what the broker adds to them.
    /// Sorted by number: what was prefetched and went back has lost its place in the order.
    async fn take(&self, place: &Place, count: usize) -> Vec<Wire> {
        let consumer = self.backend.broker.consume(place, 100).await.expect("a consumer opens");
        let mut taken = Vec::new();
        while taken.len() < count {
            let batch = tokio::time::timeout(SOON, consumer.next(count - taken.len())).await;
            let batch = batch.unwrap_or_else(|_| {
                panic!("{} of {count} messages are in {place:?}", taken.len());
            });
            let acks: Vec<_> = batch.iter().map(|one| (one.receipt, Settle::Ack)).collect();
            for answer in consumer.settle(&acks).await {
                answer.expect("it is acked");
            }
            taken.extend(batch.into_iter().map(|delivery| delivery.wire));
        }
        if let Ok(more) = tokio::time::timeout(QUIET, consumer.next(100)).await {
            panic!("{place:?} held {} more than {count}", more.len());
        }
        consumer.stop().await;
        for wire in &mut taken {
            wire.headers.retain(|name, _| !name.starts_with("x-"));
        }
        taken.sort_by_key(number);
        taken
    }

    /// Takes all letters out, sorted by number.
    async fn letters(&self, count: usize) -> Vec<Wire> {
        self.take(&Place::Dead(queue()), count).await
    }

    /// Takes all tasks out of a lane, sorted by number.
    async fn tasks(&self, lane: &str, count: usize) -> Vec<Wire> {
        self.take(&Place::Lane(self::lane(lane)), count).await
    }

    /// The listed letters, newest first.
    async fn listed(&self) -> Vec<Letter> {
        self.backend.letters.list(&queue(), None, 10_000).await.expect("the store answers")
    }

    /// Insists that exactly the tasks of `wires` are listed.
    async fn lists(&self, wires: &[Wire]) {
        let listed = self.listed().await;
        let mut found: Vec<_> = listed.iter().map(|letter| letter.id).collect();
        let mut expected: Vec<_> = wires.iter().map(id).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{listed:?}");
    }

    /// Waits until the record of a task satisfies `is_so`: records may be written a moment later.
    async fn recorded(&self, id: TaskId, what: &str, is_so: impl Fn(&TaskRecord) -> bool) {
        eventually(SOON, what, || async {
            let found = self.backend.records.find(&[id]).await.expect("the store answers");
            is_so(&found[0])
        })
        .await;
    }

    /// Claims a task of this order and insists that it is granted.
    async fn claimed(&self, id: TaskId, order: Order) -> Hold {
        let ask = Claim {
            id,
            order,
            owner: Owner::mint(),
            token: Token::draw(),
            expires_at: None,
            max_crashes: 3,
            ttl: LONG,
        };
        let answers = self.backend.ledger.claim(std::slice::from_ref(&ask)).await;
        match answers.expect("the store answers").remove(0) {
            Answer::Claimed { fence, .. } => Hold { owner: ask.owner, fence },
            other => panic!("the claim was not granted: {other:?}"),
        }
    }

    /// Marks a task under a hold, or one that the ledger does not know.
    async fn marked(&self, id: TaskId, hold: Option<Hold>, order: Order, marking: Marking) {
        let hold = hold.unwrap_or(Hold { owner: Owner::mint(), fence: Fence(1) });
        let ask = Mark { id, hold, order, marking, ttl: LONG };
        let ruled = self.backend.ledger.mark(&[ask]).await.expect("the store answers");
        assert_eq!(ruled, [Ruling::Accepted]);
    }

    /// The same backend for a walker that nobody's lease keeps out.
    fn without_leases(&self) -> Backend {
        Backend { leases: Arc::new(Anybody { renews: true }), ..self.backend.clone() }
    }
}

/// Gives every lease to everybody, as if each holder had lost it without knowing.
struct Anybody {
    renews: bool,
}

#[async_trait]
impl Leases for Anybody {
    async fn acquire(
        &self,
        name: &str,
        holder: Owner,
        _: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        Ok(Some(Lease { name: name.to_owned(), holder, epoch: 1 }))
    }

    async fn renew(&self, _: &Lease, _: Duration) -> Result<bool, StoreError> {
        Ok(self.renews)
    }

    async fn give_back(&self, _: &Lease) -> Result<(), StoreError> {
        Ok(())
    }
}

fn queue() -> QueueName {
    "mail".parse().expect("a queue")
}

fn lane(name: &str) -> Lane {
    name.parse().expect("a lane")
}

fn terms() -> Terms {
    Terms { by: "ada".to_owned(), ..Terms::default() }
}

const fn order(replay: u32, attempt: u32) -> Order {
    Order { replay, attempt }
}

/// A message of a task whose body is its number: no letter yet.
fn stray(number: usize) -> Wire {
    let mut wire = Wire {
        message_id: Some(TaskId::mint().to_string()),
        kind: Some("email.welcome".to_owned()),
        content_type: Some("application/json".to_owned()),
        timestamp: Some(1_790_000_000),
        body: Bytes::from(number.to_string()),
        ..Wire::default()
    };
    wire.headers.insert(header::ATTEMPT.to_owned(), 1_u32.into());
    wire.headers.insert(header::KEY.to_owned(), format!("key {number}").into());
    wire.headers.insert("lv-later".to_owned(), "kept".into());
    wire
}

/// The letter of a numbered task that came from `mail.high` and died in attempt 5.
fn dead(number: usize) -> Wire {
    let mut wire = stray(number);
    let died_at = 1_790_000_000_000 + u64::try_from(number).expect("a small number");
    for (name, value) in [
        (header::ATTEMPT, HeaderValue::from(5_u32)),
        (header::REASON, "attempts-exhausted".into()),
        (header::ERROR, "connection refused".into()),
        (header::ERROR_CLASS, "smtp".into()),
        (header::ORIGIN, "mail.high".into()),
        (header::DEAD_AT, died_at.into()),
        (header::FIRST_FAILED_AT, 1_789_999_000_000_u64.into()),
        (header::NOT_BEFORE, 1_789_999_500_000_u64.into()),
        (header::EXPIRES_AT, 1_789_999_900_000_u64.into()),
        (header::SNOOZES, 4_u32.into()),
        (header::PARKS, 2_u32.into()),
        (header::PARKED_SINCE, 1_789_999_400_000_u64.into()),
    ] {
        wire.headers.insert(name.to_owned(), value);
    }
    wire
}

fn many(count: usize) -> Vec<Wire> {
    (0..count).map(dead).collect()
}

/// The number of a message made here.
fn number(wire: &Wire) -> usize {
    let text = std::str::from_utf8(&wire.body).expect("a number");
    text.parse().unwrap_or_else(|_| panic!("a body that was never sent: {text:?}"))
}

fn numbers(wires: &[Wire]) -> Vec<usize> {
    let mut numbers: Vec<_> = wires.iter().map(number).collect();
    numbers.sort_unstable();
    numbers
}

fn id(wire: &Wire) -> TaskId {
    wire.message_id.as_deref().and_then(|id| id.parse().ok()).expect("a task's id")
}

fn is_busy(walked: &Result<Walked, DeskError>) -> bool {
    matches!(walked, Err(DeskError::Busy { queue: of }) if *of == queue())
}
