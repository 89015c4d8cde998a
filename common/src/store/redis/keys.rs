//! The key space: the one place that knows how our keys are called.
//!
//! | key | type | holds | kept for |
//! | --- | --- | --- | --- |
//! | `<ns>:t:{<task id>}` | string | the ledger's entry, as `ledger::packed` writes it | the request's `ttl` |
//! | `<ns>:e:{<task id>}` | string | what was accepted (JSON) | `Retention::record` |
//! | `<ns>:h:{<task id>}` | list | the attempts (JSON), oldest first, at most `MAX_HISTORY` | `Retention::record` |
//! | `<ns>:a:{<task id>}` | list | what people did to it (JSON), oldest first, at most `MAX_HISTORY` | `Retention::record` |
//! | `<ns>:r:{<task id>}` | string | the result (JSON text) | `Retention::result` |
//! | `<ns>:i:{<task id>}` | string | what its attempt said last of itself (JSON) | `Retention::record` |
//! | `<ns>:seen` | sorted set | `<lane> <kind>` by the last enqueue in ms, at most `MAX_SEEN` | `SEEN_TTL` |
//! | `<ns>:{w}:<owner>` | string | a heartbeat (JSON) | its `ttl` |
//! | `<ns>:{w}:all` | sorted set | owners by the end of their heartbeat in ms; a directory only | the longest heartbeat |
//! | `<ns>:{lease:<name>}` | string | `holder epoch` | the lease's `ttl` |
//! | `<ns>:{lease:<name>}:epoch` | string | the greatest epoch that was given | until it is wiped |
//! | `<ns>:signals:<owner>` | list | the signals (JSON), oldest first, at most `MAX_SIGNALS` | `SIGNAL_TTL` |
//! | `<ns>:pauses` | hash | a pause (JSON) by queue | until it is resumed |
//! | `<ns>:{letters}:<task id>` | string | a dead letter's description (JSON) | `LETTER_TTL` |
//! | `<ns>:{letters}:queue:<queue>` | sorted set | `<died at, 20 digits>:<task id>`, all of score 0 | `LETTER_TTL` |
//! | `<ns>:{letters}:queues` | set | the queues that had letters; emptied by counting | `LETTER_TTL` |
//! | `<ns>:{letters}:ends` | sorted set | `<queue> <place>` by the end of the description in ms | `LETTER_TTL` |
//! | `<ns>:{schedules}` | hash | `incarnation` and `version` of the timetable, and how many schedules were `made` at run time | until it is wiped |
//! | `<ns>:{schedules}:names` | sorted set | the schedules, all of score 0 | until they are deleted |
//! | `<ns>:{schedules}:entries` | hash | `<revision> <sort of source> <made at> <changed at> <entry>` (times in ms, JSON) by schedule | until it is deleted |
//! | `<ns>:{schedules}:positions` | hash | a position, as `schedules::packed` writes it, by schedule | until it is deleted |
//! | `<ns>:{schedules}:past:<schedule>` | list | occurrences, as `schedules::packed` writes them, oldest first, at most `MAX_OCCURRENCES` | until it is deleted |
//! | `<ns>:{schedules}:changes` | sorted set | the schedules that the last `MAX_CHANGES` versions changed or removed, by version | until it is wiped |
//! | `<ns>:{schedules}:removed` | hash | the last revisions of the `MAX_CHANGES` schedules that were deleted last, until they are made again | until it is wiped |
//! | `<ns>:{schedules}:removals` | sorted set | the same schedules, by the version that deleted them | until it is wiped |
//! | `<ns>:b:<owner>` | string | what a beat says of itself (JSON) | its `ttl` |
//! | `<ns>:beats` | sorted set | owners by the end of that in ms; a directory only | the longest `ttl` |
//! | `celery-task-meta-<id>` | string | what a Celery client is told of its task (JSON), see `notices` | `Retention::result` |
//! | `<ns>:check` | string | the trace of a check | 1 s |
//!
//! The braces are cluster hash tags: the keys of one task share a slot, and so do those of one
//! lease, of all letters and of the timetable, whose scripts touch several of them at once. All
//! heartbeats share one with their directory, so that no reader finds its own there and another's lost
//! with a server. Every
//! key but the pauses, the epochs of leases and the timetable's ends by itself.
//! No command ever walks the key space.

use std::time::Duration;

