//! A message as a consumer gets it: the bytes of its content header through inlet and client library, and
//! its body, as a task or as the reason of a dead letter.
//!
//! The first two bytes are the length of the content header.

#![no_main]

use leveret_common::broker::rabbitmq::fuzzing::{HEADER_FIXED, delivered, mended, published};
use libfuzzer_sys::fuzz_target;

/// What one frame of a server that was not set up otherwise holds.
const LARGEST: usize = 131_072 - 8;

fuzz_target!(init: leveret_fuzz::seed(), |input: &[u8]| {
    let Some((len, rest)) = input.split_first_chunk() else { return };
    let len = usize::from(u16::from_be_bytes(*len)).min(rest.len());
    let (payload, body) = rest.split_at(len);
    // Shorter, it is no content header, and no server sends it.
    if payload.len() < HEADER_FIXED + 2 {
        return;
    }
    let wire = delivered(&mended(payload, LARGEST), body).expect("the client can read it");
    leveret_fuzz::read(&wire);
    // What the broker was told of it comes back the same.
    if let Some(again) = published(&wire) {
        assert!(delivered(&again, body).is_some(), "the client cannot read what it wrote");
    }
});
