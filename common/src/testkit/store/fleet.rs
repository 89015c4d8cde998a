//! Promises about who lives (rules L1, L2, L4).

use std::time::Duration;

use super::{SOON, StoreUnderTest};
use crate::clock::Millis;
use crate::id::{Fence, Owner, TaskId};
use crate::ledger::Hold;
use crate::store::{Heartbeat, LaneInfo, Liveness, Renewal, Suspect, WorkerInfo, WorkerState};
use crate::testkit::eventually;

const TTL: Duration = Duration::from_secs(30);

fn lane(name: &str, reached: Option<Millis>) -> LaneInfo {
    let lane = name.parse().expect("a lane");
    LaneInfo { lane, consuming: reached.is_some(), waiting: 2, rate: 0.125, reached }
}

fn heartbeat(owner: Owner, held: &[(TaskId, Fence)]) -> Heartbeat {
    let info = WorkerInfo {
        host: "grün \"1\"".to_owned(),
        pid: 4_711,
        started_at: Millis(1_790_000_000_000),
        at: Millis(1_790_000_005_000),
        version: "0.1.0".to_owned(),
        slots: 8,
        in_use: 3,
        lanes: vec![lane("mail.high", Some(Millis(1_789_999_999_000))), lane("post.low", None)],
        kinds: vec!["email.welcome".to_owned()],
        state: WorkerState::Running,
        attempts: u64::MAX,
        memory: 48 * 1024 * 1024,
    };
    Heartbeat { owner, held: held.to_vec(), info }
}

fn suspect(owner: Owner, age: Duration) -> Suspect {
    Suspect { id: TaskId::mint(), hold: Hold { owner, fence: Fence(9) }, age }
}

impl StoreUnderTest {
    async fn beat(&self, heartbeat: &Heartbeat, ttl: Duration) -> Renewal {
        self.fleet.beat(heartbeat, ttl).await.expect("the store answers")
    }

    /// A reader that may judge.
    async fn reader(&self) -> Owner {
        let reader = Owner::mint();
        self.beat(&heartbeat(reader, &[]), TTL).await;
        reader
    }

    async fn judged(&self, reader: Owner, suspects: &[Suspect]) -> Vec<Liveness> {
        self.fleet.judge(reader, suspects, TTL).await.expect("the store answers")
    }
}

pub(super) async fn a_first_heartbeat_finds_none_and_the_next_finds_it(under: StoreUnderTest) {
    let beat = heartbeat(Owner::mint(), &[]);
    assert_eq!(under.beat(&beat, TTL).await, Renewal::Absent);
    assert_eq!(under.beat(&beat, TTL).await, Renewal::Kept);
    assert_eq!(under.beat(&heartbeat(Owner::mint(), &[]), TTL).await, Renewal::Absent);
    under.fleet.leave(beat.owner).await.expect("the store answers");
    assert_eq!(under.beat(&beat, TTL).await, Renewal::Absent);
}

pub(super) async fn a_heartbeat_ends_by_itself(under: StoreUnderTest) {
    let (brief, long) = (heartbeat(Owner::mint(), &[]), heartbeat(Owner::mint(), &[]));
    under.beat(&long, TTL).await;
    under.beat(&brief, Duration::from_millis(300)).await;
    eventually(SOON, "only the long heartbeat is left", || async {
        let workers = under.fleet.workers().await.expect("the store answers");
        workers.iter().map(|beat| beat.owner).eq([long.owner])
    })
    .await;
    assert_eq!(under.beat(&brief, TTL).await, Renewal::Absent);
}

pub(super) async fn a_listed_claim_is_alive_however_old(under: StoreUnderTest) {
    let owner = Owner::mint();
    let (one, two) = (suspect(owner, TTL * 100), suspect(owner, TTL * 100));
    let held: Vec<_> = [&one, &two].map(|claim| (claim.id, claim.hold.fence)).to_vec();
    under.beat(&heartbeat(owner, &held), TTL).await;
    let reader = under.reader().await;
    assert_eq!(under.judged(reader, &[one.clone(), two.clone()]).await, [Liveness::Alive; 2]);
    // Renewed without the first: it is held no more; the same id under another fence never was.
    under.beat(&heartbeat(owner, &held[1..]), TTL).await;
    let refenced = Suspect { hold: Hold { fence: Fence(10), ..two.hold }, ..two.clone() };
    let answers = under.judged(reader, &[one, two, refenced]).await;
    assert_eq!(answers, [Liveness::Orphaned, Liveness::Alive, Liveness::Orphaned]);
}

