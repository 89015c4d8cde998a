//! Looks at args before their handler does.

use std::sync::Arc;

use async_trait::async_trait;
use leveret_common::shape::Shape;

use super::{Execution, Handler, Reply, TaskError};

/// The error class of args of another shape; a death of this class has the reason `schema`.
pub(crate) const SCHEMA: &str = "schema";

/// Makes a handler that performs only what fits `shape`; anything else is dead, `schema`: the same
/// args do not fit the next time either.
#[must_use]
pub fn shaped(shape: Arc<dyn Shape>, handler: Arc<dyn Handler>) -> Arc<dyn Handler> {
    Arc::new(Shaped { shape, handler })
}

struct Shaped {
    shape: Arc<dyn Shape>,
    handler: Arc<dyn Handler>,
}

#[async_trait]
impl Handler for Shaped {
    async fn perform(&self, execution: Execution) -> Result<Reply, TaskError> {
        self.shape
            .check(&execution.args)
            .map_err(|misfit| TaskError::dead(misfit.to_string()).of_class(SCHEMA))?;
        self.handler.perform(execution).await
    }
}
