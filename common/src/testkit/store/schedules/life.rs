//! The life of a timetable: versions, what changed since, what is restored after a wipe, and the
//! beats that live.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::super::{LONG, SOON};
use super::*;
use crate::id::Owner;
use crate::store::{BeatInfo, MAX_CHANGES, TimetableFile};
use crate::testkit::eventually;

pub(in crate::testkit::store) async fn a_timetable_has_an_incarnation_at_the_latest_from_its_first_write_on(
    under: StoreUnderTest,
) {
    let nothing = under.changes(None).await;
    assert_eq!(nothing.incarnation.is_none(), under.can_be_wiped, "{nothing:?}");
    assert_eq!((nothing.version, &nothing.names), (0, &None));
    assert_eq!(under.changes(Some(7)).await, nothing);
    under.make(&[name("one")]).await;
    let first = under.changes(None).await;
    assert!(first.incarnation.is_some() && first.version > 0, "{first:?}");
    if !under.can_be_wiped {
        assert_eq!(first.incarnation, nothing.incarnation);
    }
    under.changed(deletion(&name("one"), 1)).await;
    under.make(&[name("two")]).await;
    let second = under.changes(None).await;
    assert_eq!(second.incarnation, first.incarnation, "also where all schedules are gone");
    assert!(second.version > first.version);
}

pub(in crate::testkit::store) async fn what_changed_since_a_version_is_named_once(
    under: StoreUnderTest,
) {
    let names = ["a", "b", "c", "d"].map(name);
    under.make(&names[..3]).await;
    let Changes { version, .. } = under.changes(None).await;
    assert_eq!(under.changed_since(version).await, []);
    under.changed(replacement(&names[2], 1, "second")).await;
    let middle = under.changes(Some(version)).await;
    assert!(middle.version > version);
    assert_eq!(middle.names, Some(vec![names[2].clone()]));
    under.changed(replacement(&names[2], 2, "third")).await;
    under.changed(deletion(&names[0], 1)).await;
    under.make(&names[3..]).await;
    under.changed(replacement(&names[0], 1, "not written")).await;

    let named: BTreeSet<_> = under.changed_since(version).await.into_iter().collect();
    assert_eq!(named, [&names[0], &names[2], &names[3]].map(Clone::clone).into());
    let named = under.changed_since(middle.version).await;
    assert_eq!(named.len(), 3, "{named:?}");
    under.changed(creation(&names[0])).await;
    let named = under.changed_since(version).await;
    assert_eq!(named.len(), 3, "gone and made again: {named:?}");
    let all: BTreeSet<_> = under.changed_since(0).await.into_iter().collect();
    assert_eq!(all, names.into());
}

pub(in crate::testkit::store) async fn moves_notes_and_refusals_are_no_changes(
    under: StoreUnderTest,
) {
    let name = name("report");
    under.make(std::slice::from_ref(&name)).await;
    let before = under.changes(Some(0)).await;
    under.advanced(&advance(&name, 0, EPOCH)).await;
    under.note(&[(name.clone(), fired(NOW))]).await;
    under.changed(creation(&name)).await;
    under.changed(deletion(&name, 9)).await;
    let there = under.schedule(&name).await.expect("it is there");
    under.restore(&[there]).await;
    assert_eq!(under.changes(Some(0)).await, before);
}

pub(in crate::testkit::store) async fn every_version_of_many_writers_is_another_one(
    under: StoreUnderTest,
) {
    let names: Vec<_> = (0..40).map(numbered).collect();
    join_all(names.iter().map(|name| under.make(std::slice::from_ref(name)))).await;
    let Changes { version, names: named, .. } = under.changes(Some(0)).await;
    assert_eq!(version, 40);
    assert_eq!(named.map(|named| named.len()), Some(40));
}

