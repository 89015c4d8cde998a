//! What was sent and is not answered yet, and which of it came back.
//!
//! lapin hands a returned message to whichever confirm it completes next, so a message may carry
//! the return of another. Guards that no return is missed: a message is called safe only after
//! every confirm that was completed before its own has been looked at.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::Confirmation;
use lapin::message::BasicReturnMessage;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Outgoing, tell};
use crate::broker::PublishError;

type Reply = oneshot::Sender<Result<(), PublishError>>;
type Confirmed = (u64, lapin::Result<Confirmation>);

/// What tells one message from another when it comes back. Two that share a key share their fate:
/// better one repeated than one lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    id: Option<String>,
    pub(super) exchange: String,
    pub(super) routing: String,
}

impl Key {
    pub(super) fn of(message: &Outgoing) -> Self {
        let id = message.properties.message_id().as_ref().map(ToString::to_string);
        let (exchange, routing) = (message.route.exchange.clone(), message.route.key.clone());
        Self { id, exchange, routing }
    }

    fn of_returned(message: &BasicReturnMessage) -> Self {
        let id = message.properties.message_id().as_ref().map(ToString::to_string);
        Self {
            id,
            exchange: message.exchange.to_string(),
            routing: message.routing_key.to_string(),
        }
    }
}

struct Entry {
    key: Key,
    /// Absent once answered: the message still fills the window until the broker settles it.
    reply: Option<Reply>,
    returned: bool,
}

/// The messages on their way.
#[derive(Default)]
pub(super) struct Sent {
    next: u64,
    entries: HashMap<u64, Entry>,
    dues: VecDeque<(Instant, u64)>,
    confirms: FuturesUnordered<Pin<Box<dyn Future<Output = Confirmed> + Send>>>,
    settled: Vec<Confirmed>,
}

impl Sent {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tells whether anybody still waits for an answer.
    pub(super) fn is_awaited(&self) -> bool {
        self.entries.values().any(|entry| entry.reply.is_some())
    }

    pub(super) fn push(
        &mut self,
        key: Key,
        until: Instant,
        reply: Reply,
        send: impl Future<Output = lapin::Result<Confirmation>> + Send + 'static,
    ) {
        let number = self.next;
        self.next += 1;
        self.entries.insert(number, Entry { key, reply: Some(reply), returned: false });
        self.dues.push_back((until, number));
        self.confirms.push(Box::pin(async move { (number, send.await) }));
    }

