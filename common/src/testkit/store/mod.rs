//! The store suite: what every ledger, with its records, letters, fleet, leases, signals and
//! timetable, promises.
//!
//! A backend's test calls [`suite`] with a constructor. The promises are the functions of the
//! modules below; the rules they name are those of [`crate::ledger::rules`], and
//! [`by_the_rules`] compares the backend with those functions under random requests.

mod by_the_rules;
mod cancels;
mod claims;
mod fleet;
mod interim;
mod leases;
mod letters;
mod outcomes;
mod records;
mod schedules;
mod signals;
mod takeovers;

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::suite::{self, cases};
use crate::clock::Millis;
use crate::envelope::{DeadReason, Order};
use crate::id::{Fence, Owner, TaskId, Token};
use crate::ledger::{
    Answer, Cancel, Cancelling, Claim, Decide, Decision, Entry, Failure, Held, Hold, Mark, Marking,
    Outcome, Release, Ruling, Takeover, Toll,
};
use crate::store::{Fleet, Leases, Ledger, Letters, Records, Schedules, Signals};

/// Within this, what must happen by itself has happened.
const SOON: Duration = Duration::from_secs(20);
/// How long entries are kept, unless a case is about that.
const LONG: Duration = Duration::from_secs(600);
/// Crashes that make a dead letter.
const MAX_CRASHES: u32 = 3;

/// A store with nothing in it.
pub struct StoreUnderTest {
    /// Its ledger.
    pub ledger: Arc<dyn Ledger>,
    /// Its records, kept for at least a minute.
    pub records: Arc<dyn Records>,
    /// Its fleet.
    pub fleet: Arc<dyn Fleet>,
    /// Its leases.
    pub leases: Arc<dyn Leases>,
    /// Its signals and pauses.
    pub signals: Arc<dyn Signals>,
    /// Its list of dead letters.
    pub letters: Arc<dyn Letters>,
    /// Its timetable.
    pub schedules: Arc<dyn Schedules>,
    /// Whether others could have emptied it: then an empty timetable has no incarnation.
    pub can_be_wiped: bool,
    /// Dropped at the end of the case: a folder, for example.
    pub guard: Box<dyn Any + Send + Sync>,
}

