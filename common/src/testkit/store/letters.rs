//! Promises about the list of dead letters.
//!
//! It answers "what is dead, and why" without touching a queue, so pages must neither leave out a
//! letter nor show one twice, also where thousands died within one millisecond.

use std::collections::BTreeMap;

use super::StoreUnderTest;
use crate::clock::Millis;
use crate::envelope::{DeadReason, Order};
use crate::id::TaskId;
use crate::name::QueueName;
use crate::store::{Behind, Gone, Letter, MAX_ARGS_SHOWN};

const NOW: u64 = 1_790_000_000_000;

fn queue(name: &str) -> QueueName {
    name.parse().expect("a queue")
}

/// The letter of a task's first attempt, which died `ms` after [`NOW`].
fn letter(of: &str, ms: u64) -> Letter {
    Letter {
        id: TaskId::mint(),
        queue: queue(of),
        kind: "email.welcome".to_owned(),
        origin: format!("{of}.normal"),
        order: Order::FIRST,
        reason: Some(DeadReason::Handler),
        class: "smtp".to_owned(),
        error: "refused".to_owned(),
        died_at: Millis(NOW + ms),
        first_failed_at: None,
        key: None,
        origin_id: None,
        tags: BTreeMap::new(),
        args: "{}".to_owned(),
        args_size: 2,
        described_at: Millis(NOW + ms + 1),
    }
}

fn gone(letter: &Letter) -> Gone {
    Gone { id: letter.id, queue: letter.queue.clone(), order: letter.order }
}

const fn behind(letter: &Letter) -> Behind {
    Behind { died_at: letter.died_at, id: letter.id }
}

/// As they are to be listed.
fn newest_first(letters: &[Letter]) -> Vec<Letter> {
    let mut sorted = letters.to_vec();
    sorted.sort_by_key(|letter| std::cmp::Reverse((letter.died_at, letter.id)));
    sorted
}

impl StoreUnderTest {
    async fn describe(&self, letters: &[Letter]) {
        self.letters.describe(letters).await.expect("the store answers");
    }

    async fn forget(&self, letters: &[Gone]) {
        self.letters.forget(letters).await.expect("the store answers");
    }

    async fn list(&self, of: &str, behind: Option<Behind>, most: usize) -> Vec<Letter> {
        self.letters.list(&queue(of), behind, most).await.expect("the store answers")
    }

    async fn all(&self, of: &str) -> Vec<Letter> {
        self.list(of, None, 10_000).await
    }

    async fn letter(&self, id: TaskId) -> Option<Letter> {
        self.letters.read(&[id]).await.expect("the store answers").remove(0)
    }

    async fn counts(&self) -> Vec<(String, u64)> {
        let counts = self.letters.counts().await.expect("the store answers");
        counts.into_iter().map(|(queue, count)| (queue.to_string(), count)).collect()
    }
}

pub(super) async fn a_described_letter_is_listed_and_read_as_it_was_described(
    under: StoreUnderTest,
) {
    let args = "{\"n\": \"grün \\u0000 \u{1F407}\"}\n".repeat(MAX_ARGS_SHOWN / 40);
    let full = Letter {
        order: Order { replay: u32::MAX, attempt: 7 },
        class: "exit".to_owned(),
        error: "no such file: \"a\tb\"\n\0, caused by: 'ü'".to_owned(),
        first_failed_at: Some(Millis(NOW - 5)),
        key: Some("welcome 7 \"grün\"\n".to_owned()),
        origin_id: Some("order-7".to_owned()),
        tags: [("tenant".to_owned(), "42".to_owned()), (String::new(), "ü\0".to_owned())].into(),
        args_size: usize::try_from(u32::MAX).expect("64 bits"),
        args,
        ..letter("mail", 1)
    };
    // A kind as it was sent, which may be no kind's name, and nothing else known.
    let bare = Letter {
        kind: "no kind \u{202e} at all".to_owned(),
        origin: String::new(),
        reason: None,
        class: String::new(),
        error: String::new(),
        args: String::new(),
        args_size: 0,
        ..letter("mail", 0)
    };
    under.describe(&[bare.clone(), full.clone()]).await;
    assert_eq!(under.letter(full.id).await, Some(full.clone()));
    assert_eq!(under.letter(bare.id).await, Some(bare.clone()));
    assert_eq!(under.all("mail").await, [full, bare]);
    under.describe(&[]).await;
    under.forget(&[]).await;
}

