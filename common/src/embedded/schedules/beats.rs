//! The beats of this process, in memory: like a lease, none outlives it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::id::Owner;
use crate::store::BeatInfo;

/// Longest time that a beat is listed without being heard of, whatever it asks for.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// What the beats say of themselves.
#[derive(Default)]
pub(in crate::embedded) struct Beats(Mutex<HashMap<Owner, Said>>);

struct Said {
    info: BeatInfo,
    ends: Instant,
}

impl Beats {
    pub(super) fn announce(&self, info: &BeatInfo, ttl: Duration, now: Instant) {
        let mut beats = self.said();
        beats.retain(|_, said| said.ends > now);
        let ends = now + ttl.min(LONGEST);
        beats.insert(info.owner, Said { info: info.clone(), ends });
    }

    pub(super) fn list(&self, now: Instant) -> Vec<BeatInfo> {
        let beats = self.said();
        beats.values().filter(|said| said.ends > now).map(|said| said.info.clone()).collect()
    }

    fn said(&self) -> MutexGuard<'_, HashMap<Owner, Said>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Millis;

    const TTL: Duration = Duration::from_secs(15);

    fn info(owner: Owner) -> BeatInfo {
        BeatInfo {
            owner,
            host: "here".to_owned(),
            pid: 1,
            version: "0".to_owned(),
            started_at: Millis(0),
            at: Millis(0),
            leads: None,
            schedules: 0,
            file: None,
        }
    }

    #[test]
    fn a_beat_is_listed_until_it_is_silent_for_its_time_and_then_forgotten() {
        let (beats, now) = (Beats::default(), Instant::now());
        let (one, two) = (Owner::mint(), Owner::mint());
        beats.announce(&info(one), TTL, now);
        beats.announce(&info(two), TTL, now);
        beats.announce(&BeatInfo { schedules: 7, ..info(one) }, TTL, now + TTL / 2);
        assert_eq!(beats.list(now + TTL / 2).len(), 2);
        assert_eq!(beats.list(now + TTL), [BeatInfo { schedules: 7, ..info(one) }]);
        beats.announce(&info(one), TTL, now + TTL);
        assert_eq!(beats.said().len(), 1, "the one that is gone");
        assert!(beats.list(now + TTL * 2).is_empty());
    }

    #[test]
    fn a_time_to_live_without_end_is_cut_to_a_year() {
        let (beats, now) = (Beats::default(), Instant::now());
        beats.announce(&info(Owner::mint()), Duration::MAX, now);
        assert_eq!(beats.list(now + LONGEST), []);
    }
}
