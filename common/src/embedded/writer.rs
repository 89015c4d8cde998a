//! The one thread that writes, and its group commit.
//!
//! Operations come through a bounded channel. The thread runs them in one transaction until the
//! channel is empty or the group is full, commits, and only then answers: the fsync of one group is
//! the time in which the next one gathers, so load makes groups larger, not waits longer. A group
//! that fails is run again one by one, so that only what is wrong fails.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};

use super::error::Failure;
use super::lock::FolderLock;
use super::purge::Purge;
use super::thread::Thread;
use super::transaction::Transaction;

/// Operations that may wait; more wait in their callers.
const CHANNEL: usize = 1_024;
/// A group is committed once it holds this many rows, so that nobody waits for an endless one.
const GROUP: usize = 2_048;

/// The way to the writing thread.
pub(super) struct Writer {
    orders: mpsc::Sender<Order>,
    commits: Arc<AtomicU64>,
    // Dropped after `orders`, whose end ends the thread.
    _thread: Thread,
}

/// A place in the channel: what is sent through it is sent at once.
pub(super) struct Slot<'a>(mpsc::Permit<'a, Order>);

enum Order {
    Run(Box<dyn Operation>),
    Close(oneshot::Sender<()>),
}

/// What is done in a transaction. May be run twice: see the group that fails.
trait Operation: Send {
    fn weight(&self) -> usize;
    fn run(&mut self, to: &mut Transaction) -> Result<(), Failure>;
    fn end(self: Box<Self>, committed: Result<(), Failure>);
}

impl Writer {
    pub(super) fn start(
        transaction: Transaction,
        lock: Option<FolderLock>,
    ) -> std::io::Result<Self> {
        let (orders, incoming) = mpsc::channel(CHANNEL);
        let commits = Arc::new(AtomicU64::new(0));
        let purge = Purge::default();
        let committer = Committer { transaction, purge, commits: Arc::clone(&commits) };
        // The lock ends with the thread: the folder is free once the file is closed, not before.
        let thread = Thread::start("leveret-writer", move || committer.serve(incoming, lock))?;
        Ok(Self { orders, commits, _thread: thread })
    }

    /// Returns how many transactions were committed.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Waits for a place in the channel.
    pub(super) async fn slot(&self) -> Result<Slot<'_>, Failure> {
        self.orders.reserve().await.map(Slot).map_err(|_| Failure::closed())
    }

    /// Runs `run` in a transaction and waits until it is committed.
    pub(super) async fn write<T, R>(&self, weight: usize, run: R) -> Result<T, Failure>
    where
        T: Send + 'static,
        R: FnMut(&mut Transaction) -> Result<T, Failure> + Send + 'static,
    {
        self.slot().await?.send(weight, run, |_| ()).await
    }

    /// Finishes what was sent, closes the file and frees the folder.
    pub(super) async fn close(&self) {
        let (done, wait) = oneshot::channel();
        if self.orders.send(Order::Close(done)).await.is_ok() {
            // An error means that the thread has ended already.
            let _ = wait.await;
        }
    }
}

impl Slot<'_> {
    /// Sends `run`, which touches about `weight` rows. `after` is called once with the outcome,
    /// after the commit and whether or not somebody still waits for the answer.
    pub(super) fn send<T, R, A>(
        self,
        weight: usize,
        run: R,
        after: A,
    ) -> impl Future<Output = Result<T, Failure>> + Send + use<T, R, A>
    where
        T: Send + 'static,
        R: FnMut(&mut Transaction) -> Result<T, Failure> + Send + 'static,
        A: FnOnce(&Result<T, Failure>) + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let outcome = Err(Failure::closed());
        self.0.send(Order::Run(Box::new(Answered { weight, run, after, outcome, reply })));
        async move { answer.await.unwrap_or_else(|_| Err(Failure::closed())) }
    }
}

struct Answered<T, R, A> {
    weight: usize,
    run: R,
    after: A,
    outcome: Result<T, Failure>,
    reply: oneshot::Sender<Result<T, Failure>>,
}

impl<T, R, A> Operation for Answered<T, R, A>
where
    T: Send,
    R: FnMut(&mut Transaction) -> Result<T, Failure> + Send,
    A: FnOnce(&Result<T, Failure>) + Send,
{
    fn weight(&self) -> usize {
        self.weight
    }

    fn run(&mut self, to: &mut Transaction) -> Result<(), Failure> {
        self.outcome = (self.run)(to);
        match &self.outcome {
            Err(failure) if failure.breaks_transaction() => Err(failure.clone()),
            // A refusal of our own leaves the transaction as good as it was.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn end(self: Box<Self>, committed: Result<(), Failure>) {
        let outcome = committed.and(self.outcome);
        (self.after)(&outcome);
        // Nobody may wait any more; what was done is done.
        let _ = self.reply.send(outcome);
    }
}

struct Committer {
    transaction: Transaction,
    purge: Purge,
    commits: Arc<AtomicU64>,
}

impl Committer {
    fn serve(mut self, mut incoming: mpsc::Receiver<Order>, lock: Option<FolderLock>) {
        let mut close = None;
        while let Some(order) = incoming.blocking_recv() {
            match order {
                Order::Run(first) => self.group(first, &mut incoming, &mut close),
                Order::Close(done) => close = Some(done),
            }
            if close.is_some() {
                // Refuses new operations; those already sent are still received.
                incoming.close();
            }
        }
        self.transaction.close();
        drop(lock);
        if let Some(done) = close {
            let _ = done.send(());
        }
    }

    /// Runs `first` and whatever else has come until now, commits, answers.
    fn group(
        &mut self,
        first: Box<dyn Operation>,
        incoming: &mut mpsc::Receiver<Order>,
        close: &mut Option<oneshot::Sender<()>>,
    ) {
        let mut group = Vec::new();
        let mut weight = 0;
        let mut next = Some(first);
        let mut state = self.transaction.begin();
        while let Some(mut operation) = next.take() {
            weight += operation.weight();
            state = state.and_then(|()| operation.run(&mut self.transaction));
            group.push(operation);
            if state.is_err() || weight >= GROUP {
                break;
            }
            match incoming.try_recv() {
                Ok(Order::Run(operation)) => next = Some(operation),
                Ok(Order::Close(done)) => *close = Some(done),
                Err(_) => {}
            }
        }
        let state = state
            .and_then(|()| self.purge.step(&self.transaction, weight))
            .and_then(|()| self.transaction.commit());
        match state {
            Ok(()) => {
                self.commits.fetch_add(1, Ordering::Relaxed);
                group.into_iter().for_each(|operation| operation.end(Ok(())));
            }
            Err(failure) => {
                self.transaction.roll_back();
                tracing::warn!(error = %failure.why, operations = group.len(), "commit failed");
                group.into_iter().for_each(|operation| self.alone(operation));
            }
        }
    }

    fn alone(&mut self, mut operation: Box<dyn Operation>) {
        let state = self
            .transaction
            .begin()
            .and_then(|()| operation.run(&mut self.transaction))
            .and_then(|()| self.transaction.commit());
        match &state {
            Ok(()) => {
                self.commits.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => self.transaction.roll_back(),
        }
        operation.end(state);
    }
}
