//! A thread of the embedded backend that is waited for when its owner goes.
//!
//! SQLite blocks, so it never runs on the runtime's threads. The owner drops its channel first,
//! which ends the thread; then this waits, so that whoever opens the folder next finds it free.

use std::thread::{Builder, JoinHandle};

/// A running thread.
pub(super) struct Thread(Option<JoinHandle<()>>);

impl Thread {
    pub(super) fn start(name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<Self> {
        Ok(Self(Some(Builder::new().name(name.to_owned()).spawn(body)?)))
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        let Some(handle) = self.0.take() else { return };
        // The last owner may be dropped by the thread itself, which cannot wait for its own end.
        if handle.thread().id() != std::thread::current().id() && handle.join().is_err() {
            tracing::error!("a thread of the data file panicked");
        }
    }
}