pub(super) async fn of_one_task_the_newest_letter_is_described(under: StoreUnderTest) {
    let at =
        |replay, attempt, ms| Letter { order: Order { replay, attempt }, ..letter("mail", ms) };
    let first = at(0, 5, 10);
    let same = |other: Letter| Letter { id: first.id, ..other };
    let (older, newer) = (same(at(0, 4, 99)), same(at(1, 1, 20)));
    under.describe(std::slice::from_ref(&first)).await;
    under.describe(std::slice::from_ref(&older)).await;
    assert_eq!(under.all("mail").await, std::slice::from_ref(&first), "an older one came late");
    // In one batch, in either order.
    under.describe(&[newer.clone(), older.clone(), first.clone()]).await;
    assert_eq!(under.all("mail").await, std::slice::from_ref(&newer));
    let (newest, another) = (same(at(1, 2, 3)), letter("mail", 4));
    under.describe(&[newer, newest.clone(), another.clone()]).await;
    assert_eq!(under.all("mail").await, [another, newest.clone()]);
    assert_eq!(under.letter(newest.id).await, Some(newest));
    assert_eq!(under.counts().await, [("mail".to_owned(), 2)]);
}

pub(super) async fn a_letter_described_anew_is_listed_once_where_it_now_belongs(
    under: StoreUnderTest,
) {
    let (one, two) = (letter("mail", 10), letter("mail", 20));
    under.describe(&[one.clone(), two.clone()]).await;
    // A walk describes each letter again, and may learn more about its death.
    let anew = Letter { died_at: Millis(NOW + 30), described_at: Millis(NOW + 99), ..one };
    under.describe(std::slice::from_ref(&anew)).await;
    assert_eq!(under.all("mail").await, [anew.clone(), two.clone()]);
    assert_eq!(under.list("mail", Some(behind(&two)), 10).await, []);
    assert_eq!(under.counts().await, [("mail".to_owned(), 2)]);
    under.forget(&[gone(&anew)]).await;
    assert_eq!(under.all("mail").await, [two], "no place of the first description is left");
}

pub(super) async fn a_task_that_died_in_another_queue_is_listed_there_only(under: StoreUnderTest) {
    let first = letter("mail", 10);
    let moved =
        Letter { id: first.id, order: Order { replay: 1, attempt: 1 }, ..letter("post", 5) };
    under.describe(std::slice::from_ref(&first)).await;
    under.describe(std::slice::from_ref(&moved)).await;
    assert_eq!(under.all("mail").await, []);
    assert_eq!(under.all("post").await, std::slice::from_ref(&moved));
    assert_eq!(under.counts().await, [("post".to_owned(), 1)]);
    // The walk of the first queue takes the old letter away.
    under.forget(&[gone(&first)]).await;
    assert_eq!(under.letter(moved.id).await, Some(moved));
}

pub(super) async fn letters_are_listed_newest_first(under: StoreUnderTest) {
    assert_eq!(under.all("mail").await, []);
    // Times of different widths, and many within one millisecond.
    let mut letters: Vec<_> = [5, 3, 9, 3, 3, 1_000_000, 7].map(|ms| letter("mail", ms)).to_vec();
    letters[4].died_at = Millis(999);
    letters[6].died_at = Millis(0);
    under.describe(&letters[..3]).await;
    under.describe(&letters[3..]).await;
    assert_eq!(under.all("mail").await, newest_first(&letters));
    assert_eq!(under.list("mail", None, 3).await, newest_first(&letters)[..3]);
    assert_eq!(under.all("post").await, []);
}

pub(super) async fn pages_of_any_size_show_every_letter_once(under: StoreUnderTest) {
    let letters: Vec<_> = (0..60_u64)
        .map(|n| letter("mail", if (10..50).contains(&n) { 1_000 } else { n * 100 }))
        .collect();
    under.describe(&letters).await;
    let expected = newest_first(&letters);
    for most in [1, 7, 20, 59, 60, 61] {
        let (mut seen, mut from) = (Vec::new(), None);
        loop {
            let page = under.list("mail", from, most).await;
            assert!(page.len() <= most, "{} on a page of {most}", page.len());
            let Some(last) = page.last() else { break };
            from = Some(behind(last));
            seen.extend(page);
            assert!(seen.len() <= expected.len(), "pages of {most} repeat letters");
        }
        assert_eq!(seen, expected, "pages of {most}");
    }
}

