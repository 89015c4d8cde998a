//! The timetable and its beats, judged without asking anybody: whether somebody puts in what is
//! due, and whether what is put in has a chance to be performed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leveret_beat::engine::ANNOUNCED_FOR;
use leveret_common::clock::Millis;
use leveret_common::diagnose::{Finding, Health};
use leveret_common::name::{KindName, Lane, ScheduleName};
use leveret_common::store::{BeatInfo, Heartbeat};

use super::super::time;

/// A beat's clock that is further ahead than this puts tasks in early by as much; one that is behind, late.
const SKEW: Duration = Duration::from_secs(2);
/// Most names in one finding.
const NAMED: usize = 5;

/// What the store says of the timetable.
#[derive(Debug, Default)]
pub(super) struct Timetable {
    /// The beats that live.
    pub(super) beats: Vec<BeatInfo>,
    /// Its schedules, as far as they were looked at.
    pub(super) schedules: Vec<Entry>,
    /// Whether those are all.
    pub(super) is_whole: bool,
}

/// What matters of a schedule here.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: ScheduleName,
    pub(super) kind: KindName,
    pub(super) lane: Lane,
    pub(super) is_paused: bool,
    /// How far it has got, where that is further than the clock shows.
    pub(super) ahead: Option<Millis>,
    /// When it is due next.
    pub(super) next: Option<Millis>,
    /// Whether anything of it was ever due since it was made.
    pub(super) was_due: bool,
}

