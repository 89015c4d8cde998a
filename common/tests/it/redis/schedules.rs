//! What Redis adds to the timetable: wipes, keys that stay, and what other hands left.

use std::collections::BTreeSet;

use leveret_common::clock::Millis;
use leveret_common::diagnose::{Diagnose, Health};
use leveret_common::id::Owner;
use leveret_common::name::ScheduleName;
use leveret_common::schedule::{Definition, Source};
use leveret_common::store::{
    Advance, Advanced, BeatInfo, Cause, Change, Changed, Changes, Fate, MAX_SCHEDULES, Occurrence,
    Position, ScheduleEntry, Scheduled, Schedules, StoreErrorKind,
};

use super::bare::{Bare, Reply, start};
use super::{Fixture, TTL, both, patient};

const NOW: Millis = Millis(1_790_000_000_000);

fn name(text: &str) -> ScheduleName {
    text.parse().unwrap()
}

pub(super) fn creation(of: &str) -> Change {
    let entry = ScheduleEntry {
        name: name(of),
        definition: Definition::new("0 2 * * *", "report".parse().unwrap()),
        source: Source::Api { by: "lea".to_owned() },
        revision: 0,
        since: NOW,
        paused: None,
        created_at: NOW,
        changed_at: NOW,
    };
    Change { name: name(of), expected: None, entry: Some(entry) }
}

fn from(source: Source, change: Change) -> Change {
    let entry = change.entry.map(|entry| ScheduleEntry { source, ..entry });
    Change { entry, ..change }
}

fn deletion(of: &str, expected: u32) -> Change {
    Change { name: name(of), expected: Some(expected), entry: None }
}

fn occurrence() -> Occurrence {
    Occurrence {
        due: NOW,
        cause: Cause::Clock,
        fate: Fate::Waiting,
        at: NOW,
        planned: NOW,
        revision: 1,
        by: None,
    }
}

pub(super) fn advance(of: &str, seq: u64) -> Advance {
    let to = Position { seq, epoch: 7, through: NOW, queued: None, previous: None };
    let occurrences = vec![Occurrence { due: Millis(NOW.0 + seq), ..occurrence() }];
    Advance { name: name(of), expected: seq.checked_sub(1), to, occurrences }
}

fn beat(owner: Owner) -> BeatInfo {
    BeatInfo {
        owner,
        host: "here".to_owned(),
        pid: 7,
        version: "0.1.0".to_owned(),
        started_at: NOW,
        at: NOW,
        leads: None,
        schedules: 3,
        file: None,
    }
}

impl Fixture {
    /// The key of the timetable with this ending.
    fn timetable(&self, rest: &str) -> String {
        format!("{}:{{schedules}}{rest}", self.namespace)
    }

    /// Loses all keys of the namespace.
    fn wipe(&self, bare: &mut Bare) {
        for key in self.keys(bare) {
            bare.ask(&["DEL", &key]);
        }
    }

    fn keys(&self, bare: &mut Bare) -> BTreeSet<String> {
        let pattern = format!("{}:*", self.namespace);
        let mut found = BTreeSet::new();
        let mut cursor = "0".to_owned();
        loop {
            let Reply::List(parts) =
                bare.ask(&["SCAN", &cursor, "MATCH", &pattern, "COUNT", "1000"])
            else {
                panic!("SCAN answers a list")
            };
            let [next, Reply::List(keys)] = &parts[..] else { panic!("{parts:?}") };
            found.extend(keys.iter().cloned().filter_map(Reply::text));
            cursor = next.clone().text().unwrap();
            if cursor == "0" {
                return found;
            }
        }
    }
}