pub(in crate::testkit::store) async fn what_changed_too_long_ago_is_not_known(
    under: StoreUnderTest,
) {
    let names = [name("old"), name("busy")];
    under.make(&names).await;
    let Changes { version, .. } = under.changes(None).await;
    let batch: Vec<_> = (0..u32::try_from(MAX_CHANGES).expect("some thousands"))
        .map(|turn| replacement(&names[1], turn + 1, "again"))
        .collect();
    let answers = under.change(&batch).await;
    assert!(answers.iter().all(|answer| matches!(answer, Changed::Written(_))));
    let last = version + MAX_CHANGES;
    let unknown = under.changes(None).await;
    assert_eq!((unknown.version, &unknown.names), (last, &None));
    let known = Changes { names: Some(vec![names[1].clone()]), ..unknown.clone() };
    assert_eq!(under.changes(Some(version)).await, known);
    assert_eq!(under.changes(Some(version - 1)).await, unknown);
    assert_eq!(under.changes(Some(0)).await, unknown);
    // No version of this timetable.
    assert_eq!(under.changes(Some(last + 1)).await, unknown);
    assert_eq!(under.changes(Some(u64::MAX)).await, unknown);
    assert_eq!(under.changed_since(last).await, []);
}

pub(in crate::testkit::store) async fn what_somebody_remembers_is_restored_as_it_was(
    under: StoreUnderTest,
) {
    let names: Vec<_> = (0..1_200).map(numbered).collect();
    let remembered: Vec<_> = (1..)
        .zip(&names)
        .map(|(seq, name)| {
            let entry = ScheduleEntry { revision: 7, ..for_what(name, "remembered") };
            Scheduled { entry, position: Some(position(seq, EPOCH)) }
        })
        .collect();
    under.restore(&remembered).await;
    under.restore(&[]).await;
    let restored = under.page(None, 2_000).await;
    assert_eq!(restored.len(), remembered.len());
    assert!(restored.iter().zip(&remembered).all(|(one, other)| one == other));
    let changes = under.changes(Some(0)).await;
    assert!(changes.incarnation.is_some(), "{changes:?}");
    assert_eq!(changes.names.map(|named| named.len()), Some(names.len()));
    assert_eq!(under.changed(replacement(&names[0], 7, "on")).await, Changed::Written(8));
    assert_eq!(under.advanced(&advance(&names[0], 1, EPOCH)).await, Advanced::Moved);
}

pub(in crate::testkit::store) async fn an_entry_that_is_there_is_not_restored(
    under: StoreUnderTest,
) {
    let name = name("report");
    under.make(std::slice::from_ref(&name)).await;
    let there = under.schedule(&name).await.expect("it is there");
    // Another one of its name, whatever its revision; and no later state of it.
    let older = ScheduleEntry { created_at: Millis(NOW - 1), ..for_what(&name, "remembered") };
    for older in [ScheduleEntry { revision: 9, ..older }, for_what(&name, "same, in other words")] {
        let entry = ScheduleEntry { revision: older.revision.max(1), ..older };
        under.restore(&[Scheduled { entry, position: None }]).await;
        assert_eq!(under.schedule(&name).await.as_ref(), Some(&there));
    }
}

pub(in crate::testkit::store) async fn of_two_states_of_one_entry_the_later_is_restored(
    under: StoreUnderTest,
) {
    let names = [name("one"), name("two")];
    let state = |name: &ScheduleName, revision: u32| {
        let said = for_what(name, &format!("state {revision}"));
        let changed_at = Millis(NOW + 1_000 * u64::from(revision));
        let entry = ScheduleEntry { revision, changed_at, ..said };
        Scheduled { entry, position: Some(position(u64::from(revision), EPOCH)) }
    };
    // In whatever order they come; ten is greater than nine also as text.
    for (name, revisions) in [(&names[0], [9, 10, 3]), (&names[1], [10, 3, 9])] {
        for revision in revisions {
            under.restore(&[state(name, revision)]).await;
        }
        assert_eq!(under.schedule(name).await, Some(state(name, 10)));
    }
    let Changes { version, .. } = under.changes(None).await;
    assert_eq!(version, 3, "one is written once, the other twice");
    under.restore(&[state(&names[0], 11)]).await;
    assert_eq!(under.changed_since(version).await, names[..1], "others learn of it");
    assert_eq!(under.changed(replacement(&names[0], 11, "on")).await, Changed::Written(12));
}

