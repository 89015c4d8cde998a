//! The same confirms are left out however the stream is cut, and the client hears of all others.

use std::collections::BTreeSet;

use bytes::BytesMut;
use proptest::prelude::*;

use super::super::filter::{Lots, NO_TYPE, WAYS};
use super::super::seen::Seen;
use super::{BASIC_ACK, BASIC_NACK, CHANNEL_OPEN_OK, CONFIRM_SELECT_OK, Confirms};

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap();
    let head = [&[kind][..], &channel.to_be_bytes(), &size.to_be_bytes()].concat();
    [&head, payload, &[0xCE]].concat()
}

fn method(channel: u16, id: u32, arguments: &[u8]) -> Vec<u8> {
    frame(1, channel, &[&id.to_be_bytes(), arguments].concat())
}

fn settling(channel: u16, id: u32, tag: u64, multiple: bool) -> Vec<u8> {
    method(channel, id, &[&tag.to_be_bytes()[..], &[u8::from(multiple)]].concat())
}

fn ready(channel: u16) -> Vec<u8> {
    [method(channel, CHANNEL_OPEN_OK, &[0; 4]), method(channel, CONFIRM_SELECT_OK, &[])].concat()
}

/// What a broker says on two channels, of which the first is in confirm mode.
fn said() -> impl Strategy<Value = Vec<u8>> {
    let other = prop_oneof![
        Just(frame(8, 0, &[])),
        (1_u16..3, prop::collection::vec(any::<u8>(), 0..60))
            .prop_map(|(channel, body)| frame(3, channel, &body)),
        (1_u16..3, prop::collection::vec(any::<u8>(), 0..30))
            .prop_map(|(channel, header)| frame(2, channel, &header)),
        prop::collection::vec(any::<u8>(), 0..30).prop_map(|tag| method(2, 60 << 16 | 60, &tag)),
        (1_u64..50, any::<bool>()).prop_map(|(tag, all)| settling(2, BASIC_ACK, tag, all)),
    ];
    let confirm = (1_u64..50, prop::bool::weighted(0.3))
        .prop_map(|(tag, multiple)| settling(1, BASIC_ACK, tag, multiple));
    prop::collection::vec(prop_oneof![2 => confirm, 1 => other], 0..40).prop_map(|frames| {
        [ready(1), method(2, CHANNEL_OPEN_OK, &[0; 4]), frames.concat()].concat()
    })
}

/// Passes a stream in pieces of these lengths; `loses` decides by the number of the confirm.
fn pass(stream: &[u8], lengths: &[usize], loses: impl Fn(u64) -> bool) -> (Vec<u8>, Seen, bool) {
    let (mut confirms, mut seen, mut out) = (Confirms::default(), Seen::default(), Vec::new());
    let (mut rest, mut asked) = (stream, 0);
    for length in lengths.iter().chain([&usize::MAX]) {
        let (piece, after) = rest.split_at((*length).min(rest.len()));
        let mut bytes = BytesMut::from(piece);
        let mut lose = || {
            asked += 1;
            loses(asked)
        };
        confirms.pass(&mut bytes, &mut lose, &mut seen);
        out.extend_from_slice(&bytes);
        rest = after;
    }
    let mut bytes = BytesMut::new();
    confirms.rest(&mut bytes);
    out.extend_from_slice(&bytes);
    (out, seen, confirms.can_read())
}

/// What a client takes for confirmed on channel 1, of the first fifty publishes.
fn confirmed(mut stream: &[u8]) -> BTreeSet<u64> {
    let mut confirmed = BTreeSet::new();
    while let Some(size) = stream.get(3..7) {
        let size = u32::from_be_bytes(size.try_into().unwrap()) as usize;
        let (frame, rest) = stream.split_at(size + 8);
        assert_eq!(frame.last(), Some(&0xCE));
        if frame[..3] == [1, 0, 1] && frame[7..11] == BASIC_ACK.to_be_bytes() {
            let tag = u64::from_be_bytes(frame[11..19].try_into().unwrap());
            if frame[19] == 1 { confirmed.extend(1..=tag) } else { confirmed.extend([tag]) }
        }
        stream = rest;
    }
    assert!(stream.is_empty(), "half a frame is left");
    confirmed
}

