//! The journey under random crashes, pauses, wipes, lost replies and lost connections, and under
//! cancels, replays, expiries and waits that come at any time.
//!
//! One task with all its copies, two workers, the real [`rules`] of the ledger, the real
//! [`Journey`] and [`verdict`]; only the broker and the passing of time are modelled. The task is
//! short, or long and detached. After the faults the world heals and must come to rest, with
//! nothing lost, no unexplained second run and no forgotten cancel.
//!
//! [`rules`]: leveret_common::ledger::rules
//! [`Journey`]: super::journey::Journey
//! [`verdict`]: super::custody::verdict

mod ghost;
mod steps;
mod world;

use std::time::Duration;

use proptest::prelude::*;

use self::world::World;
use super::journey::Length;

/// A heartbeat is renewed each tick and ends after this many.
const TTL_TICKS: u64 = 3;
/// One tick in µs of ledger time.
const TICK: u64 = 5_000_000;
const MAX_ATTEMPTS: u32 = 2;
const MAX_CRASHES: u32 = 2;
const SLOTS: usize = 2;
/// After so many ticks the copy of a detached task comes back: two TTLs.
const DEAD_MAN_TICKS: u64 = 2 * TTL_TICKS;

const TTL: Duration = Duration::from_micros(TTL_TICKS * TICK);
/// How long an entry is kept, that of a detached task, and a cancel.
const KEPT: Duration = Duration::from_secs(3_600);
const KEPT_LONG: Duration = Duration::from_secs(7 * 86_400);
const CANCELLED_FOR: Duration = Duration::from_secs(86_400);

/// Which rule a run breaks on purpose, to show that the checks below can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sabotage {
    None,
    /// A refused owner acks instead of claiming again.
    AckRefused,
    /// The ack comes before the publish of a retry or a dead letter.
    AckBeforePublish,
    /// A claim is never taken over, as with a bare SETNX.
    BareSetnx,
    /// Takeover without one TTL of unbroken contact.
    NoGrace,
    /// The delivery of a detached task is acked before its copy is confirmed.
    AckBeforeCopy,
    /// The copy of a detached task is acked while its owner lives, as if it would live for ever.
    NotParkedAgain,
    /// A detached task whose outcome is refused is forgotten together with its copy.
    CopyDroppedOnRefusal,
    /// The flag of a cancel is overlooked by whoever decides, gives back or takes over.
    FlagIgnored,
    /// What was asked of one replay is held against a later one.
    FlagHitsReplays,
    /// A cancel is kept as long as the entry was that it replaces.
    CancelKeptAsBefore,
    /// The claim of a long task is given back as if it was a short one's.
    ReleasedBriefly,
    /// The expiry is looked at before what is decided already.
    ExpiryFirst,
    /// A suspect waits for its turn with a claim.
    WaitsWithClaim,
}

#[derive(Debug, Clone)]
enum Action {
    Deliver(usize, usize),
    Advance(usize, usize),
    AdvanceReplyLost(usize, usize),
    Tick,
    Rest,
    Crash(usize),
    Drain(usize),
    Pause(usize),
    Continue(usize),
    Disconnect(usize),
    Wipe,
    EnqueueAgain,
    StandBy(usize, usize),
    Cancel,
    Replay(usize, bool),
    Expire,
}

fn action() -> impl Strategy<Value = Action> {
    let worker = || 0..2_usize;
    prop_oneof![
        12 => (worker(), 0..4_usize).prop_map(|(w, p)| Action::Deliver(w, p)),
        40 => (worker(), 0..4_usize).prop_map(|(w, p)| Action::Advance(w, p)),
        3 => (worker(), 0..4_usize).prop_map(|(w, p)| Action::AdvanceReplyLost(w, p)),
        3 => (worker(), 0..4_usize).prop_map(|(w, p)| Action::StandBy(w, p)),
        8 => Just(Action::Tick),
        2 => worker().prop_map(Action::Crash),
        1 => worker().prop_map(Action::Drain),
        1 => worker().prop_map(Action::Pause),
        2 => worker().prop_map(Action::Continue),
        2 => worker().prop_map(Action::Disconnect),
        1 => Just(Action::Wipe),
        1 => Just(Action::EnqueueAgain),
        1 => Just(Action::Cancel),
        1 => (0..4_usize, any::<bool>()).prop_map(|(pick, dies)| Action::Replay(pick, dies)),
        1 => Just(Action::Rest),
        // Rarely: a task that expires at once has no story.
        1 => prop_oneof![9 => Just(Action::Tick), 1 => Just(Action::Expire)],
    ]
}

fn play(
    length: Length,
    actions: &[Action],
    outcomes: Vec<u8>,
    sabotage: Sabotage,
) -> Result<(), TestCaseError> {
    let mut world = World::new(length, outcomes, sabotage);
    for action in actions {
        world.act(action);
    }
    world.heal()?;
    world.verify()
}

fn without_wipe_and_pause(actions: &[Action]) -> Vec<Action> {
    let calm = |action: &&Action| !matches!(action, Action::Wipe | Action::Pause(_));
    actions.iter().filter(calm).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_every_second_run_is_explained(
        actions in prop::collection::vec(action(), 0..120),
        outcomes in prop::collection::vec(any::<u8>(), 3),
        length in prop::sample::select(vec![Length::Short, Length::Long]),
    ) {
        play(length, &actions, outcomes.clone(), Sabotage::None)?;
        play(length, &without_wipe_and_pause(&actions), outcomes, Sabotage::None)?;
    }
}

