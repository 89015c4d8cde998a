//! Doors for the targets in `fuzz/`: what a server's bytes become on their way to a task.
//!
//! Says what is read and judges nothing; what has to hold is written in the targets. Not in a
//! program: only feature `fuzzing` has it.

use lapin::protocol::basic::{AMQPProperties, gen_properties, parse_properties};

use super::super::translate::{to_properties, to_wire};
use super::header::{self, FIXED};
use super::sieve::Sieve;
use crate::envelope::Wire;

/// Octets of a content header before its flags and properties.
pub const HEADER_FIXED: usize = FIXED;

/// Gives a stream's bytes to the inlet in pieces of this size, and takes what comes out in others.
#[must_use]
pub fn through(bytes: &[u8], piece: usize, most: usize) -> Vec<u8> {
    let (mut sieve, mut all) = (Sieve::new(0), Vec::new());
    let mut out = vec![0; most.max(1)];
    for piece in bytes.chunks(piece.max(1)) {
        let mut rest = piece;
        while !rest.is_empty() {
            let space = sieve.space();
            let count = rest.len().min(space.len());
            space[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            sieve.filled(count);
            loop {
                let given = sieve.give(&mut out);
                if given == 0 {
                    break;
                }
                all.extend_from_slice(&out[..given]);
            }
        }
    }
    all
}

/// Returns the payload of a content header as the client gets it, in a frame of at most this size.
#[must_use]
pub fn mended(payload: &[u8], largest: usize) -> Vec<u8> {
    header::mended(payload, largest).unwrap_or_else(|| payload.to_vec())
}

/// Reads the payload of a content header as the client does; nothing where it gives up.
fn properties(payload: &[u8]) -> Option<AMQPProperties> {
    match parse_properties(payload.get(FIXED..)?) {
        Ok((rest, properties)) if rest.is_empty() => Some(properties),
        Ok(_) | Err(_) => None,
    }
}

/// Reads a content header and a body as a consumer hands them out; nothing where the client gives
/// the connection up, and all that is consumed on it.
#[must_use]
pub fn delivered(payload: &[u8], body: &[u8]) -> Option<Wire> {
    Some(to_wire(&properties(payload)?, body.to_vec()))
}

/// Writes the payload of the content header that a message is published with; nothing where it
/// cannot be written.
#[must_use]
pub fn published(wire: &Wire) -> Option<Vec<u8>> {
    let properties = to_properties(wire);
    let mut payload = vec![0, 60, 0, 0];
    payload.extend_from_slice(&u64::try_from(wire.body.len()).ok()?.to_be_bytes());
    payload.extend_from_slice(&gen_properties(&properties)(Vec::new().into()).ok()?.write);
    Some(payload)
}
