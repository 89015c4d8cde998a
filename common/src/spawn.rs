//! The one spawner: whatever runs beside its caller is started and awaited here.
//!
//! A drain can wait only for what it knows, so `tokio::spawn` is refused everywhere else
//! (`clippy.toml`). Handlers are started here too; their panics end in their join handle.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A group of background tasks with one shutdown signal.
#[derive(Debug, Clone, Default)]
pub struct Spawner {
    tracker: TaskTracker,
    shutdown: CancellationToken,
    /// Where tasks run; the caller's runtime where absent.
    runtime: Option<Handle>,
}

impl Spawner {
    /// Creates an empty group.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a group that is shut down with this one, and can be shut down and awaited alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            tracker: TaskTracker::new(),
            shutdown: self.shutdown.child_token(),
            runtime: self.runtime.clone(),
        }
    }

    /// Creates a group whose tasks run on `runtime`: code that may block its threads belongs on
    /// another runtime than heartbeats do.
    #[must_use]
    pub fn on(runtime: Handle) -> Self {
        Self { runtime: Some(runtime), ..Self::default() }
    }

    /// Starts `future` in the group.
    #[allow(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let future = self.tracker.track_future(future);
        match &self.runtime {
            Some(runtime) => runtime.spawn(future),
            None => tokio::spawn(future),
        }
    }

    /// Starts what blocks its thread in the group, on a thread for such work. It goes to its end
    /// even if its handle is aborted.
    pub fn spawn_blocking<T, F>(&self, job: F) -> JoinHandle<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        match &self.runtime {
            Some(runtime) => self.tracker.spawn_blocking_on(job, runtime),
            None => self.tracker.spawn_blocking(job),
        }
    }

    /// Returns the signal that asks the group's members to end.
    #[must_use]
    pub fn shutdown_signal(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Asks the members to end; returns at once.
    pub fn shut_down(&self) {
        self.shutdown.cancel();
    }

    /// Asks the members to end and waits until all have.
    ///
    /// # Cancel safety
    /// The request stands when the wait is dropped.
    pub async fn drained(&self) {
        self.shutdown.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
