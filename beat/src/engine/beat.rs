//! One beat: stands by or leads, and puts in what is due.

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
use super::filed::Filed;
use super::filing::Filing;
use super::jobs::Background;
use super::leader::{Candidate, Leadership};
use super::run::Run;
use super::status::Status;
use super::teller::{News, Teller};

/// How long a beat that is told to stop finishes what it has begun.
const FINISH_WITHIN: Duration = Duration::from_secs(5);
/// How often it looks meanwhile whether there is something to do.
const TRY_EACH: Duration = Duration::from_millis(50);

/// Puts occurrences in when they are due, until it is told to stop. Any number of beats may run
/// beside each other.
///
/// # Examples
/// ```no_run
/// use leveret_beat::engine::{Beat, Config};
///
/// # async fn example(producer: leveret_producer::Producer, stop: tokio_util::sync::CancellationToken) {
/// Beat::new(producer, Config::default()).run(stop).await;
/// # }
/// ```
pub struct Beat {
    producer: Producer,
    config: Config,
    leadership: Leadership,
    status: Arc<Status>,
    reload: Arc<Notify>,
    file: Option<Filed>,
    teller: Teller,
}

/// Has a beat read its timetable file again. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reloader(Arc<Notify>);

impl Reloader {
    /// Asks for the file to be read again; returns at once. What changes is logged and told, and a
    /// file that is wrong changes nothing.
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
        let (reload, file, teller) = (Arc::default(), None, Teller::default());
        Self { producer, config, leadership, status, reload, file, teller }
    }

    /// Has the timetable hold what this file says, whenever this beat leads.
    #[must_use]
    pub fn with_file(mut self, file: Filed) -> Self {
        self.file = Some(file);
        self
    }

    /// Has somebody told what becomes of the file, on the beat's own thread: who is told must not
    /// wait for anything.
    #[must_use]
    pub fn telling(mut self, told: impl Fn(&News<'_>) + Send + Sync + 'static) -> Self {
        self.teller = Teller::new(told);
        self
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
    /// Store and broker may be away as long as they like.
    ///
    /// # Cancel safety
    /// Dropped, it ends as if it was killed: another beat goes on where it was.
    pub async fn run(self, stop: CancellationToken) {
        let Self { producer, config, leadership, status, reload, file, teller } = self;
        let filing = Filing::of(file);
        let mut run = Run::new(&producer, &config, (status, leadership), filing, teller);
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
    }
}
