//! The loop: take, hand on, mark, and wait for more.
//!
//! The order is what makes it safe: a mark is written after the confirm and never before. Each
//! arrow is a failpoint. A database that went away is opened again; a broker that is away is asked
//! again, and the rows wait where they are safe. Guards that a stop is heard whatever hangs: nothing is
//! begun after it, and what is on its way has so long.

use std::sync::Arc;
use std::time::Duration;

use leveret_common::failpoint;
use leveret_common::spawn::Spawner;
use leveret_common::telemetry::names::{self, label};
use leveret_producer::Producer;
use metrics::{counter, gauge, histogram};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Config;
use super::address::Address;
use super::error::RelayError;
use super::patience::Patience;
use super::publishing::{HandedOn, hand_on};
use super::source::{Fate, Mark, Source, Survey};
use super::status::Status;

/// How often the relay counts what there is and deletes what was kept long enough.
const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// How long what is on its way may take after a stop: the confirms of a batch, and its marks.
pub const GRACE: Duration = Duration::from_secs(25);
/// How long of that the database may take for the marks.
const MARKED_WITHIN: Duration = Duration::from_secs(5);

/// Hands committed rows on. Any number of them may serve one outbox.
pub struct Relay {
    address: Address,
    producer: Producer,
    config: Config,
    spawner: Spawner,
    source: Box<dyn Source>,
    status: Arc<Status>,
    /// With the broker.
    patience: Patience,
    /// With the database; begins again only when rows were taken and marked, not when it opens.
    reach: Patience,
}

impl Relay {
    /// Opens the outbox at `address` and looks whether it can be used.
    ///
    /// # Errors
    /// [`RelayError`], when the database cannot be reached, refuses us or has no outbox.
    ///
    /// # Cancel safety
    /// Dropped, nothing stays open once `spawner` is drained.
    pub async fn open(
        address: Address,
        producer: Producer,
        config: Config,
        spawner: &Spawner,
    ) -> Result<Self, RelayError> {
        let mut source = address.open(&config, spawner).await?;
        // Nothing is taken, but whoever may not take is told at once.
        source.take(0).await?;
        Ok(Self::on(source, address, producer, config, spawner))
    }

    /// Creates the relay of an outbox that is open.
    pub(super) fn on(
        source: Box<dyn Source>,
        address: Address,
        producer: Producer,
        config: Config,
        spawner: &Spawner,
    ) -> Self {
        let (status, patience, reach) = (Arc::default(), Patience::default(), Patience::default());
        let spawner = spawner.clone();
        Self { address, producer, config, spawner, source, status, patience, reach }
    }

    /// Looks at what lies in the outbox at `address`, without changing anything.
    ///
    /// # Errors
    /// As for [`Self::open`].
    ///
    /// # Cancel safety
    /// As for [`Self::open`].
    pub async fn survey(address: &Address, spawner: &Spawner) -> Result<Survey, RelayError> {
        address.open(&Config::default(), spawner).await?.survey().await
    }

    /// Returns what probes ask.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// Hands rows on until `stop` is cancelled, then ends those that are on their way, within
    /// [`GRACE`]. What is not ended then is as after a kill.
    ///
    /// # Cancel safety
    /// Dropped, it ends as if it was killed: rows that were taken wait again, and those whose tasks
    /// the broker has already are handed on once more under the same ids.
    pub async fn run(self, stop: CancellationToken) {
        self.run_within(stop, GRACE).await;
    }

    /// The same with another grace.
    pub(super) async fn run_within(mut self, stop: CancellationToken, grace: Duration) {
        let endpoint = self.address.endpoint().to_owned();
        tokio::select! {
            () = self.keep_on(&stop) => {}
            () = after(&stop, grace) => tracing::warn!(
                endpoint,
                "broker or database did not answer within the grace; rows that were taken wait again"
            ),
        }
    }

    async fn keep_on(&mut self, stop: &CancellationToken) {
        while let Err(error) = self.serve(stop).await {
            tracing::warn!(%error, endpoint = self.address.endpoint(), "the outbox is out of reach");
            self.status.troubled(error.to_string());
            if !self.reopen(stop).await {
                return;
            }
            tracing::info!(endpoint = self.address.endpoint(), "the outbox is within reach again");
        }
    }

    /// Opens the outbox again, however long it takes; tells whether it did before the end.
    async fn reopen(&mut self, stop: &CancellationToken) -> bool {
        while rest(&mut self.reach, stop).await {
            let opening = self.address.open(&self.config, &self.spawner);
            match stop.run_until_cancelled(opening).await {
                Some(Ok(source)) => {
                    self.source = source;
                    return true;
                }
                Some(Err(error)) => self.status.troubled(error.to_string()),
                None => return false,
            }
        }
        false
    }

