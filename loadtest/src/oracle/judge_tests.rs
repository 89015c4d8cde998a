//! The oracle objects: each way to break a promise turns it red.

use leveret_common::clock::Millis;

use std::collections::BTreeMap;

use super::super::accepted::Ending;
use super::super::window::Window;
use super::*;

const SECOND: u64 = 1_000;
const GATEWAY: u32 = 500;

/// How a task of a play goes; judged in the end.
struct Story(Evidence, Vec<String>);

impl Story {
    /// One task that was accepted.
    fn new() -> (Self, TaskId) {
        let id = TaskId::mint();
        let mut evidence = Evidence::default();
        evidence.accepted.accept(id, "ok", Millis(SECOND));
        (Self(evidence, Vec::new()), id)
    }

    /// One task whose end is stated.
    fn to_end(ending: Ending) -> (Self, TaskId) {
        let (mut story, id) = Self::new();
        story.0.accepted.expect(id, ending);
        (story, id)
    }

    /// As `ran`, for so many seconds.
    fn ran_for(mut self, id: TaskId, worker: u32, began: u64, lasts: u64) -> Self {
        let run = format!("{id} 1 {} 0 {worker}", self.1.len());
        self.1.push(format!("begin {run} {began}.000000\n"));
        self.1.push(format!("end {run} {}.000000 0\n", began + lasts));
        self
    }

    fn told(mut self, id: TaskId, state: &str) -> Self {
        self.0.told.insert(id, state.to_owned());
        self
    }

    fn letter(mut self, id: TaskId, reason: &str) -> Self {
        self.0.letters.insert(id, reason.to_owned());
        self
    }

    /// A run of it by `worker`, under a fence of its own.
    /// Each that has no end costs the next one a crash.
    fn ran(mut self, id: TaskId, attempt: u32, worker: u32, began: u64, code: Option<i32>) -> Self {
        let fence = self.1.len();
        let lines = |what: &str| self.1.iter().filter(|line| line.starts_with(what)).count();
        let crashes =
            lines(&format!("begin {id} {attempt} ")) - lines(&format!("end {id} {attempt} "));
        let run = format!("{id} {attempt} {fence} {crashes} {worker}");
        self.1.push(format!("begin {run} {began}.000000\n"));
        if let Some(code) = code {
            self.1.push(format!("end {run} {}.000000 {code}\n", began + 1));
        }
        self
    }

    fn met(mut self, event: Event) -> Self {
        self.0.events.push(event);
        self
    }

    fn judged(mut self) -> Finding {
        self.0.history = History::read(&self.1.concat());
        judge(&self.0)
    }
}

fn killed(pid: u32, second: u64) -> Event {
    Event::Killed { pid, at: Millis(second * SECOND) }
}

#[test]
fn a_task_that_ran_once_is_done() {
    let (story, id) = Story::new();
    let finding = story.ran(id, 1, 7, 10, Some(0)).judged();
    assert_eq!((finding.accepted, finding.done), (1, 1));
    assert_eq!(finding.failures(), [""; 0]);
}

#[test]
fn a_task_that_never_ran_is_lost() {
    let (story, id) = Story::new();
    let finding = story.judged();
    assert_eq!(finding.lost, [id]);
    assert_eq!(finding.failures().len(), 1);
}

#[test]
fn a_task_that_only_failed_and_left_no_letter_is_lost() {
    let (story, id) = Story::new();
    assert_eq!(story.ran(id, 1, 7, 10, Some(1)).judged().lost, [id]);
    let (story, id) = Story::to_end(Ending::Dead(&["handler"]));
    let finding = story.letter(id, "handler").ran(id, 1, 7, 10, Some(1)).judged();
    assert_eq!((finding.dead, finding.failures().len()), (1, 0));
}

#[test]
fn a_letter_that_the_store_knows_of_and_no_list_holds_is_lost() {
    let (mut story, id) = Story::new();
    story.0.told.insert(id, "dead".to_owned());
    assert_eq!(story.judged().lost, [id]);
}

#[test]
fn a_run_whose_worker_was_killed_at_its_end_counts_by_what_the_store_holds() {
    for (state, lost) in [("done", 0), ("running", 1), ("queued", 1)] {
        let (mut story, id) = Story::new();
        story.0.told.insert(id, state.to_owned());
        let finding = story.ran(id, 1, 7, 10, Some(0)).met(killed(7, 12)).judged();
        assert_eq!(finding.lost.len(), lost, "{state}: {finding:?}");
    }
}

