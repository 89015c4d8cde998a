//! SIGTERM and SIGINT: the first asks for a drain, the second ends the process at once. SIGHUP:
//! files are read again, in roles that have any to read.
//!
//! All are caught from the start of a role, so that none is lost between start and drain. The
//! end at once is an error that travels to `main`, which drops the runtime without waiting for it.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::report;

/// The two signals that people and supervisors send.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to catch the signals; until then they end the process.
    pub(crate) fn catch() -> Result<Self, Error> {
        let caught = |kind| {
            signal(kind).map_err(|source| Error::System { operation: "catch signals", source })
        };
        Ok(Self {
            interrupt: caught(SignalKind::interrupt())?,
            terminate: caught(SignalKind::terminate())?,
        })
    }

    /// Runs a role until it ends, cancelling `stop` at the first signal.
    ///
    /// # Cancel safety
    /// Dropped, the role is dropped too.
    pub(crate) async fn run<R>(mut self, role: R, stop: &CancellationToken) -> Result<(), Error>
    where
        R: Future<Output = Result<(), Error>>,
    {
        let mut role = std::pin::pin!(role);
        tokio::select! {
            ended = &mut role => return ended,
            name = self.next() => {
                stop.cancel();
                report::narrate(&format!("{name}: draining; a second signal ends at once"));
            }
        }
        tokio::select! {
            ended = &mut role => ended,
            name = self.next() => Err(Error::Interrupted { signal: name }),
        }
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// SIGHUP, caught from now on; until then, and in roles that do not catch it, it ends the process.
pub(crate) struct Hangups(Signal);

impl Hangups {
    /// Begins to catch it.
    pub(crate) fn catch() -> Result<Self, Error> {
        let caught = signal(SignalKind::hangup());
        let failed = |source| Error::System { operation: "catch SIGHUP", source };
        caught.map(Self).map_err(failed)
    }

    /// Waits for the next one; several that came meanwhile are one.
    ///
    /// # Cancel safety
    /// Dropped, none is lost.
    pub(crate) async fn next(&mut self) {
        self.0.recv().await;
    }
}
