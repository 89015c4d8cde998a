//! Promises about what nobody has to look after: the list is right, and strays go home.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{DeskUnderTest, SOON, dead, id, many, numbers, order, queue, stray};
use crate::backend::Backend;
use crate::broker::{Destination, Place, Publish, PublishError};
use crate::clock::Millis;
use crate::decorator::{Faults, Faulty, Moment};
use crate::desk::{DeskError, Keeper};
use crate::envelope::DeadReason;
use crate::id::Owner;
use crate::ledger::{Decide, Decision, Outcome};
use crate::spawn::Spawner;
use crate::store::{Gone, Heartbeat, WorkerInfo, WorkerState};
use crate::testkit::eventually;

impl DeskUnderTest {
    fn keeper(&self) -> Keeper {
        Keeper::new(self.backend.clone(), [queue(), "post".parse().expect("a queue")])
    }

    /// Looks so often; the first look at something wrong only takes note of it.
    async fn looked(&self, keeper: &mut Keeper, times: usize) {
        for _ in 0..times {
            keeper.look(&CancellationToken::new()).await.expect("broker and store answer");
        }
    }
}

fn info() -> WorkerInfo {
    WorkerInfo {
        host: "here".to_owned(),
        pid: 1,
        started_at: Millis(0),
        at: Millis(0),
        version: "0".to_owned(),
        slots: 1,
        in_use: 1,
        lanes: Vec::new(),
        kinds: Vec::new(),
        state: WorkerState::Running,
        attempts: 0,
        memory: 0,
    }
}

pub(super) async fn a_wiped_list_is_written_anew(under: DeskUnderTest) {
    let sent = many(20);
    under.bury_unlisted(&sent).await;
    let mut keeper = under.keeper();
    under.looked(&mut keeper, 1).await;
    assert!(under.listed().await.is_empty(), "letters may still be on their way to the list");
    under.looked(&mut keeper, 1).await;
    under.lists(&sent).await;
    // Not only once: whoever found it right in between begins anew.
    for _ in 0..4 {
        under.rest_at(20).await;
        under.looked(&mut keeper, 1).await;
        let gone: Vec<_> = under
            .listed()
            .await
            .into_iter()
            .map(|letter| Gone { id: letter.id, queue: letter.queue, order: letter.order })
            .collect();
        under.backend.letters.forget(&gone).await.expect("the store answers");
        under.looked(&mut keeper, 2).await;
        under.lists(&sent).await;
    }
    under.rest_at(20).await;
    assert_eq!(under.letters(20).await, sent);
}

pub(super) async fn a_list_that_agrees_is_left_alone(under: DeskUnderTest) {
    let sent = many(5);
    under.bury(&sent).await;
    let before = under.listed().await;
    let mut keeper = under.keeper();
    under.looked(&mut keeper, 5).await;
    assert_eq!(under.listed().await, before, "nobody walked");
    assert_eq!(under.letters(5).await, sent);
}

pub(super) async fn a_stray_goes_back_by_itself(under: DeskUnderTest) {
    let (letters, strays) = (many(3), [stray(10), stray(11)]);
    under.bury(&letters).await;
    under.bury_unlisted(&strays).await;
    let mut keeper = under.keeper();
    under.looked(&mut keeper, 2).await;
    assert_eq!(under.tasks("mail", 2).await, strays);
    under.lists(&letters).await;
    assert_eq!(under.letters(3).await, letters);
}

pub(super) async fn what_is_no_letter_any_more_leaves_the_list(under: DeskUnderTest) {
    // Somebody emptied the queue with the broker's own tools.
    under.describe_ghosts(&many(4)).await;
    let mut keeper = under.keeper();
    under.looked(&mut keeper, 2).await;
    assert!(under.listed().await.is_empty());
}

pub(super) async fn a_queue_that_somebody_walks_is_left_to_them(under: DeskUnderTest) {
    under.bury_unlisted(&[stray(0)]).await;
    let other = under.backend.leases.acquire("dead/mail", Owner::mint(), super::LONG).await;
    let lease = other.expect("the store answers").expect("nobody walks");
    let mut keeper = under.keeper();
    under.looked(&mut keeper, 4).await;
    under.rest_at(1).await;
    under.backend.leases.give_back(&lease).await.expect("the store answers");
    under.looked(&mut keeper, 2).await;
    assert_eq!(under.tasks("mail", 1).await.len(), 1);
}

