//! The one task that owns the publishing channel: sends, waits for confirms, answers.
//!
//! What to declare and where to route is decided before ([`super::RabbitMq`]). Guards that every
//! message handed in is answered by its deadline, that "ok" means the broker has it and did not
//! return it, and that no more than the window is unconfirmed: lapin scans all that are pending on
//! each confirm, and credits confirms wrongly when two tasks share a channel.

mod refused;
mod returns;
mod silent;
mod stale;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::returns::{Key, Sent};
use self::stale::Stale;
use super::connection::REQUEST_DEADLINE;
use super::declare::Declarer;
use super::supervisor::{Link, State};
use super::topology::Route;
use super::translate::short;
use crate::broker::PublishError;
use crate::sabotage::{Break, breaks};

pub(super) use self::refused::Refused;
pub(super) use self::silent::Silent;

/// How long messages on their way may still be confirmed when their channel is to be replaced.
const RENEWAL_GRACE: Duration = Duration::from_secs(1);
/// How long messages on their way when the broker blocks may still be confirmed.
const BLOCKED_GRACE: Duration = Duration::from_secs(1);
/// How long to wait before a channel that could not be opened is opened again.
const REOPEN_AFTER: Duration = Duration::from_millis(100);

/// A message ready to be sent.
pub(super) struct Outgoing {
    /// Where to.
    pub(super) route: Route,
    /// Its properties and headers.
    pub(super) properties: BasicProperties,
    /// Its body.
    pub(super) body: Bytes,
}

/// A message, and whom to tell.
pub(super) struct Job {
    /// The message.
    pub(super) message: Outgoing,
    /// When an answer is due.
    pub(super) until: Instant,
    /// Takes the answer.
    pub(super) reply: oneshot::Sender<Result<(), PublishError>>,
}

/// Owns the publishing channel.
pub(super) struct Publisher {
    state: watch::Receiver<State>,
    jobs: mpsc::Receiver<Job>,
    declarer: Arc<Declarer>,
    window: usize,
    deadline: Duration,
    refused: Refused,
    silent: Silent,
    stale: Stale,
    /// Until when a channel that is doubted may still answer; nothing more is sent on it.
    renewal: Option<Instant>,
    /// When something was last confirmed, or nothing was awaited.
    heard: Instant,
    waiting: VecDeque<Job>,
    sent: Sent,
    /// The connection that `channel` or `opening` belongs to.
    generation: u64,
    channel: Option<Channel>,
    opening: Option<BoxFuture<'static, Result<Channel, String>>>,
    give_up: Option<Instant>,
}

impl Publisher {
    pub(super) fn new(
        state: watch::Receiver<State>,
        jobs: mpsc::Receiver<Job>,
        declarer: Arc<Declarer>,
        window: usize,
        deadline: Duration,
    ) -> Self {
        Self {
            state,
            jobs,
            declarer,
            window,
            deadline,
            refused: Refused::default(),
            silent: Silent::default(),
            stale: Stale::default(),
            renewal: None,
            heard: Instant::now(),
            waiting: VecDeque::new(),
            sent: Sent::default(),
            generation: 0,
            channel: None,
            opening: None,
            give_up: None,
        }
    }

    /// Returns what remembers why the broker refuses publishes.
    pub(super) fn refused(&self) -> Refused {
        self.refused.clone()
    }

    /// Returns what remembers which exchanges confirm nothing.
    pub(super) fn silent(&self) -> Silent {
        self.silent.clone()
    }