pub(super) async fn a_page_begins_behind_a_place_where_no_letter_is(under: StoreUnderTest) {
    let letters: Vec<_> = (0..6).map(|n| letter("mail", n / 2)).collect();
    under.describe(&letters).await;
    let listed = newest_first(&letters);
    // The letter that ended the page before is replayed meanwhile, and new ones arrive.
    let place = behind(&listed[2]);
    under.forget(&[gone(&listed[2])]).await;
    under.describe(&[letter("mail", 77)]).await;
    assert_eq!(under.list("mail", Some(place), 10).await, listed[3..]);
    let between = Behind { died_at: Millis(NOW + 1), id: uuid::Uuid::nil().into() };
    assert_eq!(under.list("mail", Some(between), 10).await, listed[4..]);
    let end = Behind { died_at: Millis(0), id: TaskId::mint() };
    assert_eq!(under.list("mail", Some(end), 10).await, []);
    let beginning = Behind { died_at: Millis(NOW + 1_000_000), id: TaskId::mint() };
    assert_eq!(under.list("mail", Some(beginning), 10).await.len(), 6);
}

pub(super) async fn a_forgotten_letter_is_gone(under: StoreUnderTest) {
    let letters: Vec<_> = (0..4).map(|n| letter("mail", n)).collect();
    under.describe(&letters).await;
    let unknown = letter("mail", 0);
    under.forget(&[gone(&letters[1]), gone(&unknown), gone(&letters[3])]).await;
    assert_eq!(under.all("mail").await, [letters[2].clone(), letters[0].clone()]);
    assert_eq!(under.letter(letters[1].id).await, None);
    under.forget(&[gone(&letters[1])]).await;
    assert_eq!(under.counts().await, [("mail".to_owned(), 2)]);
    // It may come back: a task can die again.
    under.describe(&letters[1..2]).await;
    assert_eq!(under.letter(letters[1].id).await.as_ref(), Some(&letters[1]));
}

pub(super) async fn a_newer_letter_is_not_forgotten_with_an_older_one(under: StoreUnderTest) {
    let newer = Letter { order: Order { replay: 1, attempt: 3 }, ..letter("mail", 0) };
    under.describe(std::slice::from_ref(&newer)).await;
    let at = |replay, attempt| Gone { order: Order { replay, attempt }, ..gone(&newer) };
    under.forget(&[at(0, 9), at(1, 2)]).await;
    assert_eq!(under.letter(newer.id).await.as_ref(), Some(&newer));
    under.forget(&[at(2, 1)]).await;
    assert_eq!(under.letter(newer.id).await, None, "it is older than what is gone");
}

pub(super) async fn letters_are_counted_by_queue(under: StoreUnderTest) {
    assert_eq!(under.counts().await, []);
    let mail: Vec<_> = (0..5).map(|n| letter("mail", n)).collect();
    let post: Vec<_> = (0..2).map(|n| letter("post", n)).collect();
    under.describe(&mail).await;
    under.describe(&post).await;
    under.describe(&mail[..2]).await;
    let counted = |mail, post| vec![("mail".to_owned(), mail), ("post".to_owned(), post)];
    assert_eq!(under.counts().await, counted(5, 2));
    under.forget(&[gone(&mail[0])]).await;
    assert_eq!(under.counts().await, counted(4, 2));
    under.forget(&mail.iter().map(gone).collect::<Vec<_>>()).await;
    assert_eq!(
        under.counts().await,
        [("post".to_owned(), 2)],
        "a queue without letters is left out"
    );
}

pub(super) async fn letters_are_read_in_the_order_asked(under: StoreUnderTest) {
    let (one, two) = (letter("mail", 1), letter("post", 2));
    under.describe(&[one.clone(), two.clone()]).await;
    let ids = [two.id, TaskId::mint(), one.id, two.id];
    let read = under.letters.read(&ids).await.expect("the store answers");
    assert_eq!(read, [Some(two.clone()), None, Some(one), Some(two)]);
    assert!(under.letters.read(&[]).await.expect("nothing is asked").is_empty());
}

pub(super) async fn a_thousand_letters_are_described_and_forgotten_at_once(under: StoreUnderTest) {
    let letters: Vec<_> = (0..1_000).map(|n| letter("mail", n % 10)).collect();
    under.describe(&letters).await;
    assert_eq!(under.all("mail").await, newest_first(&letters));
    let (kept, left) = letters.split_at(1);
    under.forget(&left.iter().map(gone).collect::<Vec<_>>()).await;
    assert_eq!(under.all("mail").await, kept);
    assert_eq!(under.counts().await, [("mail".to_owned(), 1)]);
}
