//! What a test wants to go wrong: planned per kind, and played around the kind's handler.
//!
//! Everything behind it is the product's own: what becomes of a planned failure, panic or death is
//! decided by the same code as of a real one.

use std::collections::{BTreeMap, VecDeque};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use leveret_common::name::KindName;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::handler::{Execution, Handler, Kind, Registry, Reply, TaskError};

/// What goes wrong in one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mishap {
    /// The handler is not called, and this is its answer.
    Fail(TaskError),
    /// The handler is not called, and panics with this.
    Panic(String),
    /// The worker dies before the handler is called.
    CrashBefore,
    /// The worker dies when the handler has ended and nothing is recorded of it.
    CrashAfter,
}

/// The plans of one harness.
#[derive(Default)]
pub(super) struct Script {
    plans: Mutex<BTreeMap<KindName, VecDeque<Mishap>>>,
    /// Told when the worker is to die.
    pub(super) death: Notify,
}

impl Script {
    /// Plans a mishap for the next attempt of a kind that has none planned yet.
    pub(super) fn plan(&self, kind: KindName, mishap: Mishap) {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.entry(kind).or_default().push_back(mishap);
    }

    /// Returns the kinds with the plans played around every handler, for one incarnation of the
    /// worker: when its `life` ends, its handlers end where they are.
    pub(super) fn around(
        self: &Arc<Self>,
        registry: &Registry,
        life: &CancellationToken,
    ) -> Registry {
        let mut registry = registry.clone();
        registry.replace_handlers(|Kind { name, handler, .. }: &Kind| {
            let (kind, handler) = (name.clone(), Arc::clone(handler));
            Arc::new(Scripted { script: Arc::clone(self), life: life.clone(), kind, handler })
        });
        registry
    }

    fn next(&self, kind: &KindName) -> Option<Mishap> {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.get_mut(kind)?.pop_front()
    }
}

struct Scripted {
    script: Arc<Script>,
    life: CancellationToken,
    kind: KindName,
    handler: Arc<dyn Handler>,
}

impl Scripted {
    async fn play(&self, execution: Execution) -> Result<Reply, TaskError> {
        match self.script.next(&self.kind) {
            None => self.handler.perform(execution).await,
            Some(Mishap::Fail(error)) => Err(error),
            // Unwinds as a panic does, and prints nothing about where.
            Some(Mishap::Panic(message)) => resume_unwind(Box::new(message)),
            Some(Mishap::CrashBefore) => self.die().await,
            Some(Mishap::CrashAfter) => {
                let _nobody_hears_it = self.handler.perform(execution).await;
                self.die().await
            }
        }
    }

    /// Has the worker die, and waits for it.
    async fn die<T>(&self) -> T {
        self.script.death.notify_one();
        std::future::pending().await
    }
}

#[async_trait]
impl Handler for Scripted {
    async fn perform(&self, execution: Execution) -> Result<Reply, TaskError> {
        tokio::select! {
            // One that has not begun by then does not begin.
            biased;
            () = self.life.cancelled() => Err(TaskError::failed("death", "the worker died")),
            answer = self.play(execution) => answer,
        }
    }
}
