//! Lines of a body, however it is cut, ended or broken off.

use axum::body::Body;
use futures_util::stream;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { line: 8, whole: 60, idle: Duration::from_secs(5) };

/// Reads a body that comes in these pieces, and then ends or breaks.
async fn read_within(limits: Limits, pieces: Vec<Vec<u8>>, breaks: bool) -> Vec<String> {
    let broken = breaks.then(|| Err(std::io::Error::other("the client is gone")));
    let pieces = pieces.into_iter().map(Ok).chain(broken);
    let body = Body::from_stream(stream::iter(pieces)).into_data_stream();
    let mut lines = Lines::new(body, limits);
    let mut seen = Vec::new();
    loop {
        seen.push(match lines.next().await {
            Next::Line(number, line) => {
                format!("{number}:{}", String::from_utf8_lossy(&line).trim_end())
            }
            Next::LongLine(number) => format!("{number} long"),
            Next::Broken(number, _) => format!("{number} broken"),
            Next::End => return seen,
        });
    }
}

async fn read(pieces: &[&str]) -> Vec<String> {
    let pieces = pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect();
    read_within(LIMITS, pieces, false).await
}

#[tokio::test]
async fn lines_are_found_however_the_body_is_cut() {
    let whole = read(&["one\ntwo\r\n\n  \nfive"]).await;
    assert_eq!(whole, ["1:one", "2:two", "5:five"]);
    assert_eq!(read(&["o", "ne", "\nt", "wo\r", "\n\n ", " \nfi", "ve"]).await, whole);
    assert!(read(&[]).await.is_empty());
}

#[tokio::test]
async fn a_long_line_is_skipped_and_those_after_it_are_read() {
    assert_eq!(read(&["a\n0123456789\nb\n"]).await, ["1:a", "2 long", "3:b"]);
    let cut = ["a\n012345", "6789012", "345678901234", "5\nb"];
    assert_eq!(read(&cut).await, ["1:a", "2 long", "3:b"]);
}

#[tokio::test]
async fn a_body_over_its_limit_is_read_up_to_it() {
    let piece = "0123456\n";
    let seen = read(&[piece; 9]).await;
    assert_eq!(seen.len(), 8);
    assert_eq!(seen[7], "8 broken");
}

#[tokio::test]
async fn a_body_that_breaks_in_a_line_that_is_skipped_says_so_for_the_next_one() {
    let pieces = [b"a\n0123456".to_vec(), b"789".to_vec()];
    let seen = read_within(LIMITS, pieces.into(), true).await;
    assert_eq!(seen, ["1:a", "2 long", "3 broken"]);
}

/// What has to be seen of a body that ends well, line by line.
fn expected(body: &[u8], most: usize) -> Vec<String> {
    let mut seen = Vec::new();
    for (place, line) in body.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let number = place + 1;
        if line.len() > most {
            seen.push(format!("{number} long"));
        } else if !line.trim_ascii().is_empty() {
            seen.push(format!("{number}:{}", String::from_utf8_lossy(line).trim_end()));
        }
    }
    seen
}

/// The numbers that were answered.
fn numbers(seen: &[String]) -> Vec<usize> {
    let number = |text: &String| text.split([':', ' ']).next().unwrap().parse().unwrap();
    seen.iter().map(number).collect()
}

/// Bodies with short and long lines, blank ones and bytes that are no text.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => "[a-z]{0,9}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..20),
        1 => "[ \t\r]{0,10}".prop_map(String::into_bytes),
        1 => "[a-z]{20,60}".prop_map(String::into_bytes),
    ];
    (vec(line, 0..8), any::<bool>()).prop_map(|(lines, ends)| {
        let mut body = lines.join(&b'\n');
        if ends {
            body.push(b'\n');
        }
        body
    })
}

/// Cuts bytes into pieces of these lengths, again and again.
fn cut(bytes: &[u8], lengths: &[usize]) -> Vec<Vec<u8>> {
    let (mut pieces, mut rest, mut lengths) = (Vec::new(), bytes, lengths.iter().cycle());
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((*lengths.next().unwrap()).min(rest.len()));
        pieces.push(piece.to_vec());
        rest = after;
    }
    pieces
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_line_of_any_body_is_answered_once_and_in_order_however_it_is_cut(
        body in any_body(),
        lengths in vec(1..30_usize, 1..5),
        line in 1..40_usize,
    ) {
        let limits = Limits { line, whole: 10_000, ..LIMITS };
        let seen = block_on(read_within(limits, cut(&body, &lengths), false));
        prop_assert_eq!(seen, expected(&body, line));
    }

    #[test]
    fn a_body_that_breaks_off_or_is_too_large_is_told_and_what_was_answered_stands(
        body in any_body(),
        lengths in vec(1..30_usize, 1..5),
        line in 1..40_usize,
        whole in 1..120_usize,
    ) {
        let limits = Limits { line, whole, ..LIMITS };
        let seen = block_on(read_within(limits, cut(&body, &lengths), true));
        let (last, before) = seen.split_last().unwrap();
        prop_assert!(last.ends_with(" broken"), "{:?}", seen);
        // A line that was not whole when the body broke may be one too many: it was cut.
        let expected = expected(&body, line);
        prop_assert!(expected.starts_with(before), "{before:?} of {expected:?}");
        prop_assert!(numbers(&seen).is_sorted_by(|one, next| one < next), "{:?}", seen);
    }
}