    /// Publishes until `stop`, then until all that was handed in is answered.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        self.follow();
        let mut batch = Vec::new();
        loop {
            self.send_waiting();
            self.expire(Instant::now());
            let room = self.window.saturating_sub(self.waiting.len());
            let due = self.next_due();
            tokio::select! {
                biased;
                () = self.sent.settled() => self.answer(),
                changed = self.state.changed() => match changed {
                    Ok(()) => self.follow(),
                    // The supervisor is gone without a word: its runtime is shutting down.
                    Err(_) => return,
                },
                opened = poll(&mut self.opening) => self.opened(opened),
                taken = self.jobs.recv_many(&mut batch, room), if room > 0 => {
                    self.waiting.extend(batch.drain(..));
                    if taken == 0 {
                        // Closed: nothing more comes, what is under way is answered first.
                        return self.finish().await;
                    }
                }
                () = sleep_until(due) => {}
                () = stop.cancelled(), if !self.jobs.is_closed() => self.jobs.close(),
            }
        }
    }

    /// Answers what is left, without taking more.
    async fn finish(&mut self) {
        while self.sent.is_awaited() || !self.waiting.is_empty() {
            self.send_waiting();
            self.expire(Instant::now());
            let due = self.next_due();
            tokio::select! {
                biased;
                () = self.sent.settled() => self.answer(),
                changed = self.state.changed() => match changed {
                    Ok(()) => self.follow(),
                    Err(_) => return,
                },
                opened = poll(&mut self.opening) => self.opened(opened),
                () = sleep_until(due) => {}
            }
        }
    }

    /// Takes note of how the connection is now.
    fn follow(&mut self) {
        let state = self.state.borrow_and_update().clone();
        match state {
            State::Up(link) if link.blocked().is_some() => {
                self.give_up.get_or_insert_with(|| Instant::now() + BLOCKED_GRACE);
            }
            State::Up(link) => {
                self.give_up = None;
                if self.generation != link.generation {
                    self.abandon("the connection was lost");
                    self.stale = Stale::default();
                    self.generation = link.generation;
                    self.opening = Some(open(link, Duration::ZERO).boxed());
                }
            }
            State::Down(why) => self.abandon(&why),
            State::Closed => self.abandon("the connection was closed"),
        }
    }

    /// Gives up the channel and all that was not confirmed on it.
    fn abandon(&mut self, why: &str) {
        self.channel = None;
        self.opening = None;
        self.renewal = None;
        let within = self.deadline;
        self.sent.abandon(|| PublishError::Unknown { within, why: why.to_owned() });
    }

    fn opened(&mut self, opened: Result<Channel, String>) {
        self.opening = None;
        match opened {
            Ok(channel) => self.channel = Some(channel),
            Err(why) => {
                tracing::warn!(error = %why, "failed to open the publishing channel");
                self.reopen();
            }
        }
    }

    fn reopen(&mut self) {
        self.channel = None;
        if let State::Up(link) = &*self.state.borrow() {
            self.opening = Some(open(link.clone(), REOPEN_AFTER).boxed());
        }
    }

    fn blocked(&self) -> Option<Arc<str>> {
        match &*self.state.borrow() {
            State::Up(link) => link.blocked(),
            State::Down(_) | State::Closed => None,
        }
    }

    /// Sends what the window has room for; while the broker blocks, answers so at once.
    fn send_waiting(&mut self) {
        self.renew();
        if self.waiting.is_empty() || self.renewal.is_some() {
            return;
        }
        if let Some(why) = self.blocked() {
            for job in self.waiting.drain(..) {
                tell(job.reply, Err(PublishError::Blocked(why.to_string())));
            }
            return;
        }
        if self.channel.as_ref().is_some_and(|channel| !channel.status().connected()) {
            self.channel_died();
        }
        let Some(channel) = &self.channel else { return };
        if !self.sent.is_awaited() {
            self.heard = Instant::now();
        }
        while self.sent.len() < self.window {
            let Some(Job { message, until, reply }) = self.waiting.pop_front() else { return };
            let key = Key::of(&message);
            self.sent.push(key, until, reply, send(channel.clone(), message));
        }
    }

    /// An error closed the channel, most likely because someone deleted an exchange of ours.
    fn channel_died(&mut self) {
        self.declarer.forget();
        self.abandon("the channel was closed by the broker");
        self.reopen();
    }

    fn answer(&mut self) {
        let within = self.deadline;
        let (refused, silent, now) = (self.refused.clone(), self.silent.clone(), Instant::now());
        let stale = RefCell::new(std::mem::take(&mut self.stale));
        self.heard = now;
        self.sent.answer(
            |key, taken| {
                if taken {
                    silent.heard(&key.exchange);
                }
                stale.borrow_mut().note(&key.exchange, &key.routing, taken, now);
            },
            |error| {
                refused.note(error);
                PublishError::Unknown { within, why: error.to_string() }
            },
        );
        self.stale = stale.into_inner();
        if self.stale.is_due(now) {
            tracing::warn!("a queue refuses every message; publishing on a new channel");
            self.renewal = Some(now + RENEWAL_GRACE);
        }
    }

    /// Replaces a channel that is doubted, once nothing waits for an answer on it.
    fn renew(&mut self) {
        let Some(until) = self.renewal else { return };
        if !self.sent.is_awaited() || until <= Instant::now() {
            self.abandon("the channel was given up, because it refused every message for a queue");
            self.reopen();
        }
    }

    fn next_due(&self) -> Instant {
        let waiting = self.waiting.front().map(|job| job.until);
        let far = Instant::now() + REQUEST_DEADLINE;
        let due = [waiting, self.sent.next_due(), self.give_up, self.renewal];
        due.into_iter().flatten().fold(far, Instant::min)
    }

    fn expire(&mut self, now: Instant) {
        let within = self.deadline;
        let blocked = self.blocked();
        let unknown = |why: String| PublishError::Unknown { within, why };
        if let (Some(at), Some(why)) = (self.give_up, &blocked)
            && at <= now
        {
            self.give_up = None;
            self.sent.expire(None, |_| unknown(format!("the broker blocks publishers: {why}")));
        }
        let silent = self.silent.clone();
        let is_silent = Cell::new(false);
        self.sent.expire(Some(now), |key| {
            if blocked.is_none() {
                is_silent.set(true);
                silent.note(&key.exchange, now);
            }
            let (exchange, routing) = (&key.exchange, &key.routing);
            unknown(format!(
                "the broker is silent on what is sent to {exchange} for {routing}; where that lasts, the queue \
                 there has no leader"
            ))
        });
        if is_silent.get() && now.duration_since(self.heard) >= within / 2 {
            self.leave();
        }
        while self.waiting.front().is_some_and(|job| job.until <= now) {
            let Some(job) = self.waiting.pop_front() else { return };
            tell(job.reply, Err(self.not_sent()));
        }
    }

    /// Gives up a connection on which a publish waited in vain and nothing else was confirmed for a while, although the
    /// broker answers on it: a node that has lost its cluster. The next one may lead to another node.
    fn leave(&mut self) {
        if let State::Up(link) = &*self.state.borrow() {
            tracing::warn!(
                generation = link.generation,
                "the broker confirms nothing; connecting anew"
            );
            link.connection.cut();
        }
        // It was the connection, and none of the queues.
        self.silent.forget();
        self.heard = Instant::now();
    }

    /// Says why a message that waited until its deadline was not sent.
    fn not_sent(&self) -> PublishError {
        match &*self.state.borrow() {
            State::Down(why) => PublishError::Unavailable(why.to_string()),
            State::Closed => PublishError::Unavailable("the broker was closed".to_owned()),
            State::Up(_) if self.channel.is_none() => {
                PublishError::Unavailable("the publishing channel is not open".to_owned())
            }
            State::Up(_) => PublishError::Blocked(format!(
                "it left {} messages unconfirmed for {:?}",
                self.sent.len(),
                self.deadline
            )),
        }
    }
}

/// Answers; the caller may have gone, then nobody wants to know.
fn tell(reply: oneshot::Sender<Result<(), PublishError>>, answer: Result<(), PublishError>) {
    let _ = reply.send(answer);
}

/// Waits for a future that may not be there.
async fn poll<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn open(link: Link, after: Duration) -> Result<Channel, String> {
    tokio::time::sleep(after).await;
    let channel = link.connection.channel().await?;
    let select = channel.confirm_select(ConfirmSelectOptions::default());
    match tokio::time::timeout(REQUEST_DEADLINE, select).await {
        Ok(Ok(())) => Ok(channel),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the broker did not answer in time".to_owned()),
    }
}

async fn send(channel: Channel, message: Outgoing) -> lapin::Result<Confirmation> {
    let Outgoing { route, properties, body } = message;
    let (exchange, key) = (short(&route.exchange), short(&route.key));
    let options = BasicPublishOptions { mandatory: !breaks(Break::NotMandatory), immediate: false };
    let confirm = channel.basic_publish(exchange, key, options, &body, properties).await?;
    if breaks(Break::ConfirmNotAwaited) {
        return Ok(Confirmation::Ack(None));
    }
    confirm.await
}