#[test]
fn a_second_run_that_nothing_explains_is_told() {
    let (story, id) = Story::new();
    let finding = story.ran(id, 1, 7, 10, Some(0)).ran(id, 1, 8, 20, Some(0)).judged();
    assert_eq!(finding.unexplained.len(), 1, "{finding:?}");
    assert_eq!(finding.explained(), 0);
}

#[test]
fn a_second_run_after_a_kill_is_explained_once_and_a_third_is_not() {
    let (story, id) = Story::new();
    let story = story.ran(id, 1, 7, 10, None).met(killed(7, 12)).ran(id, 1, 8, 20, Some(0));
    let finding = story.ran(id, 1, 9, 40, Some(0)).judged();
    assert_eq!(finding.second_runs, BTreeMap::from([(Window::Crash, 1)]));
    assert_eq!(finding.unexplained.len(), 1, "{finding:?}");
}

#[test]
fn a_window_that_met_another_worker_is_not_claimed() {
    let (story, id) = Story::new();
    let story = story.ran(id, 1, 7, 10, Some(0)).met(killed(8, 11));
    assert_eq!(story.ran(id, 1, 9, 20, Some(0)).judged().unexplained.len(), 1);
}

#[test]
fn two_windows_explain_two_second_runs() {
    let (story, id) = Story::new();
    let story = story.ran(id, 1, 7, 10, None).met(Event::Wiped { at: Millis(15 * SECOND) });
    let story = story.ran(id, 1, 8, 20, None).met(killed(7, 22));
    let finding = story.ran(id, 1, 9, 30, Some(0)).judged();
    let expected = BTreeMap::from([(Window::Crash, 1), (Window::Wipe, 1)]);
    assert_eq!((finding.second_runs, finding.unexplained.len()), (expected, 0));
}

#[test]
fn the_next_attempt_of_a_failed_one_is_no_second_run() {
    let (story, id) = Story::new();
    let finding = story.ran(id, 1, 7, 10, Some(1)).ran(id, 2, 7, 20, Some(0)).judged();
    assert_eq!((finding.explained(), finding.unexplained.len()), (0, 0));
}

#[test]
fn the_next_attempt_of_one_that_was_done_is_a_second_run() {
    let (story, id) = Story::new();
    let finding = story.ran(id, 1, 7, 10, Some(0)).ran(id, 2, 7, 20, Some(0)).judged();
    assert_eq!(finding.unexplained.len(), 1);
}

#[test]
fn an_old_attempt_after_a_newer_one_is_a_second_run() {
    let (story, id) = Story::new();
    let story = story.ran(id, 1, 7, 10, Some(1)).ran(id, 2, 7, 20, Some(1));
    assert_eq!(story.ran(id, 1, 8, 30, Some(0)).judged().unexplained.len(), 1);
}

#[test]
fn what_ended_both_ways_is_told() {
    let (story, id) = Story::to_end(Ending::Either);
    let finding = story.letter(id, "poison").ran(id, 1, 7, 10, Some(0)).judged();
    assert_eq!(finding.wrong.len(), 1, "{finding:?}");
}

#[test]
fn what_was_refused_and_ran_is_told() {
    let (mut story, _) = Story::new();
    let refused = TaskId::mint();
    story.0.accepted.expect_refusal(refused);
    let finding = story.ran(refused, 1, 7, 10, Some(0)).judged();
    assert_eq!(finding.wrong.len(), 1, "{finding:?}");
}

#[test]
fn a_run_of_what_nobody_sent_is_told() {
    let (story, id) = Story::new();
    let stranger = TaskId::mint();
    let finding = story.ran(id, 1, 7, 10, Some(0)).ran(stranger, 1, 7, 20, Some(0)).judged();
    assert_eq!(finding.wrong.len(), 1, "{finding:?}");
}

#[test]
fn an_end_that_nobody_asked_for_is_told() {
    for state in ["cancelled", "expired"] {
        let (mut story, id) = Story::new();
        story.0.told.insert(id, state.to_owned());
        assert_eq!(story.judged().wrong.len(), 1, "{state}");
    }
}

#[test]
fn a_play_in_which_nothing_was_accepted_proves_nothing() {
    assert_eq!(judge(&Evidence::default()).wrong.len(), 1);
}

#[test]
fn two_runs_under_one_fence_are_told() {
    let (mut story, id) = Story::new();
    let begin = |worker| format!("begin {id} 1 5 0 {worker} 1.000000\n");
    story.1 = vec![begin(7), begin(8)];
    assert!(!story.judged().wrong.is_empty());
}

