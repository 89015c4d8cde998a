//! The right to lead: asked for, kept and given back; and whether it is held at this moment.
//!
//! Guards that any doubt means "not leader": an error, a late answer, and above all a deadline
//! by this process's own clock, counted from before the request, after which [`Leadership`] says no
//! by itself, also while a renewal hangs or after the process was stopped for a while. Safety does
//! not rest on it: two that lead do no harm.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use leveret_common::id::Owner;
use leveret_common::store::{Lease, Leases};
use leveret_common::telemetry::names::field;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::status::Status;

/// What beats ask for.
const LEASE: &str = "beat";
/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a lease that is given back may take to arrive.
const GIVE_BACK_WITHIN: Duration = Duration::from_secs(1);

/// Whether this beat leads, and under which epoch. Cheap to clone; clones share everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Leadership(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    held: Mutex<Option<Held>>,
    changed: Notify,
}

#[derive(Debug, Clone)]
struct Held {
    lease: Lease,
    until: Instant,
}

impl Leadership {
    /// Returns the epoch of the lease, while it is held for certain.
    pub(super) fn epoch(&self) -> Option<u64> {
        self.held().as_ref().filter(|held| Instant::now() < held.until).map(|held| held.lease.epoch)
    }

    /// Gives the right up, where it is still held under this epoch: somebody else acted under a
    /// later one.
    pub(super) fn resign(&self, epoch: u64) {
        let mut held = self.held();
        if held.as_ref().is_some_and(|held| held.lease.epoch == epoch) {
            *held = None;
            self.0.changed.notify_one();
        }
    }

    /// Waits until the right was gained or lost, or another epoch began.
    pub(super) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    fn hold(&self, lease: Lease, until: Instant) {
        let epoch = lease.epoch;
        let before = self.held().replace(Held { lease, until });
        if before.is_none_or(|before| before.lease.epoch != epoch) {
            info!({ field::EPOCH } = epoch, "this beat leads");
            self.0.changed.notify_one();
        }
    }

    fn lose(&self, why: &str) {
        if let Some(held) = self.held().take() {
            warn!(
                { field::EPOCH } = held.lease.epoch,
                { field::REASON } = why,
                "this beat does not lead any more"
            );
            self.0.changed.notify_one();
        }
    }

