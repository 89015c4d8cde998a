//! The story of a broken program with its full numbers: 1,000 dead letters among 50,000 good tasks, the
//! replaying process killed once in the middle.

use std::time::Duration;

use crate::ground::Ground;
use crate::story::{self, Numbers};

const FULL: Numbers = Numbers { good: 50_000, broken: 1_000, patience: Duration::from_secs(1_800) };

async fn a_thousand_of_fifty_thousand_are_replayed(ground: Ground) {
    story::is_told(&ground, FULL).await;
}

on_every_ground!(a_thousand_of_fifty_thousand_are_replayed);