/// Checks every promise on the backend called `name`; each case gets a store from `make`.
///
/// # Panics
/// When promises are broken; the message lists them all.
///
/// # Cancel safety
/// Dropped, cases may run on.
pub async fn suite<F, Fut>(name: &str, make: F)
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = StoreUnderTest> + Send + 'static,
{
    let cases = cases![
        claims:
            the_first_claim_is_granted_and_the_second_is_busy,
            a_repeated_request_gets_its_claim_again_under_a_new_fence,
            another_request_of_the_same_owner_is_busy_with_itself,
            five_hundred_claims_at_once_grant_exactly_one,
            answers_keep_the_order_of_the_batch,
            one_id_twice_in_a_batch_is_granted_once,
            a_message_older_than_the_running_one_is_stale,
            an_expired_task_is_settled_as_expired,
            a_task_not_yet_expired_is_granted,
            a_fence_grows_with_every_claim_even_over_an_absent_entry,
            an_entry_ends_by_itself_after_its_ttl,
            ids_share_nothing,
            an_open_store_says_that_it_serves;
        takeovers:
            a_takeover_of_the_expected_holder_charges_a_crash,
            a_takeover_of_another_holder_changes_nothing,
            of_two_takeovers_one_wins,
            a_repeated_takeover_gets_its_claim_again_under_a_new_fence,
            an_orphaned_claim_charges_no_crash,
            a_newer_attempt_over_a_dead_holder_charges_no_crash,
            a_newer_replay_over_a_dead_holder_owes_nothing,
            crashes_up_to_the_limit_make_a_dead_letter,
            a_takeover_of_a_decided_task_resumes_it_with_its_own_numbers,
            a_decided_task_is_resumed_even_when_it_expired,
            nothing_is_taken_over_where_nobody_holds;
        outcomes:
            done_settles_older_and_equal_replays_and_a_greater_one_starts_anew,
            done_without_a_decision_is_marked_from_running,
            a_retry_is_marked_only_after_its_decision,
            a_retried_task_awaits_the_next_attempt_and_older_ones_are_stale,
            crashes_are_carried_from_attempt_to_attempt,
            a_dead_letter_is_settled_with_its_reason,
            a_decision_of_another_holder_is_refused,
            an_older_fence_of_the_same_owner_is_refused,
            a_decision_on_an_absent_entry_is_accepted,
            a_mark_on_an_absent_entry_is_accepted,
            a_repeated_decision_keeps_the_first,
            a_repeated_mark_is_refused_and_changes_nothing,
            a_refused_holder_gets_its_crash_back,
            a_released_claim_costs_nothing,
            a_release_by_another_holder_is_refused,
            a_claim_is_written_again_only_where_nothing_is,
            a_decision_keeps_its_follow_ups_and_any_text;
        cancels:
            a_task_that_nobody_claimed_is_cancelled_before_it_starts,
            a_waiting_task_is_cancelled_and_its_next_attempt_is_not_run,
            a_cancelled_task_starts_anew_with_a_greater_replay,
            a_running_task_is_flagged_and_its_holder_is_named,
            a_flag_outlives_the_repetition_of_the_claim,
            a_flagged_task_that_fails_ends_as_cancelled,
            a_flagged_task_that_succeeds_is_done,
            a_flagged_task_that_is_given_back_ends_as_cancelled,
            a_takeover_of_a_flagged_task_settles_it_and_runs_nothing,
            a_takeover_by_a_replay_of_a_flagged_task_runs_the_replay,
            a_cancel_after_the_decision_comes_too_late,
            a_task_that_is_over_stays_as_it_ended,
            a_replay_that_waits_in_its_lane_is_cancelled,
            a_cancelled_task_is_remembered_for_the_time_asked,
            a_task_that_is_told_to_be_cancelled_stays_so_for_the_time_asked,
            a_flag_does_not_change_how_long_a_claim_is_kept,
            cancels_are_answered_in_the_order_of_the_batch;
        by_the_rules:
            random_requests_are_answered_as_the_rules_say;
        fleet:
            a_first_heartbeat_finds_none_and_the_next_finds_it,
            a_heartbeat_ends_by_itself,
            a_listed_claim_is_alive_however_old,
            a_young_claim_that_nobody_lists_is_alive,
            an_old_claim_that_its_living_owner_does_not_list_is_orphaned,
            a_claim_is_dead_after_its_owner_left,
            a_reader_without_a_heartbeat_concludes_nothing,
            workers_are_listed_as_they_describe_themselves_until_they_leave;
        records:
            what_was_remembered_is_found,
            the_first_record_of_a_task_stays,
            a_result_ends_when_its_task_says_so,
            history_is_capped_and_the_oldest_go_first,
            an_unknown_task_has_an_empty_record,
            records_are_found_in_the_order_asked,
            what_people_did_is_remembered_oldest_first,
            acts_are_capped_and_crowd_out_no_attempts,
            every_pair_of_lane_and_kind_is_seen_with_its_first_task,
            a_pair_seen_again_is_listed_once,
            no_more_pairs_are_remembered_than_allowed;
        interim:
            what_an_attempt_said_last_is_found,
            an_older_fence_and_an_older_turn_are_not_listened_to,
            what_attempts_said_is_read_in_the_order_asked;
        leases:
            of_many_askers_one_gets_the_lease,
            the_holder_that_asks_again_gets_its_lease_under_a_new_epoch,
            a_lease_is_renewed_only_under_its_epoch,
            a_renewed_lease_outlives_its_first_time,
            a_lease_ends_by_itself_and_cannot_be_renewed_after,
            a_lease_is_given_back_only_under_its_epoch,
            epochs_grow_from_holder_to_holder,
            leases_of_different_names_share_nothing;
        signals:
            signals_come_once_in_the_order_they_were_left,
            nobody_receives_what_was_left_for_another,
            the_newest_signals_are_kept_when_there_are_too_many,
            askers_at_the_same_time_get_each_signal_once,
            the_first_pause_of_a_queue_stays,
            a_resumed_queue_is_no_longer_paused_and_can_be_paused_again,
            paused_queues_are_listed_by_name;
        letters:
            a_described_letter_is_listed_and_read_as_it_was_described,
            of_one_task_the_newest_letter_is_described,
            a_letter_described_anew_is_listed_once_where_it_now_belongs,
            a_task_that_died_in_another_queue_is_listed_there_only,
            letters_are_listed_newest_first,
            pages_of_any_size_show_every_letter_once,
            a_page_begins_behind_a_place_where_no_letter_is,
            a_forgotten_letter_is_gone,
            a_newer_letter_is_not_forgotten_with_an_older_one,
            letters_are_counted_by_queue,
            letters_are_read_in_the_order_asked,
            a_thousand_letters_are_described_and_forgotten_at_once;
        schedules:
            a_new_schedule_is_read_as_it_was_written_at_its_first_position,
            a_schedule_that_is_there_is_not_made_again,
            a_change_counts_the_revision_up_and_leaves_the_position,
            a_change_of_another_revision_changes_nothing,
            nothing_is_changed_where_nothing_is,
            of_many_writers_each_change_is_made_on_the_one_before,
            of_many_makers_one_makes_a_schedule,
            a_deleted_schedule_leaves_nothing_but_its_revision_to_the_next_of_its_name,
            a_change_that_was_meant_for_a_deleted_schedule_is_not_made_to_the_next_of_its_name,
            changes_are_answered_in_the_order_of_the_batch,
            an_entry_is_kept_under_the_name_of_its_change,
            schedules_are_listed_in_the_order_of_their_bytes,
            pages_of_any_size_show_every_schedule_once,
            a_page_begins_behind_a_name_that_is_not_there,
            schedules_are_read_in_the_order_asked,
            large_entries_are_written_listed_and_read_like_small_ones,
            a_position_moves_only_from_where_it_is_expected,
            a_repeated_move_is_told_as_made_and_notes_nothing_twice,
            an_older_epoch_moves_nothing,
            of_many_leaders_one_makes_each_move,
            nobody_moves_a_schedule_that_is_gone,
            a_position_that_was_lost_is_moved_from_anywhere,
            moves_are_answered_in_the_order_of_the_batch,
            every_occurrence_is_listed_as_it_was_noted,
            the_newest_occurrences_are_kept,
            what_people_asked_for_is_noted_with_what_the_clock_did,
            schedules_share_nothing,
            a_timetable_has_an_incarnation_at_the_latest_from_its_first_write_on,
            what_changed_since_a_version_is_named_once,
            moves_notes_and_refusals_are_no_changes,
            every_version_of_many_writers_is_another_one,
            what_changed_too_long_ago_is_not_known,
            what_somebody_remembers_is_restored_as_it_was,
            an_entry_that_is_there_is_not_restored,
            of_two_states_of_one_entry_the_later_is_restored,
            a_change_since_the_wipe_is_not_undone_by_a_restoration,
            a_restored_position_only_moves_forward,
            of_many_who_restore_the_latest_position_stays,
            what_was_deleted_since_the_wipe_stays_so,
            what_was_deleted_stays_so_while_many_others_are_restored,
            beats_are_listed_as_they_last_described_themselves,
            a_beat_that_is_silent_is_no_longer_listed;
    ];
    suite::run("store", name, cases, make).await;
}

