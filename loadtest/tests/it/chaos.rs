//! Single faults on the embedded backend, which needs no server; `leveret-loadtest chaos --all` plays all rows on all
//! backends.

use indicatif::ProgressBar;
use leveret_common::testkit::services::variable;
use leveret_loadtest::chaos::{Length, play_one, rows};
use leveret_loadtest::fleet::program::Programs;
use leveret_loadtest::ground::On;

/// Plays a row, and fails where it is red; its folder is kept then.
async fn is_green(name: &str) {
    if let Err(why) = Programs::find() {
        println!("SKIPPED: {name}: {why}");
        assert!(variable("CI").as_deref() != Some("true"), "it must run in CI");
        return;
    }
    let row = rows::find(name).unwrap();
    let (seed, bar) = (fastrand::u64(..), ProgressBar::hidden());
    let played = play_one(row, On::Embedded, seed, Length::default(), &bar).await;
    let (kept, failures) = (&played.kept, played.failures());
    assert!(failures.is_empty(), "seed {seed}, {kept:?}: {failures:#?}");
    let found = played.found.unwrap();
    println!("{name}: {} accepted, {} done, {} dead", found.accepted, found.done, found.dead);
    assert!(found.accepted > 0, "nothing was put in");
}

#[tokio::test]
async fn a_drain_charges_nothing_and_loses_nothing() {
    is_green("F2").await;
}

#[tokio::test]
async fn a_handler_that_dies_is_charged_and_one_that_panics_has_failed() {
    is_green("F7").await;
}

#[tokio::test]
async fn the_neighbours_of_a_killer_end_done() {
    is_green("F42").await;
}

#[tokio::test]
async fn a_request_that_is_repeated_under_its_key_is_one_task_wherever_the_gateway_was_killed() {
    is_green("F49").await;
}