pub(in crate::testkit::store) async fn a_change_since_the_wipe_is_not_undone_by_a_restoration(
    under: StoreUnderTest,
) {
    let name = name("report");
    let remembered = |revision: u32| {
        let said = for_what(&name, "remembered");
        let changed_at = Millis(NOW + u64::from(revision));
        let entry = ScheduleEntry { revision, changed_at, ..said };
        Scheduled { entry, position: None }
    };
    under.restore(&[remembered(3)]).await;
    let entry = ScheduleEntry { changed_at: Millis(NOW + 60_000), ..for_what(&name, "new") };
    let change = Change { name: name.clone(), expected: Some(3), entry: Some(entry) };
    assert_eq!(under.changed(change).await, Changed::Written(4));
    let there = under.schedule(&name).await;
    under.restore(&[remembered(9)]).await;
    assert_eq!(under.schedule(&name).await, there);
}

pub(in crate::testkit::store) async fn a_restored_position_only_moves_forward(
    under: StoreUnderTest,
) {
    let name = name("report");
    let remembered = |seq, epoch| {
        let entry = ScheduleEntry { revision: 1, ..entry(&name) };
        Scheduled { entry, position: Some(position(seq, epoch)) }
    };
    for (seq, epoch, stands) in [
        (10, EPOCH, position(10, EPOCH)),
        (9, EPOCH, position(10, EPOCH)),
        (9, EPOCH + 1, position(10, EPOCH)),
        (10, EPOCH + 1, position(10, EPOCH)),
        (11, EPOCH - 1, position(10, EPOCH)),
        (11, EPOCH, position(11, EPOCH)),
        (100, EPOCH + 1, position(100, EPOCH + 1)),
        (99, EPOCH + 2, position(100, EPOCH + 1)),
    ] {
        under.restore(&[remembered(seq, epoch)]).await;
        assert_eq!(under.stands_at(&name).await, stands, "after {seq} of {epoch}");
    }
    under.restore(&[Scheduled { position: None, ..remembered(0, 0) }]).await;
    assert_eq!(under.stands_at(&name).await, position(100, EPOCH + 1));
}

pub(in crate::testkit::store) async fn of_many_who_restore_the_latest_position_stays(
    under: StoreUnderTest,
) {
    let names: Vec<_> = (0..60).map(numbered).collect();
    let restore = async |seq: u64| {
        let remember = |name: &ScheduleName| {
            let entry = ScheduleEntry { revision: 3, ..entry(name) };
            Scheduled { entry, position: Some(position(seq, EPOCH)) }
        };
        let remembered: Vec<_> = names.iter().map(remember).collect();
        under.restore(&remembered).await;
    };
    join_all([3, 8, 1, 9, 2, 7].map(restore)).await;
    let all = under.page(None, 100).await;
    assert_eq!(all.len(), names.len());
    assert!(all.iter().all(|one| one.position == Some(position(9, EPOCH))), "{all:?}");
    assert_eq!(under.changes(None).await.version, 60, "each is written once");
}

pub(in crate::testkit::store) async fn what_was_deleted_since_the_wipe_stays_so(
    under: StoreUnderTest,
) {
    let names = [name("one"), name("two")];
    let remembered = names.clone().map(|name| {
        let entry = ScheduleEntry { revision: 4, ..entry(&name) };
        Scheduled { entry, position: Some(position(3, EPOCH)) }
    });
    under.restore(&remembered[..1]).await;
    assert_eq!(under.changed(deletion(&names[0], 4)).await, Changed::Written(4));
    under.restore(&remembered).await;
    assert_eq!(under.schedule(&names[0]).await, None);
    assert_eq!(under.schedule(&names[1]).await.as_ref(), Some(&remembered[1]));
    assert_eq!(under.changed(creation(&names[0])).await, Changed::Written(5));
    assert_eq!(under.stands_at(&names[0]).await.seq, 0);
}