    fn lease(&self) -> Option<Held> {
        self.held().clone()
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for the right to lead, again and again, and keeps it.
pub(super) struct Candidate {
    pub(super) leases: Arc<dyn Leases>,
    pub(super) owner: Owner,
    pub(super) ttl: Duration,
    /// How often one who does not lead asks.
    pub(super) pace: Duration,
    pub(super) leadership: Leadership,
    pub(super) status: Arc<Status>,
}

impl Candidate {
    /// Asks and renews until `stop` is cancelled, then gives the lease back.
    ///
    /// # Cancel safety
    /// Dropped, a lease that is held ends by itself.
    pub(super) async fn run(self, stop: CancellationToken) {
        loop {
            let wait = match self.leadership.lease() {
                Some(held) => self.renew(held).await,
                None => self.ask().await,
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.give_back().await;
    }

    /// Asks for the lease; returns when to ask or renew.
    async fn ask(&self) -> Duration {
        let begun = Instant::now();
        match timeout(PATIENCE, self.leases.acquire(LEASE, self.owner, self.ttl)).await {
            Ok(Ok(Some(lease))) => {
                self.status.heard_from_store();
                self.leadership.hold(lease, begun + self.ttl);
                self.ttl / 4
            }
            Ok(Ok(None)) => {
                self.status.heard_from_store();
                self.pace
            }
            Ok(Err(error)) => {
                warn!({ field::ERROR } = %error, "failed to ask for the right to lead");
                self.pace
            }
            Err(_) => {
                warn!("the store is slow to say who leads");
                self.pace
            }
        }
    }

    /// Renews the lease; returns when to ask or renew again.
    async fn renew(&self, held: Held) -> Duration {
        let begun = Instant::now();
        let patience = PATIENCE.min(held.until.saturating_duration_since(begun));
        match timeout(patience, self.leases.renew(&held.lease, self.ttl)).await {
            // Held without a gap: the answer came before the last word on it was over.
            Ok(Ok(true)) if Instant::now() < held.until && self.still(&held) => {
                self.status.heard_from_store();
                self.leadership.hold(held.lease, begun + self.ttl);
                return self.ttl / 4;
            }
            Ok(Ok(true)) => self.leadership.lose("the lease was renewed too late"),
            Ok(Ok(false)) => self.leadership.lose("the lease is somebody else's, or was forgotten"),
            Ok(Err(error)) => {
                warn!({ field::ERROR } = %error, "failed to renew the right to lead");
                self.leadership.lose("the store gave an error");
            }
            Err(_) => self.leadership.lose("the store did not answer in time"),
        }
        self.pace
    }

    /// Tells whether nobody gave the right up meanwhile.
    fn still(&self, held: &Held) -> bool {
        self.leadership.lease().is_some_and(|now| now.lease == held.lease)
    }

    async fn give_back(&self) {
        let Some(held) = self.leadership.lease() else { return };
        self.leadership.resign(held.lease.epoch);
        match timeout(GIVE_BACK_WITHIN, self.leases.give_back(&held.lease)).await {
            Ok(Ok(())) => {
                info!({ field::EPOCH } = held.lease.epoch, "the right to lead is given back")
            }
            Ok(Err(_)) | Err(_) => info!("the right to lead is left to end by itself"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use async_trait::async_trait;
    use leveret_common::spawn::Spawner;
    use leveret_common::store::{StoreError, StoreErrorKind};
    use leveret_common::testkit::eventually;

    use super::*;

    const TTL: Duration = Duration::from_millis(400);
    const DEADLINE: Duration = Duration::from_secs(20);

    /// Leases with one holder, which can hang, fail and forget.
    #[derive(Default)]
    struct Moody {
        epoch: AtomicU64,
        is_taken: AtomicBool,
        hangs: AtomicBool,
        fails: AtomicBool,
        forgot: AtomicBool,
        renewals: AtomicU64,
        given_back: AtomicBool,
    }

    impl Moody {
        async fn mood(&self) -> Result<(), StoreError> {
            if self.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            if !self.fails.load(Ordering::SeqCst) {
                return Ok(());
            }
            let (operation, endpoint) = ("renew a lease", "test".to_owned());
            let (kind, why) = (StoreErrorKind::Unavailable, "it is away".to_owned());
            Err(StoreError { operation, endpoint, kind, why, source: None })
        }
    }

    #[async_trait]
    impl Leases for Moody {
        async fn acquire(
            &self,
            name: &str,
            holder: Owner,
            _: Duration,
        ) -> Result<Option<Lease>, StoreError> {
            self.mood().await?;
            if self.is_taken.load(Ordering::SeqCst) {
                return Ok(None);
            }
            self.forgot.store(false, Ordering::SeqCst);
            let epoch = self.epoch.fetch_add(1, Ordering::SeqCst) + 1;
            Ok(Some(Lease { name: name.to_owned(), holder, epoch }))
        }

        async fn renew(&self, _: &Lease, _: Duration) -> Result<bool, StoreError> {
            self.mood().await?;
            self.renewals.fetch_add(1, Ordering::SeqCst);
            Ok(!self.forgot.load(Ordering::SeqCst))
        }

        async fn give_back(&self, _: &Lease) -> Result<(), StoreError> {
            self.given_back.store(true, Ordering::SeqCst);
            Ok(())
        }
    }

    struct World {
        leases: Arc<Moody>,
        leadership: Leadership,
        stop: CancellationToken,
        spawner: Spawner,
    }

    impl World {
        fn new(set: impl FnOnce(&Moody)) -> Self {
            let (leases, leadership) = (Arc::new(Moody::default()), Leadership::default());
            set(&leases);
            let (stop, spawner) = (CancellationToken::new(), Spawner::new());
            let candidate = Candidate {
                leases: leases.clone(),
                owner: Owner::mint(),
                ttl: TTL,
                pace: Duration::from_millis(20),
                leadership: leadership.clone(),
                status: Arc::new(Status::new(TTL, leadership.clone())),
            };
            drop(spawner.spawn(candidate.run(stop.clone())));
            Self { leases, leadership, stop, spawner }
        }

        async fn until(&self, what: &str, epoch: impl Fn(Option<u64>) -> bool) {
            eventually(DEADLINE, what, || async { epoch(self.leadership.epoch()) }).await;
        }
    }

    #[tokio::test]
    async fn the_right_is_kept_as_long_as_it_is_renewed_and_given_back_at_the_end() {
        let world = World::new(|_| {});
        world.until("it leads", |epoch| epoch == Some(1)).await;
        eventually(DEADLINE, "it was renewed for twice its length", || async {
            world.leases.renewals.load(Ordering::SeqCst) >= 8
        })
        .await;
        assert_eq!(world.leadership.epoch(), Some(1), "without a gap");
        world.stop.cancel();
        world.spawner.drained().await;
        assert_eq!(world.leadership.epoch(), None);
        assert!(world.leases.given_back.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn it_ends_by_itself_while_a_renewal_hangs() {
        let world = World::new(|_| {});
        world.until("it leads", |epoch| epoch == Some(1)).await;
        world.leases.hangs.store(true, Ordering::SeqCst);
        world.until("it leads no more", |epoch| epoch.is_none()).await;
        world.leases.hangs.store(false, Ordering::SeqCst);
        world.until("it leads again, under a later epoch", |epoch| epoch == Some(2)).await;
    }

    #[tokio::test]
    async fn an_error_and_a_forgotten_lease_end_it_at_once() {
        let fails: fn(&Moody) -> &AtomicBool = |moody| &moody.fails;
        for set in [fails, |moody| &moody.forgot] {
            let world = World::new(|_| {});
            world.until("it leads", |epoch| epoch == Some(1)).await;
            set(&world.leases).store(true, Ordering::SeqCst);
            world.until("it leads no more", |epoch| epoch != Some(1)).await;
            set(&world.leases).store(false, Ordering::SeqCst);
            world.until("it leads again", |epoch| epoch == Some(2)).await;
        }
    }

    #[tokio::test]
    async fn one_that_stands_by_leads_once_the_other_has_gone() {
        let world = World::new(|moody| moody.is_taken.store(true, Ordering::SeqCst));
        assert_eq!(world.leadership.epoch(), None);
        world.leases.is_taken.store(false, Ordering::SeqCst);
        world.until("it leads", |epoch| epoch == Some(1)).await;
    }

    #[tokio::test]
    async fn a_process_that_was_stopped_does_not_lead_before_it_has_renewed() {
        let leadership = Leadership::default();
        let lease = Lease { name: LEASE.to_owned(), holder: Owner::mint(), epoch: 7 };
        // Asked for long ago: nobody ran meanwhile who could have taken the right away.
        leadership.hold(lease.clone(), Instant::now());
        assert_eq!(leadership.epoch(), None);
        // The renewal that was begun before the stop is answered now, too late to count.
        let (leases, held) = (Arc::new(Moody::default()), leadership.lease().unwrap());
        let status = Arc::new(Status::new(TTL, leadership.clone()));
        let (owner, pace) = (lease.holder, TTL);
        let candidate =
            Candidate { leases, owner, ttl: TTL, pace, leadership: leadership.clone(), status };
        candidate.renew(held).await;
        assert_eq!(leadership.epoch(), None);
        candidate.ask().await;
        assert_eq!(leadership.epoch(), Some(1));
    }

    #[test]
    fn who_resigns_does_so_under_the_epoch_that_it_knows() {
        let leadership = Leadership::default();
        let lease = Lease { name: LEASE.to_owned(), holder: Owner::mint(), epoch: 7 };
        leadership.hold(lease, Instant::now() + TTL);
        leadership.resign(6);
        assert_eq!(leadership.epoch(), Some(7));
        leadership.resign(7);
        assert_eq!(leadership.epoch(), None);
    }
}
