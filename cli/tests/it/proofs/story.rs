//! The story of a broken program with its full numbers: 1,000 dead letters among 50,000 good tasks, the
//! replaying process killed once in the middle.

use std::time::Duration;

use crate::ground::Ground;
use crate::story::{self, Numbers};

const FULL: Numbers = Numbers { good: 50_000, broken: 1_000, patience: Duration::from_secs(1_800) };

#[tokio::test]
async fn a_thousand_of_fifty_thousand_are_replayed_on_embedded() {
    story::is_told(&Ground::Embedded, FULL).await;
}

#[tokio::test]
async fn a_thousand_of_fifty_thousand_are_replayed_on_rabbitmq_3() {
    if let Some(ground) = Ground::rabbitmq_3().await {
        story::is_told(&ground, FULL).await;
    }
}

#[tokio::test]
async fn a_thousand_of_fifty_thousand_are_replayed_on_rabbitmq_4() {
    if let Some(ground) = Ground::rabbitmq_4().await {
        story::is_told(&ground, FULL).await;
    }
}
