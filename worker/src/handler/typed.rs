//! From a function to a [`Handler`]: an async one, or one that blocks its thread.

use std::future::Future;
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::sync::Arc;

use async_trait::async_trait;
use leveret_common::spawn::Spawner;
use serde::de::DeserializeOwned;

use super::args::Reader;
use super::{Answer, Execution, ExtractAll, Function, Handler, Reply, TaskError};

/// A function with the state that its extractors are taken from.
pub(super) struct Typed<F, P, S> {
    pub(super) function: Arc<F>,
    pub(super) state: Arc<S>,
    pub(super) reader: Reader,
    pub(super) parameters: PhantomData<fn() -> P>,
}

/// A function whose answer is a future.
pub(super) struct Async<F, P, S>(pub(super) Typed<F, P, S>);

/// A function that blocks; each call has a thread to itself.
pub(super) struct Blocking<F, P, S> {
    pub(super) typed: Typed<F, P, S>,
    /// On the runtime that performs, which is that of the handlers.
    pub(super) threads: Spawner,
}

impl<F, P, S> Typed<F, P, S>
where
    F: Function<P>,
    F::Args: DeserializeOwned + Send,
    F::Extractors: ExtractAll<S>,
{
    async fn take(&self, execution: &Execution) -> Result<(F::Args, F::Extractors), TaskError> {
        let args = self.reader.read(&execution.args)?;
        Ok((args, F::Extractors::extract_all(execution, &self.state).await?))
    }
}

#[async_trait]
impl<F, P, S> Handler for Async<F, P, S>
where
    F: Function<P>,
    P: 'static,
    S: Send + Sync + 'static,
    F::Args: DeserializeOwned + Send,
    F::Extractors: ExtractAll<S> + Send,
    F::Answer: Future<Output: Answer> + Send,
{
    async fn perform(&self, execution: Execution) -> Result<Reply, TaskError> {
        let (args, extractors) = self.0.take(&execution).await?;
        self.0.function.call(args, extractors).await.into_answer()
    }
}

#[async_trait]
impl<F, P, S> Handler for Blocking<F, P, S>
where
    F: Function<P>,
    P: 'static,
    S: Send + Sync + 'static,
    F::Args: DeserializeOwned + Send + 'static,
    F::Extractors: ExtractAll<S> + Send + 'static,
    F::Answer: Answer,
{
    async fn perform(&self, execution: Execution) -> Result<Reply, TaskError> {
        let (args, extractors) = self.typed.take(&execution).await?;
        let (function, cancel) = (Arc::clone(&self.typed.function), execution.cancel.clone());
        let call = move || {
            // It may have waited for a thread for longer than its attempt lasted.
            if cancel.is_cancelled() {
                return Err(TaskError::failed("stopped", "asked to stop before it began"));
            }
            function.call(args, extractors).into_answer()
        };
        match self.threads.spawn_blocking(call).await {
            Ok(answer) => answer,
            Err(error) => match error.try_into_panic() {
                // A panic of this attempt, like that of an async one.
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(TaskError::failed("error", "the worker stopped before it began")),
            },
        }
    }
}