    /// Hands rows on until the end, or until the database fails.
    async fn serve(&mut self, stop: &CancellationToken) -> Result<(), RelayError> {
        let mut housekeeping = Instant::now();
        while !stop.is_cancelled() {
            if Instant::now() >= housekeeping {
                let Some(kept) = stop.run_until_cancelled(self.keep_house()).await else { break };
                // Whatever hinders counting need not hinder handing on.
                let has_more = kept.unwrap_or_else(|error| {
                    tracing::warn!(%error, "the rows of the outbox were not counted");
                    false
                });
                housekeeping =
                    Instant::now() + if has_more { Duration::ZERO } else { HOUSEKEEPING };
            }
            let taken_at = Instant::now();
            let taking = self.source.take(self.config.batch);
            let Some(taken) = stop.run_until_cancelled(taking).await else { break };
            let rows = taken?;
            if rows.is_empty() {
                self.reach.rest();
                self.status.well(self.source.stands_by());
                tokio::select! {
                    woken = self.source.wait(self.config.poll) => woken?,
                    () = stop.cancelled() => {}
                }
                continue;
            }
            failpoint::pass("relay.taken");
            let handed = hand_on(&self.producer, rows).await;
            failpoint::pass("relay.confirmed");
            if !self.end(handed, taken_at, stop).await? && !rest(&mut self.patience, stop).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Writes down what became of a batch; tells whether the broker takes more.
    async fn end(
        &mut self,
        handed: HandedOn,
        taken_at: Instant,
        stop: &CancellationToken,
    ) -> Result<bool, RelayError> {
        let HandedOn { marks, repeated, away } = handed;
        tokio::select! {
            marked = self.source.mark(marks.clone()) => marked?,
            () = after(stop, MARKED_WITHIN) => {
                let count = marks.len();
                tracing::warn!(
                    count,
                    "the database did not take down what became of rows; those that were handed on \
                     are handed on once more, under the same ids"
                );
                return Ok(false);
            }
        }
        self.reach.rest();
        failpoint::pass("relay.marked");
        count(&marks, repeated, taken_at.elapsed());
        let Some(why) = away else {
            self.patience.rest();
            self.status.well(false);
            return Ok(true);
        };
        tracing::warn!(error = %why, "the broker is away; the rows wait in the outbox");
        self.status.troubled(why);
        Ok(false)
    }

    /// Counts what there is, and deletes what was kept long enough; tells whether there is more of
    /// that.
    async fn keep_house(&mut self) -> Result<bool, RelayError> {
        let has_more = self.source.prune().await?;
        let Survey { waiting, refused, oldest, .. } = self.source.survey().await?;
        gauge!(names::OUTBOX_WAITING).set(as_f64(waiting));
        gauge!(names::OUTBOX_REFUSED).set(as_f64(refused));
        gauge!(names::OUTBOX_LAG_SECONDS).set(oldest.unwrap_or_default().as_secs_f64());
        Ok(has_more)
    }
}

/// Waits before the next try; tells whether there is to be one.
async fn rest(patience: &mut Patience, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = sleep(patience.next()) => true,
        () = stop.cancelled() => false,
    }
}

/// Ends so long after the stop, or after this was asked where that is later.
async fn after(stop: &CancellationToken, within: Duration) {
    stop.cancelled().await;
    sleep(within).await;
}

/// Tells people and metrics what became of rows.
fn count(marks: &[Mark], repeated: usize, took: Duration) {
    let mut sent = 0_usize;
    for Mark { row, fate } in marks {
        let (outcome, error) = match fate {
            Fate::Sent => {
                sent += 1;
                histogram!(names::OUTBOX_SECONDS).record((row.age + took).as_secs_f64());
                continue;
            }
            Fate::Refused(problem) => ("refused", problem),
            Fate::Waits { problem, .. } => ("waits", problem),
        };
        counter!(names::OUTBOX_ROWS, label::OUTCOME => outcome).increment(1);
        let (task, kind, row) = (row.id.as_str(), row.kind.as_str(), row.seq);
        if outcome == "refused" {
            tracing::error!(row, task, kind, error, "a row of the outbox was refused");
        } else {
            tracing::warn!(row, task, kind, error, "a row of the outbox waits for another try");
        }
    }
    let add = |outcome: &'static str, count: usize| {
        counter!(names::OUTBOX_ROWS, label::OUTCOME => outcome)
            .increment(u64::try_from(count).unwrap_or(u64::MAX));
    };
    add("sent", sent - repeated.min(sent));
    add("repeated", repeated);
}

/// A count of rows is far below what a float holds exactly.
#[allow(clippy::cast_precision_loss, reason = "at most 100,000")]
const fn as_f64(count: u64) -> f64 {
    count as f64
}
