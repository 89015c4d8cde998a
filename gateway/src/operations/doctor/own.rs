//! What only the whole shows, judged without asking anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leveret_common::diagnose::{Finding, Health};
use leveret_common::name::QueueName;

use super::super::{time, workers};
use super::{HOUR, MOST_LETTERS, Situation};

/// Clocks that differ by more than this make expiries and delays wrong by as much.
const SKEW: Duration = Duration::from_secs(2);
/// A pause that somebody may have forgotten.
const LONG_PAUSE: Duration = Duration::from_secs(3_600);
/// Fewer deaths in an hour are not called growth.
const FEW_DEATHS: usize = 10;
/// About what one task costs in the store: the ledger's entry, and the record with a note of one
/// attempt. Measured on Redis 7 with MEMORY USAGE: 213, and 378 + 552, results not counted.
const ENTRY_BYTES: f64 = 220.0;
const RECORD_BYTES: f64 = 950.0;
/// Most names in one finding.
const NAMED: usize = 5;

/// Dead letters of a queue.
pub(super) struct Died {
    pub(super) queue: QueueName,
    /// What rests in the queue, where that could be counted, and what of it is listed.
    pub(super) depth: Option<u64>,
    pub(super) listed: u64,
    /// How many died within the last hour and in the hour before; [`MOST_LETTERS`] are that many
    /// or more.
    pub(super) lately: usize,
    pub(super) before: usize,
}

