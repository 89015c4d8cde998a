//! Entries: written by compare-and-set, read and listed as they were written.

use futures_util::future::join_all;
use serde_json::value::RawValue;

use super::*;
use crate::schedule::{Misfire, MisfirePolicy, Overlap};
use crate::store::Paused;

pub(in crate::testkit::store) async fn a_new_schedule_is_read_as_it_was_written_at_its_first_position(
    under: StoreUnderTest,
) {
    let name = name("report.nightly");
    let mut written = for_what(&name, "no \"such\" report\nä \u{0} 漢");
    // Args stay text: neither numbers nor the order of fields may change.
    let args = r#"{ "z": 1.50, "a": [12345678901234567890, null], "t": "\u00e4 {} $1" }"#;
    written.definition.args = RawValue::from_string(args.to_owned()).expect("JSON");
    written.definition.zone = Some("Europe/Berlin".to_owned());
    written.definition.jitter = Some(Duration::from_secs(90));
    written.definition.overlap = Overlap::Queue;
    written.definition.misfire = Misfire { policy: MisfirePolicy::All, ..Misfire::default() };
    written.definition.exclude = vec!["12-25".to_owned(), "sat".to_owned()];
    written.definition.tags = [("tenant".to_owned(), "42".to_owned())].into();
    written.source = Source::Code { program: "reports".to_owned() };
    let why = Some("it is broken".to_owned());
    written.paused = Some(Paused { at: Millis(NOW + 1), by: "lea".to_owned(), why });
    let change = Change { name: name.clone(), expected: None, entry: Some(written.clone()) };
    assert_eq!(under.changed(change).await, Changed::Written(1));

    let through = written.since;
    let first = Position { seq: 0, epoch: 0, through, queued: None, previous: None };
    let expected =
        Scheduled { entry: ScheduleEntry { revision: 1, ..written }, position: Some(first) };
    assert_eq!(under.schedule(&name).await.as_ref(), Some(&expected));
    assert_eq!(under.page(None, 10).await, [expected]);
    assert_eq!(under.past(&name).await, []);
}

pub(in crate::testkit::store) async fn a_schedule_that_is_there_is_not_made_again(
    under: StoreUnderTest,
) {
    let name = name("report");
    under.make(std::slice::from_ref(&name)).await;
    let there = under.schedule(&name).await.expect("it was made");
    let again = Change { entry: Some(for_what(&name, "another")), ..creation(&name) };
    assert_eq!(under.changed(again).await, Changed::Other(Some(Box::new(there.clone()))));
    assert_eq!(under.schedule(&name).await, Some(there));
}

pub(in crate::testkit::store) async fn a_change_counts_the_revision_up_and_leaves_the_position(
    under: StoreUnderTest,
) {
    let name = name("report");
    under.make(std::slice::from_ref(&name)).await;
    assert_eq!(under.advanced(&advance(&name, 0, EPOCH)).await, Advanced::Moved);
    let past = under.past(&name).await;
    for revision in 1..=3 {
        let change = replacement(&name, revision, &format!("after {revision}"));
        assert_eq!(under.changed(change).await, Changed::Written(revision + 1));
    }
    let schedule = under.schedule(&name).await.expect("it is there");
    assert_eq!(schedule.entry.revision, 4);
    assert_eq!(schedule.entry.definition.description.as_deref(), Some("after 3"));
    assert_eq!(schedule.position, Some(position(1, EPOCH)));
    assert_eq!(under.past(&name).await, past);
}

pub(in crate::testkit::store) async fn a_change_of_another_revision_changes_nothing(
    under: StoreUnderTest,
) {
    let name = name("report");
    under.make(std::slice::from_ref(&name)).await;
    under.changed(replacement(&name, 1, "second")).await;
    let there = under.schedule(&name).await.expect("it was made");
    let version = under.changes(None).await.version;
    for expected in [0, 1, 3, u32::MAX] {
        for change in [replacement(&name, expected, "lost"), deletion(&name, expected)] {
            let answer = under.changed(change).await;
            assert_eq!(answer, Changed::Other(Some(Box::new(there.clone()))), "{expected}");
        }
    }
    assert_eq!(under.schedule(&name).await, Some(there));
    assert_eq!(under.changes(None).await.version, version);
}

