//! The timetable's limit, and entries, positions and occurrences that cannot be read.

use super::*;
use crate::name::ScheduleName;
use crate::schedule::{Definition, Source};
use crate::store::{
    Advance, Advanced, Cause, Change, Changed, Fate, MAX_SCHEDULES, Occurrence, Position,
    ScheduleEntry, Scheduled, Schedules, StoreErrorKind,
};

fn name(text: &str) -> ScheduleName {
    text.parse().unwrap()
}

fn creation(of: &str) -> Change {
    let at = Millis(1_790_000_000_000);
    let entry = ScheduleEntry {
        name: name(of),
        definition: Definition::new("0 2 * * *", "report".parse().unwrap()),
        source: Source::Api { by: "lea".to_owned() },
        revision: 0,
        since: at,
        paused: None,
        created_at: at,
        changed_at: at,
    };
    Change { name: name(of), expected: None, entry: Some(entry) }
}

fn advance(of: &str, seq: u64) -> Advance {
    let through = Millis(1_790_000_000_000 + seq);
    let occurrence = Occurrence {
        due: through,
        cause: Cause::Clock,
        fate: Fate::Waiting,
        at: through,
        planned: through,
        revision: 1,
        by: None,
    };
    let to = Position { seq, epoch: 1, through, queued: None, previous: None };
    Advance { name: name(of), expected: seq.checked_sub(1), to, occurrences: vec![occurrence] }
}

#[tokio::test]
async fn more_schedules_than_allowed_are_refused_and_the_rest_goes_on() {
    let Opened { store, .. } = &open();
    store.change(&[creation("a"), creation("b")]).await.unwrap();
    let most = i64::try_from(MAX_SCHEDULES).unwrap();
    let fill = move |to: &mut Transaction| {
        to.execute("UPDATE timetable SET schedules = ?1", [most - 1]).map(drop)
    };
    store.core.writer.write(1, fill).await.unwrap();
    let made = store.change(&[creation("c")]).await.unwrap();
    assert_eq!(made, [Changed::Written(1)], "one more fits");
    let error = store.change(&[creation("d")]).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Refused);
    assert!(
        error.to_string().contains("1000000 schedules") && error.to_string().contains(" d "),
        "{error}"
    );
    let remembered = |of| {
        let entry = ScheduleEntry { revision: 3, ..creation(of).entry.unwrap() };
        Scheduled { entry, position: None }
    };
    let error = store.restore(&[remembered("d")]).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Refused, "{error}");
    assert_eq!(store.read(&[name("d")]).await.unwrap(), [None]);

    let changed = Change { expected: Some(1), ..creation("a") };
    let removed = Change { name: name("b"), expected: Some(1), entry: None };
    let answers = store.change(&[changed, removed, creation("d")]).await.unwrap();
    assert_eq!(answers, [Changed::Written(2), Changed::Written(1), Changed::Written(1)]);
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_hides_no_other_and_can_be_removed() {
    let opened = open();
    let store = &opened.store;
    store.change(&["a", "b", "c"].map(creation)).await.unwrap();
    opened
        .sql("UPDATE schedule SET entry = replace(entry, '\"from\":\"api\"', '\"from\":\"later\"') WHERE name = 'b'")
        .await;
    let listed = store.page(None, 2).await.unwrap();
    let names: Vec<_> = listed.iter().map(|one| one.entry.name.as_str()).collect();
    assert_eq!(names, ["a", "c"], "the page is filled nevertheless");
    let error = store.read(&[name("a"), name("b")]).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error}");
    // Whoever does not know its revision is not told it, and the rest of the batch is done.
    let again = Change { expected: Some(1), ..creation("a") };
    let answers = store.change(&[creation("b"), again]).await.unwrap();
    assert_eq!(answers, [Changed::Other(None), Changed::Written(2)]);
    let moved = store.advance(&[advance("b", 1)]).await.unwrap();
    assert_eq!(moved, [Advanced::Moved]);
    let removed = Change { name: name("b"), expected: Some(1), entry: None };
    assert_eq!(store.change(&[removed]).await.unwrap(), [Changed::Written(1)]);
    assert_eq!(store.read(&[name("b")]).await.unwrap(), [None]);
}

#[tokio::test]
async fn a_position_that_cannot_be_read_counts_as_lost() {
    let opened = open();
    let store = &opened.store;
    store.change(&["a", "b"].map(creation)).await.unwrap();
    opened.sql("UPDATE position SET position = '7 8 9' WHERE name = 'a'").await;
    for found in [store.page(None, 1).await.unwrap().remove(0), {
        let found = store.read(&[name("a")]).await.unwrap().remove(0);
        found.unwrap()
    }] {
        assert_eq!((found.entry.name.as_str(), found.position), ("a", None));
    }
    let ask = advance("a", 41);
    assert_eq!(store.advance(std::slice::from_ref(&ask)).await.unwrap(), [Advanced::Moved]);
    let found = store.read(&[name("a")]).await.unwrap().remove(0).unwrap();
    assert_eq!(found.position, Some(ask.to));
}

#[tokio::test]
async fn an_occurrence_that_cannot_be_read_hides_no_other() {
    let opened = open();
    let store = &opened.store;
    store.change(&[creation("a")]).await.unwrap();
    let moves: Vec<_> = (1..=3).map(|seq| advance("a", seq)).collect();
    store.advance(&moves).await.unwrap();
    opened
        .sql("UPDATE occurrence SET occurrence = replace(occurrence, ' w', ' z') WHERE seq = 2")
        .await;
    let listed = store.occurrences(&name("a")).await.unwrap();
    assert_eq!(listed, [moves[2].occurrences[0].clone(), moves[0].occurrences[0].clone()]);
}