    /// Waits until some messages are settled and every confirm completed before theirs is seen.
    ///
    /// # Cancel safety
    /// What was seen is kept for the next call.
    pub(super) async fn settled(&mut self) {
        poll_fn(|cx| {
            self.drain(cx);
            if self.settled.is_empty() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    /// Polls until nothing is ready. `FuturesUnordered` also says "pending" to be fair, and wakes
    /// itself then; that must not be taken for "nothing is ready".
    fn drain(&mut self, cx: &mut Context<'_>) {
        let watch = Arc::new(Woken { woken: AtomicBool::new(false), task: cx.waker().clone() });
        let waker = Waker::from(watch.clone());
        let mut watched = Context::from_waker(&waker);
        loop {
            watch.woken.store(false, Ordering::SeqCst);
            match self.confirms.poll_next_unpin(&mut watched) {
                Poll::Ready(Some(confirmed)) => self.settled.push(confirmed),
                Poll::Ready(None) => return,
                Poll::Pending if watch.woken.load(Ordering::SeqCst) => {}
                Poll::Pending => return,
            }
        }
    }

    /// Answers what is settled. `heard` is told of each whether it was taken, `unknown` explains a confirm that
    /// was cut off.
    ///
    /// The client may attach a returned message to another one's confirm. That one's own return may
    /// then be on its way with a third one's, so it counts as returned too: repeated without need
    /// it is one copy more, taken for confirmed it would be lost.
    pub(super) fn answer(
        &mut self,
        heard: impl Fn(&Key, bool),
        unknown: impl Fn(&lapin::Error) -> PublishError,
    ) {
        let mut settled = std::mem::take(&mut self.settled);
        let mut mixed_up = HashSet::new();
        for (number, confirmed) in &mut settled {
            if let Ok(Confirmation::Ack(message) | Confirmation::Nack(message)) = confirmed
                && let Some(message) = message.take()
            {
                let key = Key::of_returned(&message);
                if self.entries.get(number).is_some_and(|entry| entry.key != key) {
                    mixed_up.insert(*number);
                }
                for entry in self.entries.values_mut().filter(|entry| entry.key == key) {
                    entry.returned = true;
                }
            }
        }
        for (number, confirmed) in settled {
            let Some(Entry { key, reply, returned }) = self.entries.remove(&number) else {
                continue;
            };
            match confirmed {
                Ok(Confirmation::Ack(_)) => heard(&key, true),
                Ok(Confirmation::Nack(_)) => heard(&key, false),
                Ok(Confirmation::NotRequested) | Err(_) => {}
            }
            let Some(reply) = reply else { continue };
            let answer = match confirmed {
                Ok(_) if returned || mixed_up.contains(&number) => {
                    Err(PublishError::Unroutable(key.routing))
                }
                Ok(Confirmation::Ack(_)) => Ok(()),
                Ok(Confirmation::Nack(_)) => {
                    Err(PublishError::Rejected("its queue is full or has no quorum".to_owned()))
                }
                Ok(Confirmation::NotRequested) => {
                    Err(PublishError::Rejected("the channel does not confirm".to_owned()))
                }
                Err(error) => Err(unknown(&error)),
            };
            tell(reply, answer);
        }
    }

    /// Returns when the next answer is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.dues.front().map(|(due, _)| *due)
    }

    /// Answers what is due by `now`, or everything; it fills the window until it is settled.
    pub(super) fn expire(&mut self, now: Option<Instant>, why: impl Fn(&Key) -> PublishError) {
        while let Some(&(due, number)) = self.dues.front() {
            let over = now.is_none_or(|now| due <= now);
            let entry = self.entries.get_mut(&number);
            let answered = entry.as_ref().is_none_or(|entry| entry.reply.is_none());
            if !over && !answered {
                return;
            }
            self.dues.pop_front();
            let Some(entry) = entry else { continue };
            if let Some(reply) = entry.reply.take() {
                tell(reply, Err(why(&entry.key)));
            }
        }
    }

    /// Forgets everything, because the channel is gone; tells whoever waits.
    pub(super) fn abandon(&mut self, why: impl Fn() -> PublishError) {
        let Self { next, entries, .. } = std::mem::take(self);
        self.next = next;
        for reply in entries.into_values().filter_map(|entry| entry.reply) {
            tell(reply, Err(why()));
        }
    }
}

/// Passes a wake on, and remembers it.
struct Woken {
    woken: AtomicBool,
    task: Waker,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.task.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lapin::BasicProperties;
    use lapin::message::Delivery;

    use super::*;
    use crate::broker::rabbitmq::topology::Route;

    type Confirm = oneshot::Sender<Confirmation>;
    type Answer = oneshot::Receiver<Result<(), PublishError>>;

    fn properties(id: Option<&str>) -> BasicProperties {
        let properties = BasicProperties::default();
        match id {
            Some(id) => properties.with_message_id(id.into()),
            None => properties,
        }
    }

    fn returned(id: Option<&str>, routing: &str) -> Option<BasicReturnMessage> {
        let mut delivery =
            Delivery::mock(0, "acme.tasks".into(), routing.into(), false, Vec::new());
        delivery.properties = properties(id);
        Some(BasicReturnMessage { delivery, reply_code: 312, reply_text: "NO_ROUTE".into() })
    }

    fn push(sent: &mut Sent, id: Option<&str>, routing: &str, until: Instant) -> (Confirm, Answer) {
        let (confirm, confirmed) = oneshot::channel::<Confirmation>();
        let (reply, answer) = oneshot::channel();
        let route = Route { exchange: "acme.tasks".to_owned(), key: routing.to_owned() };
        let message = Outgoing { route, properties: properties(id), body: bytes::Bytes::new() };
        let send = async move { Ok(confirmed.await.expect("the test confirms")) };
        sent.push(Key::of(&message), until, reply, send);
        (confirm, answer)
    }

    fn lost(error: &lapin::Error) -> PublishError {
        PublishError::Unavailable(error.to_string())
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn a_return_on_the_confirm_of_another_is_credited_to_its_own_message() {
        let mut sent = Sent::default();
        let until = soon();
        let (lost_way, mut a) = push(&mut sent, Some("a"), "gone.normal", until);
        let (carrier, mut b) = push(&mut sent, Some("b"), "mail.normal", until);
        // As lapin does it for an ack of both: whichever it completes first carries the return.
        assert!(carrier.send(Confirmation::Ack(returned(Some("a"), "gone.normal"))).is_ok());
        assert!(lost_way.send(Confirmation::Ack(None)).is_ok());
        sent.settled().await;
        sent.answer(|_, _| {}, lost);
        assert!(
            matches!(a.try_recv().unwrap(), Err(PublishError::Unroutable(key)) if key == "gone.normal")
        );
        assert!(matches!(b.try_recv().unwrap(), Err(PublishError::Unroutable(_))), "repeated");
        assert_eq!(sent.len(), 0);
    }

    #[tokio::test]
    async fn a_return_seen_early_is_remembered_for_its_message() {
        let mut sent = Sent::default();
        let until = soon();
        let (carrier, mut b) = push(&mut sent, Some("b"), "mail.normal", until);
        let (lost_way, mut a) = push(&mut sent, Some("a"), "gone.normal", until);
        assert!(carrier.send(Confirmation::Ack(returned(Some("a"), "gone.normal"))).is_ok());
        sent.settled().await;
        sent.answer(|_, _| {}, lost);
        assert!(matches!(b.try_recv().unwrap(), Err(PublishError::Unroutable(_))), "repeated");
        assert!(a.try_recv().is_err(), "not answered before its own confirm");
        assert!(lost_way.send(Confirmation::Ack(None)).is_ok());
        sent.settled().await;
        sent.answer(|_, _| {}, lost);
        assert!(matches!(a.try_recv().unwrap(), Err(PublishError::Unroutable(_))));
    }

    #[tokio::test]
    async fn a_returned_message_that_carries_the_return_of_another_is_not_confirmed() {
        let mut sent = Sent::default();
        let until = soon();
        let (x, mut first) = push(&mut sent, Some("x"), "gone.normal", until);
        let (y, mut second) = push(&mut sent, Some("y"), "gone.low", until);
        // Both came back, each on the other's confirm, and the first is looked at alone.
        assert!(x.send(Confirmation::Ack(returned(Some("y"), "gone.low"))).is_ok());
        sent.settled().await;
        sent.answer(|_, _| {}, lost);
        assert!(matches!(first.try_recv().unwrap(), Err(PublishError::Unroutable(_))));
        assert!(y.send(Confirmation::Ack(returned(Some("x"), "gone.normal"))).is_ok());
        sent.settled().await;
        sent.answer(|_, _| {}, lost);
        assert!(matches!(second.try_recv().unwrap(), Err(PublishError::Unroutable(_))));
    }

    #[tokio::test]
    async fn messages_without_an_id_share_the_fate_of_their_route() {
        let mut sent = Sent::default();
        let until = soon();
        let pushed: Vec<_> =
            ["gone", "gone", "mail"].map(|key| push(&mut sent, None, key, until)).into();
        let mut answers = Vec::new();
        for (n, (confirm, answer)) in pushed.into_iter().enumerate() {
            let message = if n == 2 { returned(None, "gone") } else { None };
            assert!(confirm.send(Confirmation::Ack(message)).is_ok());
            answers.push(answer);
        }
        sent.settled().await;
        sent.answer(|_, _| {}, lost);
        let ok: Vec<_> =
            answers.iter_mut().map(|answer| answer.try_recv().unwrap().is_ok()).collect();
        assert_eq!(ok, [false, false, false], "the carrier of a return is repeated too");
    }

    #[tokio::test]
    async fn what_is_overdue_is_answered_and_fills_the_window_until_it_is_settled() {
        let mut sent = Sent::default();
        let now = Instant::now();
        let (confirm, mut late) = push(&mut sent, Some("a"), "mail", now);
        let (_open, mut open) = push(&mut sent, Some("b"), "mail", soon());
        sent.expire(Some(now), |_| PublishError::Blocked("late".to_owned()));
        assert!(matches!(late.try_recv().unwrap(), Err(PublishError::Blocked(_))));
        assert!(open.try_recv().is_err());
        assert_eq!(sent.len(), 2);
        assert!(confirm.send(Confirmation::Ack(None)).is_ok());
        sent.settled().await;
        sent.answer(|_, _| {}, lost);
        assert_eq!(sent.len(), 1);
        sent.abandon(|| PublishError::Unavailable("gone".to_owned()));
        assert!(matches!(open.try_recv().unwrap(), Err(PublishError::Unavailable(_))));
        assert!(!sent.is_awaited());
    }
}
