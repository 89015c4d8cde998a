//! Rows of the fault matrix that are short and spare their broker: those on servers share one of each generation.
//! `leveret-loadtest chaos --all` plays all rows on all backends.
//!
//! F19 sets how long a broker waits for an ack, so it has one of its own.

use std::sync::{Arc, Weak};

use indicatif::ProgressBar;
use leveret_loadtest::chaos::{Length, Lent, Terms, play_one, rows};
use leveret_loadtest::error::Error;
use leveret_loadtest::fleet::program::Programs;
use leveret_loadtest::ground::On;
use leveret_loadtest::node::{self, Broker, Generation, or_skip};
use tokio::sync::Mutex;

/// The brokers of both generations, each for as long as a test plays on it.
static BROKERS: [Mutex<Weak<Broker>>; 2] =
    [Mutex::const_new(Weak::new()), Mutex::const_new(Weak::new())];

/// Makes a test of each play: a sentence and the row that proves it.
macro_rules! plays {
    ($($ground:ident ($on:ident): { $($story:ident: $row:literal,)+ })+) => {$(
        mod $ground {
            use leveret_loadtest::ground::On;

            $(
                #[tokio::test]
                async fn $story() {
                    super::is_green($row, On::$on).await;
                }
            )+
        }
    )+};
}

plays! {
    on_embedded (Embedded): {
        a_worker_that_is_killed_anywhere_loses_nothing: "F1",
        a_drain_charges_nothing_and_loses_nothing: "F2",
        a_handler_that_dies_is_charged_and_one_that_panics_has_failed: "F7",
        a_task_that_lasts_runs_once_while_its_copies_come_and_go: "F19",
        each_occurrence_is_performed_once_wherever_its_beat_was_killed: "F27",
        the_neighbours_of_a_killer_end_done: "F42",
        a_request_that_is_repeated_is_one_task_wherever_the_gateway_was_killed: "F49",
    }
    on_rabbitmq_3 (RabbitMq3): {
        a_worker_that_is_killed_anywhere_loses_nothing: "F1",
        a_drain_charges_nothing_and_loses_nothing: "F2",
        a_task_that_lasts_costs_no_channel_and_completes_elsewhere: "F19",
        a_store_that_is_wiped_loses_nothing: "F21",
        the_neighbours_of_a_killer_end_done: "F42",
    }
    on_rabbitmq_4 (RabbitMq4): {
        a_worker_that_is_killed_anywhere_loses_nothing: "F1",
        a_drain_charges_nothing_and_loses_nothing: "F2",
        a_task_that_lasts_costs_no_channel_and_completes_elsewhere: "F19",
        a_store_that_is_wiped_loses_nothing: "F21",
        the_neighbours_of_a_killer_end_done: "F42",
    }
}

/// Plays a row, and fails where it is red; its folder is kept then.
async fn is_green(name: &str, on: On) {
    if let Err(why) = Programs::find() {
        panic!("{name} cannot be played: {why}");
    }
    let row = rows::find(name).unwrap();
    let lent = match on.generation().filter(|_| name != "F19") {
        None => None,
        Some(generation) => match broker(generation).await {
            None => return,
            broker => broker.map(Lent),
        },
    };
    let (seed, length) = (fastrand::u64(..), Length::default());
    let played = play_one(row, Terms { on, seed, length, lent }, &ProgressBar::hidden()).await;
    if let Err(Error::Node(missing @ node::Error::NotHere(_))) = played.found {
        or_skip::<()>(Err(missing));
        return;
    }
    let (kept, failures) = (&played.kept, played.failures());
    assert!(failures.is_empty(), "{name}, seed {seed}, {kept:?}: {failures:#?}");
    let (found, took) = (played.found.unwrap(), played.took);
    let (accepted, done, dead) = (found.accepted, found.done, found.dead);
    println!("{name}, {}: {accepted} accepted, {done} done, {dead} dead, {took:?}", on.name());
    assert!(accepted > 0, "nothing was put in");
}

/// Returns the broker of a generation, started where nobody plays on one; nothing where there is none.
async fn broker(generation: Generation) -> Option<Arc<Broker>> {
    let mut lent = BROKERS[usize::from(generation == Generation::New)].lock().await;
    if let Some(broker) = lent.upgrade() {
        return Some(broker);
    }
    let broker = Arc::new(or_skip(Broker::start(generation).await)?);
    *lent = Arc::downgrade(&broker);
    Some(broker)
}