pub(in crate::testkit::store) async fn nothing_is_changed_where_nothing_is(under: StoreUnderTest) {
    let name = name("report");
    let no_change = Change { name: name.clone(), expected: None, entry: None };
    for change in [replacement(&name, 1, "lost"), deletion(&name, 1), no_change] {
        assert_eq!(under.changed(change).await, Changed::Other(None));
    }
    assert_eq!(under.schedule(&name).await, None);
    let Changes { incarnation, version, .. } = under.changes(None).await;
    assert_eq!((incarnation.is_none(), version), (under.can_be_wiped, 0));
}

pub(in crate::testkit::store) async fn of_many_writers_each_change_is_made_on_the_one_before(
    under: StoreUnderTest,
) {
    const WRITERS: u32 = 24;
    let name = name("report");
    under.make(std::slice::from_ref(&name)).await;
    // Each appends its own number to what it has read, until nobody was faster.
    let write = async |number: u32| {
        let mut mine = Vec::new();
        loop {
            let entry = under.schedule(&name).await.expect("it is there").entry;
            let said = entry.definition.description.unwrap_or_default();
            let change = replacement(&name, entry.revision, &format!("{said} {number}"));
            if let Changed::Written(revision) = under.changed(change).await {
                mine.push(revision);
                return mine;
            }
        }
    };
    let written = join_all((0..WRITERS).map(write)).await;
    let mut revisions: Vec<_> = written.into_iter().flatten().collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (2..2 + WRITERS).collect::<Vec<_>>());
    let entry = under.schedule(&name).await.expect("it is there").entry;
    let said = entry.definition.description.expect("many wrote");
    let mut numbers: Vec<u32> = said.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..WRITERS).collect::<Vec<_>>(), "no change is lost");
}

pub(in crate::testkit::store) async fn of_many_makers_one_makes_a_schedule(under: StoreUnderTest) {
    let name = name("report");
    let make = async |number: usize| {
        let entry = Some(for_what(&name, &number.to_string()));
        (number, under.changed(Change { entry, ..creation(&name) }).await)
    };
    let answers = join_all((0..24).map(make)).await;
    let made: Vec<_> =
        answers.iter().filter(|(_, answer)| *answer == Changed::Written(1)).collect();
    let [(number, _)] = &made[..] else { panic!("{} of 24 made it", made.len()) };
    let there = under.schedule(&name).await.expect("it was made");
    assert_eq!(there.entry.definition.description, Some(number.to_string()));
    let other = Changed::Other(Some(Box::new(there)));
    assert_eq!(answers.iter().filter(|(_, answer)| *answer == other).count(), 23);
}

pub(in crate::testkit::store) async fn a_deleted_schedule_leaves_nothing_but_its_revision_to_the_next_of_its_name(
    under: StoreUnderTest,
) {
    let name = name("report");
    under.make(std::slice::from_ref(&name)).await;
    under.changed(replacement(&name, 1, "second")).await;
    under.advanced(&advance(&name, 0, EPOCH)).await;
    assert_eq!(under.changed(deletion(&name, 2)).await, Changed::Written(2));
    assert_eq!(under.schedule(&name).await, None);
    assert_eq!(under.page(None, 10).await, []);
    assert_eq!(under.past(&name).await, []);
    assert_eq!(under.changed(deletion(&name, 2)).await, Changed::Other(None));

    assert_eq!(under.changed(creation(&name)).await, Changed::Written(3));
    assert_eq!(under.schedule(&name).await.map(|there| there.entry.revision), Some(3));
    assert_eq!(under.page(None, 10).await[0].entry.revision, 3);
    assert_eq!(under.stands_at(&name).await, Position { epoch: 0, ..position(0, 0) });
    assert_eq!(under.past(&name).await, []);
}