#[tokio::test]
async fn a_wiped_timetable_begins_anew_and_is_restored_from_memory() {
    for url in both() {
        let fixture = patient(&url).await;
        let redis = &fixture.redis;
        let mut bare = Bare::connect(&url);
        redis.change(&["a", "b", "c"].map(creation)).await.unwrap();
        redis.change(&[Change { expected: Some(1), ..creation("b") }]).await.unwrap();
        redis.advance(&[advance("b", 1)]).await.unwrap();
        let remembered = redis.page(None, 9).await.unwrap();
        let before = redis.changes(None).await.unwrap();

        fixture.wipe(&mut bare);
        let nothing = Changes { incarnation: None, version: 0, names: None };
        assert_eq!(redis.changes(Some(before.version)).await.unwrap(), nothing);
        assert_eq!(redis.page(None, 9).await.unwrap(), []);
        assert_eq!(redis.advance(&[advance("b", 2)]).await.unwrap(), [Advanced::Gone]);
        redis.restore(&remembered).await.unwrap();
        assert_eq!(redis.page(None, 9).await.unwrap(), remembered);
        let after = redis.changes(None).await.unwrap();
        assert!(after.incarnation.is_some() && after.incarnation != before.incarnation);
        assert!(after.version <= before.version, "{before:?} {after:?}");
        assert_eq!(redis.advance(&[advance("b", 2)]).await.unwrap(), [Advanced::Moved]);
    }
}

#[tokio::test]
async fn the_keys_of_a_timetable_stay_share_a_slot_and_go_with_their_schedules() {
    for url in both() {
        let fixture = patient(&url).await;
        let redis = &fixture.redis;
        let mut bare = Bare::connect(&url);
        redis.change(&["a", "b"].map(creation)).await.unwrap();
        redis.advance(&[advance("a", 1)]).await.unwrap();
        let keys = fixture.keys(&mut bare);
        let rests = ["", ":changes", ":entries", ":names", ":past:a", ":positions"];
        assert_eq!(keys, rests.map(|rest| fixture.timetable(rest)).into());
        for key in &keys {
            assert_eq!(bare.ask(&["PTTL", key]).number().unwrap(), -1, "{key} ends by itself");
        }
        redis.change(&[deletion("a", 1), deletion("b", 1)]).await.unwrap();
        let left = ["", ":changes", ":removals", ":removed"].map(|rest| fixture.timetable(rest));
        assert_eq!(fixture.keys(&mut bare), left.into());
    }
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_hides_no_other() {
    for url in both() {
        let fixture = patient(&url).await;
        let redis = &fixture.redis;
        let mut bare = Bare::connect(&url);
        redis.change(&["a", "b", "c", "d"].map(creation)).await.unwrap();
        let entries = fixture.timetable(":entries");
        let text = bare.ask(&["HGET", &entries, "b"]).text().unwrap();
        // A newer version's source: not listed here, and still moved on, changed and deleted.
        let newer = text.replace("\"from\":\"api\"", "\"from\":\"later\"");
        assert_ne!(newer, text);
        let listed = async || -> Vec<String> {
            let page = redis.page(None, 3).await.unwrap();
            page.iter().map(|one| one.entry.name.to_string()).collect()
        };
        bare.ask(&["HSET", &entries, "b", &newer]);
        assert_eq!(listed().await, ["a", "c", "d"], "the page is filled nevertheless");
        let error = redis.read(&[name("a"), name("b")]).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(":entries of b "), "{error}");
        // Whoever does not know its revision is not told it, and the rest of the batch is done.
        let again = Change { expected: Some(1), ..creation("a") };
        let answers = redis.change(&[creation("b"), again]).await.unwrap();
        assert_eq!(answers, [Changed::Other(None), Changed::Written(2)]);
        assert_eq!(redis.advance(&[advance("b", 1)]).await.unwrap(), [Advanced::Moved]);
        let again = Change { expected: Some(1), ..creation("b") };
        assert_eq!(redis.change(&[again]).await.unwrap(), [Changed::Written(2)]);
        assert_eq!(listed().await, ["a", "b", "c"]);
        // What is not ours at all is left alone, and the rest of the batch is done.
        bare.ask(&["HSET", &entries, "b", "hello"]);
        let answers = redis.change(&[deletion("b", 2), deletion("d", 1)]).await.unwrap();
        assert_eq!(answers, [Changed::Other(None), Changed::Written(1)]);
        assert_eq!(listed().await, ["a", "c"]);
        assert_eq!(bare.ask(&["HGET", &entries, "b"]).text().as_deref(), Some("hello"));
        // A name without an entry, as a hand may leave it.
        bare.ask(&["HDEL", &entries, "a", "b"]);
        assert_eq!(listed().await, ["c"]);
    }
}