pub(super) async fn a_young_claim_that_nobody_lists_is_alive(under: StoreUnderTest) {
    // A living owner's claim may be too young to be listed. Of an owner without a heartbeat
    // the same is asked only where that is the sole sign of death.
    let owner = Owner::mint();
    under.beat(&heartbeat(owner, &[]), TTL).await;
    let reader = under.reader().await;
    let young = TTL - Duration::from_millis(1);
    assert_eq!(under.judged(reader, &[suspect(owner, young)]).await, [Liveness::Alive]);
    if under.fleet.needs_grace() {
        let unknown = suspect(Owner::mint(), young);
        assert_eq!(under.judged(reader, &[unknown]).await, [Liveness::Alive]);
    }
}

pub(super) async fn an_old_claim_that_its_living_owner_does_not_list_is_orphaned(
    under: StoreUnderTest,
) {
    let owner = Owner::mint();
    under.beat(&heartbeat(owner, &[(TaskId::mint(), Fence(9))]), TTL).await;
    let reader = under.reader().await;
    assert_eq!(under.judged(reader, &[suspect(owner, TTL)]).await, [Liveness::Orphaned]);
}

pub(super) async fn a_claim_is_dead_after_its_owner_left(under: StoreUnderTest) {
    let owner = Owner::mint();
    let claim = suspect(owner, TTL);
    under.beat(&heartbeat(owner, &[(claim.id, claim.hold.fence)]), TTL).await;
    let reader = under.reader().await;
    let alive = heartbeat(Owner::mint(), &[]);
    under.beat(&alive, TTL).await;
    assert_eq!(under.judged(reader, std::slice::from_ref(&claim)).await, [Liveness::Alive]);
    under.fleet.leave(owner).await.expect("the store answers");
    let suspects = [claim, suspect(alive.owner, TTL), suspect(Owner::mint(), TTL)];
    let answers = under.judged(reader, &suspects).await;
    assert_eq!(answers, [Liveness::Dead, Liveness::Orphaned, Liveness::Dead]);
    assert!(under.judged(reader, &[]).await.is_empty());
}

pub(super) async fn a_reader_without_a_heartbeat_concludes_nothing(under: StoreUnderTest) {
    if !under.fleet.needs_grace() {
        return;
    }
    let owner = Owner::mint();
    under.beat(&heartbeat(owner, &[]), TTL).await;
    let suspects =
        [suspect(owner, TTL), suspect(Owner::mint(), TTL), suspect(owner, Duration::ZERO)];
    assert_eq!(under.judged(Owner::mint(), &suspects).await, [Liveness::Unsure; 3]);
}

pub(super) async fn workers_are_listed_as_they_describe_themselves_until_they_leave(
    under: StoreUnderTest,
) {
    assert!(under.fleet.workers().await.expect("the store answers").is_empty());
    let mut first = heartbeat(Owner::mint(), &[(TaskId::mint(), Fence(u64::MAX))]);
    let second = heartbeat(Owner::mint(), &[]);
    under.beat(&first, TTL).await;
    under.beat(&second, TTL).await;
    first.info.state = WorkerState::Draining;
    first.info.in_use = 0;
    first.info.lanes.clear();
    under.beat(&first, TTL).await;
    let mut listed = under.fleet.workers().await.expect("the store answers");
    let mut expected = vec![first.clone(), second.clone()];
    listed.sort_by_key(|beat| beat.owner);
    expected.sort_by_key(|beat| beat.owner);
    assert_eq!(listed, expected);
    under.fleet.leave(first.owner).await.expect("the store answers");
    under.fleet.leave(first.owner).await.expect("leaving twice is no error");
    assert_eq!(under.fleet.workers().await.expect("the store answers"), [second]);
}