pub(in crate::testkit::store) async fn what_was_deleted_stays_so_while_many_others_are_restored(
    under: StoreUnderTest,
) {
    let remember = |name: &ScheduleName| {
        let entry = ScheduleEntry { revision: 4, ..entry(name) };
        Scheduled { entry, position: None }
    };
    let deleted = remember(&name("deleted"));
    under.restore(std::slice::from_ref(&deleted)).await;
    assert_eq!(under.changed(deletion(&deleted.entry.name, 4)).await, Changed::Written(4));
    // More than the versions that are remembered as changes.
    let others = usize::try_from(MAX_CHANGES).expect("some thousands") + 100;
    let others: Vec<_> = (0..others).map(|number| remember(&numbered(number))).collect();
    under.restore(&others).await;
    under.changed(replacement(&others[0].entry.name, 4, "on")).await;
    under.restore(std::slice::from_ref(&deleted)).await;
    assert_eq!(under.schedule(&deleted.entry.name).await, None);
    assert_eq!(under.changed(creation(&deleted.entry.name)).await, Changed::Written(5));
}

fn beat(owner: Owner) -> BeatInfo {
    let file = TimetableFile {
        path: "/etc/leveret/schedules.toml".to_owned(),
        fingerprint: uuid::Uuid::from_u128(7),
    };
    BeatInfo {
        owner,
        host: "alpha".to_owned(),
        pid: 4_711,
        version: "1.2.3".to_owned(),
        started_at: Millis(NOW),
        at: Millis(NOW + 5),
        leads: Some(EPOCH),
        schedules: 100_000,
        file: Some(file),
    }
}

impl StoreUnderTest {
    async fn announce(&self, beat: &BeatInfo, ttl: Duration) {
        self.schedules.announce(beat, ttl).await.expect("the store answers");
    }

    async fn beats(&self) -> Vec<BeatInfo> {
        let mut beats = self.schedules.beats().await.expect("the store answers");
        beats.sort_by_key(|beat| beat.owner);
        beats
    }
}

pub(in crate::testkit::store) async fn beats_are_listed_as_they_last_described_themselves(
    under: StoreUnderTest,
) {
    assert_eq!(under.beats().await, []);
    let mut owners = [Owner::mint(), Owner::mint()];
    owners.sort_unstable();
    let standby = BeatInfo { leads: None, file: None, ..beat(owners[1]) };
    under.announce(&beat(owners[0]), LONG).await;
    under.announce(&standby, LONG).await;
    assert_eq!(under.beats().await, [beat(owners[0]), standby.clone()]);
    let older = BeatInfo { leads: None, at: Millis(NOW + 1_000), ..beat(owners[0]) };
    under.announce(&older, LONG).await;
    assert_eq!(under.beats().await, [older, standby]);
    assert_eq!(under.changes(None).await.version, 0, "a beat is no schedule");
}

pub(in crate::testkit::store) async fn a_beat_that_is_silent_is_no_longer_listed(
    under: StoreUnderTest,
) {
    let (silent, alive) = (Owner::mint(), Owner::mint());
    under.announce(&beat(alive), LONG).await;
    under.announce(&beat(silent), BRIEF).await;
    assert!(under.beats().await.contains(&beat(alive)));
    let is_gone = || async { under.beats().await == [beat(alive)] };
    eventually(SOON, "the silent beat is gone", is_gone).await;
    under.announce(&beat(silent), LONG).await;
    assert_eq!(under.beats().await.len(), 2);
}