pub(in crate::testkit::store) async fn a_change_that_was_meant_for_a_deleted_schedule_is_not_made_to_the_next_of_its_name(
    under: StoreUnderTest,
) {
    let names = [name("report"), name("other")];
    under.make(&names).await;
    let mut last = 1;
    for turn in 0..3 {
        under.changed(deletion(&names[0], last)).await;
        let Changed::Written(revision) = under.changed(creation(&names[0])).await else {
            panic!("turn {turn}: it was not made again")
        };
        assert!(revision > last, "turn {turn}: {revision} after {last}");
        let there = under.schedule(&names[0]).await.expect("it was made again");
        for late in [replacement(&names[0], last, "late"), deletion(&names[0], last)] {
            let answer = under.changed(late).await;
            assert_eq!(answer, Changed::Other(Some(Box::new(there.clone()))), "turn {turn}");
        }
        let meant = replacement(&names[0], revision, "meant");
        assert_eq!(under.changed(meant).await, Changed::Written(revision + 1));
        last = revision + 1;
    }
    let answer = under.changed(replacement(&names[1], 1, "its own")).await;
    assert_eq!(answer, Changed::Written(2), "others count for themselves");
}

pub(in crate::testkit::store) async fn changes_are_answered_in_the_order_of_the_batch(
    under: StoreUnderTest,
) {
    let (one, two, none) = (name("one"), name("two"), name("none"));
    let answers = under
        .change(&[
            creation(&two),
            deletion(&none, 1),
            creation(&one),
            replacement(&two, 1, "second"),
            replacement(&two, 2, "third"),
            deletion(&one, 1),
            creation(&one),
        ])
        .await;
    let written = Changed::Written;
    let expected = [
        written(1),
        Changed::Other(None),
        written(1),
        written(2),
        written(3),
        written(1),
        written(2),
    ];
    assert_eq!(answers, expected);
    assert_eq!(under.change(&[]).await, []);
    let revisions: Vec<_> =
        under.page(None, 9).await.iter().map(|one| one.entry.revision).collect();
    assert_eq!(revisions, [2, 3]);
}

pub(in crate::testkit::store) async fn an_entry_is_kept_under_the_name_of_its_change(
    under: StoreUnderTest,
) {
    let (one, two) = (name("one"), name("two"));
    let change = Change { entry: Some(entry(&two)), ..creation(&one) };
    assert_eq!(under.changed(change).await, Changed::Written(1));
    assert_eq!(under.schedule(&one).await.map(|there| there.entry.name), Some(one));
    assert_eq!(under.schedule(&two).await, None);
}

pub(in crate::testkit::store) async fn schedules_are_listed_in_the_order_of_their_bytes(
    under: StoreUnderTest,
) {
    let long = "z".repeat(128);
    let texts = ["b", "a.b", "a", "a-b", "a_b", "ab", "0", "9", "a.b.c", &long, "a0"];
    let names = texts.map(name);
    under.make(&names).await;
    let mut sorted = texts;
    sorted.sort_unstable_by_key(|text| text.as_bytes());
    let listed: Vec<_> =
        under.page(None, 100).await.into_iter().map(|one| one.entry.name.to_string()).collect();
    assert_eq!(listed, sorted);
    let behind: Vec<_> = under
        .page(Some(&name("a.b")), 2)
        .await
        .into_iter()
        .map(|one| one.entry.name.to_string())
        .collect();
    assert_eq!(behind, ["a.b.c", "a0"]);
}