#[tokio::test]
async fn a_position_that_cannot_be_read_counts_as_lost() {
    for url in both() {
        let fixture = patient(&url).await;
        let redis = &fixture.redis;
        let mut bare = Bare::connect(&url);
        redis.change(&[creation("a")]).await.unwrap();
        let positions = fixture.timetable(":positions");
        for spoilt in ["", "hello", "1 2 3", "1 2 3 - - 4", "x 2 3 - -"] {
            bare.ask(&["HSET", &positions, "a", spoilt]);
            let found = redis.read(&[name("a")]).await.unwrap().remove(0).unwrap();
            assert_eq!(found.position, None, "{spoilt:?}");
            assert_eq!(redis.page(None, 9).await.unwrap(), [found]);
            let ask = advance("a", 41);
            let moved = redis.advance(std::slice::from_ref(&ask)).await.unwrap();
            assert_eq!(moved, [Advanced::Moved], "{spoilt:?}");
            let found = redis.read(&[name("a")]).await.unwrap().remove(0).unwrap();
            assert_eq!(found.position, Some(ask.to));
        }
    }
}

#[tokio::test]
async fn an_occurrence_that_cannot_be_read_hides_no_other() {
    for url in both() {
        let fixture = patient(&url).await;
        let redis = &fixture.redis;
        redis.change(&[creation("a")]).await.unwrap();
        let moves: Vec<_> = (1..=3).map(|seq| advance("a", seq)).collect();
        redis.advance(&moves).await.unwrap();
        let past = fixture.timetable(":past:a");
        Bare::connect(&url).ask(&["LSET", &past, "1", "1 z 0 0 1 w"]);
        let listed = redis.occurrences(&name("a")).await.unwrap();
        let expected = [moves[2].occurrences[0].clone(), moves[0].occurrences[0].clone()];
        assert_eq!(listed, expected);
    }
}

#[tokio::test]
async fn more_schedules_than_allowed_are_refused_and_the_rest_goes_on() {
    let Some(server) = start(&[]).await else { return };
    let fixture = patient(&server.url()).await;
    let redis = &fixture.redis;
    let mut bare = Bare::connect(&server.url());
    redis.change(&[creation("a"), creation("b")]).await.unwrap();
    // All but one of the others are written by hand.
    let entries = fixture.timetable(":entries");
    let wanted = MAX_SCHEDULES - 3;
    for first in (0..wanted).step_by(5_000) {
        let names: Vec<_> = (first..wanted.min(first + 5_000)).map(|n| format!("z{n}")).collect();
        let mut words = vec!["HSET", &entries];
        words.extend(names.iter().flat_map(|name| [name.as_str(), ""]));
        bare.ask(&words);
    }
    let made = redis.change(&[creation("c")]).await.unwrap();
    assert_eq!(made, [Changed::Written(1)], "one more fits");
    let error = redis.change(&[creation("d")]).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Refused, "{error}");
    let text = error.to_string();
    assert!(text.contains("1000000 schedules") && text.contains(" d "), "{text}");
    let entry = ScheduleEntry { revision: 3, ..creation("d").entry.unwrap() };
    let error = redis.restore(&[Scheduled { entry, position: None }]).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Refused, "{error}");
    assert_eq!(redis.read(&[name("d")]).await.unwrap(), [None]);

    let changed = Change { expected: Some(1), ..creation("a") };
    let answers = redis.change(&[changed, deletion("b", 1), creation("d")]).await.unwrap();
    let written = [Changed::Written(2), Changed::Written(1), Changed::Written(1)];
    assert_eq!(answers, written);
}

