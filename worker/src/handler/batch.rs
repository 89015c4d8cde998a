//! Batch handlers: several tasks of a kind in one call, each with an outcome of its own.
//!
//! Each task keeps its claim, its slot, its time limit and its settling; only the call is shared. So a
//! batch changes nothing about what may be lost or run twice. Guards that nobody waits for an answer that
//! does not come: whoever runs the batch answers all of its tasks, also when it panics.

use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::join_all;
use leveret_common::spawn::Spawner;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::args::Reader;
use super::extract::Cancel;
use super::{Execution, ExtractAll, Function, Handler, IntoReply, Reply, TaskError};

/// How tasks are gathered for a batch handler, see [`Handlers::handle_batch`](super::Handlers::handle_batch).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    most: usize,
    within: Duration,
}

impl Batch {
    /// Gathers at most so many tasks, for at most a second: [`within`](Self::within) sets another wait.
    ///
    /// Each of them takes a slot while it waits: a worker with fewer slots than this never fills a
    /// batch. 0 counts as 1.
    #[must_use]
    pub const fn of(most: usize) -> Self {
        let most = if most == 0 { 1 } else { most };
        Self { most, within: Duration::from_secs(1) }
    }

    /// Sets for how long the first task of a batch waits for others. The wait is part of the attempt,
    /// and so of its time limit.
    #[must_use]
    pub const fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }
}

/// The executions of a batch: what its handler can take instead of what single attempts have.
#[derive(Debug, Clone)]
pub struct Batched {
    /// The executions, in the order of the args.
    pub executions: Arc<[Execution]>,
    pub(super) cancel: Cancel,
}

/// What a batch handler answers: `Vec<Result<R, E>>`, an outcome for each task in the order of the
/// args, or `Result<(), E>`, the same for all.
#[diagnostic::on_unimplemented(
    message = "a batch handler cannot answer with `{Self}`",
    label = "neither `Vec<Result<R, E>>` nor `Result<(), E>`",
    note = "`Vec<Result<R, E>>` has an outcome for each task, in the order of the args; `Result<(), E>` is the same for all"
)]
pub trait BatchAnswer {
    /// Makes the outcomes of `count` tasks.
    fn into_outcomes(self, count: usize) -> Vec<Result<Reply, TaskError>>;
}

impl<R: IntoReply, E: Into<TaskError>> BatchAnswer for Vec<Result<R, E>> {
    fn into_outcomes(self, count: usize) -> Vec<Result<Reply, TaskError>> {
        if self.len() != count {
            let why = format!("the batch handler gave {} answers to {count} tasks", self.len());
            return vec![Err(TaskError::failed("batch", why)); count];
        }
        self.into_iter().map(|one| one.map_err(Into::into)?.into_reply()).collect()
    }
}

impl<E: Into<TaskError>> BatchAnswer for Result<(), E> {
    fn into_outcomes(self, count: usize) -> Vec<Result<Reply, TaskError>> {
        vec![self.map(|()| Reply::default()).map_err(Into::into); count]
    }
}

/// A function of many args.
pub(super) struct Batching<F, P, S, A> {
    batch: Batch,
    reader: Reader,
    shared: Arc<Shared<F, S, A>>,
    parameters: PhantomData<fn() -> P>,
}

struct Shared<F, S, A> {
    function: F,
    state: Arc<S>,
    open: Mutex<Open<A>>,
    /// On the runtime that performs, which is that of the handlers.
    runs: Spawner,
}

/// The batch that still takes tasks.
struct Open<A> {
    members: Vec<Member<A>>,
    /// How many batches there were before it.
    number: u64,
}

impl<A> Open<A> {
    fn close(&mut self) -> Vec<Member<A>> {
        self.number += 1;
        std::mem::take(&mut self.members)
    }
}

/// A task that waits for the answer of its batch.
struct Member<A> {
    args: A,
    execution: Execution,
    answer: oneshot::Sender<Told>,
}

/// What a task is told.
enum Told {
    Outcome(Result<Reply, TaskError>),
    Panicked(String),
}

impl<F, P, S, A> Batching<F, P, S, A> {
    pub(super) fn new(function: F, state: Arc<S>, reader: Reader, batch: Batch) -> Self {
        let open = Mutex::new(Open { members: Vec::new(), number: 0 });
        let shared = Arc::new(Shared { function, state, open, runs: Spawner::new() });
        Self { batch, reader, shared, parameters: PhantomData }
    }
}

