//! Dead letters as a worker leaves them behind.

use leveret_common::broker::{Destination, Place, Publish};
use leveret_common::clock::Millis;
use leveret_common::desk::letter::describe;
use leveret_common::envelope::{DeadReason, Envelope, Wire};
use leveret_common::id::{Fence, Owner, TaskId};
use leveret_common::ledger::{Hold, Mark, Marking};
use leveret_common::name::QueueName;
use leveret_common::testkit::eventually;

use super::World;

/// The letter of a task of `kind` with these args, from the lane `mail.high`.
pub(crate) fn letter(kind: &str, args: &str, died_at: u64) -> Wire {
    let mut envelope = Envelope::new(TaskId::mint(), kind.parse().unwrap(), args.to_owned().into());
    envelope.order.attempt = 3;
    envelope.fixed.tags = [("tenant".to_owned(), "42".to_owned())].into();
    envelope.moving.origin = Some("mail.high".to_owned());
    envelope.moving.reason = Some(DeadReason::Handler);
    envelope.moving.error = Some("the server refused".to_owned());
    envelope.moving.error_class = Some("smtp".to_owned());
    envelope.moving.dead_at = Some(Millis(died_at));
    envelope.to_wire()
}

/// Letters of `kind`, numbered by their args, that died one after another in the past.
pub(crate) fn letters(kind: &str, count: u64) -> Vec<Wire> {
    (0..count).map(|n| letter(kind, &n.to_string(), 1_700_000_000_000 + n)).collect()
}

impl World {
    /// Leaves letters among the dead letters of `queue`, described, and dead to the ledger; returns
    /// their ids.
    pub(crate) async fn bury(&self, queue: &str, letters: &[Wire]) -> Vec<TaskId> {
        let queue: QueueName = queue.parse().unwrap();
        let before = self.dead_depth(&queue).await;
        self.bury_unlisted(&queue, letters).await;
        let now = self.backend.clock.now();
        let namespace = &self.backend.namespace;
        let describe = |wire: &Wire| describe(namespace, &queue, wire, now, now);
        let described: Vec<_> = letters.iter().map(describe).collect();
        self.backend.letters.describe(&described).await.unwrap();
        let marks: Vec<_> = described
            .iter()
            .map(|letter| Mark {
                id: letter.id,
                hold: Hold { owner: Owner::mint(), fence: Fence(1) },
                order: letter.order,
                marking: Marking::Dead(DeadReason::Handler),
                ttl: std::time::Duration::from_secs(600),
            })
            .collect();
        self.backend.ledger.mark(&marks).await.unwrap();
        let whole = before + letters.len() as u64;
        eventually(std::time::Duration::from_secs(20), "the letters are counted", || async {
            self.dead_depth(&queue).await == whole
        })
        .await;
        described.iter().map(|letter| letter.id).collect()
    }

    /// Leaves letters that the list is not told of.
    pub(crate) async fn bury_unlisted(&self, queue: &QueueName, letters: &[Wire]) {
        let to = Destination::Dead(queue.clone());
        let batch: Vec<_> =
            letters.iter().map(|wire| Publish { to: to.clone(), wire: wire.clone() }).collect();
        for answer in self.backend.broker.publish(&batch).await {
            answer.unwrap();
        }
    }

    /// Counts the dead letters of a queue.
    pub(crate) async fn dead_depth(&self, queue: &QueueName) -> u64 {
        self.backend.broker.survey(&[Place::Dead(queue.clone())]).await.unwrap()[0].depth
    }

    /// Waits until so many dead letters of `mail` rest.
    pub(crate) async fn dead_rest_at(&self, count: u64) {
        let queue: QueueName = "mail".parse().unwrap();
        eventually(std::time::Duration::from_secs(20), "the dead letters are counted", || async {
            self.dead_depth(&queue).await == count
        })
        .await;
    }

    /// Waits until so many tasks rest in a lane.
    pub(crate) async fn rest_at(&self, lane: &str, count: u64) {
        let what = format!("{count} tasks rest in {lane}");
        eventually(std::time::Duration::from_secs(20), &what, || async {
            self.depth(lane).await == count
        })
        .await;
    }

    /// Takes one message out of a lane.
    pub(crate) async fn take_from(&self, lane: &str) -> Wire {
        let place = Place::Lane(lane.parse().unwrap());
        let consumer = self.backend.broker.consume(&place, 1).await.unwrap();
        let taking = consumer.next(1);
        let taken = tokio::time::timeout(std::time::Duration::from_secs(20), taking).await;
        let delivery = taken.expect("a message is there").pop().unwrap();
        let ack = leveret_common::broker::Settle::Ack;
        consumer.settle(&[(delivery.receipt, ack)]).await.pop().unwrap().unwrap();
        consumer.stop().await;
        delivery.wire
    }
}