impl Situation<'_> {
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut findings = vec![self.fleet()];
        findings.extend(self.uncounted());
        findings.extend(self.unserved_lanes());
        findings.extend(self.unserved_kinds());
        findings.push(self.long_kinds());
        findings.extend(self.memory());
        findings.extend(self.clocks());
        findings.extend(self.versions());
        findings.extend(self.pauses());
        findings.extend(self.deaths());
        findings.extend(self.lists());
        findings.extend(self.timetable.findings(&self.workers, self.now));
        findings
    }

    fn fleet(&self) -> Finding {
        match self.workers.len() {
            0 => Finding::new("workers", "living", Health::Risky, "no worker lives")
                .mend("start one: `leveret worker`"),
            1 => Finding::new("workers", "living", Health::Good, "1 worker lives"),
            n => Finding::new("workers", "living", Health::Good, format!("{n} workers live")),
        }
    }

    /// A broker that does not say what rests in its queues.
    fn uncounted(&self) -> Option<Finding> {
        let why = self.uncounted.as_ref()?;
        let found = format!("what rests in the queues could not be counted: {why}");
        let mend = "mend the broker; which lanes nobody serves is known then";
        Some(Finding::new("queues", "counted", Health::Bad, found).mend(mend))
    }

    /// Lanes in which tasks wait and that no living worker serves.
    fn unserved_lanes(&self) -> Vec<Finding> {
        let served: BTreeSet<_> =
            self.workers.iter().flat_map(|w| w.info.lanes.iter().map(|info| &info.lane)).collect();
        let waiting = self.lanes.iter().filter(|(_, survey)| survey.depth > 0);
        let unserved = waiting.filter(|(lane, _)| !served.contains(lane));
        unserved
            .map(|(lane, survey)| {
                let found = format!(
                    "{} in {lane}, and no living worker serves it",
                    match survey.depth {
                        1 => "1 task rests".to_owned(),
                        depth => format!("{depth} tasks rest"),
                    }
                );
                let queue = &lane.queue;
                Finding::new("queues", "served", Health::Bad, found)
                    .mend(format!("start a worker with queue {queue} in worker.queues"))
            })
            .collect()
    }

    /// Kinds that were enqueued to a lane in which tasks wait, whose workers do not know them.
    fn unserved_kinds(&self) -> Vec<Finding> {
        let depth: BTreeMap<_, _> =
            self.lanes.iter().map(|(lane, survey)| (lane, survey.depth)).collect();
        let mut findings = Vec::new();
        for seen in &self.seen {
            let serving: Vec<_> = self
                .workers
                .iter()
                .filter(|w| w.info.lanes.iter().any(|info| info.lane == seen.lane))
                .collect();
            let knows =
                serving.iter().any(|w| w.info.kinds.iter().any(|k| k == seen.kind.as_str()));
            let waits = depth.get(&seen.lane).copied().unwrap_or(0);
            let recent = self.now.since(seen.at) < HOUR;
            if serving.is_empty() || knows || !(waits > 0 || recent) {
                continue;
            }
            let (kind, lane) = (&seen.kind, &seen.lane);
            let found = format!(
                "kind {kind} was enqueued to {lane} {} ago, and no worker there knows it: its \
                 tasks are dead, no-handler, after 10 minutes",
                time::rough(self.now.since(seen.at))
            );
            let mend = format!(
                "start a worker that knows {kind} and serves {}, or correct the sender",
                lane.queue
            );
            findings.push(Finding::new("kinds", "served", Health::Bad, found).mend(mend));
        }
        findings
    }

    /// Kinds that may run so long that the broker would not let their delivery be held: by the
    /// config alone, because a worker does not tell the limits that its code sets, nor RabbitMQ its
    /// own.
    fn long_kinds(&self) -> Finding {
        let allowed = self.known.consumer_timeout;
        let long = self.known.timeouts.iter().filter(|(_, limit)| **limit > allowed / 2);
        let named: Vec<_> = long
            .take(NAMED)
            .map(|(kind, limit)| format!("{kind} ({})", time::rough(*limit)))
            .collect();
        let (who, then) = match named.as_slice() {
            [] => ("no configured kind".to_owned(), ""),
            named => (named.join(", "), ": they run detached"),
        };
        let found = format!(
            "{who} may run longer than half of broker.consumer_timeout ({}){then}; limits that \
             workers set in code are not seen here, and RabbitMQ's own consumer_timeout cannot be \
             asked for",
            time::rough(allowed)
        );
        let mend = "with RabbitMQ, look that its consumer_timeout is no shorter than \
                    broker.consumer_timeout: `rabbitmqctl environment`";
        Finding::new("kinds", "limits", Health::Good, found).mend(mend)
    }

    /// What the store will hold at the present rate.
    fn memory(&self) -> Option<Finding> {
        let lanes = self.workers.iter().flat_map(|w| &w.info.lanes);
        let rate: f64 = lanes.map(|info| info.rate).sum();
        let room = self.room?;
        let bytes = rate
            * (ENTRY_BYTES * self.known.done.as_secs_f64()
                + RECORD_BYTES * self.retention.record.as_secs_f64());
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
        let share = bytes / room as f64;
        let mib = bytes / f64::from(1 << 20);
        let found = format!(
            "at {rate:.0} attempts a second, records kept for {} and the ledger's entries kept for \
             {} come to about {mib:.0} MiB, {:.0} % of what the store has room for",
            time::rough(self.retention.record),
            time::rough(self.known.done),
            share * 100.0
        );
        let mend = "shorten retention.record, turn records.enqueue off, or give the store more \
                    memory: when it is full workers take no tasks";
        Some(match share {
            share if share < 0.5 => Finding::new("store", "retention", Health::Good, found),
            share if share < 0.9 => {
                Finding::new("store", "retention", Health::Risky, found).mend(mend)
            }
            _ => Finding::new("store", "retention", Health::Bad, found).mend(mend),
        })
    }

    fn clocks(&self) -> Option<Finding> {
        // One that lives is no older than this: what is older was written by a clock behind ours.
        let oldest = self.known.heartbeat_ttl + SKEW;
        let off = |worker: &&leveret_common::store::Heartbeat| {
            let at = worker.info.at;
            at > self.now.after(SKEW) || self.now.since(at) > oldest
        };
        let wrong: Vec<_> = self.workers.iter().filter(off).take(NAMED).collect();
        if self.workers.is_empty() {
            return None;
        }
        if wrong.is_empty() {
            let found = format!(
                "no worker's clock is seen to be more than {} ahead of this gateway's, or {} behind",
                time::rough(SKEW),
                time::rough(oldest)
            );
            return Some(Finding::new("workers", "clocks", Health::Good, found));
        }
        let tell = |worker: &&leveret_common::store::Heartbeat| {
            let at = worker.info.at;
            match at > self.now {
                true => {
                    let ahead = time::rough(at.since(self.now));
                    format!("{} is {ahead} ahead", workers::name(worker))
                }
                false => {
                    let behind = time::rough(self.now.since(at));
                    format!("{} is about {behind} behind", workers::name(worker))
                }
            }
        };
        let told: Vec<_> = wrong.iter().map(tell).collect();
        let found = format!("clocks differ from this gateway's: {}", told.join(", "));
        let mend = "let NTP set the clocks of all machines: delays and expiries are off by as much";
        Some(Finding::new("workers", "clocks", Health::Risky, found).mend(mend))
    }

    fn versions(&self) -> Option<Finding> {
        let versions: BTreeSet<_> = self.workers.iter().map(|w| w.info.version.as_str()).collect();
        let all: Vec<_> = versions.iter().copied().take(NAMED).collect();
        match versions.len() {
            0 => None,
            1 => {
                let found = format!("all workers are of version {}", all.join(""));
                Some(Finding::new("workers", "versions", Health::Good, found))
            }
            _ => {
                let found = format!("workers are of versions {}", all.join(", "));
                let mend = "fine during an upgrade; finish it, because older workers park what only \
                            newer ones know";
                Some(Finding::new("workers", "versions", Health::Risky, found).mend(mend))
            }
        }
    }

    fn pauses(&self) -> Vec<Finding> {
        let tell = |pause: &leveret_common::store::Pause| {
            let since = self.now.since(pause.at);
            let (queue, by) = (&pause.queue, &pause.by);
            let why = pause.why.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
            let found =
                format!("queue {queue} has been paused by {by} for {}{why}", time::rough(since));
            let health = if since > LONG_PAUSE { Health::Risky } else { Health::Good };
            Finding::new("queues", "paused", health, found)
                .mend(format!("if it is forgotten: `leveret queue resume {queue}`"))
        };
        self.pauses.iter().map(tell).collect()
    }

    /// Queues in which more tasks died within the last hour than in the hour before.
    fn deaths(&self) -> Vec<Finding> {
        let counted = |number: usize| match number {
            MOST_LETTERS.. => format!("at least {number}"),
            number => number.to_string(),
        };
        let tell = |Died { queue, depth, listed, lately, before }: &Died| {
            let found = format!(
                "{} dead letters in {queue}; {} died within the last hour, {} in the hour before",
                depth.unwrap_or(*listed),
                counted(*lately),
                counted(*before)
            );
            let grows = *lately >= FEW_DEATHS && lately > before;
            let health = if grows { Health::Risky } else { Health::Good };
            let finding = Finding::new("dead", "growth", health, found);
            match grows {
                true => finding.mend(format!(
                    "look what they died of: `leveret dead list --group reason --filter \
                     queue:{queue}`"
                )),
                false => finding,
            }
        };
        self.died.iter().map(tell).collect()
    }

    /// Queues whose list of dead letters is wrong.
    fn lists(&self) -> Vec<Finding> {
        let tell = |died: &Died| {
            let Died { queue, depth, listed, .. } = died;
            let depth = depth.filter(|depth| depth != listed)?;
            let found = format!("{queue} holds {depth} dead letters, and {listed} are listed");
            let mend = format!(
                "a worker of the queue mends it, within a minute at first and within ten where \
                 that did not help; at once: `leveret dead reindex --queue {queue}`"
            );
            Some(Finding::new("dead", "list", Health::Risky, found).mend(mend))
        };
        self.died.iter().filter_map(tell).collect()
    }
}

