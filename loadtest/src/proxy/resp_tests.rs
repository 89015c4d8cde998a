//! The same replies are found however the stream is cut.

use proptest::prelude::*;

use super::super::filter::{Lots, WAYS};
use super::super::seen::Seen;
use super::Replies;

/// Something of RESP as bytes, with whether it answers a request.
fn element() -> impl Strategy<Value = Vec<u8>> {
    let text = "[ -~]{0,12}";
    let line = (prop::sample::select(b"+-:,(#".to_vec()), text)
        .prop_map(|(kind, text)| format!("{}{text}\r\n", char::from(kind)).into_bytes());
    let null = prop::sample::select(vec!["_\r\n", "$-1\r\n", "*-1\r\n", "*0\r\n", "$0\r\n\r\n"])
        .prop_map(|null| null.as_bytes().to_vec());
    let bulk = (prop::sample::select(b"$!=".to_vec()), prop::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(kind, bytes)| {
            let head = format!("{}{}\r\n", char::from(kind), bytes.len());
            [head.as_bytes(), &bytes, b"\r\n"].concat()
        });
    prop_oneof![line, null, bulk].prop_recursive(4, 40, 5, |element| {
        let many = |kinds: &[u8], each: usize| {
            let kinds = prop::sample::select(kinds.to_vec());
            (kinds, prop::collection::vec(prop::collection::vec(element.clone(), each), 0..5))
                .prop_map(|(kind, elements)| aggregate(kind, &elements))
        };
        let described = (many(b"|", 2), element.clone())
            .prop_map(|(attribute, element)| [attribute, element].concat());
        prop_oneof![many(b"*~", 1), many(b"%", 2), described]
    })
}

fn aggregate(kind: u8, elements: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let head = format!("{}{}\r\n", char::from(kind), elements.len());
    [head.into_bytes(), elements.concat().concat()].concat()
}

/// Replies with pushes between them.
fn conversation() -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
    let push = prop::collection::vec(element(), 1..4).prop_map(|elements| {
        let elements: Vec<_> = elements.into_iter().map(|element| vec![element]).collect();
        (false, aggregate(b'>', &elements))
    });
    let reply = element().prop_map(|element| (true, element));
    prop::collection::vec(prop_oneof![4 => reply, 1 => push], 0..12)
}

/// Cuts a stream wherever the lengths say; the rest is the last piece.
fn cut<'a>(stream: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = stream;
    let mut pieces = Vec::new();
    for length in lengths {
        let (piece, after) = rest.split_at((*length).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

proptest! {
    #[test]
    fn replies_are_found_where_they_begin_however_the_stream_is_cut(
        said in conversation(),
        lengths in prop::collection::vec(0_usize..30, 0..60),
    ) {
        let stream: Vec<u8> = said.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        let (mut at, mut begin) = (0, Vec::new());
        for (is_reply, bytes) in &said {
            begin.extend(is_reply.then_some(at));
            at += bytes.len();
        }
        // Each of them in turn is the one that is lost.
        for lost in 0..=begin.len() {
            let (mut replies, mut seen, mut before, mut found) =
                (Replies::default(), Seen::default(), 0, None);
            for piece in cut(&stream, &lengths) {
                let mut asked = seen.replies;
                let mut loses = || {
                    asked += 1;
                    asked == lost as u64 + 1
                };
                if let Some(at) = replies.read(&mut piece.to_vec(), &mut loses, &mut seen) {
                    found = Some(before + at);
                    break;
                }
                before += piece.len();
            }
            prop_assert!(replies.can_read());
            prop_assert_eq!(found, begin.get(lost).copied());
            prop_assert_eq!(seen.replies, (lost + 1).min(begin.len()) as u64);
        }
    }

    #[test]
    fn any_bytes_are_read_to_their_end_however_they_are_cut(
        stream in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"$*:+-019\r\n".to_vec())], 0..200),
        lengths in prop::collection::vec(0_usize..20, 0..40),
    ) {
        let (mut whole, mut seen) = (Replies::default(), Seen::default());
        prop_assert_eq!(whole.read(&mut stream.clone(), &mut || false, &mut seen), None);
        let (mut cut_up, mut again) = (Replies::default(), Seen::default());
        for piece in cut(&stream, &lengths) {
            prop_assert_eq!(cut_up.read(&mut piece.to_vec(), &mut || false, &mut again), None);
        }
        prop_assert_eq!((whole.can_read(), seen), (cut_up.can_read(), again));
    }
}

/// Makes every reply unreadable, in the same way.
struct Garbles(usize);

impl Lots for Garbles {
    fn loses(&mut self) -> bool {
        false
    }

    fn garbles(&mut self) -> Option<usize> {
        Some(self.0)
    }
}

#[test]
fn a_garbled_reply_has_a_type_that_does_not_exist() {
    let said = b"$3\r\nabc\r\n>1\r\n+x\r\n:1\r\n*2\r\n+a\r\n+b\r\n$15\r\n012345678901234\r\n";
    let by = |way| {
        let (mut replies, mut seen, mut bytes) =
            (Replies::default(), Seen::default(), said.to_vec());
        replies.read(&mut bytes, &mut Garbles(way), &mut seen);
        assert!(replies.can_read());
        assert_eq!((seen.replies, seen.garbled), (4, 4));
        String::from_utf8(bytes).unwrap().replace("\r\n", " ")
    };
    for way in 0..WAYS {
        assert_eq!(by(way), "\x7f3 abc >1 +x \x7f1 \x7f2 +a +b \x7f15 012345678901234 ");
    }
}

#[test]
fn what_is_not_resp_is_let_through() {
    let (mut replies, mut seen) = (Replies::default(), Seen::default());
    let mut said = b"+OK\r\nHTTP/1.1 200 OK\r\n+OK\r\n".to_vec();
    assert_eq!(replies.read(&mut said, &mut || false, &mut seen), None);
    assert!(!replies.can_read());
    assert_eq!(seen.replies, 2, "what cannot be read begins like a reply");
    let mut said = b"+OK\r\n".to_vec();
    assert_eq!(replies.read(&mut said, &mut || true, &mut seen), None, "nothing is lost any more");
}
