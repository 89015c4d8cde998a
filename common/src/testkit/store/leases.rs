//! Promises about leases: one holder at a time, an end by itself, and an epoch that only grows.

use std::time::Duration;

use futures_util::future::join_all;

use super::{LONG, SOON, StoreUnderTest};
use crate::id::Owner;
use crate::store::Lease;
use crate::testkit::eventually;

/// Short enough to wait for, long enough to act in.
const BRIEF: Duration = Duration::from_millis(600);
/// The autumn of 2020 in µs: an epoch that is the store's time is later.
const LONG_AGO: u64 = 1_600_000_000_000_000;

impl StoreUnderTest {
    async fn acquire(&self, name: &str, holder: Owner, ttl: Duration) -> Option<Lease> {
        self.leases.acquire(name, holder, ttl).await.expect("the store answers")
    }

    /// Acquires and insists that it is given.
    async fn given(&self, name: &str, holder: Owner, ttl: Duration) -> Lease {
        let lease = self.acquire(name, holder, ttl).await;
        let lease = lease.unwrap_or_else(|| panic!("the lease {name} was not given"));
        assert_eq!((lease.name.as_str(), lease.holder), (name, holder));
        lease
    }

    async fn renewed(&self, lease: &Lease) -> bool {
        self.leases.renew(lease, LONG).await.expect("the store answers")
    }

    async fn give_back(&self, lease: &Lease) {
        self.leases.give_back(lease).await.expect("the store answers");
    }

    async fn is_free(&self, name: &str) -> bool {
        self.acquire(name, Owner::mint(), LONG).await.is_some()
    }
}

pub(super) async fn of_many_askers_one_gets_the_lease(under: StoreUnderTest) {
    let askers: Vec<_> = (0..40).map(|_| Owner::mint()).collect();
    let asked = askers.iter().map(|asker| under.acquire("dead/mail", *asker, LONG));
    let given: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
    let [lease] = &given[..] else { panic!("{} of 40 hold one lease", given.len()) };
    assert!(askers.contains(&lease.holder));
    assert!(!under.is_free("dead/mail").await);
    assert!(under.renewed(lease).await);
}

pub(super) async fn the_holder_that_asks_again_gets_its_lease_under_a_new_epoch(
    under: StoreUnderTest,
) {
    let holder = Owner::mint();
    let first = under.given("beat", holder, LONG).await;
    let second = under.given("beat", holder, LONG).await;
    assert!(second.epoch > first.epoch, "{first:?} {second:?}");
    assert!(!under.renewed(&first).await, "the older epoch is over");
    assert!(under.renewed(&second).await);
    assert!(!under.is_free("beat").await);
}

pub(super) async fn a_lease_is_renewed_only_under_its_epoch(under: StoreUnderTest) {
    let lease = under.given("beat", Owner::mint(), LONG).await;
    let others = [
        Lease { epoch: lease.epoch - 1, ..lease.clone() },
        Lease { epoch: lease.epoch + 1, ..lease.clone() },
        Lease { holder: Owner::mint(), ..lease.clone() },
        Lease { name: "other".to_owned(), ..lease.clone() },
    ];
    for other in &others {
        assert!(!under.renewed(other).await, "{other:?} is not {lease:?}");
    }
    assert!(under.renewed(&lease).await, "and none of them took it away");
    assert!(under.is_free("other").await, "a renewal gives nothing");
}

pub(super) async fn a_renewed_lease_outlives_its_first_time(under: StoreUnderTest) {
    let renewed = under.given("renewed", Owner::mint(), BRIEF).await;
    // Given later and for as long: once this one has ended, the first time of the other has too.
    under.given("left", Owner::mint(), BRIEF).await;
    assert!(under.renewed(&renewed).await);
    eventually(SOON, "the lease that nobody renewed has ended", || under.is_free("left")).await;
    assert!(!under.is_free("renewed").await);
    assert!(under.renewed(&renewed).await);
    // A renewal may also bring the end nearer.
    assert!(under.leases.renew(&renewed, BRIEF).await.expect("the store answers"));
    eventually(SOON, "it has ended", || under.is_free("renewed")).await;
}

pub(super) async fn a_lease_ends_by_itself_and_cannot_be_renewed_after(under: StoreUnderTest) {
    let (name, witness) = ("dead/mail", "witness");
    let lease = under.given(name, Owner::mint(), BRIEF).await;
    under.given(witness, Owner::mint(), BRIEF).await;
    eventually(SOON, "the witness has ended", || under.is_free(witness)).await;
    // Nobody took it meanwhile; it is over all the same, and its holder must not go on.
    assert!(!under.renewed(&lease).await);
    let next = under.given(name, Owner::mint(), LONG).await;
    assert!(next.epoch > lease.epoch);
    under.give_back(&lease).await;
    assert!(under.renewed(&next).await, "what ended gives nothing back");
}

pub(super) async fn a_lease_is_given_back_only_under_its_epoch(under: StoreUnderTest) {
    let name = "dead/mail";
    let lease = under.given(name, Owner::mint(), LONG).await;
    for other in [
        Lease { epoch: lease.epoch - 1, ..lease.clone() },
        Lease { holder: Owner::mint(), ..lease.clone() },
    ] {
        under.give_back(&other).await;
        assert!(!under.is_free(name).await, "{other:?} gave {lease:?} back");
    }
    under.give_back(&lease).await;
    assert!(!under.renewed(&lease).await);
    let next = under.given(name, Owner::mint(), LONG).await;
    under.give_back(&lease).await;
    assert!(under.renewed(&next).await, "given back twice, it took the next one's");
}

pub(super) async fn epochs_grow_from_holder_to_holder(under: StoreUnderTest) {
    let mut last = LONG_AGO;
    for turn in 0..20 {
        let lease = under.given("beat", Owner::mint(), LONG).await;
        assert!(lease.epoch > last, "turn {turn}: {} after {last}", lease.epoch);
        last = lease.epoch;
        under.give_back(&lease).await;
    }
}

pub(super) async fn leases_of_different_names_share_nothing(under: StoreUnderTest) {
    let long = "x".repeat(128);
    let holder = Owner::mint();
    let names = ["dead/mail", "dead/mai", "dead/mail2", "grün \"'\n{}:*", long.as_str()];
    let mut held = Vec::new();
    for name in names {
        held.push(under.given(name, holder, LONG).await);
    }
    under.give_back(&held[0]).await;
    assert!(under.is_free(names[0]).await);
    for lease in &held[1..] {
        assert!(under.renewed(lease).await, "{lease:?}");
    }
}