pub(in crate::testkit::store) async fn pages_of_any_size_show_every_schedule_once(
    under: StoreUnderTest,
) {
    const COUNT: usize = 2_500;
    let names: Vec<_> = (0..COUNT).map(numbered).collect();
    // Made out of order: the order of the list is not that of the making.
    let mut shuffled: Vec<_> = (0..COUNT).map(|n| names[n * 7 % COUNT].clone()).collect();
    shuffled.reverse();
    under.make(&shuffled).await;
    for most in [1_000, 499, 500, 2_499, 2_500, 5_000] {
        let (mut seen, mut behind) = (Vec::new(), None);
        loop {
            let page = under.page(behind.as_ref(), most).await;
            assert!(page.len() <= most, "{} of at most {most}", page.len());
            let Some(last) = page.last() else { break };
            assert!(page.len() == most || seen.len() + page.len() == COUNT, "a page too short");
            behind = Some(last.entry.name.clone());
            seen.extend(page.into_iter().map(|one| one.entry.name));
        }
        assert_eq!(seen, names, "in pages of {most}");
    }
    assert_eq!(under.page(None, 0).await, []);
}

pub(in crate::testkit::store) async fn a_page_begins_behind_a_name_that_is_not_there(
    under: StoreUnderTest,
) {
    let names = ["a", "c", "e"].map(name);
    under.make(&names).await;
    let listed = async |behind: &str| -> Vec<ScheduleName> {
        let page = under.page(Some(&name(behind)), 10).await;
        page.into_iter().map(|one| one.entry.name).collect()
    };
    assert_eq!(listed("0").await, names);
    assert_eq!(listed("b").await, names[1..]);
    assert_eq!(listed("c").await, names[2..]);
    under.changed(deletion(&names[1], 1)).await;
    assert_eq!(listed("c").await, names[2..]);
    assert_eq!(listed("e").await, []);
}

pub(in crate::testkit::store) async fn schedules_are_read_in_the_order_asked(
    under: StoreUnderTest,
) {
    let names: Vec<_> = (0..1_200).map(numbered).collect();
    under.make(&names).await;
    let unknown = name("unknown");
    let mut asked: Vec<_> = names.iter().rev().cloned().collect();
    asked.insert(0, unknown.clone());
    asked.insert(700, unknown.clone());
    asked.push(names[3].clone());
    let found = under.schedules.read(&asked).await.expect("the store answers");
    assert_eq!(found.len(), asked.len());
    for (name, found) in asked.iter().zip(found) {
        let expected = (*name != unknown).then_some(name);
        assert_eq!(found.map(|one| one.entry.name).as_ref(), expected);
    }
    assert_eq!(under.schedules.read(&[]).await.expect("the store answers"), []);
}

pub(in crate::testkit::store) async fn large_entries_are_written_listed_and_read_like_small_ones(
    under: StoreUnderTest,
) {
    let names: Vec<_> = (0..30).map(numbered).collect();
    let args = RawValue::from_string(format!("\"{}\"", "x".repeat(200 * 1024))).expect("JSON");
    let large = |name: &ScheduleName| {
        let mut entry = entry(name);
        entry.definition.args = args.clone();
        Change { entry: Some(entry), ..creation(name) }
    };
    let changes: Vec<_> = names.iter().map(large).collect();
    let answers = under.change(&changes).await;
    assert!(answers.iter().all(|answer| *answer == Changed::Written(1)), "{answers:?}");
    let listed = under.page(None, 1_000).await;
    let found = under.schedules.read(&names).await.expect("the store answers");
    for seen in [listed, found.into_iter().flatten().collect()] {
        assert_eq!(
            seen.iter().map(|one| &one.entry.name).collect::<Vec<_>>(),
            names.iter().collect::<Vec<_>>()
        );
        assert!(seen.iter().all(|one| one.entry.definition.args.get() == args.get()));
    }
    // A timetable does not end by itself: a server that many tests share would fill up.
    let deletions: Vec<_> = names.iter().map(|name| deletion(name, 1)).collect();
    assert_eq!(under.change(&deletions).await, vec![Changed::Written(1); names.len()]);
}
