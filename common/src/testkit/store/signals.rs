//! Promises about what is asked of workers, and about paused queues.
//!
//! Not here: that a signal ends after [`SIGNAL_TTL`](crate::store::SIGNAL_TTL), a minute, which is
//! longer than a case should wait.

use futures_util::future::join_all;

use super::StoreUnderTest;
use crate::clock::Millis;
use crate::id::{Fence, Owner, TaskId};
use crate::store::{MAX_SIGNALS, Pause, Signal};

impl StoreUnderTest {
    async fn send(&self, to: Owner, signals: &[Signal]) {
        self.signals.send(to, signals).await.expect("the store answers");
    }

    async fn receive(&self, owner: Owner) -> Vec<Signal> {
        self.signals.receive(owner).await.expect("the store answers")
    }

    async fn pause(&self, pause: &Pause) {
        self.signals.pause(pause).await.expect("the store answers");
    }

    async fn resume(&self, queue: &str) -> bool {
        let queue = queue.parse().expect("a queue");
        self.signals.resume(&queue).await.expect("the store answers")
    }

    async fn pauses(&self) -> Vec<Pause> {
        self.signals.pauses().await.expect("the store answers")
    }
}

fn pause(queue: &str, by: &str) -> Pause {
    let queue = queue.parse().expect("a queue");
    Pause { queue, at: Millis(1_790_000_000_000), by: by.to_owned(), why: None }
}

fn resize(slots: usize) -> Signal {
    Signal::Resize { slots: u32::try_from(slots).expect("a small number") }
}

pub(super) async fn signals_come_once_in_the_order_they_were_left(under: StoreUnderTest) {
    let worker = Owner::mint();
    assert!(under.receive(worker).await.is_empty(), "nothing was left yet");
    let cancel = Signal::Cancel { task: TaskId::mint(), fence: Fence(u64::MAX) };
    let left = [Signal::Quiet, cancel, resize(7), Signal::Resume, Signal::Stop, Signal::Quiet];
    under.send(worker, &left[..2]).await;
    under.send(worker, &[]).await;
    under.send(worker, &left[2..]).await;
    assert_eq!(under.receive(worker).await, left);
    assert!(under.receive(worker).await.is_empty(), "they were taken");
    under.send(worker, &left[..1]).await;
    assert_eq!(under.receive(worker).await, left[..1]);
}

pub(super) async fn nobody_receives_what_was_left_for_another(under: StoreUnderTest) {
    let (one, two) = (Owner::mint(), Owner::mint());
    under.send(one, &[resize(1)]).await;
    under.send(two, &[resize(2)]).await;
    assert!(under.receive(Owner::mint()).await.is_empty());
    assert_eq!(under.receive(two).await, [resize(2)]);
    assert_eq!(under.receive(one).await, [resize(1)]);
}

pub(super) async fn the_newest_signals_are_kept_when_there_are_too_many(under: StoreUnderTest) {
    let worker = Owner::mint();
    let many: Vec<_> = (0..MAX_SIGNALS + 50).map(resize).collect();
    let (first, rest) = many.split_at(40);
    under.send(worker, first).await;
    under.send(worker, rest).await;
    assert_eq!(under.receive(worker).await, many[50..]);
    // All at once is no way around it.
    under.send(worker, &many).await;
    assert_eq!(under.receive(worker).await, many[50..]);
}

pub(super) async fn askers_at_the_same_time_get_each_signal_once(under: StoreUnderTest) {
    let worker = Owner::mint();
    let many: Vec<_> = (0..200).map(resize).collect();
    under.send(worker, &many).await;
    let got = join_all((0..8).map(|_| under.receive(worker))).await;
    let mut got: Vec<_> = got.into_iter().flatten().collect();
    got.sort_by_key(|signal| match signal {
        Signal::Resize { slots } => *slots,
        other => panic!("{other:?} was never sent"),
    });
    assert_eq!(got, many);
}

pub(super) async fn the_first_pause_of_a_queue_stays(under: StoreUnderTest) {
    let first = Pause { why: Some("the \"smtp\" is dürr\n".to_owned()), ..pause("mail", "ada") };
    under.pause(&first).await;
    let later = Pause { at: Millis(1_790_000_009_000), ..pause("mail", "bob") };
    under.pause(&later).await;
    assert_eq!(under.pauses().await, [first]);
}

pub(super) async fn a_resumed_queue_is_no_longer_paused_and_can_be_paused_again(
    under: StoreUnderTest,
) {
    assert!(!under.resume("mail").await, "it was not paused");
    under.pause(&pause("mail", "ada")).await;
    under.pause(&pause("post", "ada")).await;
    assert!(under.resume("mail").await);
    assert!(!under.resume("mail").await, "it is resumed already");
    assert_eq!(under.pauses().await, [pause("post", "ada")]);
    under.pause(&pause("mail", "bob")).await;
    assert_eq!(under.pauses().await, [pause("mail", "bob"), pause("post", "ada")]);
}

pub(super) async fn paused_queues_are_listed_by_name(under: StoreUnderTest) {
    assert!(under.pauses().await.is_empty());
    for queue in ["post", "a-1", "mail", "a_1", "10", "9"] {
        under.pause(&pause(queue, "ada")).await;
    }
    let listed: Vec<_> = under.pauses().await.iter().map(|p| p.queue.to_string()).collect();
    assert_eq!(listed, ["10", "9", "a-1", "a_1", "mail", "post"]);
}
