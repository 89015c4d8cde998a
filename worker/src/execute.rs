//! Runs one attempt of a handler within its time limits, and survives whatever it does.
//!
//! At the soft limit the handler's token is cancelled, at the hard one its future is dropped; a
//! cancelled task goes the same way. A panic is a failed attempt. What the answer means for the task is decided in
//! [`crate::decide`].

use std::sync::Arc;
use std::time::Duration;

use leveret_common::spawn::Spawner;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::handler::{Execution, Handler, MAX_RESULT, Reply, TaskError};

/// How long a handler has to notice that a drain's grace is over.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The time limits of one attempt.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// After this, the handler is asked to stop.
    pub soft: Duration,
    /// So long after that, it is dropped.
    pub grace: Duration,
}

/// What ends an attempt from outside.
#[derive(Debug, Clone, Copy)]
pub struct Ends<'a> {
    /// Somebody cancelled the task.
    pub cancelled: &'a CancellationToken,
    /// A drain's grace is over.
    pub over: &'a CancellationToken,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// The handler answered.
    Answered(Result<Reply, TaskError>),
    /// The worker drains and the handler did not finish in the grace: not the task's fault.
    Released,
}

/// Runs one attempt. A cancelled task has as long to stop as one that is over its soft limit.
///
/// # Cancel safety
/// Dropped, the handler runs on without anybody waiting for it.
pub async fn execute(
    handlers: &Spawner,
    handler: Arc<dyn Handler>,
    execution: Execution,
    limits: Limits,
    ends: Ends<'_>,
) -> Ended {
    let cancel = execution.cancel.clone();
    let mut running = handlers.spawn(async move { handler.perform(execution).await });
    tokio::select! {
        answer = &mut running => ended(answer),
        () = sleep(limits.soft) => {
            cancel.cancel();
            let after = format!("no success within {:?}", limits.soft);
            overtime(&mut running, limits, ends.over, ("timeout", &after)).await
        }
        () = ends.cancelled.cancelled() => {
            cancel.cancel();
            let after = "the task was cancelled";
            overtime(&mut running, limits, ends.over, ("cancelled", after)).await
        }
        () = ends.over.cancelled() => {
            cancel.cancel();
            last_words(&mut running).await
        }
    }
}

type Answer = Result<Reply, TaskError>;

/// After the soft limit or a cancel: a success still counts, anything else is a failure of `class`.
async fn overtime(
    running: &mut JoinHandle<Answer>,
    limits: Limits,
    over: &CancellationToken,
    (class, after): (&str, &str),
) -> Ended {
    let answer = tokio::select! {
        answer = &mut *running => match ended(answer) {
            Ended::Answered(Err(TaskError::Failed { message, .. })) => {
                Err(TaskError::failed(class, format!("{after}; then: {message}")))
            }
            other => return other,
        },
        () = sleep(limits.grace) => {
            abort(running).await;
            Err(TaskError::failed(class, format!("{after}; stopped")))
        }
        () = over.cancelled() => return last_words(running).await,
    };
    Ended::Answered(answer)
}

/// After a drain's grace: a success still counts, anything else is not the task's fault.
async fn last_words(running: &mut JoinHandle<Answer>) -> Ended {
    if let Ok(answer) = timeout(LAST_WORDS, &mut *running).await {
        return match ended(answer) {
            Ended::Answered(Err(_)) => Ended::Released,
            other => other,
        };
    }
    abort(running).await;
    Ended::Released
}

/// Drops the handler's future, and waits a moment for it: what it holds, such as a process group,
/// should be gone before the task is tried again. One that blocks its thread cannot be dropped.
async fn abort(running: &mut JoinHandle<Answer>) {
    running.abort();
    let _blocked = timeout(LAST_WORDS, running).await;
}

fn ended(answer: Result<Answer, JoinError>) -> Ended {
    match answer {
        // The runtime ends with the worker: nobody aborts a handler that is still awaited.
        Err(error) if error.is_cancelled() => Ended::Released,
        answer => Ended::Answered(checked(answer)),
    }
}

fn checked(answer: Result<Answer, JoinError>) -> Answer {
    let reply = match answer {
        Ok(answer) => answer?,
        Err(error) => return Err(TaskError::failed("panic", panic_message(error))),
    };
    let size = reply.result.as_ref().map_or(0, String::len);
    if size > MAX_RESULT {
        let why = format!("the result has {size} bytes of JSON; at most {MAX_RESULT} are kept");
        return Err(TaskError::failed("result", why));
    }
    Ok(reply)
}

fn panic_message(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "the handler was stopped".to_owned() };
    let text = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!("the handler panicked: {}", text.as_deref().unwrap_or("with no message"))
}