pub(super) async fn a_doubled_letter_is_not_walked_for_over_and_over(under: DeskUnderTest) {
    let sent = many(5);
    under.bury(&sent).await;
    under.bury_unlisted(&sent[..1]).await;
    let (mut first, mut second) = (under.keeper(), under.keeper());
    under.looked(&mut first, 2).await;
    under.rest_at(6).await;
    // A walk writes each description anew.
    let walked = under.listed().await;
    assert_eq!(walked.len(), 5);
    for _ in 0..10 {
        under.looked(&mut first, 1).await;
        under.looked(&mut second, 1).await;
    }
    assert_eq!(under.listed().await, walked, "nobody walked for the double again");
    // Until something has changed.
    under.bury_unlisted(&[stray(9)]).await;
    under.looked(&mut second, 2).await;
    assert_eq!(under.tasks("mail", 1).await.len(), 1);
    under.rest_at(6).await;
    assert_ne!(under.listed().await, walked);
}

pub(super) async fn one_queues_trouble_is_not_in_the_way_of_the_next(under: DeskUnderTest) {
    under.bury_unlisted(&[stray(0)]).await;
    let to = Destination::Dead("post".parse().expect("a queue"));
    let sent = Publish { to, wire: stray(1) };
    under.backend.broker.publish(&[sent]).await.remove(0).expect("it is published");
    let faults = Faults::scripted();
    faults.fail_publish(1, Moment::Before, || PublishError::Blocked("memory".to_owned()));
    let broker = Arc::new(Faulty::new(Arc::clone(&under.backend.broker), Arc::clone(&faults)));
    let backend = Backend { broker, ..under.backend.clone() };
    let mut keeper = Keeper::new(backend, [queue(), "post".parse().expect("a queue")]);
    let stop = CancellationToken::new();
    let place = [Place::Dead("post".parse().expect("a queue"))];
    eventually(SOON, "it rests", async || {
        under.backend.broker.survey(&place).await.is_ok_and(|found| found[0].depth == 1)
    })
    .await;
    assert!(keeper.look(&stop).await.is_ok(), "nothing is walked yet");
    let looked = keeper.look(&stop).await;
    assert!(matches!(looked, Err(DeskError::Publish { .. })), "it is told: {looked:?}");
    assert_eq!(under.tasks("post", 1).await.len(), 1, "and the other queue is looked after");
    under.rest_at(1).await;
}

pub(super) async fn a_stray_whose_worker_died_does_not_wait_for_its_entry_to_end(
    under: DeskUnderTest,
) {
    let sent = [stray(0), stray(1), stray(2)];
    under.bury_unlisted(&sent).await;
    // One is run by a worker that lives, one by a worker that died with it, and one had its outcome
    // decided by a worker that died before it published it.
    let living = under.claimed(id(&sent[0]), order(0, 1)).await;
    under.claimed(id(&sent[1]), order(0, 1)).await;
    let decided = under.claimed(id(&sent[2]), order(0, 1)).await;
    let decision =
        Decision { outcome: Outcome::Snooze { not_before: Millis(1) }, follow_ups: Vec::new() };
    let order = order(0, 1);
    let ask = Decide { id: id(&sent[2]), hold: decided, order, decision, ttl: super::LONG };
    under.backend.ledger.decide(&[ask]).await.expect("the store answers");
    let mut keeper = under.keeper().grace(Duration::from_millis(1));
    // Nobody lives, as far as the store knows: then nothing is concluded.
    under.looked(&mut keeper, 2).await;
    under.rest_at(3).await;
    assert!(under.listed().await.is_empty());
    let heartbeat =
        Heartbeat { owner: living.owner, held: vec![(id(&sent[0]), living.fence)], info: info() };
    under.backend.fleet.beat(&heartbeat, super::LONG).await.expect("the store answers");
    // Another of the kind, so that something has changed.
    under.bury_unlisted(&[stray(3)]).await;
    under.looked(&mut keeper, 2).await;
    assert_eq!(numbers(&under.tasks("mail", 2).await), [2, 3]);
    under.lists(&sent[1..2]).await;
    assert_eq!(under.listed().await[0].reason, Some(DeadReason::DeliveryLimit));
    assert_eq!(under.letters(2).await[0], sent[0], "what runs is not touched");
}

pub(super) async fn the_keeper_works_until_it_is_stopped(under: DeskUnderTest) {
    let (spawner, stop) = (Spawner::new(), CancellationToken::new());
    let keeper = under.keeper().every(Duration::from_millis(20));
    let runs = spawner.spawn(keeper.run(stop.clone()));
    let sent = dead(0);
    under.bury_unlisted(std::slice::from_ref(&sent)).await;
    eventually(SOON, "the letter is listed", || async { under.listed().await.len() == 1 }).await;
    stop.cancel();
    tokio::time::timeout(SOON, runs).await.expect("it ends").expect("it does not panic");
    under.lists(&[sent]).await;
}
