//! The fleet of one process, in memory: who lives is a matter of this process alone.
//!
//! A claim by an owner that never lived here was made by an older incarnation of the process, which
//! the folder's lock proves dead: it may be taken over at once. Between the workers of this
//! process the common rules hold. Heartbeats end by a clock that nobody can set.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::Embedded;
use crate::id::Owner;
use crate::store::{Fleet, Heartbeat, Liveness, Renewal, StoreError, Suspect, judge};

/// The heartbeats of this process.
#[derive(Default)]
pub(super) struct Heartbeats(Mutex<HashMap<Owner, Life>>);

struct Life {
    heartbeat: Heartbeat,
    ends: Instant,
}

impl Heartbeats {
    fn beat(&self, heartbeat: &Heartbeat, ttl: Duration, now: Instant) -> Renewal {
        let mut lives = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // An owner that is long silent becomes unknown, and so dead without regard to its claims'
        // age: it has made none for longer than that age matters.
        lives.retain(|_, life| life.ends + ttl > now);
        let life = Life { heartbeat: heartbeat.clone(), ends: now + ttl };
        match lives.insert(heartbeat.owner, life) {
            Some(before) if before.ends > now => Renewal::Kept,
            Some(_) | None => Renewal::Absent,
        }
    }

    fn judge(
        &self,
        reader: Owner,
        suspects: &[Suspect],
        ttl: Duration,
        now: Instant,
    ) -> Vec<Liveness> {
        let lives = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let alive = |life: &Life| life.ends > now;
        let reader_lives = lives.get(&reader).is_some_and(alive);
        let verdict = |suspect: &Suspect| match lives.get(&suspect.hold.owner) {
            None if reader_lives => Liveness::Dead,
            None => Liveness::Unsure,
            Some(life) => {
                let holder = alive(life).then_some(&life.heartbeat);
                judge(suspect, holder, reader_lives, ttl)
            }
        };
        suspects.iter().map(verdict).collect()
    }

    fn leave(&self, owner: Owner) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&owner);
    }

    fn alive(&self, now: Instant) -> Vec<Heartbeat> {
        let lives = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lives.values().filter(|life| life.ends > now).map(|life| life.heartbeat.clone()).collect()
    }
}

#[async_trait]
impl Fleet for Embedded {
    async fn beat(&self, heartbeat: &Heartbeat, ttl: Duration) -> Result<Renewal, StoreError> {
        Ok(self.heartbeats.beat(heartbeat, ttl, Instant::now()))
    }

    async fn judge(
        &self,
        reader: Owner,
        suspects: &[Suspect],
        ttl: Duration,
    ) -> Result<Vec<Liveness>, StoreError> {
        Ok(self.heartbeats.judge(reader, suspects, ttl, Instant::now()))
    }

    fn needs_grace(&self) -> bool {
        false
    }

    async fn leave(&self, owner: Owner) -> Result<(), StoreError> {
        self.heartbeats.leave(owner);
        Ok(())
    }

    async fn workers(&self) -> Result<Vec<Heartbeat>, StoreError> {
        Ok(self.heartbeats.alive(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Millis;
    use crate::id::{Fence, TaskId};
    use crate::ledger::Hold;
    use crate::store::{WorkerInfo, WorkerState};

    const TTL: Duration = Duration::from_secs(15);

    fn heartbeat(owner: Owner, held: Vec<(TaskId, Fence)>) -> Heartbeat {
        let info = WorkerInfo {
            host: "here".to_owned(),
            pid: 1,
            started_at: Millis(0),
            at: Millis(0),
            version: "0".to_owned(),
            slots: 1,
            in_use: 0,
            lanes: Vec::new(),
            kinds: Vec::new(),
            state: WorkerState::Running,
            attempts: 0,
            memory: 0,
        };
        Heartbeat { owner, held, info }
    }

    fn suspect(owner: Owner, age: Duration) -> Suspect {
        Suspect { id: TaskId::mint(), hold: Hold { owner, fence: Fence(7) }, age }
    }

    #[test]
    fn an_owner_of_an_older_process_is_dead_at_once_and_one_of_this_process_is_judged_by_age() {
        let (fleet, now) = (Heartbeats::default(), Instant::now());
        let (reader, other) = (Owner::mint(), Owner::mint());
        let listed = suspect(other, TTL * 2);
        let stranger = suspect(Owner::mint(), Duration::ZERO);
        let judge =
            |suspect: &Suspect| fleet.judge(reader, std::slice::from_ref(suspect), TTL, now)[0];

        assert_eq!(judge(&stranger), Liveness::Unsure, "the reader has no heartbeat yet");
        fleet.beat(&heartbeat(reader, Vec::new()), TTL, now);
        fleet.beat(&heartbeat(other, vec![(listed.id, Fence(7))]), TTL, now);
        assert_eq!(judge(&stranger), Liveness::Dead);
        assert_eq!(judge(&listed), Liveness::Alive);
        assert_eq!(judge(&suspect(other, TTL / 2)), Liveness::Alive, "too young to be listed");
        assert_eq!(judge(&suspect(other, TTL)), Liveness::Orphaned);

        let later = now + TTL;
        fleet.beat(&heartbeat(reader, Vec::new()), TTL, later);
        assert_eq!(fleet.judge(reader, &[listed], TTL, later), [Liveness::Dead]);
        assert_eq!(fleet.alive(later).len(), 1);
    }

    #[test]
    fn a_renewal_tells_whether_the_last_heartbeat_was_still_there() {
        let (fleet, now, owner) = (Heartbeats::default(), Instant::now(), Owner::mint());
        let beat = heartbeat(owner, Vec::new());
        assert_eq!(fleet.beat(&beat, TTL, now), Renewal::Absent);
        assert_eq!(fleet.beat(&beat, TTL, now + TTL / 3), Renewal::Kept);
        assert_eq!(fleet.beat(&beat, TTL, now + TTL * 2), Renewal::Absent);
        fleet.leave(owner);
        assert_eq!(fleet.beat(&beat, TTL, now + TTL * 2), Renewal::Absent);
    }
}