#[test]
fn what_still_runs_when_all_is_over_is_told() {
    let (mut story, id) = Story::new();
    story.0.told.insert(id, "running".to_owned());
    let finding = story.ran(id, 1, 7, 10, Some(0)).judged();
    assert_eq!(finding.wrong.len(), 1, "{finding:?}");
}

#[test]
fn what_two_parts_of_a_row_found_is_added() {
    let (story, id) = Story::new();
    let mut whole = story.ran(id, 1, 7, 10, Some(0)).judged();
    let (story, other) = Story::new();
    whole.add(story.judged());
    assert_eq!((whole.accepted, whole.done, whole.lost), (2, 1, vec![other]));
}

#[test]
fn a_refusal_is_told_unless_the_row_expects_it() {
    let (mut story, id) = Story::new();
    story.0.accepted.refuse_because(TaskId::mint(), "no such queue");
    let wrong = story.ran(id, 1, 7, 10, Some(0)).judged().wrong;
    assert!(wrong.len() == 1 && wrong[0].contains("no such queue"), "{wrong:?}");
}

#[test]
fn a_letter_of_what_was_to_be_done_is_told_with_its_reason() {
    let (story, id) = Story::new();
    let wrong = story.letter(id, "schema").ran(id, 1, 7, 10, Some(1)).judged().wrong;
    assert!(wrong.len() == 1 && wrong[0].contains("schema"), "{wrong:?}");
}

#[test]
fn what_was_to_die_and_did_not_or_otherwise_is_told() {
    let (story, id) = Story::to_end(Ending::Dead(&["handler"]));
    assert_eq!(story.ran(id, 1, 7, 10, Some(0)).judged().wrong.len(), 1);
    let (story, id) = Story::to_end(Ending::Dead(&["handler"]));
    let finding = story.letter(id, "no-handler").ran(id, 1, 7, 10, Some(65)).judged();
    assert_eq!(finding.wrong.len(), 1, "{finding:?}");
}

/// A task that is dead for poison after `kills` of its workers while it ran and one elsewhere.
fn poisoned(kills: u32, is_allowed: bool) -> Vec<String> {
    let (mut story, id) = Story::new();
    if is_allowed {
        story.0.accepted.allow_poison();
    }
    for kill in 0..kills {
        let at = 10 + 20 * u64::from(kill);
        story = story.ran(id, 1, 7 + kill, at, None).met(killed(7 + kill, at + 1));
    }
    story.met(killed(99, 80)).letter(id, "poison").judged().wrong
}

#[test]
fn poison_is_allowed_only_where_so_many_workers_were_lost_with_it() {
    assert_eq!(poisoned(3, true), [""; 0]);
    // One may have been killed before the handler could write that it began.
    assert_eq!(poisoned(2, true), [""; 0]);
    assert_eq!(poisoned(1, true).len(), 1);
    assert_eq!(poisoned(3, false).len(), 1);
}

#[test]
fn two_runs_at_once_are_told_unless_the_first_had_lost_its_claim() {
    let (story, id) = Story::new();
    let story = story.ran_for(id, 7, 10, 60).met(killed(7, 20));
    // What a killed worker started goes on without it.
    assert_eq!(story.ran_for(id, 8, 40, 1).judged().failures(), [""; 0]);

    let (story, id) = Story::new();
    let story = story.ran_for(id, 7, 10, 60).ran(id, 2, 8, 40, Some(0));
    let wrong = story.judged().wrong;
    assert!(wrong.len() == 1 && wrong[0].contains("twice at once"), "{wrong:?}");
}

#[test]
fn what_explains_another_run_excuses_no_overlap() {
    let (story, id) = Story::new();
    let story = story.ran(id, 1, 7, 10, None).met(killed(7, 12)).ran_for(id, 8, 30, 60);
    // The wipe came before the second run, so it took no claim from that one.
    let story = story.met(Event::Wiped { at: Millis(14 * SECOND) });
    let finding = story.ran(id, 1, 9, 50, Some(0)).judged();
    assert!(finding.wrong.iter().any(|why| why.contains("twice at once")), "{finding:?}");
}

#[test]
fn an_attempt_without_the_one_before_it_is_told() {
    let (story, id) = Story::new();
    let story = story.ran(id, 1, 7, 10, Some(1)).met(killed(7, 15)).ran(id, 3, 8, 40, Some(0));
    let wrong = story.judged().wrong;
    assert!(wrong.len() == 1 && wrong[0].contains("never attempt 2"), "{wrong:?}");
}