#[tokio::test]
async fn a_server_without_memory_refuses_a_schedule_and_keeps_nothing_of_it() {
    let Some(server) = start(&[]).await else { return };
    let Fixture { redis, .. } = patient(&server.url()).await;
    redis.change(&[creation("a"), creation("b")]).await.unwrap();
    let before = redis.changes(Some(0)).await.unwrap();
    let mut bare = Bare::connect(&server.url());
    bare.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let again = Change { expected: Some(1), ..creation("a") };
    for error in [
        redis.change(&[creation("c")]).await.unwrap_err(),
        redis.change(&[again]).await.unwrap_err(),
        redis.advance(&[advance("a", 1)]).await.unwrap_err(),
        redis.note(&[(name("a"), occurrence())]).await.unwrap_err(),
        redis.announce(&beat(Owner::mint()), TTL).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, StoreErrorKind::Refused, "{error}");
        assert!(error.to_string().contains("maxmemory"), "{error}");
    }
    assert_eq!(redis.page(None, 9).await.unwrap().len(), 2);
    assert_eq!(redis.changes(Some(0)).await.unwrap(), before);
    assert_eq!(redis.occurrences(&name("a")).await.unwrap(), []);
    let removed = redis.change(&[deletion("b", 1)]).await.unwrap();
    assert_eq!(removed, [Changed::Written(1)], "what makes room is not refused");
    bare.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(redis.advance(&[advance("a", 1)]).await.unwrap(), [Advanced::Moved]);
}

#[tokio::test]
async fn schedules_that_a_restart_would_forget_are_found() {
    let Some(server) = start(&[]).await else { return };
    let Fixture { redis, .. } = patient(&server.url()).await;
    let finding = async || {
        let findings = redis.diagnose().await;
        findings.into_iter().find(|one| one.check == "timetable").unwrap()
    };
    let file = Source::File { path: "schedules.toml".to_owned() };
    let code = Source::Code { program: "reports".to_owned() };
    let of_file = from(file.clone(), creation("of-file"));
    redis.change(&[of_file, from(code, creation("of-code"))]).await.unwrap();
    let found = finding().await;
    assert_eq!(
        (found.health, found.mend),
        (Health::Good, None),
        "the file and the program are there"
    );

    redis.change(&[creation("one"), creation("two")]).await.unwrap();
    let entry = ScheduleEntry { revision: 3, ..creation("three").entry.unwrap() };
    redis.restore(&[Scheduled { entry, position: None }]).await.unwrap();
    let found = finding().await;
    assert_eq!(found.health, Health::Risky);
    assert!(found.found.starts_with("3 schedules were made at run time"), "{found:?}");
    assert!(found.mend.unwrap().contains("appendonly yes"));
    let mut bare = Bare::connect(&server.url());
    bare.ask(&["CONFIG", "SET", "appendonly", "yes"]);
    assert_eq!(finding().await.health, Health::Good);
    bare.ask(&["CONFIG", "SET", "appendonly", "no"]);
    let adopted = from(file, Change { expected: Some(1), ..creation("two") });
    redis.change(&[deletion("one", 1), adopted, deletion("three", 3)]).await.unwrap();
    assert_eq!(finding().await.health, Health::Good, "none is left");
}

#[tokio::test]
async fn a_beat_that_cannot_be_read_hides_no_other_and_all_end_by_themselves() {
    for url in both() {
        let fixture = patient(&url).await;
        let redis = &fixture.redis;
        let mut bare = Bare::connect(&url);
        let beats = [beat(Owner::mint()), beat(Owner::mint())];
        for beat in &beats {
            redis.announce(beat, TTL).await.unwrap();
        }
        let keys = fixture.keys(&mut bare);
        assert_eq!(keys.len(), 3, "{keys:?}");
        for key in &keys {
            let left = bare.ask(&["PTTL", key]).number().unwrap();
            assert!((1..=15_000).contains(&left), "{key}: {left}");
        }
        let key = format!("{}:b:{}", fixture.namespace, beats[0].owner);
        bare.ask(&["SET", &key, "{}", "PX", "9000"]);
        bare.ask(&["ZADD", &format!("{}:beats", fixture.namespace), "1e15", "nobody"]);
        assert_eq!(redis.beats().await.unwrap(), beats[1..]);
    }
}