impl Timetable {
    /// Judges all of it; says nothing where nobody has schedules or beats.
    pub(super) fn findings(&self, workers: &[Heartbeat], now: Millis) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.beats.is_empty() && self.schedules.is_empty() {
            return findings;
        }
        findings.push(self.led());
        findings.extend(self.files());
        findings.extend(self.clocks(now));
        findings.extend(self.ahead());
        findings.extend(self.unserved(workers));
        findings.extend(self.never_due());
        findings.extend(self.over());
        findings
    }

    fn is_needed(&self) -> bool {
        self.schedules.iter().any(|entry| !entry.is_paused && entry.next.is_some())
    }

    /// Returns the beat that leads: of two that say so, the one that began later.
    fn leader(&self) -> Option<&BeatInfo> {
        self.beats.iter().filter(|beat| beat.leads.is_some()).max_by_key(|beat| beat.leads)
    }

    /// Whether somebody puts in what is due.
    fn led(&self) -> Finding {
        let beats = match self.beats.len() {
            0 => "no beat lives".to_owned(),
            1 => "1 beat lives".to_owned(),
            n => format!("{n} beats live"),
        };
        if let Some(leader) = self.leader() {
            let found = format!("{beats}, and {} leads", called(leader));
            return Finding::new("beats", "leading", Health::Good, found);
        }
        if !self.is_needed() {
            let found = format!("{beats}, and nothing is going to be due");
            return Finding::new("beats", "leading", Health::Good, found);
        }
        let found = format!("{beats}, none leads, and there are schedules: nothing is put in");
        let mend = match self.beats.is_empty() {
            true => {
                "start one: `leveret beat`; what is missed until then is caught up with as each \
                     schedule's misfire says"
            }
            false => {
                "one takes the lead within seconds, unless the store refuses it: look at the \
                      beats' logs"
            }
        };
        Finding::new("beats", "leading", Health::Bad, found).mend(mend)
    }

    /// Beats whose timetable file says something else than the leader's.
    fn files(&self) -> Option<Finding> {
        let leader = self.leader()?;
        let prints = |beat: &BeatInfo| beat.file.as_ref().map(|file| file.fingerprint);
        let others = self.beats.iter().filter(|beat| prints(beat) != prints(leader));
        let told: Vec<String> =
            others.take(NAMED).map(|beat| format!("{} {}", called(beat), file_of(beat))).collect();
        if told.is_empty() {
            return None;
        }
        let found = format!(
            "beats have other timetable files than the leader: {} {}; {}",
            called(leader),
            file_of(leader),
            told.join(", ")
        );
        let mend = "give all beats the same file and have them read it: SIGHUP; the leader's file \
                    counts, and another one does as soon as its beat leads";
        Some(Finding::new("beats", "files", Health::Risky, found).mend(mend))
    }

    fn clocks(&self, now: Millis) -> Option<Finding> {
        // One that lives has spoken since: what is older was written by a clock behind ours.
        let oldest = ANNOUNCED_FOR + SKEW;
        let off = |beat: &&BeatInfo| beat.at > now.after(SKEW) || now.since(beat.at) > oldest;
        let tell = |beat: &BeatInfo| match beat.at > now {
            true => format!("{} is {} ahead", called(beat), time::rough(beat.at.since(now))),
            false => {
                format!("{} is about {} behind", called(beat), time::rough(now.since(beat.at)))
            }
        };
        let told: Vec<String> = self.beats.iter().filter(off).take(NAMED).map(tell).collect();
        if told.is_empty() {
            return None;
        }
        let found = format!("clocks differ from this gateway's: {}", told.join(", "));
        let mend = "let NTP set the clocks of all machines: what is due is put in by the leader's";
        Some(Finding::new("beats", "clocks", Health::Risky, found).mend(mend))
    }

    /// Schedules that were put in by a clock that was ahead.
    fn ahead(&self) -> Option<Finding> {
        let ahead: Vec<&Entry> =
            self.schedules.iter().filter(|entry| entry.ahead.is_some()).collect();
        let furthest = ahead.iter().filter_map(|entry| entry.ahead).max()?;
        let found = format!(
            "schedules have got further than the clock shows, one as far as {}, because a beat's clock was ahead; \
             nothing of them is due before that: {}",
            time::text(furthest),
            self.named(&ahead)
        );
        let mend = "let NTP set the clocks; delete these schedules and make them anew to go on now";
        Some(Finding::new("schedules", "ahead", Health::Risky, found).mend(mend))
    }

    /// Schedules that are going to put in what no living worker of their lane can perform.
    fn unserved(&self, workers: &[Heartbeat]) -> Vec<Finding> {
        // That no worker lives at all is said already.
        if workers.is_empty() {
            return Vec::new();
        }
        let mut served: BTreeMap<&Lane, BTreeSet<&str>> = BTreeMap::new();
        for worker in workers {
            for lane in &worker.info.lanes {
                let kinds = worker.info.kinds.iter().map(String::as_str);
                served.entry(&lane.lane).or_default().extend(kinds);
            }
        }
        let is_served = |entry: &Entry| {
            served.get(&entry.lane).is_some_and(|kinds| kinds.contains(entry.kind.as_str()))
        };
        let mut unserved: BTreeMap<(&KindName, &Lane), Vec<&Entry>> = BTreeMap::new();
        for entry in &self.schedules {
            if !entry.is_paused && entry.next.is_some() && !is_served(entry) {
                unserved.entry((&entry.kind, &entry.lane)).or_default().push(entry);
            }
        }
        let tell = |((kind, lane), entries): ((&KindName, &Lane), Vec<&Entry>)| {
            let found = format!(
                "tasks of {} go to {lane} as kind {kind}, and no living worker there knows it",
                self.named(&entries)
            );
            let mend = format!(
                "start a worker that knows {kind} and serves {}, or correct the schedule",
                lane.queue
            );
            Finding::new("schedules", "served", Health::Risky, found).mend(mend)
        };
        unserved.into_iter().take(NAMED).map(tell).collect()
    }

    /// Schedules whose time was over before they were made, or never comes.
    fn never_due(&self) -> Option<Finding> {
        let never: Vec<&Entry> = self
            .schedules
            .iter()
            .filter(|entry| !entry.is_paused && entry.next.is_none() && !entry.was_due)
            .collect();
        if never.is_empty() {
            return None;
        }
        let found = format!(
            "schedules that are never due, because their time never comes or was over before they \
             were made: {}",
            self.named(&never)
        );
        let mend = "look at when, start, end and exclude: `leveret schedule show NAME`; delete what \
                    is not meant to be due";
        Some(Finding::new("schedules", "due", Health::Risky, found).mend(mend))
    }

    /// Schedules that were due and will not be again.
    fn over(&self) -> Option<Finding> {
        let over: Vec<&Entry> = self
            .schedules
            .iter()
            .filter(|entry| !entry.is_paused && entry.next.is_none() && entry.was_due)
            .collect();
        if over.is_empty() {
            return None;
        }
        let found = format!("schedules that will not be due again: {}", self.named(&over));
        let mend = "delete what is not needed any more: `leveret schedule delete NAME`";
        Some(Finding::new("schedules", "over", Health::Good, found).mend(mend))
    }

    /// Names schedules, and says when not all were looked at.
    fn named(&self, entries: &[&Entry]) -> String {
        let names: Vec<&str> =
            entries.iter().take(NAMED).map(|entry| entry.name.as_str()).collect();
        let more = match entries.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let partly = match self.is_whole {
            true => String::new(),
            false => format!(" (of the first {} schedules)", self.schedules.len()),
        };
        format!("{}{more}{partly}", names.join(", "))
    }
}