/// Runs many random plays of a broken rule and tells what the checks say; they must say something.
fn caught(length: Length, sabotage: Sabotage) -> Option<String> {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let plays = (prop::collection::vec(action(), 0..120), prop::collection::vec(any::<u8>(), 3));
    (0..20_000).find_map(|_| {
        let (actions, outcomes) = plays.new_tree(&mut runner).ok()?.current();
        play(length, &actions, outcomes.clone(), sabotage)
            .and_then(|()| play(length, &without_wipe_and_pause(&actions), outcomes, sabotage))
            .err()
            .map(|error| error.to_string())
    })
}

#[test]
fn a_broken_rule_is_caught() {
    for (length, sabotage) in [
        // The ack of a detached task comes before everything by design: its copy stands for it.
        (Length::Short, Sabotage::AckBeforePublish),
        (Length::Short, Sabotage::BareSetnx),
        (Length::Long, Sabotage::BareSetnx),
        (Length::Short, Sabotage::NoGrace),
        (Length::Long, Sabotage::NoGrace),
    ] {
        let what = caught(length, sabotage);
        assert!(what.is_some(), "{sabotage:?} was not caught, {length:?}");
    }
    assert_eq!(caught(Length::Short, Sabotage::None), None);
}

#[test]
fn a_broken_rule_of_detached_tasks_is_caught_as_a_loss() {
    for sabotage in [Sabotage::AckBeforeCopy, Sabotage::NotParkedAgain] {
        let what = caught(Length::Long, sabotage).unwrap_or_default();
        assert!(what.contains("lost: neither done nor dead"), "{sabotage:?}: {what:?}");
    }
    let what = caught(Length::Long, Sabotage::CopyDroppedOnRefusal).unwrap_or_default();
    assert!(what.contains("lost"), "{what:?}");
}

#[test]
fn a_broken_rule_of_cancels_and_waits_is_caught_by_name() {
    for (length, sabotage, by_name) in [
        (Length::Short, Sabotage::FlagIgnored, "cancel forgotten"),
        (Length::Long, Sabotage::FlagIgnored, "cancel forgotten"),
        (Length::Short, Sabotage::CancelKeptAsBefore, "cancel forgotten"),
        (Length::Long, Sabotage::ReleasedBriefly, "cancel forgotten"),
        (Length::Short, Sabotage::WaitsWithClaim, "is charged"),
        (Length::Long, Sabotage::WaitsWithClaim, "is charged"),
    ] {
        let what = caught(length, sabotage).unwrap_or_default();
        assert!(what.contains(by_name), "{sabotage:?}, {length:?}: {what:?}");
    }
}

#[test]
fn an_expiry_that_goes_before_a_recorded_success_loses_its_follow_up() {
    let mut actions = vec![Action::Deliver(0, 0)];
    actions.extend(vec![Action::Advance(0, 0); 4]); // claims, starts, ends, decides
    actions.extend([Action::Expire, Action::Crash(0)]);
    let done_with_follow_up = vec![1, 1, 1];
    let play = |sabotage| play(Length::Short, &actions, done_with_follow_up.clone(), sabotage);
    play(Sabotage::None).unwrap();
    let lost = play(Sabotage::ExpiryFirst).unwrap_err().to_string();
    assert!(lost.contains("lost: the follow-up of a recorded outcome"), "{lost}");
}

/// Too rare for chance: after a wipe a copy of a dead task runs again and is cancelled, its worker
/// dies, and the message that comes first is that of the letter's replay.
#[test]
fn a_cancel_that_is_held_against_a_later_replay_loses_it() {
    let (first, second) = (0, 1);
    let mut actions = vec![Action::Deliver(first, 0)];
    actions.extend(vec![Action::Advance(first, 0); 7]); // from its claim to its ack: dead
    actions.extend([Action::Wipe, Action::EnqueueAgain, Action::Deliver(first, 0)]);
    actions.extend(vec![Action::Advance(first, 0); 2]); // claims, starts
    actions.extend([Action::Cancel, Action::Crash(first), Action::Replay(0, false)]);
    actions.extend(vec![Action::Tick; 5]);
    actions.push(Action::Deliver(second, 1));
    actions.extend(vec![Action::Advance(second, 0); 3]); // claim: busy; judge: dead; takes over
    let play = |sabotage| play(Length::Short, &actions, vec![3], sabotage);
    play(Sabotage::None).unwrap();
    let lost = play(Sabotage::FlagHitsReplays).unwrap_err().to_string();
    assert!(lost.contains("lost: neither done nor dead"), "{lost}");
}

/// Too rare for chance: a wipe lets a robbed owner decide, it dies, and the robber is refused.
#[test]
fn a_refused_owner_that_acks_loses_the_task() {
    let (first, second) = (0, 1);
    let mut actions = vec![Action::Deliver(first, 0), Action::Advance(first, 0)];
    actions.extend([Action::Pause(first), Action::Disconnect(first)]);
    actions.extend(vec![Action::Tick; 4]);
    actions.extend([Action::Deliver(second, 0)]);
    actions.extend(vec![Action::Advance(second, 0); 2]); // claim: busy; judge: dead
    actions.extend([Action::Continue(first), Action::Tick]);
    actions.extend(vec![Action::Advance(first, 0)]); // starts
    actions.extend([Action::Advance(second, 0), Action::Wipe]); // takes over
    actions.extend(vec![Action::Advance(first, 0); 2]); // ends, decides on the wiped ledger
    actions.push(Action::Crash(first));
    actions.extend(vec![Action::Advance(second, 0); 3]); // starts, ends, is refused
    let done_with_follow_up = vec![1, 1, 1];
    let play = |sabotage| play(Length::Short, &actions, done_with_follow_up.clone(), sabotage);
    play(Sabotage::None).unwrap();
    let lost = play(Sabotage::AckRefused).unwrap_err();
    assert!(lost.to_string().contains("lost: the follow-up"), "{lost}");
}
