//! Discards in bulk, no faster than asked.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::ground::Ground;
use crate::letters::{broken, enqueue, insist, listed};
use crate::role::Role;

#[test]
fn a_rate_spreads_discards_over_time() {
    let home = broken(&Ground::Embedded);
    let dev = Role::dev(&home);
    for n in 1..=5 {
        enqueue(&dev, "mail.send", &format!("m-{n}"));
    }
    listed(&dev, "", 5);
    let began = Instant::now();
    let discard = ["dead", "discard", "--all", "--rate", "4", "--yes", "-o", "json"];
    assert_eq!(insist(&dev, &discard).json()["discarded"], json!(5));
    // The first handful is at most as many as a second allows; the fifth waits for its turn.
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    listed(&dev, "", 0);
}