use crate::id::{Owner, TaskId};
use crate::name::{Namespace, ScheduleName};

/// Longest time to live that is asked for, about 3,000 years: Redis refuses to overflow.
const MAX_TTL_MS: u64 = 100_000_000_000_000;

/// Names the keys of one namespace.
#[derive(Debug, Clone)]
pub(super) struct Keys(Namespace);

impl Keys {
    pub(super) const fn new(namespace: Namespace) -> Self {
        Self(namespace)
    }

    pub(super) fn entry(&self, id: TaskId) -> String {
        format!("{}:t:{{{id}}}", self.0)
    }

    pub(super) fn enqueued(&self, id: TaskId) -> String {
        format!("{}:e:{{{id}}}", self.0)
    }

    pub(super) fn history(&self, id: TaskId) -> String {
        format!("{}:h:{{{id}}}", self.0)
    }

    pub(super) fn acts(&self, id: TaskId) -> String {
        format!("{}:a:{{{id}}}", self.0)
    }

    pub(super) fn result(&self, id: TaskId) -> String {
        format!("{}:r:{{{id}}}", self.0)
    }

    pub(super) fn interim(&self, id: TaskId) -> String {
        format!("{}:i:{{{id}}}", self.0)
    }

    pub(super) fn heartbeat(&self, owner: Owner) -> String {
        format!("{}:{{w}}:{owner}", self.0)
    }

    pub(super) fn workers(&self) -> String {
        format!("{}:{{w}}:all", self.0)
    }

    pub(super) fn seen(&self) -> String {
        format!("{}:seen", self.0)
    }

    /// The key of a lease; `lua/acquire.lua` knows the other. Its hash tag ends inside it, whatever
    /// the name holds, so what begins with it shares its slot.
    pub(super) fn lease(&self, name: &str) -> String {
        format!("{}:{{lease:{name}}}", self.0)
    }

    pub(super) fn signals(&self, owner: Owner) -> String {
        format!("{}:signals:{owner}", self.0)
    }

    pub(super) fn pauses(&self) -> String {
        format!("{}:pauses", self.0)
    }

    /// What the keys of all letters begin with; `lua/letter.lua` knows the others.
    pub(super) fn letters(&self) -> String {
        format!("{}:{{letters}}", self.0)
    }

    pub(super) fn letter(&self, id: TaskId) -> String {
        format!("{}:{id}", self.letters())
    }

    /// What the keys of the timetable begin with; `lua/schedules.lua` knows the others.
    pub(super) fn schedules(&self) -> String {
        format!("{}:{{schedules}}", self.0)
    }

    pub(super) fn schedule_entries(&self) -> String {
        format!("{}:entries", self.schedules())
    }

    pub(super) fn past(&self, schedule: &ScheduleName) -> String {
        format!("{}:past:{schedule}", self.schedules())
    }

    pub(super) fn beat(&self, owner: Owner) -> String {
        format!("{}:b:{owner}", self.0)
    }

    pub(super) fn beats(&self) -> String {
        format!("{}:beats", self.0)
    }

    pub(super) fn check(&self) -> String {
        format!("{}:check", self.0)
    }
}

/// Returns a time to live in ms as Redis takes it: at least 1, rounded up.
pub(super) fn ttl_ms(ttl: Duration) -> u64 {
    let up = u64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(MAX_TTL_MS);
    up.clamp(1, MAX_TTL_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_is_never_what_redis_refuses() {
        assert_eq!(ttl_ms(Duration::ZERO), 1);
        assert_eq!(ttl_ms(Duration::from_micros(1_001)), 2);
        assert_eq!(ttl_ms(Duration::from_secs(15)), 15_000);
        assert_eq!(ttl_ms(Duration::MAX), MAX_TTL_MS);
    }

    #[test]
    fn the_keys_of_one_task_carry_its_hash_tag() {
        let keys = Keys::new(Namespace::default());
        let id: TaskId = "0192f0c1-2345-7abc-8def-0123456789ab".parse().unwrap();
        let tag = "{0192f0c1-2345-7abc-8def-0123456789ab}";
        assert_eq!(keys.entry(id), format!("leveret:t:{tag}"));
        for key in
            [keys.enqueued(id), keys.history(id), keys.acts(id), keys.result(id), keys.interim(id)]
        {
            assert!(key.ends_with(tag), "{key}");
        }
    }
}
