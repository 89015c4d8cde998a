//! Promises about what a running attempt says of itself.

use super::StoreUnderTest;
use crate::clock::Millis;
use crate::envelope::Order;
use crate::id::{Fence, TaskId};
use crate::store::Interim;

/// Fences are times in microseconds.
const FENCE: u64 = 1_790_000_000_000_000;

fn said(id: TaskId, fence: u64, turn: u32) -> Interim {
    Interim {
        id,
        order: Order { replay: 1, attempt: 3 },
        fence: Fence(FENCE + fence),
        turn,
        at: Millis(1_790_000_000_000 + fence + u64::from(turn)),
        percent: Some(40),
        message: Some("page 4 of 10 \"grün\"\n".to_owned()),
        checkpoint: Some("{\"page\": 4}".to_owned()),
    }
}

impl StoreUnderTest {
    async fn say(&self, batch: &[Interim]) {
        self.records.say(batch).await.expect("it is written");
    }

    async fn last_said(&self, id: TaskId) -> Option<Interim> {
        self.records.last_said(&[id]).await.expect("the store answers").remove(0)
    }
}

pub(super) async fn what_an_attempt_said_last_is_found(under: StoreUnderTest) {
    let id = TaskId::mint();
    assert_eq!(under.last_said(id).await, None);
    under.say(&[said(id, 0, 1)]).await;
    assert_eq!(under.last_said(id).await, Some(said(id, 0, 1)));
    // As a whole: what is not said again is gone.
    let next = Interim { percent: None, message: None, checkpoint: None, ..said(id, 0, 2) };
    under.say(std::slice::from_ref(&next)).await;
    assert_eq!(under.last_said(id).await, Some(next));
}

pub(super) async fn an_older_fence_and_an_older_turn_are_not_listened_to(under: StoreUnderTest) {
    let id = TaskId::mint();
    under.say(&[said(id, 1, 5)]).await;
    under.say(&[said(id, 0, 9)]).await;
    under.say(&[said(id, 1, 4)]).await;
    assert_eq!(under.last_said(id).await, Some(said(id, 1, 5)));
    under.say(&[said(id, 2, 0)]).await;
    assert_eq!(under.last_said(id).await, Some(said(id, 2, 0)));
}

pub(super) async fn what_attempts_said_is_read_in_the_order_asked(under: StoreUnderTest) {
    let (first, silent, second) = (TaskId::mint(), TaskId::mint(), TaskId::mint());
    under.say(&[said(first, 0, 1), said(second, 0, 2)]).await;
    let found = under.records.last_said(&[second, silent, first]).await.expect("it answers");
    assert_eq!(found, [Some(said(second, 0, 2)), None, Some(said(first, 0, 1))]);
}