fn called(beat: &BeatInfo) -> String {
    format!("{}:{}", beat.host, beat.pid)
}

fn file_of(beat: &BeatInfo) -> String {
    match &beat.file {
        Some(file) => {
            let print: String = file.fingerprint.simple().to_string().chars().take(8).collect();
            format!("has {} ({print})", file.path)
        }
        None => "has none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use leveret_common::id::Owner;
    use leveret_common::store::{LaneInfo, TimetableFile, WorkerInfo, WorkerState};
    use uuid::Uuid;

    use super::*;

    const NOW: Millis = Millis(1_700_000_000_000);

    fn beat(pid: u32, leads: Option<u64>, print: u128) -> BeatInfo {
        let fingerprint = Uuid::from_u128(print);
        BeatInfo {
            owner: Owner::mint(),
            host: "box".to_owned(),
            pid,
            version: "1".to_owned(),
            started_at: NOW,
            at: NOW,
            leads,
            schedules: 1,
            file: Some(TimetableFile { path: "schedules.toml".to_owned(), fingerprint }),
        }
    }

    fn entry(name: &str) -> Entry {
        Entry {
            name: name.parse().unwrap(),
            kind: "report.build".parse().unwrap(),
            lane: "reports".parse().unwrap(),
            is_paused: false,
            ahead: None,
            next: Some(NOW),
            was_due: true,
        }
    }

    fn worker(lane: &str, kind: &str) -> Heartbeat {
        let lane = LaneInfo {
            lane: lane.parse().unwrap(),
            consuming: true,
            waiting: 0,
            rate: 0.0,
            reached: None,
        };
        let info = WorkerInfo {
            host: "box".to_owned(),
            pid: 7,
            started_at: NOW,
            at: NOW,
            version: "1".to_owned(),
            slots: 1,
            in_use: 0,
            lanes: vec![lane],
            kinds: vec![kind.to_owned()],
            state: WorkerState::Running,
            attempts: 0,
            memory: 0,
        };
        Heartbeat { owner: Owner::mint(), held: Vec::new(), info }
    }

    fn timetable() -> Timetable {
        let beats = vec![beat(1, Some(3), 7), beat(2, None, 7)];
        Timetable { beats, schedules: vec![entry("report.nightly")], is_whole: true }
    }

    /// Returns what is said with this health, as `part/check`.
    fn said(timetable: &Timetable, workers: &[Heartbeat], health: Health) -> Vec<String> {
        let findings = timetable.findings(workers, NOW);
        let found = findings.iter().filter(|finding| finding.health == health);
        found
            .map(|finding| {
                assert!(finding.mend.is_some() || health == Health::Good, "{finding:?}");
                format!("{}/{}", finding.part, finding.check)
            })
            .collect()
    }

    #[test]
    fn a_timetable_that_is_well_or_not_there_has_no_trouble() {
        let workers = [worker("reports", "report.build")];
        for timetable in [timetable(), Timetable::default()] {
            for health in [Health::Risky, Health::Bad] {
                assert_eq!(said(&timetable, &workers, health), Vec::<String>::new());
            }
        }
        assert!(Timetable::default().findings(&workers, NOW).is_empty());
        assert_eq!(said(&timetable(), &workers, Health::Good), ["beats/leading"]);
    }

    #[test]
    fn each_trouble_is_found_and_says_how_to_mend_it() {
        type Harm = fn(&mut Timetable);
        let bad: [Harm; 2] = [|t| t.beats.clear(), |t| t.beats[0].leads = None];
        let workers = [worker("reports", "report.build")];
        for harm in bad {
            let mut timetable = timetable();
            harm(&mut timetable);
            assert_eq!(said(&timetable, &workers, Health::Bad), ["beats/leading"]);
        }
        let risky: [(Harm, &str); 8] = [
            (|t| t.beats[1] = beat(2, None, 8), "beats/files"),
            (|t| t.beats[1].file = None, "beats/files"),
            (|t| t.beats[1].at = Millis(NOW.0 + 3_000), "beats/clocks"),
            (|t| t.beats[0].at = Millis(NOW.0 - 13_000), "beats/clocks"),
            (|t| t.schedules[0].ahead = Some(Millis(NOW.0 + 3_600_000)), "schedules/ahead"),
            (|t| t.schedules[0].kind = "other".parse().unwrap(), "schedules/served"),
            (|t| t.schedules[0].lane = "reports.low".parse().unwrap(), "schedules/served"),
            (|t| (t.schedules[0].next, t.schedules[0].was_due) = (None, false), "schedules/due"),
        ];
        for (harm, expected) in risky {
            let mut timetable = timetable();
            harm(&mut timetable);
            assert_eq!(said(&timetable, &workers, Health::Risky), [expected]);
            assert_eq!(said(&timetable, &workers, Health::Bad), Vec::<String>::new());
        }
    }

    #[test]
    fn a_schedule_that_is_paused_or_over_is_nobodys_trouble() {
        let pause: fn(&mut Entry) = |entry| entry.is_paused = true;
        let end: fn(&mut Entry) = |entry| entry.next = None;
        for (change, also) in [(pause, None), (end, Some("schedules/over"))] {
            let mut timetable = timetable();
            timetable.beats[0].leads = None;
            change(&mut timetable.schedules[0]);
            let workers = [worker("other", "other")];
            for health in [Health::Risky, Health::Bad] {
                assert_eq!(said(&timetable, &workers, health), Vec::<String>::new());
            }
            let good = said(&timetable, &workers, Health::Good);
            assert_eq!(good.get(1).map(String::as_str), also, "{good:?}");
        }
    }

    #[test]
    fn of_two_that_say_they_lead_the_one_that_began_later_does() {
        let mut timetable = timetable();
        timetable.beats[1].leads = Some(4);
        assert_eq!(timetable.leader().map(|beat| beat.pid), Some(2));
    }

    #[test]
    fn many_schedules_are_named_in_part_and_a_look_at_a_part_says_so() {
        let mut timetable = timetable();
        timetable.schedules = (0..7).map(|n| entry(&format!("s{n}"))).collect();
        timetable.is_whole = false;
        let findings = timetable.findings(&[worker("reports", "other")], NOW);
        let served = findings.iter().find(|finding| finding.check == "served").unwrap();
        let named = "tasks of s0, s1, s2, s3, s4 and 2 more (of the first 7 schedules) go to";
        assert!(served.found.starts_with(named), "{served:?}");
    }
}