#[async_trait]
impl<F, P, S, A> Handler for Batching<F, P, S, A>
where
    F: Function<P, Args = Vec<A>>,
    P: 'static,
    S: Send + Sync + 'static,
    A: DeserializeOwned + Send + 'static,
    F::Extractors: ExtractAll<S, Batched> + Send,
    F::Answer: Future<Output: BatchAnswer> + Send,
{
    async fn perform(&self, execution: Execution) -> Result<Reply, TaskError> {
        let args = self.reader.read(&execution.args)?;
        let (answer, told) = oneshot::channel();
        self.join(Member { args, execution, answer });
        match told.await {
            Ok(Told::Outcome(outcome)) => outcome,
            Ok(Told::Panicked(message)) => resume_unwind(Box::new(message)),
            // Its runtime ends.
            Err(_) => Err(TaskError::failed("error", "the worker stopped before the batch ended")),
        }
    }
}

impl<F, P, S, A> Batching<F, P, S, A>
where
    F: Function<P, Args = Vec<A>>,
    P: 'static,
    S: Send + Sync + 'static,
    A: DeserializeOwned + Send + 'static,
    F::Extractors: ExtractAll<S, Batched> + Send,
    F::Answer: Future<Output: BatchAnswer> + Send,
{
    /// Adds a task to the open batch. Who comes last starts it at once, who comes first when the time
    /// is over.
    fn join(&self, member: Member<A>) {
        let (full, first) = {
            let mut open = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner);
            // Whose worker has ended has no timer any more either.
            open.members.retain(|member| !member.answer.is_closed());
            open.members.push(member);
            let is_full = open.members.len() >= self.batch.most;
            let first = (!is_full && open.members.len() == 1).then_some(open.number);
            (is_full.then(|| open.close()), first)
        };
        let shared = Arc::clone(&self.shared);
        if let Some(members) = full {
            self.shared.runs.spawn(async move { shared.run::<P>(members).await });
        } else if let Some(number) = first {
            let within = self.batch.within;
            self.shared.runs.spawn(async move {
                tokio::time::sleep(within).await;
                let members = shared.close(number);
                shared.run::<P>(members).await;
            });
        }
    }
}

impl<F, S, A> Shared<F, S, A> {
    /// Closes the open batch, unless that is another one by now.
    fn close(&self, number: u64) -> Vec<Member<A>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.number == number { open.close() } else { Vec::new() }
    }

    async fn run<P>(&self, mut members: Vec<Member<A>>)
    where
        F: Function<P, Args = Vec<A>>,
        S: Send + Sync,
        F::Extractors: ExtractAll<S, Batched> + Send,
        F::Answer: Future<Output: BatchAnswer> + Send,
    {
        // Whose time is over meanwhile is settled already.
        members.retain(|member| !member.answer.is_closed());
        // Who was asked to stop while he waited has not begun, and does not begin.
        for member in members.extract_if(.., |member| member.execution.cancel.is_cancelled()) {
            let stopped = TaskError::failed("stopped", "asked to stop before its batch began");
            let _gone = member.answer.send(Told::Outcome(Err(stopped)));
        }
        if members.is_empty() {
            return;
        }
        let (mut args, mut executions, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        for Member { args: one, execution, answer } in members {
            args.push(one);
            executions.push(execution);
            waiting.push(answer);
        }
        let count = executions.len();
        let tokens: Vec<CancellationToken> =
            executions.iter().map(|execution| execution.cancel.clone()).collect();
        let cancel = CancellationToken::new();
        let batch = Batched { executions: executions.into(), cancel: Cancel(cancel.clone()) };
        let call = async {
            match F::Extractors::extract_all(&batch, &self.state).await {
                Ok(extractors) => self.function.call(args, extractors).await.into_outcomes(count),
                Err(error) => vec![Err(error); count],
            }
        };
        let called = AssertUnwindSafe(call).catch_unwind();
        let asked = async {
            join_all(tokens.iter().map(CancellationToken::cancelled)).await;
            cancel.cancel();
            std::future::pending::<()>().await;
        };
        let told = tokio::select! {
            outcomes = called => outcomes,
            () = asked => return,
            _ = join_all(waiting.iter_mut().map(oneshot::Sender::closed)) => return,
        };
        tell(waiting, told);
    }
}

type Called = Result<Vec<Result<Reply, TaskError>>, Box<dyn Any + Send>>;

fn tell(waiting: Vec<oneshot::Sender<Told>>, called: Called) {
    match called {
        Ok(outcomes) => {
            for (answer, outcome) in waiting.into_iter().zip(outcomes) {
                // Nobody is there whose time was over.
                let _gone = answer.send(Told::Outcome(outcome));
            }
        }
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let message = text.unwrap_or_else(|| "with no message".to_owned());
            for answer in waiting {
                let _gone = answer.send(Told::Panicked(message.clone()));
            }
        }
    }
}