impl StoreUnderTest {
    async fn claim(&self, ask: &Claim) -> Answer {
        self.ledger.claim(std::slice::from_ref(ask)).await.expect("the store answers").remove(0)
    }

    /// Claims and insists that it is granted.
    async fn granted(&self, ask: &Claim) -> (Hold, Toll) {
        match self.claim(ask).await {
            Answer::Claimed { fence, toll } => (Hold { owner: ask.owner, fence }, toll),
            other => panic!("the claim was not granted: {other:?}"),
        }
    }

    async fn take_over(&self, claim: &Claim, expected: Hold, orphan: bool) -> Answer {
        let ask = Takeover { claim: claim.clone(), expected, orphan };
        self.ledger.take_over(&[ask]).await.expect("the store answers").remove(0)
    }

    /// Takes over from a dead holder and insists that it is granted.
    async fn taken(&self, claim: &Claim, expected: Hold) -> (Hold, Toll) {
        match self.take_over(claim, expected, false).await {
            Answer::Claimed { fence, toll } => (Hold { owner: claim.owner, fence }, toll),
            other => panic!("the takeover was not granted: {other:?}"),
        }
    }

    async fn decide(&self, id: TaskId, hold: Hold, order: Order, outcome: Outcome) -> Ruling {
        let decision = Decision { outcome, follow_ups: Vec::new() };
        let ask = Decide { id, hold, order, decision, ttl: LONG };
        self.ledger.decide(&[ask]).await.expect("the store answers")[0]
    }

    async fn mark(&self, id: TaskId, hold: Hold, order: Order, marking: Marking) -> Ruling {
        let ask = Mark { id, hold, order, marking, ttl: LONG };
        self.ledger.mark(&[ask]).await.expect("the store answers")[0]
    }

    async fn cancel(&self, id: TaskId, replay: u32) -> Cancelling {
        let ask = Cancel { id, replay, ttl: LONG };
        self.ledger.cancel(&[ask]).await.expect("the store answers")[0]
    }

    async fn release(&self, id: TaskId, hold: Hold) -> Ruling {
        let ask = Release { id, hold, ttl: LONG };
        self.ledger.release(&[ask]).await.expect("the store answers")[0]
    }

    async fn reassert(&self, ask: Held) {
        self.ledger.reassert(&[ask]).await.expect("the store answers");
    }

    async fn entry(&self, id: TaskId) -> Option<Entry> {
        self.ledger.entries(&[id]).await.expect("the store answers").remove(0)
    }
}

/// A claim of a new owner for the first message of `id`.
fn ask(id: TaskId) -> Claim {
    Claim {
        id,
        order: Order::FIRST,
        owner: Owner::mint(),
        token: Token::draw(),
        expires_at: None,
        max_crashes: MAX_CRASHES,
        ttl: LONG,
    }
}

fn ask_at(id: TaskId, replay: u32, attempt: u32) -> Claim {
    Claim { order: Order { replay, attempt }, ..ask(id) }
}

fn failure(message: &str) -> Failure {
    Failure { class: "exit".to_owned(), message: message.to_owned(), at: Millis(1_790_000_000_000) }
}

fn retry(message: &str) -> Outcome {
    Outcome::Retry { not_before: Millis(1_790_000_060_000), failure: failure(message) }
}

fn dead(reason: DeadReason) -> Outcome {
    Outcome::Dead { reason, failure: failure("no such file") }
}

fn done() -> Outcome {
    Outcome::Done { result: None }
}

/// A holder that never was.
fn nobody() -> Hold {
    Hold { owner: Owner::mint(), fence: Fence(7) }
}
