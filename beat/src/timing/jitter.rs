//! The put-off of an occurrence: spread over schedules and instants, the same for everybody.
//!
//! Not random: two beats, and one beat after a restart, must agree on when an occurrence is to be
//! put in. The functions are fixed for ever: another build with another hash would disagree.

use leveret_common::clock::Millis;

/// Tells schedules apart (FNV-1a).
pub(super) fn seed(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Draws the put-off of one occurrence, below `below` milliseconds (the finaliser of splitmix64).
pub(super) fn draw(seed: u64, due: Millis, below: u64) -> u64 {
    let mut mixed = (seed ^ due.0).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % below.max(1)
}
