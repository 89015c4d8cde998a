//! Leases: who holds one is kept in memory, the epochs in the file.
//!
//! A holder is always a part of this process: the folder's lock proves that of any other to be
//! dead, and with it every lease that it held. So a lease must not outlive the process, and memory
//! is the one place where it cannot. Epochs must: each acquisition draws one from the file and
//! commits it first. Leases end by a clock that nobody can set.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::Embedded;
use super::error::Failure;
use super::transaction::{Transaction, signed_us};
use crate::id::Owner;
use crate::sabotage::{Break, breaks};
use crate::store::{Lease, Leases, StoreError};

/// Longest time a lease is held without being renewed, whatever its holder asks for.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);
const DRAW: &str = "UPDATE house SET epoch = max(epoch + 1, ?1) RETURNING epoch";

/// The leases of this process.
#[derive(Default)]
pub(super) struct Held(Mutex<Book>);

#[derive(Default)]
struct Book {
    /// By name; at most as many as there are names in use.
    held: HashMap<String, Holding>,
    /// The greatest epoch that was granted.
    granted: u64,
}

struct Holding {
    holder: Owner,
    epoch: u64,
    ends: Instant,
}

/// What becomes of an epoch that was drawn for a lease.
#[derive(Debug, PartialEq, Eq)]
enum Grant {
    Granted,
    /// Somebody else was faster.
    Taken,
    /// A greater epoch was granted meanwhile: this one is worth nothing any more.
    Late,
}

impl Held {
    fn is_taken(&self, name: &str, holder: Owner, now: Instant) -> bool {
        let book = self.book();
        book.held.get(name).is_some_and(|held| held.holder != holder && held.ends > now)
    }

    fn grant(&self, lease: &Lease, ttl: Duration, now: Instant) -> Grant {
        let mut book = self.book();
        book.held.retain(|_, held| held.ends > now);
        if book.held.get(&lease.name).is_some_and(|held| held.holder != lease.holder) {
            return Grant::Taken;
        }
        if lease.epoch <= book.granted {
            return Grant::Late;
        }
        book.granted = lease.epoch;
        let ends = now + ttl.min(LONGEST);
        let holding = Holding { holder: lease.holder, epoch: lease.epoch, ends };
        book.held.insert(lease.name.clone(), holding);
        Grant::Granted
    }

    fn renew(&self, lease: &Lease, ttl: Duration, now: Instant) -> bool {
        let mut book = self.book();
        match book.held.get_mut(&lease.name) {
            Some(held) if held.ends > now && (held.is(lease) || breaks(Break::LockExtended)) => {
                held.ends = now + ttl.min(LONGEST);
                true
            }
            Some(_) | None => false,
        }
    }

    fn give_back(&self, lease: &Lease) {
        let mut book = self.book();
        if book.held.get(&lease.name).is_some_and(|held| held.is(lease)) {
            book.held.remove(&lease.name);
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holding {
    fn is(&self, lease: &Lease) -> bool {
        self.holder == lease.holder && self.epoch == lease.epoch
    }
}

#[async_trait]
impl Leases for Embedded {
    async fn acquire(
        &self,
        name: &str,
        holder: Owner,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let operation = "acquire a lease";
        loop {
            self.open_for(operation)?;
            // Whoever is refused writes nothing.
            if self.leases.is_taken(name, holder, Instant::now()) {
                return Ok(None);
            }
            let epoch = self.draw().await;
            let epoch =
                epoch.map_err(|failure| failure.for_store(operation, &self.core.endpoint))?;
            let lease = Lease { name: name.to_owned(), holder, epoch };
            match self.leases.grant(&lease, ttl, Instant::now()) {
                Grant::Granted => return Ok(Some(lease)),
                Grant::Taken => return Ok(None),
                Grant::Late => {}
            }
        }
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        // Once the folder is free, another process may hold the same lease.
        self.open_for("renew a lease")?;
        Ok(self.leases.renew(lease, ttl, Instant::now()))
    }

    async fn give_back(&self, lease: &Lease) -> Result<(), StoreError> {
        self.leases.give_back(lease);
        Ok(())
    }
}

impl Embedded {
    /// Draws an epoch that is greater than any before, and has it on disk.
    async fn draw(&self) -> Result<u64, Failure> {
        let run = |to: &mut Transaction| {
            let now = signed_us(to.now_us());
            let epoch: i64 = to.prepare(DRAW)?.query_row([now], |row| row.get(0))?;
            Ok(u64::try_from(epoch).unwrap_or(0))
        };
        self.core.writer.write(1, run).await
    }

    fn open_for(&self, operation: &'static str) -> Result<(), StoreError> {
        match self.core.is_closed() {
            true => Err(Failure::closed().for_store(operation, &self.core.endpoint)),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(30);

    fn lease(holder: Owner, epoch: u64) -> Lease {
        Lease { name: "dead/mail".to_owned(), holder, epoch }
    }

    #[test]
    fn a_lease_is_held_until_it_ends_or_is_given_back() {
        let (held, now) = (Held::default(), Instant::now());
        let (one, two) = (Owner::mint(), Owner::mint());
        assert_eq!(held.grant(&lease(one, 1), TTL, now), Grant::Granted);
        assert!(held.is_taken("dead/mail", two, now) && !held.is_taken("dead/mail", one, now));
        assert_eq!(held.grant(&lease(two, 2), TTL, now), Grant::Taken);
        let other = Lease { name: "dead/news".to_owned(), ..lease(two, 3) };
        assert_eq!(held.grant(&other, TTL, now), Grant::Granted, "names share nothing");

        assert!(held.renew(&lease(one, 1), TTL, now + TTL / 2));
        assert!(held.is_taken("dead/mail", two, now + TTL), "it was prolonged");
        assert_eq!(held.grant(&lease(two, 4), TTL, now + TTL * 2), Grant::Granted);
        assert!(!held.renew(&lease(one, 1), TTL, now + TTL * 2));
        held.give_back(&lease(one, 1));
        assert!(held.is_taken("dead/mail", one, now + TTL * 2), "it is no longer theirs to give");
        held.give_back(&lease(two, 4));
        assert!(!held.is_taken("dead/mail", one, now + TTL * 2));
    }

    #[test]
    fn a_lease_that_ended_is_not_renewed_even_where_nobody_took_it() {
        let (held, now, owner) = (Held::default(), Instant::now(), Owner::mint());
        assert_eq!(held.grant(&lease(owner, 1), TTL, now), Grant::Granted);
        assert!(!held.renew(&lease(owner, 1), TTL, now + TTL));
    }

    #[test]
    fn a_holder_that_asks_again_has_its_new_epoch_only() {
        let (held, now, owner) = (Held::default(), Instant::now(), Owner::mint());
        assert_eq!(held.grant(&lease(owner, 5), TTL, now), Grant::Granted);
        assert_eq!(held.grant(&lease(owner, 4), TTL, now), Grant::Late);
        assert_eq!(held.grant(&lease(owner, 6), TTL, now), Grant::Granted);
        assert!(!held.renew(&lease(owner, 5), TTL, now));
        assert!(held.renew(&lease(owner, 6), TTL, now));
    }

    #[test]
    fn a_time_to_live_without_end_is_cut_to_a_year() {
        let (held, now, owner) = (Held::default(), Instant::now(), Owner::mint());
        assert_eq!(held.grant(&lease(owner, 1), Duration::MAX, now), Grant::Granted);
        assert!(!held.is_taken("dead/mail", Owner::mint(), now + LONGEST));
    }
}
