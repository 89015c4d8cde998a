//! The stream of a server's frames, however it is cut: what comes out does not depend on the cuts, is not
//! longer than what came in but for what is said of it, and holds no content header that the client
//! cannot read.
//!
//! The first two bytes say how it is cut.

#![no_main]

use leveret_common::broker::rabbitmq::fuzzing::{HEADER_FIXED, delivered, through};
use libfuzzer_sys::fuzz_target;

/// Type, channel and size.
const HEAD: usize = 7;
/// Of a content header.
const CONTENT_HEADER: u8 = 2;
/// `AMQP`, with which a server of another version ends the connection; no frame follows.
const NO_FRAME: u8 = b'A';
/// The smallest frame that a server may ask for.
const SMALLEST: usize = 4_096;
/// The most that is said of a message that had to be rewritten.
const SAID: usize = 2_048;

/// Takes the first frame; nothing where no whole one follows.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
    let (payload, rest) = rest.split_at_checked(usize::try_from(size).ok()?)?;
    let (end, rest) = rest.split_first()?;
    (*end == 0xce && head[0] != NO_FRAME).then_some((head[0], payload, rest))
}

fuzz_target!(init: leveret_fuzz::seed(), |input: &[u8]| {
    let Some(([piece, most], stream)) = input.split_first_chunk() else { return };
    let whole = through(stream, stream.len(), 65_536);
    let cut = through(stream, usize::from(*piece) + 1, usize::from(*most) + 1);
    assert_eq!(whole, cut, "what comes out depends on how it came in");
    let mut rest = whole.as_slice();
    while let Some((kind, payload, after)) = frame(rest) {
        let is_read = payload.len() >= HEADER_FIXED + 2 && payload.len() < SMALLEST;
        if kind == CONTENT_HEADER && is_read {
            assert!(delivered(payload, &[]).is_some(), "the client cannot read {payload:?}");
        }
        rest = after;
    }
    let frames = stream.len() / (HEAD + 1) + 1;
    assert!(whole.len() <= stream.len() + SAID * frames, "{} bytes", whole.len());
});
