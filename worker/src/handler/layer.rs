//! Layers: code of the `tower` sort around the handlers of a kind, or of all kinds of a worker.
//!
//! A layer sees the [`Execution`] before the handler and its answer after it, within the attempt's time
//! limits. Retries, time limits and the number of tasks at once are not made of layers: they are the
//! kind's policy and the worker's slots, which hold across the fleet.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use tower_layer::Layer;
use tower_service::Service;

use super::{Execution, Handler, Reply, TaskError};

/// A handler as the service that layers are put around.
#[derive(Clone)]
pub struct Performer(Arc<dyn Handler>);

impl Service<Execution> for Performer {
    type Response = Reply;
    type Error = TaskError;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, TaskError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TaskError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, execution: Execution) -> Self::Future {
        let handler = Arc::clone(&self.0);
        Box::pin(async move { handler.perform(execution).await })
    }
}

/// A layer that fits around handlers.
///
/// It is implemented for each `tower_layer::Layer` whose service takes an [`Execution`], answers with a
/// [`Reply`] or with what converts into [`TaskError`], and can be cloned and shared.
///
/// # Examples
/// ```
/// use std::task::{Context, Poll};
///
/// use leveret_worker::handler::{Execution, Handlers, TaskError, from_fn};
/// use tower_layer::layer_fn;
/// use tower_service::Service;
///
/// /// Refuses tasks that say nothing of their tenant.
/// #[derive(Clone)]
/// struct NeedsTenant<S>(S);
///
/// impl<S: Service<Execution, Error = TaskError>> Service<Execution> for NeedsTenant<S> {
///     type Response = S::Response;
///     type Error = TaskError;
///     type Future = futures_util::future::Either<S::Future, std::future::Ready<Result<S::Response, TaskError>>>;
///
///     fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TaskError>> {
///         self.0.poll_ready(context)
///     }
///
///     fn call(&mut self, execution: Execution) -> Self::Future {
///         if execution.tags.contains_key("tenant") {
///             return futures_util::future::Either::Left(self.0.call(execution));
///         }
///         let refused = Err(TaskError::dead("the task has no tag \"tenant\""));
///         futures_util::future::Either::Right(std::future::ready(refused))
///     }
/// }
///
/// let handlers = Handlers::new().layer(layer_fn(NeedsTenant));
/// # let _ = handlers;
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no layer that fits around handlers",
    label = "not a layer over `Service<Execution, Response = Reply>`",
    note = "its service takes an `Execution`, answers with a `Reply`, fails with what converts into `TaskError`, and is `Clone + Send + Sync`"
)]
pub trait HandlerLayer: Send + Sync + 'static {
    /// Puts the layer around a handler.
    fn around(&self, handler: Arc<dyn Handler>) -> Arc<dyn Handler>;
}

impl<L> HandlerLayer for L
where
    L: Layer<Performer> + Send + Sync + 'static,
    L::Service: Service<Execution, Response = Reply, Error: Into<TaskError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    fn around(&self, handler: Arc<dyn Handler>) -> Arc<dyn Handler> {
        Arc::new(Layered(self.layer(Performer(handler))))
    }
}

struct Layered<S>(S);

#[async_trait]
impl<S> Handler for Layered<S>
where
    S: Service<Execution, Response = Reply, Error: Into<TaskError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    async fn perform(&self, execution: Execution) -> Result<Reply, TaskError> {
        // Each attempt has a clone that is made ready for it alone.
        let mut service = self.0.clone();
        poll_fn(|context| service.poll_ready(context)).await.map_err(Into::into)?;
        service.call(execution).await.map_err(Into::into)
    }
}