proptest! {
    #[test]
    fn a_stream_without_losses_is_the_same_however_it_is_cut(
        stream in said(),
        lengths in prop::collection::vec(0_usize..40, 0..60),
    ) {
        let (out, seen, can_read) = pass(&stream, &lengths, |_| false);
        prop_assert_eq!(&out, &stream);
        prop_assert!(can_read);
        prop_assert_eq!(seen.confirms, confirmed(&stream).len() as u64);
    }

    #[test]
    fn lost_confirms_are_never_heard_of_and_all_others_are(
        stream in said(),
        lengths in prop::collection::vec(0_usize..40, 0..60),
        lost in prop::collection::btree_set(1_u64..50, 0..25),
    ) {
        let (out, seen, can_read) = pass(&stream, &lengths, |number| lost.contains(&number));
        prop_assert!(can_read);
        prop_assert_eq!(&out, &pass(&stream, &[], |number| lost.contains(&number)).0);
        let (sent, heard) = (confirmed(&stream), confirmed(&out));
        prop_assert!(heard.is_subset(&sent));
        prop_assert_eq!(seen.confirms, sent.len() as u64);
        prop_assert_eq!(seen.confirms_lost, (sent.len() - heard.len()) as u64);
        prop_assert_eq!(seen.confirms_lost, lost.range(..=seen.confirms).count() as u64);
    }

    #[test]
    fn what_is_not_amqp_passes_unchanged_however_it_is_cut(
        stream in prop::collection::vec(any::<u8>(), 0..200),
        lengths in prop::collection::vec(0_usize..40, 0..20),
    ) {
        let stream = [ready(1), stream].concat();
        prop_assert_eq!(pass(&stream, &lengths, |_| false).0, stream);
    }
}

/// Makes every frame but the first two unreadable, in the same way.
struct Garbles(usize, usize);

impl Lots for Garbles {
    fn loses(&mut self) -> bool {
        false
    }

    fn garbles(&mut self) -> Option<usize> {
        self.1 += 1;
        (self.1 > 2).then_some(self.0)
    }
}

proptest! {
    #[test]
    fn one_byte_of_each_frame_is_garbled_however_the_stream_is_cut(
        frames in prop::collection::vec((1_u8..9, prop::collection::vec(any::<u8>(), 0..30)), 1..20),
        lengths in prop::collection::vec(0_usize..40, 0..60),
        way in 0_usize..WAYS,
    ) {
        let said: Vec<_> = frames.iter().map(|(kind, payload)| frame(*kind, 5, payload)).collect();
        let mut expected = said.clone();
        for frame in &mut expected {
            let last = frame.len() - 1;
            frame[[0, 3, last][way]] = [NO_TYPE, NO_TYPE, 0][way];
        }
        let stream = [ready(1), said.concat()].concat();
        let expected = [ready(1), expected.concat()].concat();
        let (mut confirms, mut seen, mut out) = (Confirms::default(), Seen::default(), Vec::new());
        let (mut rest, mut garbles) = (&stream[..], Garbles(way, 0));
        for length in lengths.iter().chain([&usize::MAX]) {
            let (piece, after) = rest.split_at((*length).min(rest.len()));
            let mut bytes = BytesMut::from(piece);
            confirms.pass(&mut bytes, &mut garbles, &mut seen);
            out.extend_from_slice(&bytes);
            rest = after;
        }
        prop_assert_eq!(out, expected);
        prop_assert!(confirms.can_read());
        prop_assert_eq!(seen.garbled, said.len() as u64);
    }
}

#[test]
fn a_confirm_of_several_does_not_confirm_the_lost_one() {
    let stream = [
        ready(1),
        settling(1, BASIC_ACK, 2, false),
        settling(1, BASIC_ACK, 3, true),
        settling(1, BASIC_ACK, 5, true),
    ]
    .concat();
    // The first confirm is that of tag 2.
    let (out, seen, _) = pass(&stream, &[], |number| number == 1);
    assert_eq!(confirmed(&out), BTreeSet::from([1, 3, 4, 5]));
    assert_eq!((seen.confirms, seen.confirms_lost), (5, 1));
}

#[test]
fn only_confirms_of_a_channel_that_asked_for_them_are_lost() {
    let stream = [
        settling(7, BASIC_ACK, 1, false),
        ready(7),
        settling(7, BASIC_ACK, 1, false),
        settling(7, BASIC_NACK, 2, false),
        method(7, CHANNEL_OPEN_OK, &[0; 4]),
        settling(7, BASIC_ACK, 1, false),
    ];
    let (out, seen, _) = pass(&stream.concat(), &[], |_| true);
    let [before, ready, _lost, refused, again, after] = stream;
    assert_eq!(out, [before, ready, refused, again, after].concat());
    assert_eq!((seen.confirms, seen.confirms_lost), (1, 1));
}
