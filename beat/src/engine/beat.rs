//! One beat: stands by or leads, and puts in what is due.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use leveret_common::spawn::Spawner;
use leveret_common::telemetry::names::field;
use leveret_producer::Producer;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::config::Config;
use super::filing::{self, Filing};
use super::jobs::Background;
use super::leader::{Candidate, Leadership};
use super::run::Run;
use super::status::Status;

/// How long a beat that is told to stop finishes what it has begun.
const FINISH_WITHIN: Duration = Duration::from_secs(5);
/// How often it looks meanwhile whether there is something to do.
const TRY_EACH: Duration = Duration::from_millis(50);

/// Puts occurrences in when they are due, until it is told to stop. Any number of beats may run
/// beside each other.
pub struct Beat {
    producer: Producer,
    config: Config,
    leadership: Leadership,
    status: Arc<Status>,
    reload: Arc<Notify>,
}

/// Tells why a beat cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BeatError {
    /// The timetable file cannot be read, or is wrong; the source tells everything that is.
    #[error("failed to read the timetable file {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Has a beat read its timetable file again. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reloader(Arc<Notify>);

impl Reloader {
    /// Asks for the file to be read again; returns at once. What changes is logged, and a file
    /// that is wrong changes nothing.
    pub fn reload(&self) {
        self.0.notify_one();
    }
}

impl Beat {
    /// Creates a beat that puts tasks in through `producer`.
    #[must_use]
    pub fn new(producer: Producer, config: Config) -> Self {
        let leadership = Leadership::default();
        let status = Arc::new(Status::new(config.lease(), leadership.clone()));
        Self { producer, config, leadership, status, reload: Arc::default() }
    }

    /// Returns what probes ask.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// Returns what has the timetable file read again, as SIGHUP does.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        Reloader(Arc::clone(&self.reload))
    }

    /// Runs until `stop` is cancelled, then finishes what is in flight and gives its lease back.
    ///
    /// # Errors
    /// When the timetable file cannot be read at the start, or is wrong. Store and broker may be
    /// away as long as they like.
    ///
    /// # Cancel safety
    /// Dropped, it ends as if it was killed: another beat goes on where it was.
    pub async fn run(self, stop: CancellationToken) -> Result<(), BeatError> {
        let Self { producer, config, leadership, status, reload } = self;
        let filing = match &config.file {
            Some(path) => Filing::of(path.clone(), filing::read(path, &producer).await?),
            None => Filing::default(),
        };
        let mut run = Run::new(&producer, &config, status, leadership, filing);
        let over = CancellationToken::new();
        let candidate = Candidate {
            leases: run.backend.leases.clone(),
            owner: run.owner,
            ttl: config.lease(),
            pace: config.pace(),
            leadership: run.leadership.clone(),
            status: run.status.clone(),
        };
        let mut candidate = Background::new(&Spawner::new(), candidate.run(over.clone()));
        info!({ field::OWNER } = %run.owner, "beat runs");

        loop {
            run.turn();
            let idle = run.idle_for();
            tokio::select! {
                () = stop.cancelled() => break,
                event = run.jobs.next() => run.take(event),
                () = run.leadership.changed() => {}
                () = reload.notified() => run.read_file_again(),
                () = sleep(idle) => {}
                // Goes on to the end, so this is how its panic becomes ours.
                () = &mut candidate => break,
            }
        }

        info!({ field::OWNER } = %run.owner, "beat finishes what it has begun");
        let deadline = Instant::now() + FINISH_WITHIN;
        while !run.is_done() {
            run.move_on();
            tokio::select! {
                event = run.jobs.next() => run.take(event),
                () = sleep_until(deadline) => break,
                // What could not be written is tried again.
                () = sleep(TRY_EACH) => {}
            }
        }
        over.cancel();
        candidate.await;
        info!("beat has stopped");
        Ok(())
    }
}
