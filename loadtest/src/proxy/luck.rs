//! Everything that is drawn by lot, from a seed.

use std::time::Duration;

use super::fault::Towards;

/// Draws for one direction of one connection.
#[derive(Debug)]
pub(super) struct Luck(fastrand::Rng);

impl Luck {
    /// The same for the same seed, connection and direction, whatever other connections do.
    pub(super) fn of(seed: u64, connection: u64, towards: Towards) -> Self {
        let direction = match towards {
            Towards::Server => 0,
            Towards::Client => 1,
        };
        // Neighbouring seeds would draw alike: the number is spread over all bits first.
        let spread = (connection * 2 + direction + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self(fastrand::Rng::with_seed(seed ^ spread))
    }

    /// Tells whether something happens that does for this share of all.
    pub(super) fn happens(&mut self, share: f64) -> bool {
        share > 0.0 && self.0.f64() < share
    }

    /// Draws from `mean - jitter` to `mean + jitter`, never below nothing.
    pub(super) fn around(&mut self, mean: Duration, jitter: Duration) -> Duration {
        (mean + jitter.mul_f64(2.0 * self.0.f64())).saturating_sub(jitter)
    }

    /// Draws how far it is to the next of what happens once in `one_in`.
    pub(super) fn gap(&mut self, one_in: u64) -> u64 {
        self.0.u64(1..=one_in.saturating_mul(2).saturating_sub(1).max(1))
    }

    /// Draws one of so many ways.
    pub(super) fn way(&mut self, of: usize) -> usize {
        self.0.usize(..of)
    }

    /// Draws what becomes of a byte that is spoiled: anything but itself.
    pub(super) fn spoil(&mut self, byte: u8) -> u8 {
        byte ^ self.0.u8(1..=u8::MAX)
    }
}