#[cfg(test)]
mod tests {
    use leveret_common::broker::Survey;
    use leveret_common::clock::Millis;
    use leveret_common::id::Owner;
    use leveret_common::store::{
        Heartbeat, LaneInfo, Pause, Retention, Seen, WorkerInfo, WorkerState,
    };

    use super::super::super::Known;
    use super::super::beats::Timetable;
    use super::*;

    const NOW: Millis = Millis(1_700_000_000_000);

    fn worker(version: &str, at: Millis) -> Heartbeat {
        let lane = LaneInfo {
            lane: "mail".parse().unwrap(),
            consuming: true,
            waiting: 0,
            rate: 100.0,
            reached: None,
        };
        let info = WorkerInfo {
            host: "box".to_owned(),
            pid: 7,
            started_at: NOW,
            at,
            version: version.to_owned(),
            slots: 1,
            in_use: 0,
            lanes: vec![lane],
            kinds: vec!["email.welcome".to_owned()],
            state: WorkerState::Running,
            attempts: 0,
            memory: 0,
        };
        Heartbeat { owner: Owner::mint(), held: Vec::new(), info }
    }

    fn situation(known: &Known) -> Situation<'_> {
        let day = Duration::from_secs(86_400);
        Situation {
            now: NOW,
            known,
            retention: Retention { record: day, result: day },
            workers: vec![worker("1", NOW)],
            seen: Vec::new(),
            pauses: Vec::new(),
            lanes: Vec::new(),
            uncounted: None,
            died: Vec::new(),
            timetable: Timetable::default(),
            room: Some(1 << 40),
        }
    }

    fn died(depth: Option<u64>, lately: usize, before: usize) -> Died {
        Died { queue: "mail".parse().unwrap(), depth, listed: 40, lately, before }
    }

    /// Returns what is not good, as `part/check`.
    fn troubles(situation: &Situation<'_>) -> Vec<String> {
        let findings = situation.findings();
        let bad = findings.iter().filter(|finding| finding.health > Health::Good);
        bad.map(|finding| {
            assert!(finding.mend.is_some(), "{finding:?}");
            format!("{}/{}", finding.part, finding.check)
        })
        .collect()
    }

    #[test]
    fn a_fleet_that_is_well_has_no_trouble() {
        assert_eq!(troubles(&situation(&Known::default())), Vec::<String>::new());
    }

    #[test]
    fn each_trouble_is_found_and_says_how_to_mend_it() {
        type Harm = fn(&mut Situation<'_>);
        let cases: [(Harm, &[&str]); 11] = [
            (|s| s.workers.clear(), &["workers/living"]),
            (|s| s.workers.push(worker("2", NOW)), &["workers/versions"]),
            (|s| s.workers.push(worker("1", Millis(NOW.0 + 9_000))), &["workers/clocks"]),
            (|s| s.workers.push(worker("1", Millis(NOW.0 - 17_500))), &["workers/clocks"]),
            (|s| s.uncounted = Some("it is away".to_owned()), &["queues/counted"]),
            (
                |s| {
                    let survey = Survey { depth: 3, ..Survey::default() };
                    s.lanes.push(("other".parse().unwrap(), survey));
                },
                &["queues/served"],
            ),
            (
                |s| {
                    let kind = "email.goodbye".parse().unwrap();
                    s.seen.push(Seen { lane: "mail".parse().unwrap(), kind, at: NOW });
                },
                &["kinds/served"],
            ),
            (|s| s.room = Some(1 << 30), &["store/retention"]),
            (
                |s| {
                    let at = Millis(NOW.0 - 7_200_000);
                    let queue = "mail".parse().unwrap();
                    s.pauses.push(Pause { queue, at, by: "ann".to_owned(), why: None });
                },
                &["queues/paused"],
            ),
            (|s| s.died.push(died(Some(40), 40, 39)), &["dead/growth"]),
            (|s| s.died.push(died(Some(42), 2, 2)), &["dead/list"]),
        ];
        let known = Known::default();
        for (harm, expected) in cases {
            let mut situation = situation(&known);
            harm(&mut situation);
            assert_eq!(troubles(&situation), expected);
        }
    }

    #[test]
    fn a_heartbeat_as_old_as_a_living_one_can_be_says_nothing_about_clocks() {
        for (ttl, age) in [(15, 17_000), (60, 61_000)] {
            let heartbeat_ttl = Duration::from_secs(ttl);
            let known = Known { heartbeat_ttl, ..Known::default() };
            let mut situation = situation(&known);
            situation.workers.push(worker("1", Millis(NOW.0 - age)));
            assert_eq!(troubles(&situation), Vec::<String>::new());
            let findings = situation.findings();
            let found = findings.iter().find(|finding| finding.check == "clocks").unwrap();
            let limit =
                format!("ahead of this gateway's, or {} behind", time::rough(heartbeat_ttl + SKEW));
            assert!(found.found.ends_with(&limit), "{found:?}");
        }
    }

    #[test]
    fn deaths_that_are_too_many_to_count_grow_only_where_the_hour_before_was_counted() {
        let known = Known::default();
        for (lately, before, expected) in [
            (MOST_LETTERS, 200, vec!["dead/growth"]),
            (MOST_LETTERS, MOST_LETTERS, vec![]),
            (200, MOST_LETTERS, vec![]),
        ] {
            let mut situation = situation(&known);
            situation.died.push(died(None, lately, before));
            assert_eq!(troubles(&situation), expected);
            let findings = situation.findings();
            let found = findings.iter().find(|finding| finding.check == "growth").unwrap();
            assert!(found.found.contains("at least 256"), "{found:?}");
            assert!(found.found.starts_with("40 dead letters"), "{found:?}");
        }
    }

    #[test]
    fn kinds_that_run_longer_than_a_delivery_may_be_held_are_named() {
        let limits = [("email.send", 900), ("video.cut", 901)];
        let limits =
            limits.map(|(kind, limit)| (kind.parse().unwrap(), Duration::from_secs(limit)));
        for (timeouts, who) in
            [(limits.into(), "video.cut (15m1s)"), ([].into(), "no configured kind")]
        {
            let known = Known { timeouts, ..Known::default() };
            let findings = situation(&known).findings();
            let found = findings.iter().find(|finding| finding.check == "limits").unwrap();
            assert!(found.found.starts_with(&format!("{who} may run longer")), "{found:?}");
            // What cannot be known is not passed off as looked at.
            assert!(found.found.contains("limits that workers set in code are not seen"));
        }
    }
}