#[test]
fn a_crash_that_no_worker_died_of_is_told() {
    let charged = |killed_worker: Option<u32>| {
        let (mut story, id) = Story::new();
        story.1.push(format!("begin {id} 1 0 1 8 20.000000\nend {id} 1 0 1 8 21.000000 0\n"));
        story.0.others.insert(GATEWAY);
        story.0.events.extend(killed_worker.map(|pid| killed(pid, 12)));
        story.judged().wrong.len()
    };
    // It had claimed the task, and its handler had not written that it began.
    assert_eq!(charged(Some(7)), 0);
    // A gateway claims nothing.
    assert_eq!(charged(Some(GATEWAY)), 1);
    assert_eq!(charged(None), 1);
}

#[test]
fn a_store_that_forgot_something_else_excuses_no_two_ends() {
    let ended_twice = |wiped: u64| {
        let (story, id) = Story::to_end(Ending::Either);
        let story =
            story.ran(id, 1, 7, 10, Some(0)).met(Event::Wiped { at: Millis(wiped * SECOND) });
        story.ran(id, 1, 8, 40, Some(65)).letter(id, "handler").judged().wrong.len()
    };
    assert_eq!(ended_twice(20), 0);
    assert_eq!(ended_twice(60), 1);
    assert_eq!(ended_twice(5), 1);
    // What ran once has one outcome.
    let (story, id) = Story::to_end(Ending::Either);
    let story = story.ran(id, 1, 7, 10, Some(0)).met(Event::Wiped { at: Millis(20 * SECOND) });
    assert_eq!(story.letter(id, "handler").judged().wrong.len(), 1);
}

#[test]
fn a_store_that_was_away_excuses_nothing_that_was_recorded_after_it() {
    let open = |from: u64, to: u64| {
        let (story, id) = Story::new();
        let away =
            Event::CutOff { pid: None, from: Millis(from * SECOND), to: Millis(to * SECOND) };
        story.ran(id, 1, 7, 20, Some(0)).told(id, "running").met(away).judged().wrong.len()
    };
    assert_eq!(open(10, 15), 1);
    assert_eq!(open(60, 90), 1);
    assert_eq!(open(10, 40), 0);
}

#[test]
fn a_second_run_long_after_what_would_explain_it_is_told() {
    let (story, id) = Story::new();
    let story = story.ran(id, 1, 7, 10, None).met(killed(7, 12)).ran(id, 1, 8, 900, Some(0));
    assert_eq!(story.judged().unexplained.len(), 1);
}

#[test]
fn a_kill_explains_one_second_run_of_an_attempt_whichever_run_it_met() {
    let (story, id) = Story::new();
    let story = story.ran(id, 1, 7, 10, Some(1)).ran(id, 2, 7, 12, Some(0)).met(killed(7, 14));
    let finding = story.ran(id, 2, 8, 20, Some(0)).ran(id, 2, 9, 26, Some(0)).judged();
    assert_eq!((finding.explained(), finding.unexplained.len()), (1, 1), "{finding:?}");
}

#[test]
fn what_is_said_to_have_ended_otherwise_than_it_ran_is_told() {
    let (mut story, id) = Story::new();
    story.0.told.insert(id, "dead".to_owned());
    let finding = story.ran(id, 1, 7, 10, Some(0)).judged();
    assert_eq!(finding.wrong.len(), 1, "{finding:?}");

    let (mut story, id) = Story::to_end(Ending::Either);
    story.0.told.insert(id, "done".to_owned());
    let finding = story.letter(id, "handler").ran(id, 1, 7, 10, Some(65)).judged();
    assert_eq!(finding.wrong.len(), 1, "{finding:?}");
}

#[test]
fn a_killed_worker_costs_its_task_a_crash_and_no_attempt() {
    let story = |attempt: u32, crashes: u32| {
        let (mut story, id) = Story::new();
        story = story.ran(id, 1, 7, 10, None).met(killed(7, 12));
        story.1.push(format!("begin {id} {attempt} 9 {crashes} 8 20.000000\n"));
        story.1.push(format!("end {id} {attempt} 9 {crashes} 8 21.000000 0\n"));
        story.judged().wrong
    };
    assert_eq!(story(1, 1), [""; 0]);
    assert_eq!(story(1, 0).len(), 1, "it was not charged");
    assert_eq!(story(2, 1).len(), 1, "an attempt was lost with it");
}

#[test]
fn a_first_attempt_that_its_message_names_is_taken_for_one() {
    for (is_told, wrong) in [(true, 0), (false, 1)] {
        let (mut story, id) = Story::new();
        if is_told {
            story.0.accepted.expect_any_first_attempt(id);
        }
        let finding = story.ran(id, 7, 7, 10, Some(0)).judged();
        assert_eq!(finding.wrong.len(), wrong, "{finding:?}");
    }
}
